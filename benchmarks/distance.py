"""The engine's distance beside pyproj's: how far off, and how fast.

Both are given the same arrays and one core. pyproj.Geod solves the inverse geodesic problem to
nanometres at any distance and returns two azimuths as well; there is no cheaper call of its own
for a distance alone. The engine's kernel is meant for short ways only, which is why errors count
up to `FAR_M`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from pyproj import Geod

from geofence.distance import geodesics_m
from geofence.plan import FloatArray
from simulators.recording import TrackError, read_bytes

FAR_M = 20_000.0
"""Up to here the error is measured. Rings are metres to a few kilometres wide."""

PAIRS_LEAST = 100_000
"""With fewer, the greatest error would be a matter of luck."""

ROUNDS = 5
"""Each round times both, one after the other; the medians are reported."""

SEED = 20_261_124
GEODTEST_COLUMNS = 10
"""lat1 lon1 azi1 lat2 lon2 azi2 s12 a12 m12 S12."""

WGS84 = Geod(ellps="WGS84")

Ends = tuple[FloatArray, FloatArray, FloatArray, FloatArray]
"""Latitudes and longitudes of n points, then of n others, degrees."""


class DistanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cordon bench distance`` prints.

    Attributes:
        max_error_m: Greatest difference over all pairs, none longer than `FAR_M`.
        pairs: How many were compared: random ones and, of these, `file_pairs` from the file.
        file_pairs: See above.
        timed_pairs: How many were measured in each round.
        ns_per_pair, geod_ns_per_pair: Medians over the rounds.
        ratio: How many times faster than pyproj.
    """

    max_error_m: float
    pairs: int
    file_pairs: int
    timed_pairs: int
    ns_per_pair: float
    geod_ns_per_pair: float
    ratio: float


def run_distance(
    path: Path | None, *, pairs: int, tell: Callable[[str], None] = lambda _step: None
) -> DistanceReport:
    """Compare on random pairs and, where given, on a file of known geodesics.

    Args:
        path: A GeodTest file, plain or gzip; None for random pairs alone.
        pairs: Number of random pairs; at least `PAIRS_LEAST`.
        tell: Called with what is done next.

    Raises:
        TrackError: The file cannot be used.
        ValueError: Too few pairs.
    """
    if pairs < PAIRS_LEAST:
        raise ValueError(f"compare at least {PAIRS_LEAST} pairs")
    known_error_m, known = (0.0, 0) if path is None else known_errors_m(path)
    tell(f"Comparing {pairs} random pairs")
    ends = random_ends(pairs)
    # Also the first call, which compiles the kernel: it is not timed.
    error_m = float(np.abs(_ours_m(ends) - _geod_m(ends)).max())
    tell(f"Timing {ROUNDS} rounds")
    ours_ns, geod_ns = _timed_ns(ends)
    return DistanceReport(
        max_error_m=max(error_m, known_error_m),
        pairs=pairs + known,
        file_pairs=known,
        timed_pairs=pairs,
        ns_per_pair=round(ours_ns, 2),
        geod_ns_per_pair=round(geod_ns, 2),
        ratio=round(geod_ns / ours_ns, 2),
    )


def random_ends(count: int) -> Ends:
    """Pairs all over the Earth, evenly by area, 0 to `FAR_M` apart; the same ones every time."""
    rng = np.random.default_rng(SEED)
    lat_deg = np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    lon_deg = rng.uniform(-180, 180, count)
    return _away(lat_deg, lon_deg, rng.uniform(0, 360, count), rng.uniform(0, FAR_M, count))


def known_errors_m(path: Path) -> tuple[float, int]:
    """Greatest error on the geodesics of a file, and how many there are.

    One longer than `FAR_M` is cut off there, on its own course.

    Raises:
        TrackError: The file cannot be used.
    """
    rows = _read_geodesics(path)
    lat1, lon1, azimuth, lat2, lon2, _, length_m = np.ascontiguousarray(rows[:, :7].T)
    *_, cut_lat, cut_lon = _away(lat1, lon1, azimuth, np.full(len(rows), FAR_M))
    short = length_m <= FAR_M
    ends = (lat1, lon1, np.where(short, lat2, cut_lat), np.where(short, lon2, cut_lon))
    return float(np.abs(_ours_m(ends) - np.minimum(length_m, FAR_M)).max()), len(rows)


def _read_geodesics(path: Path) -> FloatArray:
    try:
        rows = np.array([line.split() for line in read_bytes(path).splitlines()], np.float64)
    except ValueError as error:
        what = f"is not a table of {GEODTEST_COLUMNS} numbers a line; name a GeodTest file"
        raise TrackError(path, what) from error
    if rows.ndim != 2 or rows.shape[1] != GEODTEST_COLUMNS or not np.all(np.isfinite(rows)):
        what = f"does not have {GEODTEST_COLUMNS} finite numbers a line; name a GeodTest file"
        raise TrackError(path, what)
    return rows


def _away(
    lat_deg: FloatArray, lon_deg: FloatArray, azimuth_deg: FloatArray, distance_m: FloatArray
) -> Ends:
    """These points, and the ones a distance away from them on a course."""
    lon, lat, _ = WGS84.fwd(lon_deg, lat_deg, azimuth_deg, distance_m)
    return lat_deg, lon_deg, lat, lon


def _ours_m(ends: Ends) -> FloatArray:
    out_m = np.empty(ends[0].size)
    geodesics_m(*ends, out_m)
    return out_m


def _geod_m(ends: Ends) -> FloatArray:
    lat1, lon1, lat2, lon2 = ends
    distance_m: FloatArray = WGS84.inv(lon1, lat1, lon2, lat2)[2]
    return distance_m


def _timed_ns(ends: Ends) -> tuple[float, float]:
    """Medians of nanoseconds per pair: the kernel's and pyproj's."""
    rounds = [(_time_ns(_ours_m, ends), _time_ns(_geod_m, ends)) for _ in range(ROUNDS)]
    ours_ns, geod_ns = zip(*rounds, strict=True)
    return statistics.median(ours_ns), statistics.median(geod_ns)


def _time_ns(measure: Callable[[Ends], FloatArray], ends: Ends) -> float:
    began_ns = time.perf_counter_ns()
    measure(ends)
    return (time.perf_counter_ns() - began_ns) / ends[0].size
