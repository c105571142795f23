"""The state of a watch, what it measures, and the numbers it can be asked for."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geofence.distance import along_chord_m
from geofence.kernel import kernel
from geofence.layout import ALERT_RING, CONTACT_RING, NO_ZONE, RINGS, Layout
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.memory import RowArray, new_rows, on_lines
from geofence.plan import FloatArray
from geofence.planes import Planes
from geofence.proximity import (
    QUANTILE_975,
    distance_interval_m,
    is_within,
    normal_cdf,
    side_of,
    time_to_radius_s,
    within_radius,
)
from geofence.rules import Limits
from geofence.track import Scratch, TrackArray, foresee, place
from geofence.zones import zone_m

_UNKNOWN = int(Level.UNKNOWN)

WATCH_DTYPE = on_lines(
    [
        # What tells that nothing is near comes first, close together.
        ("held", np.int64),  # level by the rings alone
        ("unknown", np.int64),  # 1: cannot be excluded, whatever is held
        ("due_us", np.int64),  # nothing can change before this unless a fix comes
        ("decided_us", np.int64),  # oldest fix of the last evidence that could decide
        ("depth_m", np.float64),  # see Layout; NaN without a position. Not kept up to date far away
        ("from_m", np.float64, (3,)),  # a zone: where its depth was measured
        ("sigma_m", np.float64),
        ("onset_us", np.int64),  # of the present or the last episode
        ("number", np.int64),  # of the last transition
        ("cause", np.int64),  # of the last rise: a value of Cause
        ("chance", np.float64),  # the probability it rests on
        ("closest_m", np.float64),  # of the last look at the way between two fixes
        ("closest_us", np.int64),
        ("beacon_us", np.int64, (2,)),  # when each device last heard the other, if it still does
        ("beacon_told_us", np.int64, (2,)),  # of the newest report of each, heard or lost
        ("lately", np.float64),  # a zone: mean probability of being inside (see geofence.rising),
        ("lately_us", np.int64),  # by the fix of this time
        ("calm_fix_us", np.int64, (RINGS,)),  # since when outside, by fix time
        ("calm_now_us", np.int64, (RINGS,)),  # and by the instant that was decided
    ]
)
"""State of one watch. Only rings of levels up to the one held are ever calm."""

WatchArray = NDArray[np.void]
"""(W,) of `WATCH_DTYPE`."""


def new_watches(count: int) -> WatchArray:
    """Watches that have seen nothing: clear, at no distance."""
    watches = new_rows(count, WATCH_DTYPE)
    for name in ("depth_m", "sigma_m", "chance", "closest_m", "from_m"):
        watches[name] = np.nan
    for name in WATCH_DTYPE.names or ():
        if name.endswith("_us") and name != "due_us":
            watches[name] = UNKNOWN_TIME_US
    return watches


@kernel
def level_of(state: np.void) -> int:
    """The level a watch shows."""
    held: int = state["held"]
    return _UNKNOWN if state["unknown"] else held


@kernel
def measure(
    state: np.void, terms: np.void, a: np.void, b: np.void, planes: Planes, at_us: int,
    limits: Limits, scratch: Scratch,
) -> None:  # fmt: skip
    """Bring depth and sigma of a watch up to an instant.

    Args:
        state: A record of `WATCH_DTYPE`.
        terms: The same watch's of `geofence.layout.TERMS_DTYPE`.
        a: Its first track's record.
        b: Its second's; of a zone the first's again.
        planes: Of all zones.
        at_us: The instant.
        limits: Parameters.
        scratch: Room to compute in.
    """
    place(a, at_us, limits, scratch)
    if terms["zone"] == NO_ZONE:
        place(b, at_us, limits, scratch)
    if a["time_us"] == UNKNOWN_TIME_US or b["time_us"] == UNKNOWN_TIME_US:
        state["depth_m"] = math.nan
        state["sigma_m"] = math.nan
        return
    ax, bx = a["xyz_m"], b["xyz_m"]
    if terms["zone"] == NO_ZONE:
        state["depth_m"] = along_chord_m(ax[0] - bx[0], ax[1] - bx[1], ax[2] - bx[2])
        state["sigma_m"] = math.sqrt(a["sigma_m"] * a["sigma_m"] + b["sigma_m"] * b["sigma_m"])
    else:
        state["depth_m"] = zone_depth_m(terms, ax[0], ax[1], ax[2], planes)
        state["sigma_m"] = a["sigma_m"]
        for axis in range(3):
            state["from_m"][axis] = ax[axis]


@kernel
def zone_depth_m(terms: np.void, x_m: float, y_m: float, z_m: float, planes: Planes) -> float:
    """Signed distance of a point to the forbidden side of a zone, metres."""
    sign: float = terms["depth_sign"]
    return sign * zone_m(terms["zone"], x_m, y_m, z_m, planes)


@kernel
def inside(terms: np.void, depth_m: float, ring_m: float, sigma_m: float) -> float:
    """Probability of being inside a ring; 0 for a ring that is not there (NaN).

    A zone's boundary is taken as straight near the point, which a circle or a corner is not: for
    a zone smaller than the error this says too much rather than too little.
    """
    if math.isnan(ring_m):
        return 0.0
    if terms["zone"] == NO_ZONE:
        return within_radius(depth_m, ring_m, sigma_m)
    return normal_cdf((ring_m - depth_m) / sigma_m)


@kernel
def is_inside(terms: np.void, depth_m: float, ring_m: float, sigma_m: float, least: float) -> bool:
    """Whether `inside` is at least so much, without computing it where that is plain."""
    if terms["zone"] == NO_ZONE and not math.isnan(ring_m):
        return is_within(depth_m, ring_m, sigma_m, least)
    return bool(inside(terms, depth_m, ring_m, sigma_m) >= least)


@kernel
def is_outside(terms: np.void, depth_m: float, ring_m: float, sigma_m: float, most: float) -> bool:
    """Whether `inside` is at most so much, without computing it where that is plain."""
    if terms["zone"] == NO_ZONE and not math.isnan(ring_m):
        side = side_of(depth_m, ring_m, sigma_m, most)
        if side != 0:
            return side < 0
    return bool(inside(terms, depth_m, ring_m, sigma_m) <= most)


@kernel
def ring_in_question(state: np.void, terms: np.void) -> int:
    """The ring that the level shown is about: for clear, the outermost there is."""
    if state["unknown"]:
        return ALERT_RING
    held: int = state["held"]
    if held > 0:
        return held - 1
    return ALERT_RING if math.isnan(terms["enter_m"][0]) else 0


@kernel
def closing_mps(a: np.void, b: np.void) -> float:
    """Speed at which two tracks approach, by their velocities at the instant they are placed at."""
    along = 0.0
    length2 = 0.0
    for axis in range(3):
        gap = b["xyz_m"][axis] - a["xyz_m"][axis]
        along += gap * (a["xyz_mps"][axis] - b["xyz_mps"][axis])
        length2 += gap * gap
    return along / math.sqrt(length2) if length2 > 0.0 else 0.0


@kernel
def time_to_contact_s(state: np.void, terms: np.void, a: np.void, b: np.void) -> float:
    """Seconds until a pair is in contact (0 m where it has no contact ring) on present courses.

    Infinite when they do not close faster than the error of their velocities (one sigma), and for
    zones.
    """
    if terms["zone"] != NO_ZONE or math.isnan(state["depth_m"]):
        return math.inf
    closing = closing_mps(a, b)
    sa, sb = a["sigma_mps"], b["sigma_mps"]
    if closing <= math.sqrt(sa * sa + sb * sb):
        closing = 0.0
    contact = terms["enter_m"][CONTACT_RING]
    return time_to_radius_s(state["depth_m"], 0.0 if math.isnan(contact) else contact, closing)


@kernel
def describe(
    state: np.void, terms: np.void, depth_m: float, sigma_m: float
) -> tuple[float, float, float, float]:
    """Distance, lower and upper end of its 95 % interval (metres), and the probability.

    For a zone the distance is the signed one to its boundary, negative inside.
    """
    if math.isnan(depth_m):
        return math.nan, math.nan, math.nan, math.nan
    ring = terms["enter_m"][ring_in_question(state, terms)]
    probability = inside(terms, depth_m, ring, sigma_m)
    if terms["zone"] == NO_ZONE:
        low, high = distance_interval_m(depth_m, sigma_m)
        return depth_m, low, high, probability
    signed = terms["depth_sign"] * depth_m
    return signed, signed - QUANTILE_975 * sigma_m, signed + QUANTILE_975 * sigma_m, probability


@kernel
def _seen(
    terms: np.void, a: np.void, b: np.void, planes: Planes, limits: Limits, scratch: Scratch
) -> tuple[float, float]:
    """Depth and sigma where the tracks were placed last, a pair's at the later instant."""
    if a["time_us"] == UNKNOWN_TIME_US or b["time_us"] == UNKNOWN_TIME_US:
        return math.nan, math.nan
    xyz = a["xyz_m"]
    if terms["zone"] != NO_ZONE:
        return zone_depth_m(terms, xyz[0], xyz[1], xyz[2], planes), a["sigma_m"]
    at_us = max(a["at_us"], b["at_us"])
    place = scratch["placed"]
    a_sigma_m = foresee(a, at_us, limits, scratch)
    x, y, z = place[0], place[1], place[2]
    b_sigma_m = foresee(b, at_us, limits, scratch)
    depth_m = along_chord_m(x - place[0], y - place[1], z - place[2])
    return depth_m, math.sqrt(a_sigma_m * a_sigma_m + b_sigma_m * b_sigma_m)


@kernel
def describe_all(
    tracks: TrackArray, watches: WatchArray, layout: Layout, limits_row: RowArray,
    scratch_row: RowArray, out: FloatArray,
) -> None:  # fmt: skip
    """`describe` of every watch, written to the rows of `out` (W, 4); changes nothing else.

    Everything is seen anew: the state of a watch that is far away is not kept up to date.
    """
    limits, scratch, planes = limits_row[0], scratch_row[0], layout.planes
    for watch in range(watches.size):
        state, terms = watches[watch], layout.terms[watch]
        a, b = tracks[terms["first"]], tracks[terms["second"]]
        depth_m, sigma_m = _seen(terms, a, b, planes, limits, scratch)
        row = describe(state, terms, depth_m, sigma_m)
        for column in range(4):
            out[watch, column] = row[column]
