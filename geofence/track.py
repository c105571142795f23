"""Where a device is: the state of a track, what becomes of a fix, and where it is at an instant.

- A track never moves back in time. A fix dated at or before the track's time is late, or a
  duplicate; it is marked and leaves the live picture alone.
- A fix dated too far ahead is marked and not used: it would make every honest fix after it late.
- A blank fix (0 N 0 E, or a pole: what receivers send that have no position) is no place to be at;
  it is marked and not used.
- Every other fix is used, for what it is worth (see `geofence.filter`). One that is probably wild
  or stray is marked as an outlier; it has hardly moved the track, and has made it less sure.

Fixes are marked, never dropped: what they are kept for is not this room's concern.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from geofence.anomalies import is_blank
from geofence.distance import DEGREE_E7, to_cartesian_m
from geofence.filter import FILTER_FIELDS, absorb, begin, lasting_m2, learn, note_odd, prepare
from geofence.kernel import kernel
from geofence.lanes import LANE_FIELDS, LANES
from geofence.levels import UNKNOWN_TIME_US
from geofence.memory import new_rows, on_lines
from geofence.motion import MODEL_DTYPE_FIELDS, blend, fastest_mps, mix, sum_up
from geofence.plan import FloatArray, IntArray
from geofence.proximity import SIGMAS_PER_R68
from geofence.rules import Limits


class Mark(IntEnum):
    """What became of a fix. Stored: never renumber."""

    USED = 0
    LATE = 1
    DUPLICATE = 2
    UNWATCHED = 3
    FUTURE = 4
    COARSE = 5  # given by earlier versions
    OUTLIER = 6
    MOVED = 7
    BLANK = 8


_USED = int(Mark.USED)
_LATE = int(Mark.LATE)
_DUPLICATE = int(Mark.DUPLICATE)
_FUTURE = int(Mark.FUTURE)
_OUTLIER = int(Mark.OUTLIER)
_MOVED = int(Mark.MOVED)
_BLANK = int(Mark.BLANK)

_POLE_E7 = 900_000_000
_BLANK_E7 = 1_000
"""11 m: only so near to the equator or a pole is it worth asking whether a fix is blank."""
_SECOND_US = 1e6
_INTERVAL_GAIN = 0.2
"""The mean interval follows a change of rate within about five fixes."""

TRACK_DTYPE = on_lines(
    [
        # What others need of it, to tell that it is far from them, comes first, close together.
        ("time_us", np.int64),  # of the last fix used, or UNKNOWN_TIME_US
        ("here_m", np.float64, (3,)),  # what is believed at time_us
        ("here_sigma_m", np.float64),
        ("moving_mps", np.float64),  # no faster does the place move, or its error grow,
        ("growing_mps", np.float64),  # until the next fix (see geofence.due)
        ("pace_mps", np.float64),  # greatest plausible speed, by the movement last seen
        ("path_m", np.float64),  # from the fix before; 0 where there is none
        ("path_sigma_m", np.float64),  # the greater error of the two
        ("span_s", np.float64),  # between the two; 0 where the way between is not looked at
        ("interval_s", np.float64),  # between fixes of late; 0 before the second
        # How often it reports: the lesser of the last interval and the mean before it. One gap
        # does not make a device one that reports rarely, two in a row do. 0 before the third fix.
        ("usual_s", np.float64),
        ("before_us", np.int64),  # of the fix before; UNKNOWN_TIME_US: there is none
        ("listening_us", np.int64),  # since when this device could be heard
        ("lat_e7", np.int64),  # the last fix used, as it was sent
        ("lon_e7", np.int64),
        ("before_m", np.float64, (3,)),  # what was believed at the fix before
        ("before_sigma_m", np.float64),
        ("at_us", np.int64),  # instant of what follows; never before time_us
        ("xyz_m", np.float64, (3,)),
        ("xyz_mps", np.float64, (3,)),
        ("sigma_m", np.float64),  # per axis, with what does not average out
        ("sigma_mps", np.float64),
        *MODEL_DTYPE_FIELDS,
        *FILTER_FIELDS,
    ]
)
"""State of one track."""

TrackArray = NDArray[np.void]
"""(T,) of `TRACK_DTYPE`."""

MarkArray = NDArray[np.uint8]
"""(n,) of `Mark`, one for each fix."""


def new_tracks(count: int, *, listening_us: int) -> TrackArray:
    """Tracks of devices not seen yet, which could be heard since `listening_us`."""
    tracks = new_rows(count, TRACK_DTYPE)
    tracks["listening_us"] = listening_us
    for name in ("time_us", "before_us", "at_us"):
        tracks[name] = UNKNOWN_TIME_US
    return tracks


SCRATCH_DTYPE = np.dtype([("placed", np.float64, (9,)), *LANE_FIELDS], align=True)
Scratch = np.void
"""One of `SCRATCH_DTYPE`: what `geofence.motion.blend` and the lanes are written to."""


def new_scratch() -> Scratch:
    """Room that tracks are computed in."""
    room: Scratch = np.zeros(1, SCRATCH_DTYPE)[0]
    return room


@kernel
def stated_sigma_m(accuracy_cm: int, limits: Limits) -> float:
    """Error per axis that a stated 68 % radius claims; 0 and below state nothing."""
    if accuracy_cm <= 0:
        return float(limits.unknown_sigma_m)
    return float(max(limits.sigma_floor_m, accuracy_cm / 100.0 * SIGMAS_PER_R68))


@kernel
def _is_blank(lat_e7: int, lon_e7: int) -> bool:
    if _BLANK_E7 < abs(lat_e7) < _POLE_E7 - _BLANK_E7:
        return False
    x, y, z = to_cartesian_m(lat_e7 / DEGREE_E7, lon_e7 / DEGREE_E7)
    return is_blank(x, y, z)


@kernel
def judge(
    last: np.void, time_us: int, lat_e7: int, lon_e7: int, now_us: int, limits: Limits
) -> int:
    """What is to become of a fix: a value of `Mark`. Changes nothing."""
    if time_us > now_us + limits.future_limit_us:
        return _FUTURE
    if _is_blank(lat_e7, lon_e7):
        return _BLANK
    if last["time_us"] == UNKNOWN_TIME_US:
        return _USED
    if time_us == last["time_us"] and lat_e7 == last["lat_e7"] and lon_e7 == last["lon_e7"]:
        return _DUPLICATE
    if time_us <= last["time_us"]:
        return _LATE
    return _USED


@kernel
def advance(
    state: np.void, time_us: int, lat_e7: int, lon_e7: int, accuracy_cm: int, limits: Limits,
    scratch: Scratch,
) -> int:  # fmt: skip
    """Take in a fix that `judge` found good.

    Returns:
        `Mark.USED`, `Mark.OUTLIER`, or `Mark.MOVED` where the track began anew at this fix.
    """
    x, y, z = to_cartesian_m(lat_e7 / DEGREE_E7, lon_e7 / DEGREE_E7)
    make_ready(state, 0, time_us, x, y, z, accuracy_cm, limits, scratch)
    reckon(limits, scratch)
    return settle(state, 0, time_us, lat_e7, lon_e7, limits, scratch)


@kernel
def make_ready(
    state: np.void, lane: int, time_us: int, x: float, y: float, z: float, accuracy_cm: int,
    limits: Limits, scratch: Scratch,
) -> None:  # fmt: skip
    """Put a fix that `judge` found good into a lane; changes nothing of the track.

    `advance` in three steps, for several fixes of different tracks: first this for each of them,
    then `reckon` for all, and `settle` for each.
    """
    fix_m = scratch["fix_m"]
    fix_m[0, lane], fix_m[1, lane], fix_m[2, lane] = x, y, z
    sigma_m = stated_sigma_m(accuracy_cm, limits)
    scratch["stated_m"][lane] = sigma_m
    if _goes_on(state, time_us, limits):
        since_s = (time_us - state["time_us"]) / _SECOND_US
        prepare(state, lane, sigma_m, since_s, limits, scratch)


@kernel
def reckon(limits: Limits, scratch: Scratch) -> None:
    """What the fixes of all lanes make of their tracks, wherever these go on."""
    mix(scratch, limits)
    absorb(scratch, limits)
    sum_up(scratch)


@kernel
def fill_lanes(
    tracks: TrackArray, limits: Limits, scratch: Scratch, track: IntArray, time_us: IntArray,
    lat_e7: IntArray, lon_e7: IntArray, accuracy_cm: IntArray, fix_m: FloatArray, now_us: int,
    start: int, marks: MarkArray,
) -> int:  # fmt: skip
    """Judge the fixes from `start` on, one of a track at the most, and reckon what they change.

    Of the tracks nothing is changed: that is for `settle`, fix by fix. Each fix is in the lane of
    its place after `start`; `fix_m` (3, n) holds their places, and `marks` is written.

    Returns:
        The fix after them.
    """
    end = min(start + LANES, track.size)
    for i in range(start, end):
        who = track[i]
        if who < 0:
            continue
        for before in range(start, i):
            if track[before] == who:
                end = i
        if end == i:
            break
        state = tracks[who]
        marks[i] = judge(state, time_us[i], lat_e7[i], lon_e7[i], now_us, limits)
        if marks[i] == _USED:
            make_ready(
                state, i - start, time_us[i], fix_m[0, i], fix_m[1, i], fix_m[2, i],
                accuracy_cm[i], limits, scratch,
            )  # fmt: skip
    reckon(limits, scratch)
    return end


@kernel
def settle(
    state: np.void, lane: int, time_us: int, lat_e7: int, lon_e7: int, limits: Limits,
    scratch: Scratch,
) -> int:  # fmt: skip
    """Change a track for the fix of a lane; returns what `advance` does."""
    fix_m = scratch["fix_m"]
    x, y, z = fix_m[0, lane], fix_m[1, lane], fix_m[2, lane]
    sigma_m = scratch["stated_m"][lane]
    mark = _USED
    anew = not _goes_on(state, time_us, limits)
    if anew:
        begin(state, x, y, z, sigma_m, limits)
        state["before_us"] = UNKNOWN_TIME_US
        state["interval_s"] = 0.0
        state["usual_s"] = 0.0
    else:
        _note_before(state, time_us)
        learn(state, lane, sigma_m, limits, scratch)
        sound = scratch["sound"][lane]
        if note_odd(state, time_us, x, y, z, sigma_m, sound, limits):
            mark = _MOVED
            anew = True
            state["before_us"] = UNKNOWN_TIME_US
        elif sound < 0.5:
            mark = _OUTLIER
    state["time_us"] = time_us
    state["lat_e7"] = lat_e7
    state["lon_e7"] = lon_e7
    if anew:
        state["at_us"] = UNKNOWN_TIME_US
        place(state, time_us, limits, scratch)
    else:
        _place_here(state, lane, limits, scratch)
    state["here_sigma_m"] = state["sigma_m"]
    speed2 = 0.0
    for axis in range(3):
        state["here_m"][axis] = state["xyz_m"][axis]
        speed2 += state["xyz_mps"][axis] * state["xyz_mps"][axis]
    pace_mps = limits.reach_factor * math.sqrt(speed2) + 2.0 * state["sigma_mps"]
    state["pace_mps"] = min(limits.reach_most_mps, max(limits.reach_least_mps, pace_mps))
    state["moving_mps"], state["growing_mps"] = fastest_mps(state, limits)
    _note_path(state, limits)
    return mark


@kernel
def _goes_on(state: np.void, time_us: int, limits: Limits) -> bool:
    """Whether a fix continues the track, and does not begin it."""
    last_us: int = state["time_us"]
    return last_us != UNKNOWN_TIME_US and time_us - last_us <= limits.restart_us


@kernel
def _note_before(state: np.void, time_us: int) -> None:
    """Keep where the track was at the fix before, and how often there are fixes."""
    state["before_us"] = state["time_us"]
    state["before_sigma_m"] = state["here_sigma_m"]
    for axis in range(3):
        state["before_m"][axis] = state["here_m"][axis]
    since_s = (time_us - state["time_us"]) / _SECOND_US
    interval_s = state["interval_s"]
    state["usual_s"] = min(since_s, interval_s)
    gain = _INTERVAL_GAIN if interval_s > 0.0 else 1.0
    state["interval_s"] = interval_s + gain * (since_s - interval_s)


@kernel
def _place_here(state: np.void, lane: int, limits: Limits, scratch: Scratch) -> None:
    """`place` at the fix of a lane."""
    here = scratch["here"]
    state["at_us"] = state["time_us"]
    for axis in range(3):
        state["xyz_m"][axis] = here[axis, lane]
        state["xyz_mps"][axis] = here[3 + axis, lane]
    state["sigma_m"] = math.sqrt(here[6, lane] + lasting_m2(state, limits))
    state["sigma_mps"] = math.sqrt(here[7, lane])


@kernel
def _note_path(state: np.void, limits: Limits) -> None:
    """Note how long, and how sure, the way since the fix before is."""
    state["path_m"] = 0.0
    state["span_s"] = 0.0
    state["path_sigma_m"] = state["here_sigma_m"]
    if state["before_us"] == UNKNOWN_TIME_US:
        return
    way2 = 0.0
    for axis in range(3):
        step_m = state["here_m"][axis] - state["before_m"][axis]
        way2 += step_m * step_m
    state["path_m"] = math.sqrt(way2)
    state["path_sigma_m"] = max(state["here_sigma_m"], state["before_sigma_m"])
    span_us = state["time_us"] - state["before_us"]
    if span_us <= limits.path_limit_us:
        state["span_s"] = span_us / _SECOND_US


@kernel
def reach_m(state: np.void, at_us: int, limits: Limits) -> float:
    """How far a device may have come since its last fix, by the movement seen before, metres.

    At the greatest plausible speed of that; after `boarding_s` at that of a car, if it is higher.
    """
    age_s = max(0, at_us - state["time_us"]) / _SECOND_US
    on_foot_s = min(age_s, limits.boarding_s)
    pace_mps = state["pace_mps"]
    boarded_mps = max(pace_mps, limits.boarded_mps)
    return float(pace_mps * on_foot_s + boarded_mps * (age_s - on_foot_s))


@kernel
def place(state: np.void, at_us: int, limits: Limits, scratch: Scratch) -> None:
    """Bring position, velocity and their errors up to an instant; one before the last fix is it.

    Kept in the track, so that many watches of one device cost no more than one.
    """
    at_us = max(at_us, state["time_us"])
    if state["at_us"] == at_us or state["time_us"] == UNKNOWN_TIME_US:
        return
    sigma_m = foresee(state, at_us, limits, scratch)
    out = scratch["placed"]
    state["at_us"] = at_us
    for axis in range(3):
        state["xyz_m"][axis] = out[axis]
        state["xyz_mps"][axis] = out[3 + axis]
    state["sigma_m"] = sigma_m
    state["sigma_mps"] = math.sqrt(out[8])


@kernel
def foresee(state: np.void, at_us: int, limits: Limits, scratch: Scratch) -> float:
    """Write what `blend` says of an instant to ``scratch["placed"]``, without keeping it.

    Returns:
        The error of the position per axis, with what does not average out.
    """
    blend(state, (at_us - state["time_us"]) / _SECOND_US, limits, scratch["placed"])
    return math.sqrt(scratch["placed"][6] + lasting_m2(state, limits))
