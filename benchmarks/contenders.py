"""Who reports encounters: the engine of this version, and the two obvious rules beside it.

All of them are asked once a second and know then the fixes taken up to then, in order of fix time.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.cover import Cover, cover_of
from benchmarks.encounters import COMMON_LEAST_S, Outcome, Score, Spell, judge, spells, total
from benchmarks.recordings import SECOND_US, Recording, read_recordings, thinned
from geofence.distance import geodesics_m
from geofence.engine import Engine
from geofence.levels import Level, Transition
from geofence.plan import FloatArray, IntArray, Pairs, Plan
from geofence.rules import DEFAULT_RULES
from geofence.sensitivity import DEFAULT_SENSITIVITY, Sensitivity
from simulators.csv_tracks import RADIUS_68_PER_50

PLANE_DEGREE_M = 111_320.0
"""Metres in a degree on the plane of the published figures, 0.05 % more than at Oxford; a
longitude is shortened by the cosine of the mean latitude."""

GATE_M = 100.0
"""Radius of 50 % above which the gated rule leaves a fix out, and one that states none."""

START_US = 86_400 * SECOND_US
"""Where all clocks begin. Any instant will do: the engine decides on differences."""

PRE_ALERT_FACTOR = 2.0
"""The ring before the one that counts, as an order would have it; the score knows nothing of it."""

_ALARMS = frozenset({Level.ALERT, Level.CONTACT})

Metric = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]
"""Distances in metres of n pairs of points: latitudes and longitudes of a, then of b, degrees."""


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two recordings put on one clock.

    Attributes:
        a, b: Indices of the recordings.
        end_s: The last whole second both have.
        truth_m, fixes_m: (end_s + 1,) distance at each second: true, and of the last fixes.
        good: (end_s + 1,) whether both last fixes pass the gate.
    """

    a: int
    b: int
    end_s: int
    truth_m: FloatArray
    fixes_m: FloatArray
    good: NDArray[np.bool_]


class EncounterReport(Score, frozen=True, kw_only=True):
    """What ``cordon bench encounters`` prints: the engine's score, and the rules' beside it.

    Attributes:
        raw, gated: Scores of the two rules.
        cover: What the engine showed while true encounters lasted.
        radius_m, interval_s: As asked for.
        recordings, pairs: How many there were.
        metric: ``plane`` or ``geodesic``.
        rules: Version of the engine's rules.
    """

    raw: Score
    gated: Score
    cover: Cover
    radius_m: float
    interval_s: float
    recordings: int
    pairs: int
    metric: str
    rules: str


@dataclass(frozen=True, slots=True)
class Watched:
    """What the engine made of a file.

    Attributes:
        recordings: Thinned.
        meetings: Every two of them that have long enough in common.
        changes, alerts: Of each meeting.
        metric: ``plane`` or ``geodesic``.
    """

    recordings: Sequence[Recording]
    meetings: Sequence[Meeting]
    changes: Sequence[Sequence[Transition]]
    alerts: Sequence[Sequence[Spell]]
    metric: str


def watch_encounters(
    path: Path,
    *,
    radius_m: float,
    interval_s: float,
    geodesic: bool = False,
    tell: Callable[[str], None] = lambda _step: None,
) -> Watched:
    """Let the engine watch every pair of the recordings of a file.

    Args:
        path: See `benchmarks.recordings.read_recordings`.
        radius_m: R.
        interval_s: Seconds between two fixes of a device; the recordings are thinned to that.
        geodesic: Measure truth and rules along geodesics, not on the plane of the published
            figures.
        tell: Called with what is done next.

    Raises:
        TrackError: The file cannot be used.
    """
    tell("Reading the recordings")
    recordings = [thinned(recording, interval_s) for recording in read_recordings(path)]
    metric = along_geodesics if geodesic else plane_of(recordings)
    meetings = meet(recordings, metric)
    tell(f"Running the engine over {len(meetings)} pairs")
    changes = engine_changes(recordings, meetings, radius_m)
    alerts = [
        alerts_of(change, meeting.end_s) for change, meeting in zip(changes, meetings, strict=True)
    ]
    return Watched(recordings, meetings, changes, alerts, "geodesic" if geodesic else "plane")


