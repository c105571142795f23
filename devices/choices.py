"""What a protected person chooses: what she is told at once, what later, what not, and at which hours.

A document as a whole: whoever sets it says all of it, so that what applied at an instant is one entry of
its history and not a sum of many. What is urgent never depends on it; see `alerts.choosing`.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from devices.caseload import LocalTime, Window
from devices.instants import MICROSECONDS, from_iso
from devices.schedule import TimeZoneError, is_active, next_change_us, time_zone

Topic = Literal[
    "inner_ring",  # he may be near, or that cannot be excluded
    "outer_ring",
    "zones",  # places he must keep out of
    "tamper",  # his device
    "device",  # her own: battery, permissions
    "outage",  # the service, a network, his device: how her status is announced
]
How = Literal["now", "digest", "off"]

TOPICS: tuple[Topic, ...] = get_args(Topic)

NEVER_OFF: frozenset[Topic] = frozenset({"inner_ring"})
"""What no profile lets her switch off or put off."""

PAUSE_LONGEST_S = 3 * 86_400
"""A pause ends by itself: nobody should be left without notices because one was forgotten."""

CHOICES_BYTES = 2_048

Problem = Literal["shape", "locked", "zone", "digest_hour", "pause", "older"]
"""Why a document is refused. What is older than what is in force is answered, and not kept as a choice."""

_DAYS: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = (
    "mon",
    "tue",
    "wed",
    "thu",
    "fri",
    "sat",
    "sun",
)
_HOUR_LASTS_MIN = 90
_STEPS = 8
"""Quiet hours and a pause end one after the other; more steps than they could take."""


class Quiet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Hours in which only what is urgent comes at once. With `to` at or before `from` it ends next day."""

    from_: LocalTime = msgspec.field(name="from")
    to: LocalTime


class Choices(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one person has chosen. Without any choice she is told everything at once.

    Attributes:
        topics: How she is told of each; `now` for those that are not there.
        zone: IANA name of the time zone her hours are meant in.
        paused_until: ISO 8601; until then what is not urgent is held back.
        digest_at: Local hour of the one message with what was held back; None: as soon as quiet
            hours and pause are over.
    """

    topics: dict[Topic, How] = {}
    quiet: Quiet | None = None
    zone: str = ""
    paused_until: str | None = None
    digest_at: LocalTime | None = None

    def how(self, topic: Topic) -> How:
        """How she wants to be told of it."""
        return self.topics.get(topic, "now")


EVERYTHING_NOW = Choices()


def problem_of(choices: Choices, locked: frozenset[Topic], now_us: int) -> Problem | None:
    """Why this cannot be chosen; None when it can.

    Args:
        choices: The whole document.
        locked: Topics that the profile keeps from her choice.
        now_us: The present instant.
    """
    fixed = NEVER_OFF | locked
    if any(choices.how(topic) != "now" for topic in fixed):
        return "locked"
    if choices.quiet or choices.digest_at or choices.zone:
        try:
            time_zone(choices.zone)
        except TimeZoneError:
            return "zone"
    if "digest" in choices.topics.values() and choices.digest_at is None:
        return "digest_hour"
    try:
        until_us = 0 if choices.paused_until is None else from_iso(choices.paused_until)
    except (ValueError, OverflowError):
        return "pause"
    return "pause" if until_us > now_us + PAUSE_LONGEST_S * MICROSECONDS else None


def is_quiet(choices: Choices, at_us: int) -> bool:
    """Whether an instant lies in her quiet hours or in a pause."""
    return _quiet_end_us(choices, at_us) is not None or at_us < _paused_until_us(choices)


def digest_us(choices: Choices, at_us: int) -> int:
    """When what is held back at an instant is to be told, if nothing changes until then."""
    paused_us = _paused_until_us(choices)
    if choices.digest_at is not None:
        return _next_hour_us(choices, max(at_us, paused_us))
    for _ in range(_STEPS):
        end_us = _quiet_end_us(choices, at_us) or max(at_us, paused_us)
        if end_us == at_us:
            break
        at_us = end_us
    return at_us


def _paused_until_us(choices: Choices) -> int:
    return 0 if choices.paused_until is None else from_iso(choices.paused_until)


def _quiet_end_us(choices: Choices, at_us: int) -> int | None:
    """The end of the quiet hours that an instant lies in; None when it lies in none."""
    if choices.quiet is None:
        return None
    window = Window(days=_DAYS, from_=choices.quiet.from_, to=choices.quiet.to)
    zone = time_zone(choices.zone)
    if not is_active((window,), zone, at_us):
        return None
    # Quiet all day ends never: what is held then waits for the next change of her choices.
    return next_change_us((window,), zone, at_us) or at_us + PAUSE_LONGEST_S * MICROSECONDS


def _next_hour_us(choices: Choices, after_us: int) -> int:
    """The next instant at which her clock shows the hour of the digest."""
    assert choices.digest_at is not None, "asked only where there is one"
    window = Window(days=_DAYS, from_=choices.digest_at, to=_later(choices.digest_at))
    zone = time_zone(choices.zone)
    if is_active((window,), zone, after_us):
        after_us = next_change_us((window,), zone, after_us) or after_us
    found = next_change_us((window,), zone, after_us)
    assert found is not None, "every day has this hour"
    return found


def _later(hour: str) -> str:
    """So much later that an hour which the clock skips in spring is passed on that day, too."""
    hours, minutes = map(int, hour.split(":"))
    total = (hours * 60 + minutes + _HOUR_LASTS_MIN) % (24 * 60)
    return f"{total // 60:02}:{total % 60:02}"
