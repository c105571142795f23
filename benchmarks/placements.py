"""Meetings that did not happen: two recordings, one of them moved, so that they come near.

The pairs of a file are few, and many of them begin near each other. Here a stretch of one recording
is turned by a random angle and put where, at a random second, it is a random distance away from a
stretch of another. Receivers' errors, gaps and movements stay those of the recordings; only the
place is made up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.contenders import PLANE_DEGREE_M, Meeting, Metric, meeting_of
from benchmarks.encounters import COMMON_LEAST_S
from benchmarks.recordings import SECOND_US, Recording
from geofence.plan import FloatArray

STRETCH_S = 300
"""Of each recording: long enough to come near and go, short enough to have many."""

APART = (0.3, 1.8)
"""How far apart they are at the chosen second, in radii: as likely within as without."""

_TRIES_MOST = 1000


def place(
    recordings: Sequence[Recording],
    metric: Metric,
    radius_m: float,
    count: int,
    generator: np.random.Generator,
) -> tuple[list[Recording], list[Meeting]]:
    """Made-up meetings of recordings that last for `COMMON_LEAST_S` at least.

    Args:
        recordings: At least two of them long enough.
        metric: Measures the true distances.
        radius_m: R.
        count: How many.
        generator: Where the randomness comes from: equal ones give equal meetings.

    Returns:
        The stretches, two for each meeting, and the meetings.

    Raises:
        ValueError: Fewer than two recordings are long enough.
    """
    usable = [one for one in recordings if one.whole_s > COMMON_LEAST_S]
    if len(usable) < 2:
        raise ValueError(f"meetings take two recordings of more than {COMMON_LEAST_S} s")
    stretches: list[Recording] = []
    meetings: list[Meeting] = []
    for _ in range(count):
        one, other = generator.choice(len(usable), 2, replace=False)
        length_s = min(STRETCH_S, usable[one].whole_s, usable[other].whole_s)
        a = _stretch(usable[one], length_s, generator)
        b = _stretch(usable[other], length_s, generator)
        end_s = min(a.whole_s, b.whole_s)
        at_us = int(generator.integers(0, end_s + 1)) * SECOND_US
        b = _moved_to_meet(a, b, at_us, radius_m * generator.uniform(*APART), generator)
        stretches += [a, b]
        index = len(stretches) - 2
        meetings.append(meeting_of(index, index + 1, stretches, end_s, metric))
    return stretches, meetings


def _stretch(recording: Recording, length_s: int, generator: np.random.Generator) -> Recording:
    """Some seconds of a recording from a random fix on, its clock set to 0 there."""
    latest_us = max(0, (recording.whole_s - length_s) * SECOND_US)
    starts = np.flatnonzero(recording.time_us <= latest_us)
    start_us = int(recording.time_us[generator.choice(starts)])
    end_us = start_us + length_s * SECOND_US
    fixes = _between(recording.time_us, start_us, end_us)
    truth = _between(recording.truth_time_us, start_us - SECOND_US, end_us)
    return replace(
        recording,
        time_us=recording.time_us[fixes] - start_us,
        lat_deg=recording.lat_deg[fixes],
        lon_deg=recording.lon_deg[fixes],
        accuracy_m=recording.accuracy_m[fixes],
        truth_time_us=recording.truth_time_us[truth] - start_us,
        truth_lat_deg=recording.truth_lat_deg[truth],
        truth_lon_deg=recording.truth_lon_deg[truth],
    )


def _between(time_us: NDArray[np.int64], start_us: int, end_us: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (time_us >= start_us) & (time_us <= end_us)
    return inside


def _moved_to_meet(
    a: Recording, b: Recording, at_us: int, distance_m: float, generator: np.random.Generator
) -> Recording:
    """The second one turned about its true place at an instant, and put near the first's."""
    turn = generator.uniform(0.0, 2.0 * math.pi)
    bearing = generator.uniform(0.0, 2.0 * math.pi)
    instant = np.array([at_us])
    to_lat, to_lon = (float(one[0]) for one in a.truth_at(instant))
    from_lat, from_lon = (float(one[0]) for one in b.truth_at(instant))

    def moved(lat_deg: FloatArray, lon_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
        # On the plane of the published figures, about each place: true to 0.3 % of the way.
        east = (lon_deg - from_lon) * math.cos(math.radians(from_lat))
        north = lat_deg - from_lat
        cos, sin = math.cos(turn), math.sin(turn)
        turned_north = sin * east + cos * north + distance_m / PLANE_DEGREE_M * math.sin(bearing)
        turned_east = cos * east - sin * north + distance_m / PLANE_DEGREE_M * math.cos(bearing)
        return to_lat + turned_north, to_lon + turned_east / math.cos(math.radians(to_lat))

    lat_deg, lon_deg = moved(b.lat_deg, b.lon_deg)
    truth_lat_deg, truth_lon_deg = moved(b.truth_lat_deg, b.truth_lon_deg)
    return replace(
        b, lat_deg=lat_deg, lon_deg=lon_deg,
        truth_lat_deg=truth_lat_deg, truth_lon_deg=truth_lon_deg,
    )  # fmt: skip