def report_on(watched: Watched, *, radius_m: float, interval_s: float) -> EncounterReport:
    """Score the engine, the raw rule and the gated rule."""
    meetings = watched.meetings
    engine = _score(meetings, watched.alerts, radius_m)
    truths_m = [meeting.truth_m for meeting in meetings]
    return EncounterReport(
        **msgspec.structs.asdict(engine),
        raw=_score(meetings, (raw_alerts(meeting, radius_m) for meeting in meetings), radius_m),
        gated=_score(meetings, (gated_alerts(meeting, radius_m) for meeting in meetings), radius_m),
        cover=cover_of(watched.changes, truths_m, radius_m, START_US),
        radius_m=radius_m,
        interval_s=interval_s,
        recordings=len(watched.recordings),
        pairs=len(meetings),
        metric=watched.metric,
        rules=DEFAULT_RULES.version,
    )


def run_encounters(
    path: Path, *, radius_m: float, interval_s: float, geodesic: bool = False
) -> EncounterReport:
    """`report_on` what `watch_encounters` finds.

    Raises:
        TrackError: The file cannot be used.
    """
    watched = watch_encounters(path, radius_m=radius_m, interval_s=interval_s, geodesic=geodesic)
    return report_on(watched, radius_m=radius_m, interval_s=interval_s)


def _score(
    meetings: Sequence[Meeting], reported: Iterable[Sequence[Spell]], radius_m: float
) -> Score:
    outcomes: list[Outcome] = [
        judge(spell, meeting.truth_m, radius_m)
        for meeting, spell in zip(meetings, reported, strict=True)
    ]
    return total(outcomes)


def plane_of(recordings: Sequence[Recording]) -> Metric:
    """Distances on one plane for all recordings, see `PLANE_DEGREE_M`."""
    mean_deg = float(np.mean(np.concatenate([r.truth_lat_deg for r in recordings])))
    shortened_m = PLANE_DEGREE_M * math.cos(math.radians(mean_deg))

    def metric(
        a_lat: FloatArray, a_lon: FloatArray, b_lat: FloatArray, b_lon: FloatArray
    ) -> FloatArray:
        east_deg = (a_lon - b_lon + 180) % 360 - 180
        return np.hypot((a_lat - b_lat) * PLANE_DEGREE_M, east_deg * shortened_m)

    return metric


def along_geodesics(
    a_lat: FloatArray, a_lon: FloatArray, b_lat: FloatArray, b_lon: FloatArray
) -> FloatArray:
    """Distances on WGS84, as the engine measures them."""
    out_m = np.empty(a_lat.size)
    geodesics_m(a_lat, a_lon, b_lat, b_lon, out_m)
    return out_m


def meet(recordings: Sequence[Recording], metric: Metric) -> list[Meeting]:
    """Every two recordings that have long enough in common, as if they had begun together."""
    return [
        meeting_of(a, b, recordings, end_s, metric)
        for a, b in itertools.combinations(range(len(recordings)), 2)
        if (end_s := min(recordings[a].whole_s, recordings[b].whole_s)) >= COMMON_LEAST_S
    ]


def meeting_of(
    a: int, b: int, recordings: Sequence[Recording], end_s: int, metric: Metric
) -> Meeting:
    """Two recordings put on one clock, up to a second that both have."""
    grid_us = np.arange(end_s + 1, dtype=np.int64) * SECOND_US
    one, other = recordings[a], recordings[b]
    i, j = one.held(grid_us), other.held(grid_us)
    gate_m = GATE_M * RADIUS_68_PER_50
    return Meeting(
        a,
        b,
        end_s,
        truth_m=metric(*one.truth_at(grid_us), *other.truth_at(grid_us)),
        fixes_m=metric(one.lat_deg[i], one.lon_deg[i], other.lat_deg[j], other.lon_deg[j]),
        # A comparison with NaN is False: an unknown accuracy does not pass.
        good=(one.accuracy_m[i] <= gate_m) & (other.accuracy_m[j] <= gate_m),
    )


def raw_alerts(meeting: Meeting, radius_m: float) -> list[Spell]:
    """The distance of the last fixes below R, with 10 % hysteresis."""
    return spells(meeting.fixes_m, np.arange(meeting.end_s + 1), radius_m)


def gated_alerts(meeting: Meeting, radius_m: float) -> list[Spell]:
    """The same without the seconds at which a last fix does not pass the gate."""
    return spells(meeting.fixes_m[meeting.good], np.flatnonzero(meeting.good), radius_m)


