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
    NEGLIGIBLE_SIGMAS,
    QUANTILE_975,
    distance_interval_m,
    normal_cdf,
    time_to_radius_s,
    within_radius,
)
from geofence.rules import Limits
from geofence.track import TrackArray, place
from geofence.zones import zone_m

_UNKNOWN = int(Level.UNKNOWN)

WATCH_DTYPE = np.dtype(
    [
        ("depth_m", np.float64),  # see Layout; NaN without a position
        ("sigma_m", np.float64),
        ("due_us", np.int64),  # nothing can change before this unless a fix comes
        ("decided_us", np.int64),  # oldest fix of the last evidence that could decide
        ("onset_us", np.int64),  # of the present or the last episode
        ("number", np.int64),  # of the last transition
        ("held", np.int64),  # level by the rings alone
        ("unknown", np.int64),  # 1: cannot be excluded, whatever is held
        ("cause", np.int64),  # of the last rise: a value of Cause
        ("chance", np.float64),  # the probability it rests on
        ("closest_m", np.float64),  # of the last look at the way between two fixes
        ("closest_us", np.int64),
        ("beacon_us", np.int64, (2,)),  # when each device last heard the other, if it still does
        ("beacon_told_us", np.int64, (2,)),  # of the newest report of each, heard or lost
        ("calm_fix_us", np.int64, (RINGS,)),  # since when outside, by fix time
        ("calm_now_us", np.int64, (RINGS,)),  # and by the instant that was decided
        ("from_m", np.float64, (3,)),  # a zone: where its depth was measured last
        ("from_depth_m", np.float64),
    ],
    align=True,
)
"""State of one watch. Only rings of levels up to the one held are ever calm."""

WatchArray = NDArray[np.void]
"""(W,) of `WATCH_DTYPE`."""


def new_watches(count: int) -> WatchArray:
    """Watches that have seen nothing: clear, at no distance."""
    watches = np.zeros(count, WATCH_DTYPE)
    for name in ("depth_m", "sigma_m", "chance", "closest_m", "from_m", "from_depth_m"):
        watches[name] = np.nan
    for name in WATCH_DTYPE.names or ():
        if name.endswith("_us") and name != "due_us":
            watches[name] = UNKNOWN_TIME_US
    return watches


@kernel
def level_of(watches: WatchArray, watch: int) -> int:
    """The level a watch shows."""
    held: int = watches[watch]["held"]
    return _UNKNOWN if watches[watch]["unknown"] else held


@kernel
def measure(
    watches: WatchArray,
    watch: int,
    tracks: TrackArray,
    layout: Layout,
    at_us: int,
    limits: Limits,
    scratch: FloatArray,
) -> None:
    """Bring depth and sigma of a watch up to an instant, by its tracks."""
    state = watches[watch]
    first = layout.first[watch]
    state["depth_m"] = math.nan
    state["sigma_m"] = math.nan
    if tracks[first]["time_us"] == UNKNOWN_TIME_US:
        return
    place(tracks, first, at_us, limits, scratch)
    a = tracks[first]
    if watch >= layout.pair_count:
        _measure_zone(state, watch, a, layout)
        return
    second = layout.second[watch]
    if tracks[second]["time_us"] == UNKNOWN_TIME_US:
        return
    place(tracks, second, at_us, limits, scratch)
    b = tracks[second]
    state["depth_m"] = along_chord_m(
        a["xyz_m"][0] - b["xyz_m"][0],
        a["xyz_m"][1] - b["xyz_m"][1],
        a["xyz_m"][2] - b["xyz_m"][2],
    )
    state["sigma_m"] = math.sqrt(a["sigma_m"] * a["sigma_m"] + b["sigma_m"] * b["sigma_m"])


@kernel
def _measure_zone(state: np.void, watch: int, a: np.void, layout: Layout) -> None:
    """Depth of a track in a zone; where the boundary is far, a bound on it.

    The distance to a boundary changes by no more than the way that was gone. As long as the last
    one measured, less that way, is so great that the boundary decides nothing, it need not be
    measured again: `depth_m` is then the bound, which lies nearer to the boundary than the truth.
    """
    state["sigma_m"] = a["sigma_m"]
    xyz = a["xyz_m"]
    dx = xyz[0] - state["from_m"][0]
    dy = xyz[1] - state["from_m"][1]
    dz = xyz[2] - state["from_m"][2]
    # The plane shortens distances by at most 0.1 %.
    way_m = 1.001 * math.sqrt(dx * dx + dy * dy + dz * dz)
    left_m = abs(state["from_depth_m"]) - way_m
    if left_m > layout.widest_m[watch] + 2.0 * NEGLIGIBLE_SIGMAS * a["sigma_m"]:
        state["depth_m"] = math.copysign(left_m, state["from_depth_m"])
        return
    state["depth_m"] = zone_depth_m(watch - layout.pair_count, xyz[0], xyz[1], xyz[2], layout)
    state["from_depth_m"] = state["depth_m"]
    for axis in range(3):
        state["from_m"][axis] = xyz[axis]


