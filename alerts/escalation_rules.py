"""When who else is asked: the rules of a profile, and the instants that follow from them.

Three clocks run for an alert, each from an instant that stands in the alert itself:

    unacknowledged  from `asks_since`; stops when somebody acknowledges
    undelivered     from `told_at`; stops when one of her handsets has the notice
    unresolved      from `acknowledged_at`; stops with the alert

A rule names a clock, a tier, a time and whom to ask by which channels. From it follow *points*:
instants of that clock, each with a name that is unique within the alert's tier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal

import msgspec

from devices.instants import MICROSECONDS

When = Literal["unacknowledged", "undelivered", "unresolved"]

AskedRole = Literal[
    "operators", "assigned", "officer", "supervisor", "police", "protected", "technical"
]
"""Who is asked. `operators` and `assigned` sit at the console; the others are contacts. `technical` are
told when the service itself is degraded."""

ContactChannel = Literal["push", "sms", "email", "webhook"]
AskChannel = Literal["console", "push", "sms", "email", "webhook"]

LONGEST_S = 86_400
REPEATS_LIMIT = 20
RANKS_LIMIT = 20

Seconds = Annotated[float, msgspec.Meta(gt=0, le=LONGEST_S)]


class EscalationRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One step of a plan.

    Attributes:
        when: The clock.
        tier: Of the alerts it is for.
        after_s: On that clock.
        ask: Who.
        rank: The first, second, ... contact of that role, in the order of the contacts file.
        via: Channels in the order in which they are preferred.
        fallback_after_s: Without a receipt for so long, the next channel is tried.
        repeat_s, times: Asks again every so many seconds, so often altogether.
    """

    when: When
    tier: Annotated[int, msgspec.Meta(ge=1, le=4)]
    after_s: Seconds
    ask: AskedRole
    rank: Annotated[int, msgspec.Meta(ge=1, le=RANKS_LIMIT)] = 1
    via: Annotated[tuple[AskChannel, ...], msgspec.Meta(min_length=1)]
    fallback_after_s: Seconds | None = None
    repeat_s: Seconds | None = None
    times: Annotated[int, msgspec.Meta(ge=1, le=REPEATS_LIMIT)] = 1

    @property
    def name(self) -> str:
        """Names the rule within its tier."""
        return f"{self.when}/{self.ask}-{self.rank}"


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """An instant at which a rule asks.

    Attributes:
        name: Unique within the alert's tier.
        offset_us: On the rule's clock.
        choice: It asks by the contact's channel of this index, of those that `via` names.
        unheard: The point before it, whose ask must have no receipt; None for the first.
    """

    name: str
    rule: EscalationRule
    offset_us: int
    choice: int = 0
    unheard: Point | None = None


def points_of(rules: Iterable[EscalationRule], tier: int) -> tuple[Point, ...]:
    """The points for alerts of a tier, in the order of their clocks' time."""
    points = [point for rule in rules if rule.tier == tier for point in _points(rule)]
    return tuple(sorted(points, key=lambda point: (point.offset_us, point.name)))


def rule_problems(rules: tuple[EscalationRule, ...]) -> Iterator[tuple[str, str]]:
    """Field and what is wrong with it, of rules that contradict themselves or each other."""
    seen: set[tuple[int, str]] = set()
    for index, rule in enumerate(rules):
        where = f"escalation.{index}"
        if (rule.tier, rule.name) in seen:
            yield where, "asks the same contact twice; use via, times or rank"
        seen.add((rule.tier, rule.name))
        if (rule.repeat_s is None) != (rule.times == 1):
            yield f"{where}.times", "write both repeat_s and times (2 or more), or neither"
        if rule.fallback_after_s is not None and (len(rule.via) == 1 or rule.times > 1):
            yield (
                f"{where}.fallback_after_s",
                "needs a second channel in via, and cannot be combined with times",
            )
        at_console = rule.ask in {"operators", "assigned"}
        named = "console" in rule.via
        if at_console != named or (named and len(rule.via) > 1):
            yield (
                f"{where}.via",
                'must be ["console"] for operators and assigned, and no console for others',
            )
        if (rule.when == "undelivered") != (rule.ask == "protected"):
            yield (
                f"{where}.ask",
                "the protected person is asked of what did not reach her, and nobody else is",
            )


def _points(rule: EscalationRule) -> Iterator[Point]:
    first_us = _us(rule.after_s)
    before = Point(name=rule.name, rule=rule, offset_us=first_us)
    yield before
    for number in range(1, rule.times):
        offset_us = first_us + number * _us(rule.repeat_s or 0)
        yield Point(name=f"{rule.name}#{number + 1}", rule=rule, offset_us=offset_us)
    if rule.fallback_after_s is not None:
        for choice in range(1, len(rule.via)):
            offset_us = first_us + choice * _us(rule.fallback_after_s)
            name = f"{rule.name}+{choice}"
            before = Point(name=name, rule=rule, offset_us=offset_us, choice=choice, unheard=before)
            yield before


def _us(seconds: float) -> int:
    return round(seconds * MICROSECONDS)
