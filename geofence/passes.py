"""The engine's three passes over its arrays: over fixes, over time, over a new plan.

Each writes the changes of level it finds to a buffer of fixed length and stops where the next
step might not fit, saying where; the caller empties the buffer and goes on. The state never holds
a change that the buffer has no room for.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geofence.due import cannot_see, next_due_us, settle_far
from geofence.fetching import TRACK_LINES, fetch_ahead
from geofence.kernel import kernel
from geofence.layout import NO_ZONE, Layout
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from geofence.machine import decide, elapse, glance
from geofence.memory import RowArray, borrowed, fetch
from geofence.plan import FloatArray, IntArray
from geofence.planes import Planes
from geofence.rising import FIRST_MOVED, NO_MOVER, SECOND_MOVED, hear
from geofence.rules import Limits
from geofence.silence import is_fresh, oldest_us, until_heard_us
from geofence.track import Mark, MarkArray, Scratch, TrackArray, fill_lanes, settle
from geofence.watch import (
    WatchArray,
    describe,
    level_of,
    measure,
    ring_in_question,
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

SWEPT_AHEAD = 8
"""Watches that a sweep looks ahead."""


@kernel
def write_change(
    row: np.void, state: np.void, terms: np.void, a: np.void, b: np.void, watch: int, previous: int
) -> None:  # fmt: skip
    """Fill a row of changes from the state of a watch."""
    row["watch"] = watch
    row["number"] = state["number"]
    row["previous"] = previous
    row["level"] = level_of(state)
    row["onset_us"] = state["onset_us"]
    distance_m, low_m, high_m, probability = describe(
        state, terms, state["depth_m"], state["sigma_m"]
    )
    row["distance_m"] = distance_m
    row["distance_low_m"] = low_m
    row["distance_high_m"] = high_m
    row["probability"] = probability
    row["time_to_contact_s"] = time_to_contact_s(state, terms, a, b)
    row["fix_time_a_us"] = a["time_us"]
    row["fix_time_b_us"] = b["time_us"] if terms["zone"] == NO_ZONE else UNKNOWN_TIME_US
    row["cause"] = state["cause"]
    row["sigma_m"] = state["sigma_m"]
    row["ring_m"] = terms["enter_m"][ring_in_question(state, terms)]
    row["closest_m"] = math.nan
    row["closest_us"] = UNKNOWN_TIME_US
    if state["cause"] == _PATH:
        row["closest_m"] = state["closest_m"]
        row["closest_us"] = state["closest_us"]
    if state["cause"] == _PATH or state["cause"] == _AHEAD or state["cause"] == _BEACON:
        row["probability"] = state["chance"]


@kernel
def _record(
    row: np.void, state: np.void, terms: np.void, a: np.void, b: np.void, watch: int,
    previous: int, since_us: int,
) -> int:  # fmt: skip
    """Write a change if the level is another than before; how many were written."""
    if level_of(state) == previous:
        return 0
    state["number"] += 1
    if previous == _CLEAR:
        # An episode cannot begin before the one that it follows, whatever a device's clock says.
        state["onset_us"] = max(since_us, state["onset_us"] + 1)
    write_change(row, state, terms, a, b, watch, previous)
    return 1


@kernel
def _passed_by(
    state: np.void, terms: np.void, mover: np.void, other: np.void, now_us: int, limits: Limits
) -> bool:
    """Whether a fix changes nothing, because everything is far away; then that is noted.

    Most watches end here. It takes no arrays: counting references to them is what would cost most.
    """
    if state["held"] or state["unknown"] or not is_fresh(terms, mover, other, now_us, limits):
        return False
    if not settle_far(state, terms, mover, other, now_us, limits):
        return False
    state["decided_us"] = max(state["decided_us"], oldest_us(mover, other))
    return True


@kernel
def _take_evidence(
    row: np.void, state: np.void, terms: np.void, a: np.void, b: np.void, planes: Planes,
    limits: Limits, scratch: Scratch, watch: int, mover: int, since_us: int, now_us: int,
) -> int:  # fmt: skip
    """Look at a watch for a new fix or a new plan; how many changes were written to the row."""
    measure(state, terms, a, b, planes, now_us, limits, scratch)
    if terms["zone"] != NO_ZONE and _passed_by(state, terms, a, a, now_us, limits):
        return 0  # it was only not known where the boundary is
    count = 0
    if is_fresh(terms, a, b, now_us, limits):
        previous = level_of(state)
        decide(state, terms, a, b, planes, now_us, mover, limits)
        count = _record(row, state, terms, a, b, watch, previous, since_us)
    # Where it is not fresh it decides nothing, but what silence leaves possible counts from
    # another place now.
    state["due_us"] = next_due_us(state, terms, a, b, now_us, limits)
    return count


@kernel
def _borrowed_planes(layout: Layout) -> Planes:
    planes = layout.planes
    return Planes(borrowed(planes.zones), borrowed(planes.corridors), borrowed(planes.edges))


@kernel
def take_fixes(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    track: IntArray,
    time_us: IntArray,
    lat_e7: IntArray,
    lon_e7: IntArray,
    accuracy_cm: IntArray,
    fix_m: FloatArray,
    now_us: int,
    start: int,
    marks: MarkArray,
    places: FloatArray,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Work through fixes in the order given, from `start`.

    `fix_m` (3, n) holds their Earth-centred places. `marks` and `places` are written; see
    `geofence.anomaly_pass` for the latter.

    Returns:
        The fix to go on with (n when done), and the number of changes written.
    """
    limits, scratch = limits_row[0], scratch_row[0]
    terms, planes = borrowed(layout.terms), _borrowed_planes(layout)
    track_start, track_watch = borrowed(layout.track_start), borrowed(layout.track_watch)
    tracks, watches = borrowed(tracks), borrowed(watches)
    count = 0
    lane_0 = end_of_lanes = start
    for i in range(start, track.size):
        fetch_ahead(tracks, watches, terms, track_start, track_watch, track, i)
        if i == end_of_lanes:
            lane_0 = i
            end_of_lanes = fill_lanes(
                tracks, limits, scratch, track, time_us, lat_e7, lon_e7, accuracy_cm, fix_m,
                now_us, i, marks,
            )  # fmt: skip
        who = track[i]
        if who < 0:
            marks[i] = _UNWATCHED
            continue
        first, end = track_start[who], track_start[who + 1]
        if count + end - first > changes.size:
            return i, count
        if marks[i] != _USED:
            continue
        state = tracks[who]
        marks[i] = settle(state, i - lane_0, time_us[i], lat_e7[i], lon_e7[i], limits, scratch)
        if i < places.shape[0]:
            for axis in range(3):
                places[i, axis] = state["here_m"][axis]
            places[i, 3] = state["here_sigma_m"]
        for k in range(first, end):
            watch = track_watch[k]
            one = terms[watch]
            a, b = tracks[one["first"]], tracks[one["second"]]
            mover, other = (FIRST_MOVED, b) if one["first"] == who else (SECOND_MOVED, a)
            if _passed_by(watches[watch], one, state, other, now_us, limits):
                continue
            count += _take_evidence(
                changes[count], watches[watch], one, a, b, planes, limits, scratch,
                watch, mover, time_us[i], now_us,
            )  # fmt: skip
    return track.size, count


