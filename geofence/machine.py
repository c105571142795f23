"""How the level of a watch changes.

A watch *holds* one of four levels, by its rings, and beside that may be *unknown*, which is then
what it shows. Two things move it: evidence (both devices have a fix not older than
`stale_after_s`), and the passing of time.

**Rising** is eager: one piece of evidence that being inside a ring is at least
`enter_probability` likely is enough, and any number of levels may be passed at once.

**Falling** is conservative, ring by ring. Evidence is *calm* for a ring when being inside the
widened ring is at most `clear_probability` likely and the ring itself lies more than
`reach_sigmas` away, so that a fix too coarse to say anything does not clear. Calm must last for
`clear_dwell_s` without a break. It is measured in fix time, by the older fix of a pair, so that a
buffer flushed in one message is judged as if it had come one by one; or in time since it was
received, so that it can end without another fix.

**Unknown** means: nearness cannot be excluded. It is entered

- in time, when nothing has been decided for longer than allowed (counted from the instant the
  engine began to listen, if that was later: a restart accuses nobody at once) and the devices,
  moving at `plausible_mps` towards each other since their last fixes, could by now be inside the
  alert ring. A pair of which one device has never been heard cannot be excluded, once the other
  has a position; a watch none of whose devices was ever heard stays clear at no distance, because
  nothing suggests nearness: that silence is a matter of device health;
- by evidence, when a pair is measured within the alert ring by fixes so coarse that they could
  not show it more likely than not even at distance 0.

It is left when evidence decides again: to the level held if that evidence supports it or to a
higher one; and where it speaks for a lower level, only after the dwell, so that somebody who
comes out of a tunnel far away does not cause another alarm on his way to clear.

An *episode* is one spell away from clear. Its onset is the fix time that began it; or, for one
begun by time, the instant from which nearness could not be excluded, whenever that is noticed. So
an engine that replays finds the same onset. Onsets of one watch grow strictly, which lets them
name episodes.

Left for the estimator's time: the path between two fixes that crosses a zone and leaves it again,
prediction as a ground for a level, and outliers that state a good accuracy.
"""

from __future__ import annotations

import math

from geofence.kernel import kernel
from geofence.layout import ALERT_RING, NO_TRACK, RINGS, Layout
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.rules import SECOND_US, Limits
from geofence.track import TrackArray
from geofence.watch import WatchArray, inside

_ALERT = int(Level.ALERT)
_LONG_S = 1e9
"""Bounds a float of seconds (30 years) before it becomes an integer of microseconds."""


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
def _risen(layout: Layout, watch: int, depth_m: float, sigma_m: float, limits: Limits) -> int:
    """The highest level whose ring is probably entered; 0 for none."""
    for ring in range(RINGS - 1, -1, -1):
        enter_m = layout.enter_m[watch, ring]
        if inside(layout, watch, depth_m, enter_m, sigma_m) >= limits.enter_probability:
            return ring + 1
    return 0


@kernel
def _excluded(depth_m: float, ring_m: float, sigma_m: float, limits: Limits) -> bool:
    return depth_m - limits.reach_sigmas * sigma_m > ring_m


@kernel
def _calm(
    layout: Layout, watch: int, ring: int, depth_m: float, sigma_m: float, limits: Limits
) -> bool:
    enter_m = layout.enter_m[watch, ring]
    if math.isnan(enter_m):
        return True
    if not _excluded(depth_m, enter_m, sigma_m, limits):
        return False
    hold_m = layout.hold_m[watch, ring]
    return inside(layout, watch, depth_m, hold_m, sigma_m) <= limits.clear_probability


@kernel
def _note_calm(
    watches: WatchArray, watch: int, layout: Layout, time_us: int, now_us: int, limits: Limits
) -> None:
    """Start, keep or break the calm of every ring up to the level held."""
    state = watches[watch]
    for ring in range(RINGS):
        calm = ring < state["held"] and _calm(
            layout, watch, ring, state["depth_m"], state["sigma_m"], limits
        )
        if not calm:
            state["calm_fix_us"][ring] = UNKNOWN_TIME_US
            state["calm_now_us"][ring] = UNKNOWN_TIME_US
        elif state["calm_now_us"][ring] == UNKNOWN_TIME_US:
            state["calm_fix_us"][ring] = time_us
            state["calm_now_us"][ring] = now_us


