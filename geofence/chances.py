"""How probable it is that two people are within a ring soon, or were on the way between two fixes.

**Ahead.** Both go on as they go: the difference between them is a straight line in time, and its
error grows with that of the velocities and with the push of somebody who turns,

    sigma^2(t) = sigma^2 + sigma_v^2 t^2 + q t^3 / 3        for each of the two.

Asked is the probability of being within the ring at the closest point within a time.

**On the way.** Between two fixes of one of them, both are taken to have moved evenly between what
was believed at the first and at the second. At a fraction u of the time T between them the error
is that of the two ends, and of a way that need not have been straight (a Brownian bridge of the
velocity, from above),

    sigma^2(u) = (1-u)^2 sigma_0^2 + u^2 sigma_1^2 + q T^3 u^2 (1-u)^2 / 3.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.approach import closest_approach
from geofence.distance import along_chord_m
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US
from geofence.proximity import is_within, within_radius
from geofence.rules import Limits

_SECOND_US = 1e6
_TURNING = 1


@kernel
def nearest_soon(a: np.void, b: np.void, ahead_s: float, limits: Limits) -> tuple[float, float]:
    """How near two tracks come in `ahead_s`, metres, and the standard deviation per axis of that.

    NaN when they do not approach. Both must be placed at one instant.
    """
    if ahead_s <= 0.0:
        return math.nan, math.nan
    gap_x = a["xyz_m"][0] - b["xyz_m"][0]
    gap_y = a["xyz_m"][1] - b["xyz_m"][1]
    gap_z = a["xyz_m"][2] - b["xyz_m"][2]
    vx = a["xyz_mps"][0] - b["xyz_mps"][0]
    vy = a["xyz_mps"][1] - b["xyz_mps"][1]
    vz = a["xyz_mps"][2] - b["xyz_mps"][2]
    closing = -(gap_x * vx + gap_y * vy + gap_z * vz)
    speed2 = vx * vx + vy * vy + vz * vz
    if closing <= 0.0 or speed2 == 0.0:
        return math.nan, math.nan
    t = min(ahead_s, closing / speed2)
    distance_m = along_chord_m(gap_x + t * vx, gap_y + t * vy, gap_z + t * vz)
    velocity2 = a["sigma_mps"] * a["sigma_mps"] + b["sigma_mps"] * b["sigma_mps"]
    sigma2 = (
        a["sigma_m"] * a["sigma_m"]
        + b["sigma_m"] * b["sigma_m"]
        + velocity2 * t * t
        + 2.0 * limits.push[_TURNING] * t * t * t / 3.0
    )
    return distance_m, math.sqrt(sigma2)


@kernel
def inside_soon(
    a: np.void, b: np.void, ring_m: float, ahead_s: float, sigmas: float, limits: Limits
) -> float:
    """Probability that two tracks are within `ring_m` where they come nearest in `ahead_s`.

    0 when they do not approach, stay more than `sigmas` standard deviations outside, or the ring is
    not there. Both must be placed at one instant.
    """
    distance_m, sigma_m = nearest_soon(a, b, ahead_s, limits)
    if not distance_m - ring_m <= sigmas * sigma_m:
        return 0.0
    return within_radius(distance_m, ring_m, sigma_m)


@kernel
def is_inside_soon(
    a: np.void, b: np.void, ring_m: float, ahead_s: float, sigmas: float, least: float,
    limits: Limits,
) -> bool:  # fmt: skip
    """Whether `inside_soon` is at least so much (more than 0), without computing it where that is plain."""
    if math.isnan(ring_m):
        return False
    distance_m, sigma_m = nearest_soon(a, b, ahead_s, limits)
    if not distance_m - ring_m <= sigmas * sigma_m:
        return False
    return is_within(distance_m, ring_m, sigma_m, least)


@kernel
def whereabouts(track: np.void, at_us: int) -> tuple[float, float, float, float]:
    """Where a track was at an instant not before its last fix but one, and the variance per axis.

    Between the two fixes: on the straight line. Later: at the place it was put at last, with its
    velocity. NaN where nothing is known.
    """
    here, since_us = track["here_m"], track["time_us"]
    if at_us >= since_us:
        back_s = (at_us - track["at_us"]) / _SECOND_US
        variance = track["sigma_m"] * track["sigma_m"]
        x, y, z = track["xyz_m"][0], track["xyz_m"][1], track["xyz_m"][2]
        v = track["xyz_mps"]
        return x + back_s * v[0], y + back_s * v[1], z + back_s * v[2], variance
    before, before_us = track["before_m"], track["before_us"]
    if before_us == UNKNOWN_TIME_US or at_us < before_us:
        return math.nan, math.nan, math.nan, math.nan
    u = (at_us - before_us) / (since_us - before_us)
    s0, s1 = track["before_sigma_m"], track["here_sigma_m"]
    return (
        before[0] + u * (here[0] - before[0]),
        before[1] + u * (here[1] - before[1]),
        before[2] + u * (here[2] - before[2]),
        (1.0 - u) * (1.0 - u) * s0 * s0 + u * u * s1 * s1,
    )


@kernel
def path_variance_m2(
    first_m2: float, last_m2: float, span_s: float, u: float, push: float
) -> float:
    """Variance per axis at a fraction of the way between two known places; see the module."""
    rest = 1.0 - u
    bridge = push * span_s * span_s * span_s * u * u * rest * rest / 3.0
    return rest * rest * first_m2 + u * u * last_m2 + bridge


@kernel
def closest_on_path(mover: np.void, other: np.void, limits: Limits) -> tuple[float, float, int]:
    """How near two tracks came between the last two fixes of one of them.

    Returns:
        Distance in metres and its standard deviation per axis, and the instant; NaN where there
        is nothing to tell it from, or they were nearest at one of the fixes.
    """
    before_us, time_us = mover["before_us"], mover["time_us"]
    if before_us == UNKNOWN_TIME_US or time_us - before_us > limits.path_limit_us:
        return math.nan, math.nan, UNKNOWN_TIME_US
    x0, y0, z0, other0_m2 = whereabouts(other, before_us)
    x1, y1, z1, other1_m2 = whereabouts(other, time_us)
    before, here = mover["before_m"], mover["here_m"]
    distance_m, u = closest_approach(
        before[0] - x0, before[1] - y0, before[2] - z0, here[0] - x1, here[1] - y1, here[2] - z1
    )
    if math.isnan(distance_m) or not 0.0 < u < 1.0:
        return math.nan, math.nan, UNKNOWN_TIME_US
    first_m2 = mover["before_sigma_m"] * mover["before_sigma_m"] + other0_m2
    last_m2 = mover["here_sigma_m"] * mover["here_sigma_m"] + other1_m2
    span_s = (time_us - before_us) / _SECOND_US
    push = 2.0 * limits.push[_TURNING]
    variance = path_variance_m2(first_m2, last_m2, span_s, u, push)
    at_us = before_us + int(u * (time_us - before_us))
    return distance_m, math.sqrt(variance), at_us
