"""How well stays in zones are reported: by the engine, and by two plain rules beside it.

Every recording is watched against every zone of a GeoJSON file, each zone an exclusion zone.
Everything here counts in whole seconds since a recording began, and looks at places once a second.

- A *true stay* is a run of seconds, as long as possible, at all of which the true position is in
  the zone. It lasts as many seconds as it has: from second 10 to second 39 is 30 s. One that lasts
  `STAY_S` or more is *long* and must be reported; a shorter one is *short* and need not be.
- A long stay is *found* when a reported one of its zone overlaps it, or begins at most 30 s after
  its end. The *delay* is the start of the first reported one that finds it, minus the true start:
  below 0 where the report came first.
- A report *touches* a true stay of its zone when the stay comes within 30 s of it, on either side.
  One that touches no true stay, long or short, is *false*.
- A report that touches short stays only is neither asked for nor wrong, as long as there are no
  more such reports than stays: each short stay *excuses* one report, the first of those that touch
  it and no long stay and are not excused yet.
- `reported_per_true` is the number of reports that are not excused, false ones included, by that
  of long stays. 1 is best; a stay reported in pieces makes it larger. Below 1 one report bridges
  several stays.

A stay that is on when a recording ends, ends there. So does a report.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.contenders import GATE_M, alerts_of, changes_of
from benchmarks.encounters import GRACE_S, Spell, first_that_finds, percentile_s
from benchmarks.recordings import SECOND_US, Recording, read_recordings, thinned
from devices.geometry import GeometryError, read_zone, rings_of
from geofence.plan import Plan, ZoneKind, Zones
from geofence.rules import DEFAULT_RULES
from simulators.csv_tracks import RADIUS_68_PER_50
from simulators.recording import TrackError, read_bytes

STAY_S = 30
"""A true stay that lasts this long must be reported."""

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Visit:
    """One recording beside all zones.

    Attributes:
        truth, fixes: (Z, end_s + 1) whether the true position, and the last fix, is in each zone
            at each second.
        good: (end_s + 1,) whether the last fix passes the gate.
    """

    truth: BoolArray
    fixes: BoolArray
    good: BoolArray

    @property
    def end_s(self) -> int:
        """The last whole second of the recording."""
        return self.good.size - 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one recording and one zone came to: numbers of stays and reports, see the module."""

    true: int
    short: int
    false: int
    reported: int
    excused: int
    delays_s: tuple[int, ...]


class StayScore(msgspec.Struct, frozen=True, kw_only=True):
    """The sum over all recordings and zones, as printed; None where there is nothing to divide by.

    Attributes:
        true: Long stays.
        found: How many of them were.
        false: Reports that touch no true stay.
        reported: All reports.
        excused: Reports that short stays account for.
        reported_per_true: ``(reported - excused) / true``.
        delay_p50_s, delay_p95_s: Over the stays found.
    """

    true: int
    found: int
    false: int
    reported: int
    excused: int
    reported_per_true: float | None
    delay_p50_s: float | None
    delay_p95_s: float | None


class ZonesReport(StayScore, frozen=True, kw_only=True):
    """What ``cordon bench zones`` prints: the engine's score, and the rules' beside it.

    Attributes:
        raw, gated: Scores of the two rules.
        short: True stays below `STAY_S`.
        true_changes, raw_changes: How often the zones that the true position, or the last fix, is
            in are others than a second before.
        interval_s: As asked for.
        recordings, zones: How many there were.
        rules: Version of the engine's rules.
    """

    raw: StayScore
    gated: StayScore
    short: int
    true_changes: int
    raw_changes: int
    interval_s: float
    recordings: int
    zones: int
    rules: str


