"""The engine's three passes over its arrays: over fixes, over time, over a new plan.

Each writes the changes of level it finds to a buffer of fixed length and stops where the next
step might not fit, saying where; the caller empties the buffer and goes on. The state never holds
a change that the buffer has no room for.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geofence.due import far_m, next_due_us
from geofence.kernel import kernel
from geofence.layout import NO_TRACK, Layout
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from geofence.machine import decide, elapse, glance
from geofence.plan import FloatArray, IntArray
from geofence.rising import NO_MOVER, hear
from geofence.rules import Limits
from geofence.silence import oldest_us, until_heard_us
from geofence.track import Mark, TrackArray, advance, judge
from geofence.watch import (
    WatchArray,
    describe,
    level_of,
    measure,
    ring_in_question,
    settle_depth,
    time_to_contact_s,
)

_CLEAR = int(Level.CLEAR)
_USED = int(Mark.USED)
_UNWATCHED = int(Mark.UNWATCHED)
_AHEAD = int(Cause.AHEAD)
_PATH = int(Cause.PATH)
_BEACON = int(Cause.BEACON)

CHANGE_DTYPE = np.dtype(
    [
        ("watch", np.int64),
        ("number", np.int64),
        ("previous", np.int64),
        ("level", np.int64),
        ("onset_us", np.int64),
        ("distance_m", np.float64),
        ("distance_low_m", np.float64),
        ("distance_high_m", np.float64),
        ("probability", np.float64),
        ("time_to_contact_s", np.float64),
        ("fix_time_a_us", np.int64),
        ("fix_time_b_us", np.int64),
        ("cause", np.int64),
        ("sigma_m", np.float64),
        ("ring_m", np.float64),
        ("closest_m", np.float64),
        ("closest_us", np.int64),
    ],
    align=True,
)
"""One change of level, as `geofence.levels.Transition` without the names."""

ChangeArray = NDArray[np.void]
"""(C,) of `CHANGE_DTYPE`."""

MarkArray = NDArray[np.uint8]


@kernel
def write_change(
    changes: ChangeArray,
    count: int,
    watches: WatchArray,
    watch: int,
    previous: int,
    tracks: TrackArray,
    layout: Layout,
) -> None:
    """Fill row `count` of `changes` from the state of a watch."""
    row = changes[count]
    state = watches[watch]
    settle_depth(watches, watch, tracks, layout)
    row["watch"] = watch
    row["number"] = state["number"]
    row["previous"] = previous
    row["level"] = level_of(watches, watch)
    row["onset_us"] = state["onset_us"]
    distance_m, low_m, high_m, probability = describe(watches, watch, state["depth_m"], layout)
    row["distance_m"] = distance_m
    row["distance_low_m"] = low_m
    row["distance_high_m"] = high_m
    row["probability"] = probability
    row["time_to_contact_s"] = time_to_contact_s(watches, watch, tracks, layout)
    row["fix_time_a_us"] = tracks[layout.first[watch]]["time_us"]
    row["fix_time_b_us"] = UNKNOWN_TIME_US
    if layout.second[watch] != NO_TRACK:
        row["fix_time_b_us"] = tracks[layout.second[watch]]["time_us"]
    row["cause"] = state["cause"]
    row["sigma_m"] = state["sigma_m"]
    row["ring_m"] = layout.enter_m[watch, ring_in_question(watches, watch, layout)]
    row["closest_m"] = math.nan
    row["closest_us"] = UNKNOWN_TIME_US
    if state["cause"] == _PATH:
        row["closest_m"] = state["closest_m"]
        row["closest_us"] = state["closest_us"]
    if state["cause"] == _PATH or state["cause"] == _AHEAD or state["cause"] == _BEACON:
        row["probability"] = state["chance"]


@kernel
def _record(
    changes: ChangeArray,
    count: int,
    watches: WatchArray,
    watch: int,
    previous: int,
    since_us: int,
    tracks: TrackArray,
    layout: Layout,
) -> int:
    """Write a change if the level is another than before; the new number of changes."""
    if level_of(watches, watch) == previous:
        return count
    state = watches[watch]
    state["number"] += 1
    if previous == _CLEAR:
        # An episode cannot begin before the one that it follows, whatever a device's clock says.
        state["onset_us"] = max(since_us, state["onset_us"] + 1)
    write_change(changes, count, watches, watch, previous, tracks, layout)
    return count + 1


@kernel
def _fresh(watch: int, tracks: TrackArray, layout: Layout, now_us: int) -> bool:
    """Whether all of a watch's devices have a fix young enough to decide on."""
    fix_us = oldest_us(layout, watch, tracks)
    return fix_us != UNKNOWN_TIME_US and now_us - fix_us <= layout.overdue_us[watch]


