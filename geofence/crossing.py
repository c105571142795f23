"""Whether somebody crossed an exclusion zone between two fixes that both lie outside it.

The way is taken as straight and looked at every `STEP_M`; how sure that is follows from the
variance on it (see `geofence.chances`). A straight way out of an inclusion zone and back says
nothing: between two places in the arms of an L one may well have walked round the corner.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.chances import path_variance_m2
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US
from geofence.planes import Planes
from geofence.proximity import NEGLIGIBLE_SIGMAS, normal_cdf
from geofence.rules import Limits
from geofence.watch import zone_depth_m

STEP_M = 10.0
STEPS_MOST = 64
_SECOND_US = 1e6
_TURNING = 1


@kernel
def crossed(
    mover: np.void, terms: np.void, depth_m: float, planes: Planes, limits: Limits
) -> tuple[float, float, int]:
    """How probably a track was inside an exclusion zone between its last two fixes.

    Args:
        mover: The track's record, after its new fix.
        terms: Of the watch of the zone, of `geofence.layout.TERMS_DTYPE`.
        depth_m: Its depth where the track is placed, or a bound on that.
        planes: Of all zones.
        limits: Parameters.

    Returns:
        The greatest probability on the way, the depth in metres there, and the instant; 0, NaN
        and `UNKNOWN_TIME_US` where there is nothing to look at.
    """
    nothing = 0.0, math.nan, UNKNOWN_TIME_US
    before_us, time_us = mover["before_us"], mover["time_us"]
    if terms["depth_sign"] < 0.0 or before_us == UNKNOWN_TIME_US:
        return nothing
    if time_us - before_us > limits.path_limit_us:
        return nothing
    before, here = mover["before_m"], mover["here_m"]
    dx, dy, dz = here[0] - before[0], here[1] - before[1], here[2] - before[2]
    way_m = math.sqrt(dx * dx + dy * dy + dz * dz)
    near_m = way_m + NEGLIGIBLE_SIGMAS * max(mover["before_sigma_m"], mover["here_sigma_m"])
    # The track may have been placed at a later instant than that of its fix, far from there.
    sx, sy, sz = (
        mover["xyz_m"][0] - here[0], mover["xyz_m"][1] - here[1], mover["xyz_m"][2] - here[2],
    )  # fmt: skip
    since_m = 1.001 * math.sqrt(sx * sx + sy * sy + sz * sz)
    if way_m < STEP_M or depth_m - since_m > near_m:
        return nothing
    if zone_depth_m(terms, here[0], here[1], here[2], planes) > near_m:
        return nothing
    span_s = (time_us - before_us) / _SECOND_US
    first_m2 = mover["before_sigma_m"] * mover["before_sigma_m"]
    last_m2 = mover["here_sigma_m"] * mover["here_sigma_m"]
    steps = min(STEPS_MOST, 1 + int(way_m / STEP_M))
    best, best_m, best_us = 0.0, math.nan, UNKNOWN_TIME_US
    for step in range(1, steps):
        u = step / steps
        depth = zone_depth_m(
            terms, before[0] + u * dx, before[1] + u * dy, before[2] + u * dz, planes
        )
        variance = path_variance_m2(first_m2, last_m2, span_s, u, limits.push[_TURNING])
        chance = normal_cdf(-depth / math.sqrt(variance))
        if chance > best:
            best, best_m, best_us = chance, depth, before_us + int(u * (time_us - before_us))
    return best, best_m, best_us
