"""What silence leaves possible: since when nearness cannot be excluded.

From where each was believed to be at the last fix, less the error of that, both may have come
nearer as fast as is plausible for the movement last seen (see `geofence.track.reach_m`).
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel
from geofence.layout import ALERT_RING, NO_TRACK, RINGS, Layout
from geofence.levels import UNKNOWN_TIME_US
from geofence.rules import Limits
from geofence.track import TrackArray, reach_m
from geofence.watch import WatchArray, zone_depth_m

_HALVINGS = 40
"""Of an interval of up to a year, to less than a millisecond."""

_NEVER_US = np.iinfo(np.int64).max
_LOOKS = 16
"""What is shown of somebody silent is brought up to date when the silence is a 16th longer."""


@kernel
def oldest_us(layout: Layout, watch: int, tracks: TrackArray) -> int:
    """Time of the older fix of a watch, `UNKNOWN_TIME_US` if one is missing."""
    a_us: int = tracks[layout.first[watch]]["time_us"]
    if layout.second[watch] == NO_TRACK:
        return a_us
    b_us: int = tracks[layout.second[watch]]["time_us"]
    return min(a_us, b_us)


@kernel
def newest_us(layout: Layout, watch: int, tracks: TrackArray) -> int:
    """Time of the newer fix of a watch, `UNKNOWN_TIME_US` if there is none."""
    a_us: int = tracks[layout.first[watch]]["time_us"]
    if layout.second[watch] == NO_TRACK:
        return a_us
    b_us: int = tracks[layout.second[watch]]["time_us"]
    return max(a_us, b_us)


@kernel
def _way_left_m(
    watch: int, tracks: TrackArray, layout: Layout, at_us: int, limits: Limits
) -> float:
    """How much farther away than plausible the alert ring is at an instant; below 0: not at all."""
    alert_m = layout.enter_m[watch, ALERT_RING]
    a = tracks[layout.first[watch]]
    reached_m = reach_m(a, at_us, limits)
    here, sigma2 = a["here_m"], a["here_sigma_m"] * a["here_sigma_m"]
    if layout.second[watch] == NO_TRACK:
        depth_m = zone_depth_m(watch - layout.pair_count, here[0], here[1], here[2], layout)
        left_m: float = depth_m - limits.reach_sigmas * math.sqrt(sigma2) - alert_m - reached_m
        return left_m
    b = tracks[layout.second[watch]]
    reached_m += reach_m(b, at_us, limits)
    sigma2 += b["here_sigma_m"] * b["here_sigma_m"]
    dx, dy, dz = here[0] - b["here_m"][0], here[1] - b["here_m"][1], here[2] - b["here_m"][2]
    apart_m = math.sqrt(dx * dx + dy * dy + dz * dz)
    way_m: float = apart_m - limits.reach_sigmas * math.sqrt(sigma2) - alert_m - reached_m
    return way_m


@kernel
def reached_us(watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits) -> int:
    """Since when the alert ring could have been reached; after `now_us` if not yet.

    A device whose position is not known could be anywhere: since ever.
    """
    since_us = oldest_us(layout, watch, tracks)
    if since_us == UNKNOWN_TIME_US:
        return UNKNOWN_TIME_US
    if _way_left_m(watch, tracks, layout, now_us, limits) > 0.0:
        return now_us + 1
    low, high = since_us, now_us
    for _ in range(_HALVINGS):
        if high - low <= 1:
            break
        middle = low + (high - low) // 2
        if _way_left_m(watch, tracks, layout, middle, limits) > 0.0:
            low = middle
        else:
            high = middle
    return high


@kernel
def until_heard_us(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int
) -> int:
    """The instant up to which only a fix can change a watch, `now_us` where time can.

    Time changes nothing for devices of which none was ever heard, nor for what is unknown already
    because of silence: what was possible remains so, and nothing counts towards calm.
    """
    newest = newest_us(layout, watch, tracks)
    if newest == UNKNOWN_TIME_US:
        return _NEVER_US
    oldest = oldest_us(layout, watch, tracks)
    state = watches[watch]
    silent = oldest == UNKNOWN_TIME_US or now_us - oldest > layout.overdue_us[watch]
    if not state["unknown"] or not silent:
        return now_us
    for ring in range(RINGS):
        if state["calm_now_us"][ring] != UNKNOWN_TIME_US:
            return now_us
    return _NEVER_US if oldest == UNKNOWN_TIME_US else now_us + (now_us - oldest) // _LOOKS