@kernel
def _take_evidence(
    tracks: TrackArray, watches: WatchArray, layout: Layout, limits: Limits, scratch: FloatArray,
    watch: int, mover: int, since_us: int, now_us: int, changes: ChangeArray, count: int,
) -> int:  # fmt: skip
    """Look at a watch for a new fix or a new plan; the new number of changes."""
    measure(watches, watch, tracks, layout, now_us, limits, scratch)
    state = watches[watch]
    if not _fresh(watch, tracks, layout, now_us):
        # It decides nothing, but what silence leaves possible counts from another place now.
        state["due_us"] = next_due_us(watches, watch, tracks, layout, now_us, limits)
        return count
    quiet = state["held"] == 0 and state["unknown"] == 0
    if quiet and far_m(watches, watch, tracks, layout, limits) > 0.0:
        # Neither position, prediction nor the way can reach a ring: what `decide` would find.
        state["decided_us"] = max(state["decided_us"], oldest_us(layout, watch, tracks))
    else:
        previous = level_of(watches, watch)
        decide(watches, watch, tracks, layout, now_us, mover, limits)
        count = _record(changes, count, watches, watch, previous, since_us, tracks, layout)
    state["due_us"] = next_due_us(watches, watch, tracks, layout, now_us, limits)
    return count


@kernel
def take_fixes(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    scratch: FloatArray,
    track: IntArray,
    time_us: IntArray,
    lat_e7: IntArray,
    lon_e7: IntArray,
    accuracy_cm: IntArray,
    now_us: int,
    start: int,
    marks: MarkArray,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Work through fixes in the order given, from `start`.

    Returns:
        The fix to go on with (n when done), and the number of changes written.
    """
    count = 0
    for i in range(start, track.size):
        who = track[i]
        if who < 0:
            marks[i] = _UNWATCHED
            continue
        first, end = layout.track_start[who], layout.track_start[who + 1]
        if count + end - first > changes.size:
            return i, count
        mark = judge(tracks, who, time_us[i], lat_e7[i], lon_e7[i], now_us, limits)
        if mark == _USED:
            mark = advance(
                tracks, who, time_us[i], lat_e7[i], lon_e7[i], accuracy_cm[i], limits, scratch
            )
            for k in range(first, end):
                count = _take_evidence(
                    tracks, watches, layout, limits, scratch,
                    layout.track_watch[k], who, time_us[i], now_us, changes, count,
                )  # fmt: skip
        marks[i] = mark
    return track.size, count


@kernel
def take_time(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    scratch: FloatArray,
    now_us: int,
    start: int,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Let time pass for every watch from `start`; returns as `take_fixes` does.

    Only those are looked at that are due: for the others nothing can have changed.
    """
    count = 0
    for watch in range(start, watches.size):
        state = watches[watch]
        if state["due_us"] > now_us:
            continue
        if count == changes.size:
            return watch, count
        previous = level_of(watches, watch)
        measure(watches, watch, tracks, layout, now_us, limits, scratch)
        since_us = now_us
        if _fresh(watch, tracks, layout, now_us):
            glance(watches, watch, tracks, layout, now_us, limits)
        elapsed_us = elapse(watches, watch, tracks, layout, now_us, limits)
        if previous == _CLEAR:
            since_us = min(since_us, elapsed_us)
        count = _record(changes, count, watches, watch, previous, since_us, tracks, layout)
        state["due_us"] = max(
            next_due_us(watches, watch, tracks, layout, now_us, limits),
            until_heard_us(watches, watch, tracks, layout, now_us),
        )
    return watches.size, count


@kernel
def take_plan(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    scratch: FloatArray,
    changed: NDArray[np.bool_],
    now_us: int,
    start: int,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Look at the watches that another plan has changed; returns as `take_fixes` does."""
    count = 0
    for watch in range(start, watches.size):
        if not changed[watch]:
            continue
        if count == changes.size:
            return watch, count
        count = _take_evidence(
            tracks, watches, layout, limits, scratch,
            watch, NO_MOVER, now_us, now_us, changes, count,
        )  # fmt: skip
    return watches.size, count


@kernel
def measure_where(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    scratch: FloatArray,
    chosen: NDArray[np.bool_],
) -> None:
    """Measure watches where their tracks were placed last, without deciding anything."""
    for watch in range(watches.size):
        if not chosen[watch]:
            continue
        at_us = tracks[layout.first[watch]]["at_us"]
        if layout.second[watch] != NO_TRACK:
            at_us = max(at_us, tracks[layout.second[watch]]["at_us"])
        measure(watches, watch, tracks, layout, at_us, limits, scratch)


@kernel
def take_sighting(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    scratch: FloatArray,
    watch: int,
    time_us: int,
    now_us: int,
    changes: ChangeArray,
) -> int:
    """One device of a pair hears the other's beacon: contact, whatever the satellites say.

    `time_us` is `UNKNOWN_TIME_US` when it hears it no more. Returns the number of changes written.
    """
    state = watches[watch]
    state["beacon_us"] = time_us
    measure(watches, watch, tracks, layout, now_us, limits, scratch)
    previous = level_of(watches, watch)
    if time_us != UNKNOWN_TIME_US and now_us - time_us <= limits.beacon_hold_us:
        hear(watches, watch)
    state["due_us"] = now_us
    return _record(changes, 0, watches, watch, previous, time_us, tracks, layout)