def run_zones(
    tracks: Path,
    zones: Path,
    *,
    interval_s: float = 1.0,
    tell: Callable[[str], None] = lambda _step: None,
) -> ZonesReport:
    """Score the engine, the raw rule and the gated rule on recordings and zones.

    Args:
        tracks: See `benchmarks.recordings.read_recordings`.
        zones: A GeoJSON FeatureCollection of Polygons and MultiPolygons.
        interval_s: Seconds between two fixes of a device; the recordings are thinned to that.
        tell: Called with what is done next.

    Raises:
        TrackError: One of the files cannot be used.
    """
    tell("Reading recordings and zones")
    areas = read_areas(zones)
    recordings = [thinned(recording, interval_s) for recording in read_recordings(tracks)]
    visits = [_visit(recording, areas) for recording in recordings]
    tell(f"Running the engine over {len(recordings)} recordings and {len(areas)} zones")
    alerts = engine_stays(recordings, visits, areas)
    tell("Scoring")
    judged = _judge_all(visits, alerts)
    return ZonesReport(
        **msgspec.structs.asdict(_total(judged)),
        raw=_total(_judge_all(visits, [raw_stays(visit) for visit in visits])),
        gated=_total(_judge_all(visits, [gated_stays(visit) for visit in visits])),
        short=sum(outcome.short for outcome in judged),
        true_changes=sum(_changes(visit.truth) for visit in visits),
        raw_changes=sum(_changes(visit.fixes) for visit in visits),
        interval_s=interval_s,
        recordings=len(recordings),
        zones=len(areas),
        rules=DEFAULT_RULES.version,
    )


def read_areas(path: Path) -> list[shapely.MultiPolygon]:
    """The areas of a GeoJSON FeatureCollection, longitudes running on.

    Raises:
        TrackError: It is no such file, or one of its features is no area.
    """
    try:
        features = json.loads(read_bytes(path))["features"]
        geometries = [feature["geometry"] for feature in features]
    except (ValueError, KeyError, TypeError) as error:
        raise TrackError(path, "expected a GeoJSON FeatureCollection") from error
    areas = []
    for number, geometry in enumerate(geometries):
        try:
            areas.append(read_zone(geometry))
        except (GeometryError, AttributeError) as error:
            raise TrackError(path, f"feature {number} (counted from 0): {error}") from error
    return areas


def _visit(recording: Recording, areas: Sequence[shapely.MultiPolygon]) -> Visit:
    grid_us = np.arange(recording.whole_s + 1, dtype=np.int64) * SECOND_US
    held = recording.held(grid_us)
    truth_lat_deg, truth_lon_deg = recording.truth_at(grid_us)
    lat_deg, lon_deg = recording.lat_deg[held], recording.lon_deg[held]
    truth = np.zeros((len(areas), grid_us.size), np.bool_)
    fixes = np.zeros_like(truth)
    for zone, area in enumerate(areas):
        shapely.prepare(area)
        west, _south, east, _north = area.bounds
        middle_deg = (west + east) / 2
        for inside, lat, lon in ((truth, truth_lat_deg, truth_lon_deg), (fixes, lat_deg, lon_deg)):
            nearest_deg = lon + 360 * np.round((middle_deg - lon) / 360)
            inside[zone] = shapely.contains_xy(area, nearest_deg, lat)
    # A comparison with NaN is False: an unknown accuracy does not pass.
    good = recording.accuracy_m[held] <= GATE_M * RADIUS_68_PER_50
    return Visit(truth, fixes, good)


def _changes(inside: BoolArray) -> int:
    return int(np.any(inside[:, 1:] != inside[:, :-1], axis=0).sum())


def stays(inside: BoolArray, time_s: NDArray[np.int64], end_s: int) -> list[Spell]:
    """The runs of True, from the first second to the one before it is False again.

    Args:
        inside: (n,) what holds at the seconds `time_s`, and until the next of them.
        time_s: (n,) growing.
        end_s: The last second there is.
    """
    edges = np.diff(inside.astype(np.int8), prepend=0, append=0)
    until_s = np.append(time_s, end_s + 1)
    return [
        Spell(int(time_s[first]), int(until_s[last]) - 1)
        for first, last in zip(np.flatnonzero(edges > 0), np.flatnonzero(edges < 0), strict=True)
    ]


def _whole(inside: BoolArray) -> list[Spell]:
    return stays(inside, np.arange(inside.size), inside.size - 1)


def raw_stays(visit: Visit) -> list[list[Spell]]:
    """For each zone: while the last fix is in it."""
    return [_whole(inside) for inside in visit.fixes]


