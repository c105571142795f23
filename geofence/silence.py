"""What silence leaves possible: since when nearness cannot be excluded.

A device may be silent for as long as the sensitivity of a watch says, and one that reports more
rarely for some of its own intervals: that its next report is still to come is then no sign of
anything. (Of 279 buses that report every two minutes or some seconds later, two that meet
once a day would be in doubt once in three hours if 120 s held for all.)

From where each was believed to be at the last fix, less the error of that, both may have come
nearer as fast as is plausible for the movement last seen (see `geofence.track.reach_m`).
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel
from geofence.layout import ALERT_RING, NO_ZONE, RINGS
from geofence.levels import UNKNOWN_TIME_US
from geofence.planes import Planes
from geofence.rules import Limits
from geofence.track import reach_m
from geofence.watch import zone_depth_m

_HALVINGS = 40
"""Of an interval of up to a year, to less than a millisecond."""

_SECOND_US = 1e6
_NEVER_US = np.iinfo(np.int64).max
_LOOKS = 16
"""What is shown of somebody silent is brought up to date when the silence is a 16th longer."""


@kernel
def oldest_us(a: np.void, b: np.void) -> int:
    """Time of the older fix of a watch's tracks, `UNKNOWN_TIME_US` if one is missing."""
    a_us: int = a["time_us"]
    b_us: int = b["time_us"]
    return min(a_us, b_us)


@kernel
def newest_us(a: np.void, b: np.void) -> int:
    """Time of the newer fix of a watch's tracks, `UNKNOWN_TIME_US` if there is none."""
    a_us: int = a["time_us"]
    b_us: int = b["time_us"]
    return max(a_us, b_us)


@kernel
def _patience_us(track: np.void, least_us: int, limits: Limits) -> int:
    """How long a device may be silent, microseconds; see the module."""
    own_s = min(limits.patience_limit_s, limits.patience_intervals * track["usual_s"])
    return max(least_us, int(own_s * _SECOND_US))


@kernel
def is_fresh(terms: np.void, a: np.void, b: np.void, now_us: int, limits: Limits) -> bool:
    """Whether all of a watch's devices have a fix young enough to decide on."""
    if oldest_us(a, b) == UNKNOWN_TIME_US:
        return False
    least_us = terms["overdue_us"]
    return bool(
        now_us - a["time_us"] <= _patience_us(a, least_us, limits)
        and now_us - b["time_us"] <= _patience_us(b, least_us, limits)
    )


@kernel
def overdue_us(state: np.void, terms: np.void, a: np.void, b: np.void, limits: Limits) -> int:
    """The instant from which silence counts: a device is missed, or nothing has decided for long.

    No silence counts from before the engine began to listen.
    """
    least_us: int = terms["overdue_us"]
    patience_a = _patience_us(a, least_us, limits)
    patience_b = _patience_us(b, least_us, limits)
    missed_a: int = max(a["time_us"], a["listening_us"]) + patience_a
    missed_b: int = max(b["time_us"], b["listening_us"]) + patience_b
    decided: int = max(state["decided_us"], a["listening_us"], b["listening_us"])
    return min(missed_a, missed_b, decided + max(patience_a, patience_b))


@kernel
def _way_left_m(
    terms: np.void, a: np.void, b: np.void, depth_m: float, at_us: int, limits: Limits
) -> float:
    """How much farther away than plausible the alert ring is at an instant; below 0: not at all.

    `depth_m` is how far apart they were believed to be at the last fixes.
    """
    reached_m = reach_m(a, at_us, limits)
    sigma2 = a["here_sigma_m"] * a["here_sigma_m"]
    if terms["zone"] == NO_ZONE:
        reached_m += reach_m(b, at_us, limits)
        sigma2 += b["here_sigma_m"] * b["here_sigma_m"]
    alert_m: float = terms["enter_m"][ALERT_RING]
    error_m: float = limits.reach_sigmas * math.sqrt(sigma2)
    return depth_m - error_m - alert_m - reached_m


@kernel
def _depth_then_m(terms: np.void, a: np.void, b: np.void, planes: Planes) -> float:
    """The depth by where devices were believed to be at the last fixes; of a pair, straight."""
    here = a["here_m"]
    if terms["zone"] != NO_ZONE:
        return zone_depth_m(terms, here[0], here[1], here[2], planes)
    dx, dy, dz = here[0] - b["here_m"][0], here[1] - b["here_m"][1], here[2] - b["here_m"][2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@kernel
def reached_us(
    terms: np.void, a: np.void, b: np.void, planes: Planes, now_us: int, limits: Limits
) -> int:
    """Since when the alert ring could have been reached; after `now_us` if not yet.

    A device whose position is not known could be anywhere: since ever.
    """
    since_us = oldest_us(a, b)
    if since_us == UNKNOWN_TIME_US:
        return UNKNOWN_TIME_US
    depth_m = _depth_then_m(terms, a, b, planes)
    if _way_left_m(terms, a, b, depth_m, now_us, limits) > 0.0:
        return now_us + 1
    low, high = since_us, now_us
    for _ in range(_HALVINGS):
        if high - low <= 1:
            break
        middle = low + (high - low) // 2
        if _way_left_m(terms, a, b, depth_m, middle, limits) > 0.0:
            low = middle
        else:
            high = middle
    return high


@kernel
def until_heard_us(
    state: np.void, terms: np.void, a: np.void, b: np.void, now_us: int, limits: Limits
) -> int:
    """The instant up to which only a fix can change a watch, `now_us` where time can.

    Time changes nothing for devices of which none was ever heard, nor for what is unknown already
    because of silence: what was possible remains so, and nothing counts towards calm.
    """
    newest = newest_us(a, b)
    if newest == UNKNOWN_TIME_US:
        return _NEVER_US
    oldest = oldest_us(a, b)
    if not state["unknown"] or is_fresh(terms, a, b, now_us, limits):
        return now_us
    for ring in range(RINGS):
        if state["calm_now_us"][ring] != UNKNOWN_TIME_US:
            return now_us
    return _NEVER_US if oldest == UNKNOWN_TIME_US else now_us + (now_us - oldest) // _LOOKS