@kernel
def take_time(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    now_us: int,
    start: int,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Let time pass for every watch from `start`; returns as `take_fixes` does.

    Only those are looked at that are due: for the others nothing can have changed.
    """
    limits, scratch = limits_row[0], scratch_row[0]
    terms, planes = borrowed(layout.terms), _borrowed_planes(layout)
    tracks, watches = borrowed(tracks), borrowed(watches)
    count = 0
    for watch in range(start, watches.size):
        coming = min(watch + SWEPT_AHEAD, watches.size - 1)
        if watches[coming]["due_us"] <= now_us:
            fetch(tracks, terms[coming]["first"], TRACK_LINES)
            fetch(tracks, terms[coming]["second"], TRACK_LINES)
        state = watches[watch]
        if state["due_us"] > now_us:
            continue
        if count == changes.size:
            return watch, count
        one = terms[watch]
        a, b = tracks[one["first"]], tracks[one["second"]]
        previous = level_of(state)
        measure(state, one, a, b, planes, now_us, limits, scratch)
        since_us = now_us
        quiet = state["held"] == 0 and state["unknown"] == 0
        unseen = quiet and cannot_see(state, one, a, b, limits)
        if not unseen and is_fresh(one, a, b, now_us, limits):
            glance(state, one, a, b, planes, now_us, limits)
        elapsed_us = elapse(state, one, a, b, planes, now_us, limits)
        if previous == _CLEAR:
            since_us = min(since_us, elapsed_us)
        count += _record(changes[count], state, one, a, b, watch, previous, since_us)
        state["due_us"] = max(
            next_due_us(state, one, a, b, now_us, limits),
            until_heard_us(state, one, a, b, now_us, limits),
        )
    return watches.size, count


@kernel
def take_plan(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    changed: NDArray[np.bool_],
    now_us: int,
    start: int,
    changes: ChangeArray,
) -> tuple[int, int]:
    """Look at the watches that another plan has changed; returns as `take_fixes` does."""
    limits, scratch = limits_row[0], scratch_row[0]
    terms, planes = layout.terms, layout.planes
    count = 0
    for watch in range(start, watches.size):
        if not changed[watch]:
            continue
        if count == changes.size:
            return watch, count
        one = terms[watch]
        count += _take_evidence(
            changes[count], watches[watch], one, tracks[one["first"]], tracks[one["second"]],
            planes, limits, scratch, watch, NO_MOVER, now_us, now_us,
        )  # fmt: skip
    return watches.size, count


@kernel
def measure_where(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    chosen: NDArray[np.bool_],
) -> None:
    """Measure watches where their tracks were placed last, without deciding anything."""
    limits, scratch = limits_row[0], scratch_row[0]
    for watch in range(watches.size):
        if not chosen[watch]:
            continue
        one = layout.terms[watch]
        a, b = tracks[one["first"]], tracks[one["second"]]
        at_us = max(a["at_us"], b["at_us"])
        measure(watches[watch], one, a, b, layout.planes, at_us, limits, scratch)


@kernel
def take_sighting(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    watch: int,
    hearer: int,
    time_us: int,
    lost: bool,  # noqa: FBT001 - a kernel takes no keywords
    now_us: int,
    changes: ChangeArray,
) -> int:
    """One device of a pair hears the other's beacon: contact, whatever the satellites say.

    Args:
        tracks: All tracks.
        watches: All watches.
        layout: As laid out.
        limits_row: Parameters.
        scratch_row: Room to compute in.
        watch: The pair.
        hearer: Which of the two hears: 0 the first, 1 the second.
        time_us: When it was heard, or lost. What is older than its newest report changes
            nothing; of two reports of one instant, in whichever order and however often they
            come, the one of the loss counts.
        lost: It is heard no more.
        now_us: When this is decided.
        changes: As in `take_fixes`.

    Returns:
        The number of changes written.
    """
    limits, scratch = limits_row[0], scratch_row[0]
    state = watches[watch]
    at_us = min(time_us, now_us)  # a clock that is ahead must not outdate what is yet to come
    told_us = state["beacon_told_us"][hearer]
    was_lost = state["beacon_us"][hearer] == UNKNOWN_TIME_US
    if at_us < told_us or (at_us == told_us and was_lost):
        return 0
    state["beacon_told_us"][hearer] = at_us
    state["beacon_us"][hearer] = UNKNOWN_TIME_US if lost else at_us
    one = layout.terms[watch]
    a, b = tracks[one["first"]], tracks[one["second"]]
    measure(state, one, a, b, layout.planes, now_us, limits, scratch)
    previous = level_of(state)
    if not lost and now_us - at_us <= limits.beacon_hold_us:
        hear(state)
    state["due_us"] = now_us
    return _record(changes[0], state, one, a, b, watch, previous, at_us)
