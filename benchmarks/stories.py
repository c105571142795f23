"""Which encounters are worth a page, and what is drawn on it.

A page shows distances over time and no places: these are real people's ways.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.contenders import (
    START_US,
    Meeting,
    alerts_of,
    arrivals,
    plan_of,
    raw_alerts,
)
from benchmarks.cover import levels_of
from benchmarks.encounters import GRACE_S, LEAVE_FACTOR, Spell, first_that_finds, spells
from benchmarks.recordings import SECOND_US, Recording
from geofence.engine import Engine
from geofence.levels import Transition
from geofence.plan import FloatArray, IntArray
from geofence.proximity import QUANTILE_975, within_radii

LATE_S = 5
"""A report later than this, and later than one interval between fixes, is worth a page."""

ORDINARY = 4
"""Pages of encounters with which nothing is wrong."""

PAGES_MOST = 12
"""Of one kind."""

ROUND_S = 90
"""Drawn before and after an encounter."""

LONGEST_S = 900
"""A longer encounter is drawn around its beginning."""


@dataclass(frozen=True, slots=True)
class Story:
    """One page.

    Attributes:
        kind: ``missed``, ``false``, ``late``, ``several`` or ``ordinary``.
        meeting: Index of the meeting.
        title: What happened, in words.
        start_s, end_s: What is drawn.
    """

    kind: str
    meeting: int
    title: str
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """What a page shows, at each second from 0 on, (n,) each.

    Attributes:
        truth_m, fixes_m: Distance: true, and of the last fixes.
        distance_m, low_m, high_m: As the engine measured it, and its 95 % interval.
        probability: Of being within the radius now.
        level: Values of `Level` at the end of the second.
        changes: Of level.
        true, reported, raw: Encounters: true, the engine's alerts, and those of the raw distance.
    """

    truth_m: FloatArray
    fixes_m: FloatArray
    distance_m: FloatArray
    low_m: FloatArray
    high_m: FloatArray
    probability: FloatArray
    level: IntArray
    changes: Sequence[Transition]
    true: Sequence[Spell]
    reported: Sequence[Spell]
    raw: Sequence[Spell]


def stories(
    recordings: Sequence[Recording],
    meetings: Sequence[Meeting],
    alerts: Sequence[Sequence[Spell]],
    radius_m: float,
    interval_s: float,
) -> list[Story]:
    """The pages worth drawing, the worst kind first; at most `PAGES_MOST` of one kind."""
    found = [
        story
        for index, (meeting, reported) in enumerate(zip(meetings, alerts, strict=True))
        for story in _of_meeting(index, meeting, reported, recordings, radius_m, interval_s)
    ]
    order = ("missed", "false", "late", "several", "ordinary")
    seen: Counter[str] = Counter()
    chosen: list[Story] = []
    for story in sorted(found, key=lambda one: order.index(one.kind)):
        seen[story.kind] += 1
        if seen[story.kind] <= (ORDINARY if story.kind == "ordinary" else PAGES_MOST):
            chosen.append(story)
    return chosen


def _of_meeting(
    index: int,
    meeting: Meeting,
    reported: Sequence[Spell],
    recordings: Sequence[Recording],
    radius_m: float,
    interval_s: float,
) -> Iterator[Story]:
    truth_m = meeting.truth_m
    who = f"{recordings[meeting.a].name} and {recordings[meeting.b].name}"
    late_s = max(LATE_S, interval_s)

    def page(kind: str, title: str, spell: Spell) -> Story:
        end_s = min(spell.end_s, spell.start_s + LONGEST_S)
        return Story(
            kind, index, title, max(0, spell.start_s - ROUND_S), min(meeting.end_s, end_s + ROUND_S)
        )

    for one in spells(truth_m, np.arange(truth_m.size), radius_m):
        lasted_s = one.end_s - one.start_s
        nearest_m = float(np.min(truth_m[one.start_s : one.end_s + 1]))
        within = f"{who} were within {radius_m:g} m for {_long(lasted_s)} ({nearest_m:.0f} m at the nearest)"
        report = first_that_finds(reported, one)
        overlapping = [r for r in reported if r.end_s >= one.start_s and r.start_s <= one.end_s]
        if report is None:
            yield page("missed", f"Missed: {within}; no alert", one)
        elif report.start_s - one.start_s > late_s:
            delay_s = report.start_s - one.start_s
            yield page("late", f"Late: {within}; the alert came after {delay_s} s", one)
        elif len(overlapping) > 1:
            pause = Spell(overlapping[0].end_s, overlapping[1].start_s)
            yield page("several", f"Several: {within}; {len(overlapping)} alerts for it", pause)
        elif one.start_s > ROUND_S and report.start_s >= one.start_s - GRACE_S:
            yield page("ordinary", f"Found: {within}; {_when(report, one)}", one)
    for report in reported:
        around_m = truth_m[max(0, report.start_s - GRACE_S) : report.end_s + GRACE_S + 1]
        nearest_m = float(np.min(around_m))
        if nearest_m > LEAVE_FACTOR * radius_m:
            lasted_s = report.end_s - report.start_s
            title = (
                f"False: an alert of {_long(lasted_s)}; {who} were no nearer than {nearest_m:.0f} m"
            )
            yield page("false", title, report)


def _long(seconds: int) -> str:
    """A time as people say it."""
    if seconds < 120:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min" + (f" {rest} s" if rest else "")


def _when(report: Spell, true: Spell) -> str:
    delay_s = report.start_s - true.start_s
    if delay_s == 0:
        return "the alert came in the same second"
    return f"the alert came {abs(delay_s)} s {'after' if delay_s > 0 else 'before'} it began"


def timeline(
    recordings: Sequence[Recording], meeting: Meeting, radius_m: float, end_s: int
) -> Timeline:
    """What the engine saw of one meeting, second by second, up to `end_s`.

    An engine that watches these two alone decides as one that watches them among others.
    """
    pair = [recordings[meeting.a], recordings[meeting.b]]
    alone = Meeting(0, 1, meeting.end_s, meeting.truth_m, meeting.fixes_m, meeting.good)
    engine = Engine(plan_of(pair, [alone], radius_m), now_us=START_US)
    columns, seconds = arrivals(pair)
    begin = np.searchsorted(seconds, np.arange(end_s + 2))
    changes: list[Transition] = []
    rows = np.full((end_s + 1, 3), np.nan)
    for second in range(end_s + 1):
        now_us = START_US + second * SECOND_US
        batch = columns[:, begin[second] : begin[second + 1]]
        changes += engine.update(*batch, now_us=now_us).transitions
        changes += engine.sweep(now_us)
        seen = engine.picture().watches
        rows[second] = seen.distance_m[0], seen.distance_low_m[0], seen.distance_high_m[0]
    distance_m, low_m, high_m = np.ascontiguousarray(rows.T)
    probability = np.empty(end_s + 1)
    sigma_m = sigma_behind(distance_m, high_m)
    within_radii(distance_m, np.full(end_s + 1, radius_m), sigma_m, probability)
    return Timeline(
        truth_m=meeting.truth_m[: end_s + 1],
        fixes_m=meeting.fixes_m[: end_s + 1],
        distance_m=distance_m,
        low_m=low_m,
        high_m=high_m,
        probability=np.where(np.isnan(distance_m), np.nan, probability),
        level=levels_of(changes, end_s, START_US),
        changes=changes,
        true=spells(meeting.truth_m, np.arange(meeting.truth_m.size), radius_m),
        reported=alerts_of(changes, end_s),
        raw=raw_alerts(meeting, radius_m),
    )


def sigma_behind(distance_m: FloatArray, high_m: FloatArray) -> FloatArray:
    """Standard deviation per axis that the upper end of an interval rests on.

    `geofence.proximity.distance_interval_m` solved for it: the smaller root of
    (q^2 - 1) s^2 - 2 q h s + h^2 - d^2 = 0.
    """
    q2 = QUANTILE_975 * QUANTILE_975
    root = np.sqrt(q2 * high_m**2 - (q2 - 1.0) * (high_m**2 - distance_m**2))
    return (QUANTILE_975 * high_m - root) / (q2 - 1.0)
