"""Repeated approaches of one person to another, out of stored decisions. No I/O, and no places.

An encounter is a spell away from clear in which he was near her or was predicted to come; spells of
several watches of the two (a tag was replaced, two orders name her) that overlap are one. Decisions are
made when a level changes, so the nearest distance is the nearest at which something was decided: within
the same level he can have come nearer unseen by this summary. While a watch is at *unknown* nothing can be said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from itertools import groupby

import msgspec

from alerts.decisions import Decision
from alerts.episodes import alert_id, watch_episode_id
from alerts.model import NOTHING_HAPPENED, Alert
from devices.instants import MICROSECONDS, to_datetime
from evidence.keeping import Interval, union
from geofence.levels import Cause, Level, Transition
from geofence.proximity import distance_interval_m

MEASURED = frozenset({Cause.POSITION, Cause.PATH, Cause.BEACON})
_NEAR = (Level.PRE_ALERT, Level.ALERT, Level.CONTACT)


class Nearest(msgspec.Struct, frozen=True):
    """The nearest that was decided upon, with its 95 % interval, metres, and when it was."""

    distance_m: float
    low_m: float
    high_m: float
    at_us: int


class Encounter(msgspec.Struct, frozen=True, kw_only=True):
    """A spell in which he was near her.

    Attributes:
        ended_us: None where it goes on, or had not ended when the window did.
        level: The highest that was measured; where none was, the highest predicted.
        is_measured: False: he was predicted to come, and no change of level rests on where he was.
        heard: One device heard the other's beacon.
        nearest: None where no distance could be measured.
        alerts: Ids of its alerts.
        outcomes: What staff found them to be.
        is_explained: All alerts were closed, and each as something that holds nothing against him.
    """

    began_us: int
    ended_us: int | None
    level: str
    is_measured: bool
    heard: bool
    nearest: Nearest | None
    alerts: tuple[str, ...]
    outcomes: tuple[str, ...]
    is_explained: bool


class Week(msgspec.Struct, frozen=True):
    """A week from Monday; its name as ``2026-W48``."""

    name: str
    encounters: int
    explained: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """All encounters of two people that began or lasted within a window.

    Attributes:
        zone: In which days, hours and weeks are counted.
        levels: Encounters by their level.
        hours: Encounters by day of the week (Monday first) and hour in which they began: 7 of 24.
        weeks: Every week of the window.
        gaps: Times in which nothing can be said, within the window.
        gap_s: How long these are together.
    """

    wearer: str
    protected: str
    from_us: int
    to_us: int
    zone: str
    encounters: tuple[Encounter, ...]
    levels: dict[str, int]
    explained: int
    predicted: int
    hours: tuple[tuple[int, ...], ...]
    weeks: tuple[Week, ...]
    gaps: tuple[Interval, ...]
    gap_s: float


@dataclass(slots=True)
class _Spell:
    """A spell of a watch, or several that overlap."""

    began_us: int
    ended_us: int | None
    near: list[Transition] = field(default_factory=list)
    ids: list[tuple[str, str]] = field(default_factory=list)


def alert_ids(decisions: Iterable[Decision]) -> set[str]:
    """The ids that the alerts of these decisions have, if there are such."""
    return {name for one in decisions for name in _ids(one.transition)}


def summary(
    decisions: Sequence[Decision],
    alerts: Mapping[str, Alert],
    pair: tuple[str, str],
    window: Interval,
    zone: tuple[str, tzinfo],
) -> Summary:
    """What stored decisions say of one pair.

    Args:
        decisions: Any, in any order; those of the pair's proximity conditions are looked at. From
            some time before the window, so that what went on when it began is known.
        alerts: The newest state of those of `alert_ids`.
        pair: Ids of the wearer and of the protected person.
        window: First instant, and the one behind the last.
        zone: Name and time zone for days and hours.
    """
    mine = [one for one in decisions if one.handset and (one.wearer, one.protected) == pair]
    spells, gaps = _spells(mine, window)
    found = [_encounter(one, alerts) for one in _joined(spells)]
    met = tuple(
        one
        for one in found
        if one.began_us < window[1] and (one.ended_us is None or one.ended_us > window[0])
    )
    return Summary(
        wearer=pair[0],
        protected=pair[1],
        from_us=window[0],
        to_us=window[1],
        zone=zone[0],
        encounters=met,
        levels={
            level.label: sum(one.level == level.label for one in met) for level in reversed(_NEAR)
        },
        explained=sum(one.is_explained for one in met),
        predicted=sum(not one.is_measured for one in met),
        hours=_hours(met, zone[1]),
        weeks=_weeks(met, window, zone[1]),
        gaps=gaps,
        gap_s=sum(end - start for start, end in gaps) / MICROSECONDS,
    )


def _spells(
    decisions: Iterable[Decision], window: Interval
) -> tuple[list[_Spell], tuple[Interval, ...]]:
    """Spells near her, and times of unknown within the window."""
    spells: list[_Spell] = []
    gaps: list[Interval] = []
    changes = sorted(
        (one.transition for one in decisions),
        key=lambda one: (one.watch, one.decided_at_us, one.number),
    )
    for _, of_watch in groupby(changes, key=lambda one: one.watch):
        spell: _Spell | None = None
        unknown_us: int | None = None
        for change in of_watch:
            if unknown_us is not None:
                gaps.append((unknown_us, change.decided_at_us))
            unknown_us = change.decided_at_us if change.level is Level.UNKNOWN else None
            if spell is None:
                spell = _Spell(_began_us(change), None, ids=[_ids(change)])
            if change.level in _NEAR or (change.level is Level.CLEAR and change.cause in MEASURED):
                spell.near.append(change)
            if change.level is Level.CLEAR:
                spell.ended_us = change.decided_at_us
                spells.append(spell)
                spell = None
        if spell is not None:
            spells.append(spell)
        if unknown_us is not None:
            gaps.append((unknown_us, window[1]))
    within = [(max(start, window[0]), min(end, window[1])) for start, end in gaps]
    near = [one for one in spells if any(change.level in _NEAR for change in one.near)]
    return near, union(part for part in within if part[0] < part[1])


def _began_us(change: Transition) -> int:
    """When a spell began whose first known change this is; what led to it may not be at hand."""
    if change.previous is Level.CLEAR and change.onset_us >= 0:
        return min(change.onset_us, change.decided_at_us)
    return change.decided_at_us


def _joined(spells: Iterable[_Spell]) -> list[_Spell]:
    """Spells in order, those that overlap made one."""
    done: list[_Spell] = []
    for spell in sorted(spells, key=lambda one: one.began_us):
        last = done[-1] if done else None
        if last is None or (last.ended_us is not None and last.ended_us < spell.began_us):
            done.append(spell)
            continue
        open_still = last.ended_us is None or spell.ended_us is None
        last.ended_us = None if open_still else max(last.ended_us or 0, spell.ended_us or 0)
        last.near += spell.near
        last.ids += spell.ids
    return done


def _encounter(spell: _Spell, alerts: Mapping[str, Alert]) -> Encounter:
    near = [change for change in spell.near if change.level in _NEAR]
    measured = [change for change in near if change.cause in MEASURED]
    names = [next((name for name in ids if name in alerts), None) for ids in spell.ids]
    mine = {name: alerts[name] for name in names if name is not None}
    outcomes = [one.outcome for one in mine.values()]
    return Encounter(
        began_us=spell.began_us,
        ended_us=spell.ended_us,
        level=max(change.level for change in measured or near).label,
        is_measured=bool(measured),
        heard=any(change.cause is Cause.BEACON for change in near),
        nearest=min(_distances(spell.near), key=lambda one: one.distance_m, default=None),
        alerts=tuple(sorted(mine)),
        outcomes=tuple(sorted({outcome for outcome in outcomes if outcome})),
        is_explained=bool(outcomes) and all(one in NOTHING_HAPPENED for one in outcomes),
    )


def _distances(changes: Iterable[Transition]) -> Iterable[Nearest]:
    for one in changes:
        if math.isfinite(one.distance_m):
            at_us = max(one.fix_time_a_us, one.fix_time_b_us)
            at_us = one.decided_at_us if at_us < 0 else at_us
            yield Nearest(one.distance_m, one.distance_low_m, one.distance_high_m, at_us)
        if math.isfinite(one.closest_m) and math.isfinite(one.sigma_m):
            low_m, high_m = distance_interval_m(one.closest_m, one.sigma_m)
            at_us = one.decided_at_us if one.closest_us < 0 else one.closest_us
            yield Nearest(one.closest_m, low_m, high_m, at_us)


def _ids(change: Transition) -> tuple[str, str]:
    """Of the alert of a spell: two may begin at one fix, and then the second is numbered."""
    return (
        alert_id(watch_episode_id(change.watch, change.onset_us, change.number)),
        alert_id(watch_episode_id(change.watch, change.onset_us)),
    )


def _hours(encounters: Iterable[Encounter], zone: tzinfo) -> tuple[tuple[int, ...], ...]:
    began = [to_datetime(one.began_us).astimezone(zone) for one in encounters]
    counts = Counter((one.weekday(), one.hour) for one in began)
    return tuple(tuple(counts[day, hour] for hour in range(24)) for day in range(7))


def _weeks(encounters: Iterable[Encounter], window: Interval, zone: tzinfo) -> tuple[Week, ...]:
    def week(at_us: int) -> str:
        year, number, _ = to_datetime(at_us).astimezone(zone).isocalendar()
        return f"{year}-W{number:02}"

    counts: Counter[str] = Counter()
    explained: Counter[str] = Counter()
    for one in encounters:
        name = week(max(one.began_us, window[0]))
        counts[name] += 1
        explained[name] += one.is_explained
    half_days = range(window[0], window[1], 12 * 3_600 * MICROSECONDS)
    names = dict.fromkeys(week(at_us) for at_us in (*half_days, window[1] - 1))
    return tuple(Week(name, counts[name], explained[name]) for name in names)
