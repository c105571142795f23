"""How well one person is protected now: live, degraded or not working; why, since when, what to do.

Never a stale "safe": what was verified counts until her handset should have been heard again, and not a
second longer, whatever else is known. Reasons say nothing of where anybody is; of a wearer's device they
say only that one of the devices is not heard.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from alerts.model import Alert
from alerts.profile import Profiles
from alerts.profile_rules import STATUS
from devices.fleet import overdue_after_us
from devices.health_state import NEVER_US, DeviceHealth
from devices.instants import from_iso, to_iso
from devices.watches import Bearer, Compiled

State = Literal["live", "degraded", "not_working"]

ReasonCode = Literal[
    "service",  # what receives, decides or tells does not work
    "no_handset",
    "handset_silent",
    "handset_lost",  # heard, without a position
    "battery_critical",
    "battery_low",
    "permission_off",
    "other_device",  # a wearer's device is not heard, or has no position
    "cannot_tell",  # nearness cannot be excluded
]

STOPS: frozenset[ReasonCode] = frozenset({"service", "no_handset", "handset_silent"})
"""With one of these she is not protected; with any other less well."""

_OF_HANDSET: dict[str, ReasonCode] = {
    "silent": "handset_silent",
    "gnss_lost": "handset_lost",
    "battery_critical": "battery_critical",
    "battery_low": "battery_low",
    "permission_off": "permission_off",
}
_OF_TAG = ("silent", "gnss_lost")


class Reason(msgspec.Struct, frozen=True):
    """Why it is not live. `since` is None where that is not known."""

    code: ReasonCode
    since: str | None


class Protection(msgspec.Struct, frozen=True, kw_only=True):
    """The status of one protected person at an instant.

    Attributes:
        reasons: The gravest first; empty when it is live.
        since: Of the gravest reason.
        verified_at: When her handset was last heard; None for never.
        valid_until: Until then this holds if nothing is heard; whoever shows it must then show that
            nothing is known.
        title, what_to_do: In her language.
    """

    person: str
    state: State
    reasons: tuple[Reason, ...]
    since: str | None
    verified_at: str | None
    valid_until: str
    title: str
    what_to_do: str


def protections(
    compiled: Compiled,
    health: Mapping[str, DeviceHealth],
    alerts: Iterable[Alert],
    profiles: Profiles,
    now_us: int,
    *,
    service_works: bool,
) -> list[Protection]:
    """The status of every protected person that an order concerns, by their ids.

    Args:
        compiled: Who is protected from whom now, by which devices.
        health: Of the devices.
        alerts: Those open.
        profiles: Have the words.
        now_us: The present instant.
        service_works: What arrives is decided and told.
    """
    doubts: dict[str, str] = {}
    for alert in alerts:
        if alert.protected and alert.state == "active" and alert.level == "unknown":
            doubts.setdefault(alert.protected, alert.onset)
    watched = {w.protected for w in compiled.watches.values() if w.protected is not None}
    carried = {b.person for b in compiled.bearers.values() if b.role == "protected" and b.agencies}
    people = sorted({person for person in watched | carried if person is not None})
    return [
        _protection(person, compiled, health, profiles, now_us, doubts.get(person), service_works)
        for person in people
    ]


def _protection(
    person: str,
    compiled: Compiled,
    health: Mapping[str, DeviceHealth],
    profiles: Profiles,
    now_us: int,
    doubt_since: str | None,
    service_works: bool,  # noqa: FBT001 - private
) -> Protection:
    own = [b for b in compiled.bearers.values() if b.person == person and b.kind == "handset"]
    known = [health[bearer.device] for bearer in own if bearer.device in health]
    tags = {w.tag for w in compiled.watches.values() if w.protected == person}
    reasons = [] if service_works else [Reason("service", None)]
    reasons += _of_handsets(known, now_us)
    reasons += _of_tags([health[tag] for tag in sorted(tags) if tag in health])
    if doubt_since is not None:
        reasons.append(Reason("cannot_tell", doubt_since))
    heard_us = max((one.heard_us for one in known), default=NEVER_US)
    until_us = max((_good_until_us(one) for one in known), default=now_us)
    return _in_words(person, own, reasons, profiles, heard_us, max(until_us, now_us))


def _of_handsets(known: list[DeviceHealth], now_us: int) -> list[Reason]:
    """What is wrong with the handset that is best off; she needs only one."""
    if not known:
        return [Reason("no_handset", None)]
    return min((list(_of_handset(one, now_us)) for one in known), key=_gravity)


def _of_handset(one: DeviceHealth, now_us: int) -> Iterator[Reason]:
    if now_us > _good_until_us(one) and "silent" not in one.spells:
        yield Reason("handset_silent", None if one.heard_us == NEVER_US else to_iso(one.heard_us))
    for kind, code in _OF_HANDSET.items():
        if kind in one.spells:
            yield Reason(code, to_iso(one.spells[kind].onset_us))


def _of_tags(known: list[DeviceHealth]) -> list[Reason]:
    onsets = [one.spells[kind].onset_us for one in known for kind in _OF_TAG if kind in one.spells]
    return [Reason("other_device", to_iso(min(onsets)))] if onsets else []


def _good_until_us(one: DeviceHealth) -> int:
    return NEVER_US if one.heard_us == NEVER_US else one.heard_us + overdue_after_us(one.interval_s)


def _gravity(reasons: list[Reason]) -> tuple[int, int]:
    return (sum(reason.code in STOPS for reason in reasons), len(reasons))


def _in_words(
    person: str,
    own: list[Bearer],
    reasons: list[Reason],
    profiles: Profiles,
    heard_us: int,
    until_us: int,
) -> Protection:
    reasons = sorted(reasons, key=lambda reason: reason.code not in STOPS)
    state: State = "live"
    if reasons:
        state = "not_working" if reasons[0].code in STOPS else "degraded"
    profile = profiles.find(own[0].profile if own else "default")
    language = own[0].language if own else "en"
    words = profile.text(STATUS, reasons[0].code if reasons else "live", language)
    return Protection(
        person=person,
        state=state,
        reasons=tuple(reasons),
        since=reasons[0].since if reasons else None,
        verified_at=None if heard_us == NEVER_US else to_iso(heard_us),
        valid_until=to_iso(until_us),
        title="" if words is None else words.title,
        what_to_do="" if words is None else words.text,
    )


def is_valid(protection: Protection, now_us: int) -> bool:
    """Whether it may still be shown."""
    return now_us <= from_iso(protection.valid_until)
