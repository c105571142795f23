"""The evidential timeline: all fixes in order of fix time, whatever order they came in.

The live timeline is what was decided when, with what was known then: a fix that comes late raises
nothing. The evidential timeline asks what can be said of a time now that everything has come. It
is the engine, run over the fixes as if each had been received at the next tick after it was made.

It depends on the set of fixes alone. They are put in one order (by fix time, then track, then the
rest), and what is there more than once is taken once. Of several fixes that one device gives for
one instant one is taken, by a rule that does not ask which came first: one that states an accuracy
before one that does not, the more accurate before the less, then the southernmost, then the
westernmost. That two differ is a matter for `geofence.anomalies`.

A *retrospective finding* is an alarm (a time at alert or contact) of the evidential timeline that
no alarm of the live one overlaps, for the same watch. It raises nothing, for it is over; it is
evidence that something happened which nobody could be told of then.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geofence.durations import in_microseconds
from geofence.engine import Engine
from geofence.levels import UNKNOWN_TIME_US, Level, Transition
from geofence.plan import IntArray, Plan
from geofence.rules import DEFAULT_RULES, Rules

_ALARMS = frozenset({Level.ALERT, Level.CONTACT})
_PROGRESS_PARTS = 100
"""Progress is told after about so many parts of the time asked for."""


class Fixes(NamedTuple):
    """N fixes as flat arrays, (N,) each; see `geofence.engine.Engine.update`."""

    track: IntArray
    time_us: IntArray
    lat_e7: IntArray
    lon_e7: IntArray
    accuracy_cm: IntArray


@dataclass(frozen=True, slots=True)
class Alarm:
    """A time at alert or contact within one episode.

    Attributes:
        watch: Key of the watch.
        onset_us: Of the episode.
        began_us: Fix time of what brought it to alert or contact, or the instant that was decided
            where no fix did.
        end_us: When it fell lower again; None while it has not. A spell of unknown between two
            alerts belongs to it.
        level: The highest.
        least_m: The least distance its transitions tell, also of the way between two fixes; for a
            zone the signed distance to the boundary. NaN where they tell none.
    """

    watch: str
    onset_us: int
    began_us: int
    end_us: int | None
    level: Level
    least_m: float


def find(
    plan: Plan,
    fixes: Fixes,
    *,
    from_us: int,
    to_us: int,
    tick_s: float = 1.0,
    rules: Rules = DEFAULT_RULES,
    progress: Callable[[int], None] | None = None,
) -> list[Transition]:
    """What the engine decides of fixes in order of fix time.

    Decisions are made at ticks: the whole multiples of `tick_s` since 1970, and `to_us`. At each,
    the fixes up to it are taken, then time passes. Ticks at which nothing can change are left
    out, which changes no decision.

    Args:
        plan: What to watch, throughout.
        fixes: In any order, any of them any number of times. Those of devices that are not watched
            and those dated before `from_us` or after `to_us` are left out.
        from_us: The instant from which devices can be heard.
        to_us: The last instant.
        tick_s: Seconds between decisions.
        rules: Parameters.
        progress: Told the instant reached, about a hundred times.

    Returns:
        In the order of decision: the same, to the bit, for the same set of fixes.

    Raises:
        ValueError: `to_us` lies before `from_us`, a tick is shorter than a microsecond, the plan
            contradicts itself, or the fixes are not columns of one length or point past the plan.
    """
    tick_us = in_microseconds(tick_s)
    if to_us < from_us or tick_us < 1:
        raise ValueError("need from_us <= to_us and a tick of at least a microsecond")
    engine = Engine(plan, now_us=from_us, rules=rules)
    taken = in_order(fixes, from_us=from_us, to_us=to_us)
    times_us = taken.time_us
    transitions: list[Transition] = []
    told_us = from_us
    start = 0
    now_us = min(to_us, _tick_from(from_us, tick_us))
    while True:
        end = int(np.searchsorted(times_us, now_us, side="right"))
        if end > start:
            columns = (column[start:end] for column in taken)
            transitions += engine.update(*columns, now_us=now_us).transitions
            start = end
        transitions += engine.sweep(now_us)
        if progress and now_us - told_us >= (to_us - from_us) / _PROGRESS_PARTS:
            progress(now_us)
            told_us = now_us
        if now_us == to_us:
            return transitions
        due_us = to_us if engine.due_us is None else engine.due_us
        next_us = min(due_us, int(times_us[start])) if start < times_us.size else due_us
        now_us = min(to_us, _tick_from(max(next_us, now_us + 1), tick_us))


def in_order(fixes: Fixes, *, from_us: int, to_us: int) -> Fixes:
    """The fixes of a time, in the one order, each once, and one per device and instant.

    Args:
        fixes: As in `find`.
        from_us: The first instant.
        to_us: The last.

    Returns:
        By fix time, then track. An accuracy that states nothing is 0.

    Raises:
        ValueError: They are not columns of one length.
    """
    columns = [np.array(column, np.int64) for column in fixes]
    if any(column.shape != (columns[0].size,) for column in columns):
        raise ValueError("the columns of fixes must be flat and of one length")
    track, time_us, lat_e7, lon_e7, accuracy_cm = columns
    accuracy_cm = np.maximum(accuracy_cm, 0)
    stated = np.where(accuracy_cm > 0, accuracy_cm, np.iinfo(np.int64).max)
    wanted = (track >= 0) & (time_us >= from_us) & (time_us <= to_us)
    order = np.lexsort((lon_e7, lat_e7, stated, track, time_us))
    order = order[wanted[order]]
    first = np.ones(order.size, np.bool_)
    same_track = np.diff(track[order]) == 0
    first[1:] = ~(same_track & (np.diff(time_us[order]) == 0))
    kept = order[first]
    return Fixes(track[kept], time_us[kept], lat_e7[kept], lon_e7[kept], accuracy_cm[kept])


def retrospective(live: Sequence[Transition], evidential: Sequence[Transition]) -> list[Alarm]:
    """The alarms that only the evidential timeline has.

    Args:
        live: Transitions of the live timeline, each watch's in their order.
        evidential: Those of the evidential timeline over the same time.

    Returns:
        In order of their beginning, then by watch.
    """
    known: dict[str, list[Alarm]] = defaultdict(list)
    for alarm in alarms(live):
        known[alarm.watch].append(alarm)
    return [
        alarm
        for alarm in alarms(evidential)
        if not any(_overlap(alarm, other) for other in known[alarm.watch])
    ]


def alarms(transitions: Iterable[Transition]) -> list[Alarm]:
    """The times at alert or contact, in order of their beginning, then by watch."""
    by_watch: dict[str, list[Transition]] = defaultdict(list)
    for transition in transitions:
        by_watch[transition.watch].append(transition)
    found = [alarm for of_one in by_watch.values() for alarm in _alarms_of(of_one)]
    return sorted(found, key=lambda alarm: (alarm.began_us, alarm.watch))


def _alarms_of(transitions: list[Transition]) -> list[Alarm]:
    """Those of one watch."""
    found: list[Alarm] = []
    spell: list[Transition] = []
    for transition in transitions:
        if spell or transition.level in _ALARMS:
            spell.append(transition)
        if spell and transition.level in {Level.CLEAR, Level.PRE_ALERT}:
            found.append(_alarm(spell, transition.decided_at_us))
            spell = []
    return [*found, _alarm(spell, None)] if spell else found


def _alarm(spell: list[Transition], end_us: int | None) -> Alarm:
    """One alarm, from the transition that raised it to the one that ended it."""
    raised = spell[0]
    told = [
        value for one in spell for value in (one.distance_m, one.closest_m) if not math.isnan(value)
    ]
    return Alarm(
        watch=raised.watch,
        onset_us=raised.onset_us,
        began_us=_fix_time_us(raised),
        end_us=end_us,
        level=max(one.level for one in spell if one.level in _ALARMS),
        least_m=min(told, default=math.nan),
    )


def _fix_time_us(raised: Transition) -> int:
    """When something happened, rather than when it was known."""
    if raised.previous == Level.CLEAR:
        return raised.onset_us
    newest_us = max(raised.fix_time_a_us, raised.fix_time_b_us)
    if raised.swept or newest_us == UNKNOWN_TIME_US:
        return raised.decided_at_us
    return min(newest_us, raised.decided_at_us)


def _overlap(one: Alarm, other: Alarm) -> bool:
    def ended(before: Alarm, after: Alarm) -> bool:
        return before.end_us is not None and before.end_us < after.began_us

    return not ended(one, other) and not ended(other, one)


def _tick_from(instant_us: int, tick_us: int) -> int:
    """The first tick not before an instant."""
    return -(-instant_us // tick_us) * tick_us
