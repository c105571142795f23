"""The state of a watch, what it measures, and the numbers it can be asked for."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geofence.distance import along_chord_m
from geofence.kernel import kernel
from geofence.layout import ALERT_RING, CONTACT_RING, NO_TRACK, RINGS, Layout
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.plan import FloatArray
from geofence.proximity import (
    QUANTILE_975,
    distance_interval_m,
    normal_cdf,
    time_to_radius_s,
    within_radius,
)
from geofence.rules import SECOND_US, Limits
from geofence.track import TrackArray, velocity_mps
from geofence.zones import zone_m

_UNKNOWN = int(Level.UNKNOWN)

WATCH_DTYPE = np.dtype(
    [
        ("depth_m", np.float64),  # see Layout; NaN without a position
        ("sigma_m", np.float64),
        ("decided_us", np.int64),  # oldest fix of the last evidence that could decide
        ("onset_us", np.int64),  # of the present or the last episode
        ("number", np.int64),  # of the last transition
        ("held", np.int64),  # level by the rings alone
        ("unknown", np.int64),  # 1: cannot be excluded, whatever is held
        ("calm_fix_us", np.int64, (RINGS,)),  # since when outside, by fix time
        ("calm_now_us", np.int64, (RINGS,)),  # and by the instant that was decided
    ],
    align=True,
)
"""State of one watch. Only rings of levels up to the one held are ever calm."""

WatchArray = NDArray[np.void]
"""(W,) of `WATCH_DTYPE`."""


def new_watches(count: int) -> WatchArray:
    """Watches that have seen nothing: clear, at no distance."""
    watches = np.zeros(count, WATCH_DTYPE)
    watches["depth_m"] = np.nan
    watches["sigma_m"] = np.nan
    for name in ("decided_us", "onset_us", "calm_fix_us", "calm_now_us"):
        watches[name] = UNKNOWN_TIME_US
    return watches


@kernel
def level_of(watches: WatchArray, watch: int) -> int:
    """The level a watch shows."""
    held: int = watches[watch]["held"]
    return _UNKNOWN if watches[watch]["unknown"] else held


@kernel
def measure(watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout) -> None:
    """Bring depth and sigma of a watch up to its tracks."""
    state = watches[watch]
    a = tracks[layout.first[watch]]
    state["depth_m"] = math.nan
    state["sigma_m"] = math.nan
    if a["time_us"] == UNKNOWN_TIME_US:
        return
    if watch >= layout.pair_count:
        state["depth_m"] = _zone_depth_m(watch - layout.pair_count, a, layout)
        state["sigma_m"] = a["sigma_m"]
        return
    b = tracks[layout.second[watch]]
    if b["time_us"] == UNKNOWN_TIME_US:
        return
    state["depth_m"] = along_chord_m(
        a["xyz_m"][0] - b["xyz_m"][0],
        a["xyz_m"][1] - b["xyz_m"][1],
        a["xyz_m"][2] - b["xyz_m"][2],
    )
    state["sigma_m"] = math.sqrt(a["sigma_m"] * a["sigma_m"] + b["sigma_m"] * b["sigma_m"])


@kernel
def _zone_depth_m(zone: int, a: np.void, layout: Layout) -> float:
    """Signed distance of a track to the forbidden side of a zone, metres."""
    sign: float = layout.depth_sign[zone]
    xyz = a["xyz_m"]
    return sign * zone_m(zone, xyz[0], xyz[1], xyz[2], layout.planes)


@kernel
def inside(layout: Layout, watch: int, depth_m: float, ring_m: float, sigma_m: float) -> float:
    """Probability of being inside a ring; 0 for a ring that is not there (NaN).

    A zone's boundary is taken as straight near the point, which a circle or a corner is not: for
    a zone smaller than the error this says too much rather than too little.
    """
    if math.isnan(ring_m):
        return 0.0
    if watch < layout.pair_count:
        return within_radius(depth_m, ring_m, sigma_m)
    return normal_cdf((ring_m - depth_m) / sigma_m)


@kernel
def _ring_in_question(watches: WatchArray, watch: int, layout: Layout) -> int:
    """The ring that the level shown is about: for clear, the outermost there is."""
    if watches[watch]["unknown"]:
        return ALERT_RING
    held: int = watches[watch]["held"]
    if held > 0:
        return held - 1
    return ALERT_RING if math.isnan(layout.enter_m[watch, 0]) else 0


@kernel
def _closing_mps(first: int, second: int, tracks: TrackArray, limits: Limits) -> float:
    """Speed at which two tracks approach; a track without a course counts as standing."""
    va = velocity_mps(tracks, first, limits)
    vb = velocity_mps(tracks, second, limits)
    along = 0.0
    length2 = 0.0
    for axis in range(3):
        gap = tracks[second]["xyz_m"][axis] - tracks[first]["xyz_m"][axis]
        approach = 0.0
        if not math.isnan(va[axis]):
            approach += va[axis]
        if not math.isnan(vb[axis]):
            approach -= vb[axis]
        along += gap * approach
        length2 += gap * gap
    return along / math.sqrt(length2) if length2 > 0.0 else 0.0


@kernel
def time_to_contact_s(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, limits: Limits
) -> float:
    """Seconds until a pair is in contact (0 m where it has no contact ring) on present courses.

    Infinite when they do not close faster than errors alone would make it seem, and for zones.
    """
    state = watches[watch]
    if layout.second[watch] == NO_TRACK or math.isnan(state["depth_m"]):
        return math.inf
    closing = _closing_mps(layout.first[watch], layout.second[watch], tracks, limits)
    # Two fixes, each with its error, a baseline apart.
    if closing <= math.sqrt(2.0) * state["sigma_m"] * SECOND_US / limits.course_baseline_us:
        closing = 0.0
    contact = layout.enter_m[watch, CONTACT_RING]
    return time_to_radius_s(state["depth_m"], 0.0 if math.isnan(contact) else contact, closing)


@kernel
def describe(watches: WatchArray, watch: int, layout: Layout) -> tuple[float, float, float, float]:
    """Distance, lower and upper end of its 95 % interval (metres), and the probability.

    For a zone the distance is the signed one to its boundary, negative inside.
    """
    state = watches[watch]
    depth, sigma = state["depth_m"], state["sigma_m"]
    if math.isnan(depth):
        return math.nan, math.nan, math.nan, math.nan
    ring = layout.enter_m[watch, _ring_in_question(watches, watch, layout)]
    probability = inside(layout, watch, depth, ring, sigma)
    if watch < layout.pair_count:
        low, high = distance_interval_m(depth, sigma)
        return depth, low, high, probability
    signed = layout.depth_sign[watch - layout.pair_count] * depth
    return signed, signed - QUANTILE_975 * sigma, signed + QUANTILE_975 * sigma, probability


@kernel
def describe_all(watches: WatchArray, layout: Layout, out: FloatArray) -> None:
    """`describe` of every watch, written to the rows of `out` (W, 4)."""
    for watch in range(watches.size):
        row = describe(watches, watch, layout)
        for column in range(4):
            out[watch, column] = row[column]