@kernel
def zone_depth_m(zone: int, x_m: float, y_m: float, z_m: float, layout: Layout) -> float:
    """Signed distance of a point to the forbidden side of a zone, metres."""
    sign: float = layout.depth_sign[zone]
    return sign * zone_m(zone, x_m, y_m, z_m, layout.planes)


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
def ring_in_question(watches: WatchArray, watch: int, layout: Layout) -> int:
    """The ring that the level shown is about: for clear, the outermost there is."""
    if watches[watch]["unknown"]:
        return ALERT_RING
    held: int = watches[watch]["held"]
    if held > 0:
        return held - 1
    return ALERT_RING if math.isnan(layout.enter_m[watch, 0]) else 0


@kernel
def closing_mps(first: int, second: int, tracks: TrackArray) -> float:
    """Speed at which two tracks approach, by their velocities at the instant they are placed at."""
    a, b = tracks[first], tracks[second]
    along = 0.0
    length2 = 0.0
    for axis in range(3):
        gap = b["xyz_m"][axis] - a["xyz_m"][axis]
        along += gap * (a["xyz_mps"][axis] - b["xyz_mps"][axis])
        length2 += gap * gap
    return along / math.sqrt(length2) if length2 > 0.0 else 0.0


@kernel
def time_to_contact_s(watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout) -> float:
    """Seconds until a pair is in contact (0 m where it has no contact ring) on present courses.

    Infinite when they do not close faster than the error of their velocities (one sigma), and for
    zones.
    """
    state = watches[watch]
    if layout.second[watch] == NO_TRACK or math.isnan(state["depth_m"]):
        return math.inf
    first, second = layout.first[watch], layout.second[watch]
    closing = closing_mps(first, second, tracks)
    sa, sb = tracks[first]["sigma_mps"], tracks[second]["sigma_mps"]
    if closing <= math.sqrt(sa * sa + sb * sb):
        closing = 0.0
    contact = layout.enter_m[watch, CONTACT_RING]
    return time_to_radius_s(state["depth_m"], 0.0 if math.isnan(contact) else contact, closing)


@kernel
def settle_depth(watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout) -> None:
    """Put a zone's true depth in place of the bound on it, where the track was placed last."""
    state = watches[watch]
    if watch < layout.pair_count or math.isnan(state["depth_m"]):
        return
    xyz = tracks[layout.first[watch]]["xyz_m"]
    state["depth_m"] = zone_depth_m(watch - layout.pair_count, xyz[0], xyz[1], xyz[2], layout)


@kernel
def describe(
    watches: WatchArray, watch: int, depth_m: float, layout: Layout
) -> tuple[float, float, float, float]:
    """Distance, lower and upper end of its 95 % interval (metres), and the probability.

    For a zone the distance is the signed one to its boundary, negative inside.
    """
    sigma_m = watches[watch]["sigma_m"]
    if math.isnan(depth_m):
        return math.nan, math.nan, math.nan, math.nan
    ring = layout.enter_m[watch, ring_in_question(watches, watch, layout)]
    probability = inside(layout, watch, depth_m, ring, sigma_m)
    if watch < layout.pair_count:
        low, high = distance_interval_m(depth_m, sigma_m)
        return depth_m, low, high, probability
    signed = layout.depth_sign[watch - layout.pair_count] * depth_m
    return signed, signed - QUANTILE_975 * sigma_m, signed + QUANTILE_975 * sigma_m, probability


@kernel
def describe_all(watches: WatchArray, tracks: TrackArray, layout: Layout, out: FloatArray) -> None:
    """`describe` of every watch, written to the rows of `out` (W, 4); changes nothing else."""
    for watch in range(watches.size):
        depth_m = watches[watch]["depth_m"]
        if watch >= layout.pair_count and not math.isnan(depth_m):
            xyz = tracks[layout.first[watch]]["xyz_m"]
            depth_m = zone_depth_m(watch - layout.pair_count, xyz[0], xyz[1], xyz[2], layout)
        row = describe(watches, watch, depth_m, layout)
        for column in range(4):
            out[watch, column] = row[column]
