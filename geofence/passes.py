"""The engine's three passes over its arrays: over fixes, over time, over a new plan.

Each writes the changes of level it finds to a buffer of fixed length and stops where the next
step might not fit, saying where; the caller empties the buffer and goes on. The state never holds
a change that the buffer has no room for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geofence.kernel import kernel
from geofence.layout import NO_TRACK, Layout
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.machine import decide, elapse, oldest_us
from geofence.plan import IntArray
from geofence.rules import Limits
from geofence.track import Mark, TrackArray, advance, judge
from geofence.watch import WatchArray, describe, level_of, measure, time_to_contact_s

_CLEAR = int(Level.CLEAR)
_USED = int(Mark.USED)
_UNWATCHED = int(Mark.UNWATCHED)

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
    limits: Limits,
) -> None:
    """Fill row `count` of `changes` from the state of a watch."""
    row = changes[count]
    row["watch"] = watch
    row["number"] = watches[watch]["number"]
    row["previous"] = previous
    row["level"] = level_of(watches, watch)
    row["onset_us"] = watches[watch]["onset_us"]
    distance_m, low_m, high_m, probability = describe(watches, watch, layout)
    row["distance_m"] = distance_m
    row["distance_low_m"] = low_m
    row["distance_high_m"] = high_m
    row["probability"] = probability
    row["time_to_contact_s"] = time_to_contact_s(watches, watch, tracks, layout, limits)
    row["fix_time_a_us"] = tracks[layout.first[watch]]["time_us"]
    row["fix_time_b_us"] = UNKNOWN_TIME_US
    if layout.second[watch] != NO_TRACK:
        row["fix_time_b_us"] = tracks[layout.second[watch]]["time_us"]


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
    limits: Limits,
) -> int:
    """Write a change if the level is another than before; the new number of changes."""
    if level_of(watches, watch) == previous:
        return count
    state = watches[watch]
    state["number"] += 1
    if previous == _CLEAR:
        # An episode cannot begin before the one that it follows, whatever a device's clock says.
        state["onset_us"] = max(since_us, state["onset_us"] + 1)
    write_change(changes, count, watches, watch, previous, tracks, layout, limits)
    return count + 1


@kernel
def _fresh(watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits) -> bool:
    """Whether all of a watch's devices have a fix young enough to decide on."""
    fix_us = oldest_us(layout, watch, tracks)
    return fix_us != UNKNOWN_TIME_US and now_us - fix_us <= limits.stale_after_us


@kernel
def take_fixes(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
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
        mark = judge(tracks, who, time_us[i], lat_e7[i], lon_e7[i], accuracy_cm[i], now_us, limits)
        marks[i] = mark
        if mark != _USED:
            continue
        advance(tracks, who, time_us[i], lat_e7[i], lon_e7[i], accuracy_cm[i], limits)
        for k in range(first, end):
            watch = layout.track_watch[k]
            measure(watches, watch, tracks, layout)
            if _fresh(watch, tracks, layout, now_us, limits):
                previous = level_of(watches, watch)
                decide(watches, watch, tracks, layout, now_us, limits)
                count = _record(
                    changes, count, watches, watch, previous, time_us[i], tracks, layout, limits
                )
    return track.size, count


@kernel
def take_time(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    now_us: int,
    start: int,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Let time pass for every watch from `start`; returns as `take_fixes` does."""
    count = 0
    for watch in range(start, watches.size):
        if count == changes.size:
            return watch, count
        previous = level_of(watches, watch)
        since_us = elapse(watches, watch, tracks, layout, now_us, limits)
        count = _record(changes, count, watches, watch, previous, since_us, tracks, layout, limits)
    return watches.size, count


@kernel
def measure_all(tracks: TrackArray, watches: WatchArray, layout: Layout) -> None:
    """Bring every watch up to its tracks without deciding anything."""
    for watch in range(watches.size):
        measure(watches, watch, tracks, layout)


@kernel
def take_plan(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits: Limits,
    now_us: int,
    start: int,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Look at every watch anew under another plan; returns as `take_fixes` does."""
    count = 0
    for watch in range(start, watches.size):
        if count == changes.size:
            return watch, count
        measure(watches, watch, tracks, layout)
        if _fresh(watch, tracks, layout, now_us, limits):
            previous = level_of(watches, watch)
            decide(watches, watch, tracks, layout, now_us, limits)
            count = _record(
                changes, count, watches, watch, previous, now_us, tracks, layout, limits
            )
    return watches.size, count
