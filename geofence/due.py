"""When a watch must be looked at again although no fix has come.

Most pairs are kilometres from every ring. Nothing can happen to them before somebody has had the
time to come near, and until then a sweep passes them by: its cost goes with the pairs that are
near, not with all.
"""

from __future__ import annotations

import math

from geofence.kernel import kernel
from geofence.layout import NO_TRACK, Layout
from geofence.proximity import NEGLIGIBLE_SIGMAS
from geofence.rules import Limits
from geofence.track import TrackArray, reach_m
from geofence.watch import WatchArray

APPROACH_MPS = 100.0
"""No faster does a depth shrink, all together, for one device: a motorway (42 m/s), and 6.5
standard deviations of its position, which grow by less than 58 m/s (9 m/s of velocity each)."""

_SECOND_US = 1e6


@kernel
def far_m(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, limits: Limits
) -> float:
    """How much farther away a watch is than anything that could raise it now, metres.

    Above 0, neither position nor prediction nor the way since the fix before speaks for any ring.
    """
    state = watches[watch]
    first, second = layout.first[watch], layout.second[watch]
    policy = layout.policy[layout.policy_of[watch]]
    a = tracks[first]
    free_m = abs(state["depth_m"]) - NEGLIGIBLE_SIGMAS * state["sigma_m"] - layout.widest_m[watch]
    span_us = a["time_us"] - a["before_us"]
    if second == NO_TRACK:
        if state["depth_m"] < 0.0:
            return -1.0
        return float(free_m - APPROACH_MPS * min(span_us, limits.path_limit_us) / _SECOND_US)
    b = tracks[second]
    span_us = min(max(span_us, b["time_us"] - b["before_us"]), limits.path_limit_us)
    ahead_s = max(policy["warn_ahead_s"], policy["contact_ahead_s"])
    return float(free_m - 2.0 * APPROACH_MPS * max(ahead_s, span_us / _SECOND_US))


@kernel
def next_due_us(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits
) -> int:
    """The instant at which a watch must be looked at, if no fix comes; `now_us`: at every sweep."""
    state = watches[watch]
    if state["held"] or state["unknown"] or math.isnan(state["depth_m"]):
        return now_us
    a = tracks[layout.first[watch]]
    devices = 1.0
    reached_m = reach_m(a, now_us, limits)
    if layout.second[watch] != NO_TRACK:
        devices = 2.0
        reached_m += reach_m(tracks[layout.second[watch]], now_us, limits)
    # What silence may have reached counts from the last fixes; the rest is still to come.
    free_m = far_m(watches, watch, tracks, layout, limits) - reached_m
    if free_m <= 0.0:
        return now_us
    return now_us + int(free_m / (devices * APPROACH_MPS) * _SECOND_US)
