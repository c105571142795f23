"""How well one person is protected now: live, degraded or not working; why, since when, what to do.

Never a stale "safe": what was verified counts until her handset or his tag should have been heard again,
and not a second longer, whatever else is known. Reasons say nothing of where anybody is; of a wearer's
device they say only that one of the devices is not heard.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import msgspec

from alerts.profile import Profiles
from alerts.profile_rules import DEFAULT, DEFAULT_LANGUAGE, STATUS, Words
from alerts.weakening import Weakening
from devices.fleet import overdue_after_us
from devices.health_state import NEVER_US, DeviceHealth, silent_after_us
from devices.instants import to_iso
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
    "other_device",  # a wearer's device is not heard, or has no position, or there is none
    "many_silent",  # very many devices are silent at once: the way to them is broken
    "cannot_tell",  # nearness cannot be excluded
    "late",  # what arrives is decided late
    "records",  # the database is away: what happens is kept, and written down later
]
"""The gravest first, among those that stop and among those that do not."""

STOPS: frozenset[ReasonCode] = frozenset({"service", "no_handset", "handset_silent"})
"""With one of these she is not protected; with any other less well."""

LONGEST_US = 120_000_000
"""No status holds for longer than this, whatever the intervals of the devices: by then she should have
been told anew."""

_GRAVITY: dict[str, int] = {code: place for place, code in enumerate(get_args(ReasonCode))}
_OF_HANDSET: dict[str, ReasonCode] = {
    "silent": "handset_silent",
    "gnss_lost": "handset_lost",
    "battery_critical": "battery_critical",
    "battery_low": "battery_low",
    "permission_off": "permission_off",
}
OF_HER_HANDSET = frozenset(_OF_HANDSET.values())
_OF_TAG = ("silent", "gnss_lost")


@dataclass(frozen=True, slots=True)
class Footing:
    """How the service itself is: since when each of these is so, None where it is not.

    Attributes:
        broken_us: What arrives is not kept, not decided or not told.
        late_us: What arrives is decided late, or the service's own test fails.
        unrecorded_us: The database does not take the history.
    """

    broken_us: int | None = None
    late_us: int | None = None
    unrecorded_us: int | None = None


WELL = Footing()


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


Why = tuple[ReasonCode, int | None]
"""A reason, and since when, where that is known."""


class Status(NamedTuple):
    """One person's status, not in words yet.

    Attributes:
        handsets: That she carries.
        reasons: The gravest first.
        heard_us: When one of her handsets was last heard; `NEVER_US` for never.
        until_us: See `Protection.valid_until`.
    """

    person: str
    handsets: tuple[Bearer, ...]
    reasons: tuple[Why, ...]
    heard_us: int
    until_us: int

    @property
    def state(self) -> State:
        """What the reasons make of it."""
        if not self.reasons:
            return "live"
        return "not_working" if self.reasons[0][0] in STOPS else "degraded"

    def in_words(self, profiles: Profiles) -> Protection:
        """As it is shown."""
        reasons = tuple(Reason(code, _iso(since_us)) for code, since_us in self.reasons)
        words = status_words(profiles, self.handsets, reasons[0].code if reasons else "live")
        return Protection(
            person=self.person,
            state=self.state,
            reasons=reasons,
            since=reasons[0].since if reasons else None,
            verified_at=None if self.heard_us == NEVER_US else to_iso(self.heard_us),
            valid_until=to_iso(self.until_us),
            title="" if words is None else words.title,
            what_to_do="" if words is None else words.text,
        )


def statuses(
    compiled: Compiled,
    health: Mapping[str, DeviceHealth],
    weakening: Weakening,
    now_us: int,
    footing: Footing = WELL,
) -> Iterator[Status]:
    """The status of every protected person that an order concerns, by their ids.

    Made one by one: with very many people, whoever asks may do other things in between.

    Args:
        compiled: Who is protected from whom now, by which devices.
        health: Of the devices.
        weakening: Of the open alerts.
        now_us: The present instant.
        footing: How the service is.
    """
    service = _of_service(footing)
    for person, protectee in compiled.protectees.items():
        own = protectee.handsets
        known = [health[bearer.device] for bearer in own if bearer.device in health]
        best = _best(known, now_us)
        theirs = [health.get(tag) for tag in protectee.tags]
        reasons = [*service, *_of_best(best, now_us), *_of_tags(theirs, now_us)]
        outages = [weakening.outage_us(agency) for bearer in own for agency in bearer.agencies]
        silences = [since_us for since_us in outages if since_us is not None]
        if silences:
            reasons.append(("many_silent", min(silences)))
        if (doubt_us := weakening.doubt_us(person)) is not None:
            reasons.append(("cannot_tell", doubt_us))
        reasons.sort(key=_rank)
        heard_us = max((one.heard_us for one in known), default=NEVER_US)
        until_us = _until_us(best, theirs, now_us)
        yield Status(person, own, tuple(reasons), heard_us, until_us)


def _until_us(best: DeviceHealth | None, tags: list[DeviceHealth | None], now_us: int) -> int:
    """Until when a status holds if nothing more is heard; never before now.

    While a device is overdue already its deadline has no say: the status says so itself.
    """
    deadlines = [now_us if best is None else _good_until_us(best)]
    deadlines += [_silent_at_us(tag) for tag in tags if tag is not None]
    ahead = [deadline_us for deadline_us in deadlines if deadline_us >= now_us]
    return min([*ahead, now_us + LONGEST_US])


def _of_service(footing: Footing) -> list[Why]:
    signs: tuple[Why, ...] = (
        ("service", footing.broken_us),
        ("late", footing.late_us),
        ("records", footing.unrecorded_us),
    )
    return [sign for sign in signs if sign[1] is not None]


def _best(known: list[DeviceHealth], now_us: int) -> DeviceHealth | None:
    """The handset that is best off, and of equal ones the one heard last; she needs only one."""

    def rank(one: DeviceHealth) -> tuple[tuple[int, int], int]:
        return (_gravity(list(_of_handset(one, now_us))), -one.heard_us)

    return min(known, key=rank) if len(known) > 1 else next(iter(known), None)


def _of_best(best: DeviceHealth | None, now_us: int) -> list[Why]:
    return [("no_handset", None)] if best is None else list(_of_handset(best, now_us))


def _of_handset(one: DeviceHealth, now_us: int) -> Iterator[Why]:
    if now_us > _good_until_us(one) and "silent" not in one.spells:
        yield ("handset_silent", _known(one.heard_us))
    if one.spells:
        for kind, code in _OF_HANDSET.items():
            if kind in one.spells:
                yield (code, one.spells[kind].onset_us)


def _of_tags(tags: list[DeviceHealth | None], now_us: int) -> list[Why]:
    """That one of them is not heard.

    By its time as well as by its own trouble: of those that fall silent together with many, no trouble
    of each is told.
    """
    if not tags:
        return [("other_device", None)]
    onsets: list[int] = []
    for one in tags:
        if one is None:
            onsets.append(NEVER_US)
            continue
        onsets += [one.spells[kind].onset_us for kind in _OF_TAG if kind in one.spells]
        if now_us > _silent_at_us(one):
            onsets.append(one.heard_us)
    if not onsets:
        return []
    known = [onset_us for onset_us in onsets if onset_us != NEVER_US]
    return [("other_device", min(known) if known else None)]


def _good_until_us(one: DeviceHealth) -> int:
    return NEVER_US if one.heard_us == NEVER_US else one.heard_us + overdue_after_us(one.interval_s)


def _silent_at_us(one: DeviceHealth) -> int:
    return NEVER_US if one.heard_us == NEVER_US else one.heard_us + silent_after_us(one.interval_s)


def _gravity(reasons: list[Why]) -> tuple[int, int]:
    return (sum(code in STOPS for code, _ in reasons), len(reasons))


def _rank(reason: Why) -> tuple[bool, int]:
    return (reason[0] not in STOPS, _GRAVITY[reason[0]])


def _known(instant_us: int) -> int | None:
    return None if instant_us == NEVER_US else instant_us


def _iso(instant_us: int | None) -> str | None:
    return None if instant_us is None else to_iso(instant_us)


def status_words(profiles: Profiles, own: Sequence[Bearer], key: str) -> Words | None:
    """What she is shown: for `live`, for a reason, or `unknown`, in her language.

    Args:
        profiles: Have the words.
        own: Her handsets, the first of which says which profile and language; may be empty.
        key: Of the texts under `STATUS`.
    """
    profile = profiles.find(own[0].profile if own else DEFAULT)
    return profile.text(STATUS, key, own[0].language if own else DEFAULT_LANGUAGE)