def gated_stays(visit: Visit) -> list[list[Spell]]:
    """The same without the seconds at which the last fix does not pass the gate."""
    time_s = np.flatnonzero(visit.good)
    return [stays(inside[visit.good], time_s, visit.end_s) for inside in visit.fixes]


def engine_stays(
    recordings: Sequence[Recording],
    visits: Sequence[Visit],
    areas: Sequence[shapely.MultiPolygon],
) -> list[list[list[Spell]]]:
    """For each recording and zone, the spells at `ALERT` of an engine that watches all of them.

    How the engine is driven and where a spell begins and ends: `benchmarks.contenders`.
    """
    plan = _plan(len(recordings), areas)
    changes = changes_of(plan, recordings, max((visit.end_s for visit in visits), default=0))
    return [
        [alerts_of(changes[f"{track}/{zone}"], visit.end_s) for zone in range(len(areas))]
        for track, visit in enumerate(visits)
    ]


def _plan(tracks: int, areas: Sequence[shapely.MultiPolygon]) -> Plan:
    rings = [rings_of(area) for area in areas] * tracks
    flat = [ring for zone in rings for ring in zone]
    count = len(rings)
    zones = Zones(
        keys=tuple(f"{track}/{zone}" for track in range(tracks) for zone in range(len(areas))),
        track=np.repeat(np.arange(tracks, dtype=np.int64), len(areas)),
        kind=np.full(count, int(ZoneKind.EXCLUSION), np.int64),
        buffer_m=np.zeros(count),
        circle=np.full((count, 3), np.nan),
        zone_ring=np.cumsum([0, *(len(zone) for zone in rings)], dtype=np.int64),
        ring_vertex=np.cumsum([0, *(lat.size for lat, _lon in flat)], dtype=np.int64),
        lat_deg=np.concatenate([np.zeros(0), *(lat for lat, _lon in flat)]),
        lon_deg=np.concatenate([np.zeros(0), *(lon for _lat, lon in flat)]),
    )
    return Plan("zones", tuple(str(track) for track in range(tracks)), zones=zones)


def _judge_all(
    visits: Sequence[Visit], reported: Sequence[Sequence[Sequence[Spell]]]
) -> list[Outcome]:
    return [
        judge(spells, _whole(inside))
        for visit, zones in zip(visits, reported, strict=True)
        for spells, inside in zip(zones, visit.truth, strict=True)
    ]


def judge(reported: Sequence[Spell], true: Sequence[Spell]) -> Outcome:
    """Score what was reported of one recording and one zone; both in order of start."""
    long = [stay for stay in true if stay.end_s - stay.start_s + 1 >= STAY_S]
    short = [stay for stay in true if stay not in long]
    first = [first_that_finds(reported, stay) for stay in long]
    apart = [report for report in reported if not _touches(report, long)]
    false = [report for report in apart if not _touches(report, short)]
    excusable = [report for report in apart if report not in false]
    excused = 0
    for stay in short:
        touching = next((one for one in excusable if _touches(one, [stay])), None)
        if touching is not None:
            excusable.remove(touching)
            excused += 1
    return Outcome(
        true=len(long),
        short=len(short),
        false=len(false),
        reported=len(reported),
        excused=excused,
        delays_s=tuple(
            report.start_s - stay.start_s
            for report, stay in zip(first, long, strict=True)
            if report is not None
        ),
    )


def _touches(report: Spell, true: Iterable[Spell]) -> bool:
    return any(
        stay.start_s <= report.end_s + GRACE_S and stay.end_s >= report.start_s - GRACE_S
        for stay in true
    )


def _total(outcomes: Sequence[Outcome]) -> StayScore:
    delays_s = [delay_s for outcome in outcomes for delay_s in outcome.delays_s]
    true = sum(outcome.true for outcome in outcomes)
    reported = sum(outcome.reported for outcome in outcomes)
    excused = sum(outcome.excused for outcome in outcomes)
    return StayScore(
        true=true,
        found=len(delays_s),
        false=sum(outcome.false for outcome in outcomes),
        reported=reported,
        excused=excused,
        reported_per_true=round((reported - excused) / true, 3) if true else None,
        delay_p50_s=percentile_s(delays_s, 50),
        delay_p95_s=percentile_s(delays_s, 95),
    )