def engine_changes(
    recordings: Sequence[Recording], meetings: Sequence[Meeting], radius_m: float
) -> list[Sequence[Transition]]:
    """What the engine decides of each meeting. One engine watches all, see `changes_of`."""
    plan = plan_of(recordings, meetings, radius_m)
    changes = changes_of(plan, recordings, max((meeting.end_s for meeting in meetings), default=0))
    return [changes[key] for key in plan.watch_keys]


def changes_of(
    plan: Plan, recordings: Sequence[Recording], last_s: int
) -> Mapping[str, Sequence[Transition]]:
    """What the engine decides under a plan whose tracks are the recordings, for each watch.

    Through its public calls alone: each second, up to `last_s`, it takes the fixes of that second
    in order of fix time, then a sweep.
    """
    engine = Engine(plan, now_us=START_US)
    columns, seconds = arrivals(recordings)
    begin = np.searchsorted(seconds, np.arange(last_s + 2))
    changes: dict[str, list[Transition]] = defaultdict(list)
    for second in range(last_s + 1):
        now_us = START_US + second * SECOND_US
        batch = columns[:, begin[second] : begin[second + 1]]
        decided = engine.update(*batch, now_us=now_us).transitions + engine.sweep(now_us)
        for transition in decided:
            changes[transition.watch].append(transition)
    return changes


def alerts_of(changes: Iterable[Transition], end_s: int) -> list[Spell]:
    """The spells of alarm in the changes of one watch, up to a second.

    An alert is one spell at `ALERT` or `CONTACT`: it begins when such a level is decided and ends
    when `CLEAR` or `PRE_ALERT` is. `UNKNOWN` neither begins an alert nor ends one. What is on when
    a pair's common time is over ends there; what begins later is not counted.
    """
    found: list[Spell] = []
    start_s: int | None = None
    for change in changes:
        at_s = (change.decided_at_us - START_US) // SECOND_US
        if at_s > end_s:
            break
        if change.level in _ALARMS and start_s is None:
            start_s = at_s
        elif change.level in {Level.CLEAR, Level.PRE_ALERT} and start_s is not None:
            found.append(Spell(start_s, at_s))
            start_s = None
    if start_s is not None:
        found.append(Spell(start_s, end_s))
    return found


def plan_of(
    recordings: Sequence[Recording],
    meetings: Sequence[Meeting],
    radius_m: float,
    sensitivities: tuple[Sensitivity, ...] = (DEFAULT_SENSITIVITY,),
) -> Plan:
    """A watch for every meeting, and that for every set of parameters: all by the first, and so on.

    Its tracks are the recordings.
    """
    count = len(meetings) * len(sensitivities)
    policy = np.repeat(np.arange(len(sensitivities)), len(meetings))
    pairs = Pairs(
        keys=tuple(
            f"{meeting.a}/{meeting.b}/{index}"
            for index in range(len(sensitivities))
            for meeting in meetings
        ),
        a=np.tile(np.array([meeting.a for meeting in meetings], np.int64), len(sensitivities)),
        b=np.tile(np.array([meeting.b for meeting in meetings], np.int64), len(sensitivities)),
        contact_m=np.zeros(count),  # no such ring: it would tell nothing about this one
        alert_m=np.full(count, radius_m),
        pre_alert_m=np.full(count, PRE_ALERT_FACTOR * radius_m),
    )
    tracks = tuple(str(i) for i in range(len(recordings)))
    return Plan("encounters", tracks, pairs, sensitivities=sensitivities, sensitivity=policy)


def arrivals(recordings: Sequence[Recording]) -> tuple[IntArray, IntArray]:
    """(5, n) columns for `Engine.update`, in order of fix time, and (n,) seconds of arrival.

    A fix is known at the first whole second that is not before it.
    """
    rows = np.concatenate([_rows(index, one) for index, one in enumerate(recordings)], axis=1)
    rows = rows[:, np.argsort(rows[1], kind="stable")]
    seconds = -((START_US - rows[1]) // SECOND_US)
    return rows, seconds


def _rows(track: int, recording: Recording) -> IntArray:
    accuracy_cm = np.where(np.isnan(recording.accuracy_m), -1, recording.accuracy_m * 100)
    return np.stack(
        [
            np.full(recording.time_us.size, track, np.int64),
            START_US + recording.time_us,
            np.rint(recording.lat_deg * 1e7).astype(np.int64),
            np.rint(recording.lon_deg * 1e7).astype(np.int64),
            np.rint(accuracy_cm).astype(np.int64),
        ]
    )
