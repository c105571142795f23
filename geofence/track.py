"""Where a device is: the place of the estimator.

Today the estimate is the last good fix with its stated error; a filter with velocity and
covariance belongs here, behind the same two functions. What already holds:

- A track never moves back in time. A fix dated at or before the track's time is late, or a
  duplicate; it is marked and leaves the live picture alone.
- A fix dated too far ahead is marked and not used: it would make every honest fix after it late.
- A coarse fix does not replace a better one that still tells more. If the last radius, grown by
  the greatest plausible speed since, is smaller than the new one, the new fix says nothing new.

Fixes are marked, never dropped: what they are kept for is not this room's concern.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from geofence.distance import to_cartesian_m
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US
from geofence.proximity import SIGMAS_PER_R68
from geofence.rules import Limits


class Mark(IntEnum):
    """What became of a fix. Stored: never renumber."""

    USED = 0
    LATE = 1
    DUPLICATE = 2
    UNWATCHED = 3
    FUTURE = 4
    COARSE = 5


_USED = int(Mark.USED)
_LATE = int(Mark.LATE)
_DUPLICATE = int(Mark.DUPLICATE)
_FUTURE = int(Mark.FUTURE)
_COARSE = int(Mark.COARSE)

_DEGREE_E7 = 1e7
_SECOND_US = 1e6

TRACK_DTYPE = np.dtype(
    [
        ("listening_us", np.int64),  # since when this device could be heard
        ("time_us", np.int64),  # of the last good fix, or UNKNOWN_TIME_US
        ("lat_e7", np.int64),
        ("lon_e7", np.int64),
        ("accuracy_cm", np.int64),  # as stated; below 1: unknown
        ("radius_m", np.float64),  # of 68 %, as believed
        ("sigma_m", np.float64),  # per axis
        ("xyz_m", np.float64, (3,)),
        ("recent_us", np.int64),  # two places on the way here, for the course
        ("recent_m", np.float64, (3,)),
        ("older_us", np.int64),
        ("older_m", np.float64, (3,)),
    ],
    align=True,
)
"""State of one track."""

TrackArray = NDArray[np.void]
"""(T,) of `TRACK_DTYPE`."""


def new_tracks(count: int, *, listening_us: int) -> TrackArray:
    """Tracks of devices not seen yet, which could be heard since `listening_us`."""
    tracks = np.zeros(count, TRACK_DTYPE)
    tracks["listening_us"] = listening_us
    for name in ("time_us", "recent_us", "older_us"):
        tracks[name] = UNKNOWN_TIME_US
    return tracks


@kernel
def believed_radius_m(accuracy_cm: int, limits: Limits) -> float:
    """68 % radius in metres that a stated accuracy is worth; 0 and below state nothing."""
    if accuracy_cm <= 0:
        return limits.unknown_accuracy_m
    return max(limits.accuracy_floor_m, accuracy_cm / 100.0)


@kernel
def judge(
    tracks: TrackArray,
    track: int,
    time_us: int,
    lat_e7: int,
    lon_e7: int,
    accuracy_cm: int,
    now_us: int,
    limits: Limits,
) -> int:
    """What is to become of a fix: a value of `Mark`. Changes nothing."""
    if time_us > now_us + limits.future_limit_us:
        return _FUTURE
    last = tracks[track]
    if last["time_us"] == UNKNOWN_TIME_US:
        return _USED
    if time_us == last["time_us"] and lat_e7 == last["lat_e7"] and lon_e7 == last["lon_e7"]:
        return _DUPLICATE
    if time_us <= last["time_us"]:
        return _LATE
    radius_m = believed_radius_m(accuracy_cm, limits)
    since_s = (time_us - last["time_us"]) / _SECOND_US
    if radius_m > limits.coarse_m and radius_m > last["radius_m"] + limits.plausible_mps * since_s:
        return _COARSE
    return _USED


@kernel
def advance(
    tracks: TrackArray,
    track: int,
    time_us: int,
    lat_e7: int,
    lon_e7: int,
    accuracy_cm: int,
    limits: Limits,
) -> None:
    """Move a track to a fix that `judge` found good."""
    state = tracks[track]
    x, y, z = to_cartesian_m(lat_e7 / _DEGREE_E7, lon_e7 / _DEGREE_E7)
    first = state["time_us"] == UNKNOWN_TIME_US
    if first or time_us - state["recent_us"] >= limits.course_baseline_us:
        for axis in range(3):
            state["older_m"][axis] = state["recent_m"][axis]
        state["older_us"] = state["recent_us"]
        state["recent_us"] = time_us
        state["recent_m"][0] = x
        state["recent_m"][1] = y
        state["recent_m"][2] = z
    state["time_us"] = time_us
    state["lat_e7"] = lat_e7
    state["lon_e7"] = lon_e7
    state["accuracy_cm"] = accuracy_cm
    state["radius_m"] = believed_radius_m(accuracy_cm, limits)
    state["sigma_m"] = state["radius_m"] * SIGMAS_PER_R68
    state["xyz_m"][0] = x
    state["xyz_m"][1] = y
    state["xyz_m"][2] = z


@kernel
def velocity_mps(tracks: TrackArray, track: int, limits: Limits) -> tuple[float, float, float]:
    """Mean velocity since the older of the two places kept, Earth-centred, in m/s.

    NaN while there is nothing to compute it from.
    """
    state = tracks[track]
    span_us = state["time_us"] - state["older_us"]
    known = state["older_us"] != UNKNOWN_TIME_US
    if not known or span_us < limits.course_baseline_us or span_us > limits.course_gap_us:
        return math.nan, math.nan, math.nan
    span_s = span_us / _SECOND_US
    return (
        (state["xyz_m"][0] - state["older_m"][0]) / span_s,
        (state["xyz_m"][1] - state["older_m"][1]) / span_s,
        (state["xyz_m"][2] - state["older_m"][2]) / span_s,
    )