@kernel
def _fall(watches: WatchArray, watch: int, time_us: int, now_us: int, limits: Limits) -> bool:
    """Give up levels whose ring has been calm for long enough; True if any was."""
    state = watches[watch]
    fell = False
    while state["held"] > 0:
        ring = state["held"] - 1
        if state["calm_now_us"][ring] == UNKNOWN_TIME_US:
            break
        by_fix_us = time_us - state["calm_fix_us"][ring]
        by_now_us = now_us - state["calm_now_us"][ring]
        if max(by_fix_us, by_now_us) < limits.clear_dwell_us:
            break
        state["calm_fix_us"][ring] = UNKNOWN_TIME_US
        state["calm_now_us"][ring] = UNKNOWN_TIME_US
        state["held"] = ring
        fell = True
    return fell


@kernel
def _settled(watches: WatchArray, watch: int) -> bool:
    """Whether nothing speaks for a level below the one held."""
    held: int = watches[watch]["held"]
    if held == 0:
        return True
    calm_us: int = watches[watch]["calm_now_us"][held - 1]
    return calm_us == UNKNOWN_TIME_US


@kernel
def decide(
    watches: WatchArray,
    watch: int,
    tracks: TrackArray,
    layout: Layout,
    now_us: int,
    limits: Limits,
) -> None:
    """Apply the present positions to a watch; they must be measured and not stale."""
    state = watches[watch]
    depth, sigma = state["depth_m"], state["sigma_m"]
    alert_m = layout.enter_m[watch, ALERT_RING]
    time_us = oldest_us(layout, watch, tracks)
    blunt = watch < layout.pair_count and sigma * limits.blunt_sigmas > alert_m
    decisive = not blunt or _excluded(depth, alert_m, sigma, limits)
    if decisive:
        state["decided_us"] = max(state["decided_us"], time_us)
    state["held"] = max(state["held"], _risen(layout, watch, depth, sigma, limits))
    _note_calm(watches, watch, layout, time_us, now_us, limits)
    _fall(watches, watch, time_us, now_us, limits)
    if blunt and depth <= alert_m and state["held"] < _ALERT:
        state["unknown"] = 1
    elif decisive and _settled(watches, watch):
        state["unknown"] = 0


@kernel
def _reached_us(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits
) -> int:
    """Since when the alert ring could have been reached; after `now_us` if not yet.

    A device whose position is not known could be anywhere: since ever.
    """
    state = watches[watch]
    if math.isnan(state["depth_m"]):
        return UNKNOWN_TIME_US
    moving = 1
    age_us = max(0, now_us - tracks[layout.first[watch]]["time_us"])
    if layout.second[watch] != NO_TRACK:
        moving = 2
        age_us += max(0, now_us - tracks[layout.second[watch]]["time_us"])
    way_m = (
        state["depth_m"]
        - limits.reach_sigmas * state["sigma_m"]
        - layout.enter_m[watch, ALERT_RING]
    )
    left_s = way_m / limits.plausible_mps - age_us / SECOND_US
    if left_s > 0.0:
        return now_us + 1
    return now_us + int(max(left_s, -_LONG_S) / moving * SECOND_US)


@kernel
def elapse(
    watches: WatchArray,
    watch: int,
    tracks: TrackArray,
    layout: Layout,
    now_us: int,
    limits: Limits,
) -> int:
    """Apply the passing of time to a watch; the instant that a change of level dates from."""
    state = watches[watch]
    if newest_us(layout, watch, tracks) == UNKNOWN_TIME_US:
        return now_us
    since_us = max(state["decided_us"], tracks[layout.first[watch]]["listening_us"])
    if layout.second[watch] != NO_TRACK:
        since_us = max(since_us, tracks[layout.second[watch]]["listening_us"])
    overdue_us: int = since_us + layout.overdue_us[watch]
    if now_us > overdue_us:
        reached_us = _reached_us(watches, watch, tracks, layout, now_us, limits)
        if reached_us <= now_us:
            state["unknown"] = 1
            for ring in range(RINGS):
                state["calm_fix_us"][ring] = UNKNOWN_TIME_US
                state["calm_now_us"][ring] = UNKNOWN_TIME_US
            return max(overdue_us, reached_us)
    if _fall(watches, watch, UNKNOWN_TIME_US, now_us, limits) and _settled(watches, watch):
        state["unknown"] = 0
    return now_us
