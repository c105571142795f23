"""Whether a device can have got to where its fixes say it is.

Two places are kept. *Here* is believed: the last fix that could be reached from the one before.
*There* is the last fix that could not. What can be reached grows with the time between two fixes
at the speed of a fast train (of an airliner, once the gap is long enough for a flight), from a
margin for errors; the time between them is taken without its sign, so that fixes which come late
are judged as well. Each fix is one of four.

- **Here**: it can be reached. It becomes the place believed, if it is newer and not so coarse that
  the one before still tells more.
- **Damaged minutes**: out of reach or very far, but a repair of `geofence.unpadded` lands near. The repair
  becomes the place believed. The other way round, the place believed may be the damaged one: then
  its repair lands near this fix, which is sound.
- **Back**: it cannot be reached, but lies where the device was before a step that only errors
  explain. Then that step was the outlier; this fix is sound.
- **There**: it cannot be reached, and is marked implausible. A fix *agrees* with the other place
  when it can be reached from there and lies four times nearer to there than to here. As long as
  a run lasts, a fix that agrees stays part of it, even where so much time has passed by now that
  one could get from here to there.

A run of fixes that are there, without one that is here among them, is a jump that persists: SPEED.
Once enough of them agree, that is where the device is, and belief moves: here and there change
places. It ends when the device has been consistent for a while.

Changes from one place to the other and back, while the one cannot be reached from the other, are
two devices with one identity: CLONE. The second place must agree with itself; scattered outliers
start the count anew each time. A device that moves once and stays changes once. A fix of the same
time as the last one at its place is that message sent again, or another of a buffer flushed under
one time stamp, and no change. While CLONE goes on, it explains the
jumps, and they are no SPEED.

Fixes that are late (not newer than the newest) neither lengthen nor break a run, and never move
belief; they do count as changes, for the second of two devices may have the slower clock.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.anomaly_rules import AnomalyLimits
from geofence.anomaly_state import (
    Anomaly,
    Fix,
    Oddity,
    begin,
    between_m2,
    end,
    is_active,
    is_in_order,
    put,
    square_m2,
)
from geofence.durations import SECOND_US
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US
from geofence.unpadded import repaired_near

_SPEED = int(Anomaly.SPEED)
_CLONE = int(Anomaly.CLONE)
_MINUTES = int(Anomaly.MINUTES)
_NOTHING = int(Oddity.NONE)
_IMPLAUSIBLE = int(Oddity.IMPLAUSIBLE)
_DAMAGED = int(Oddity.MINUTES)

_AGREEMENT2 = 16.0
"""Square of how many times nearer a fix must be to the place it agrees with."""

_RETURN2 = 4.0
"""The same for a return to the place before a step that only errors explain, whose errors are large
by nature."""

_DAMAGE_M = 10_000.0
"""Damaged minutes move a fix by 0.83 degrees or more: 92 km north, and 16 km east at 80 degrees."""

_FAR_M = 1_000_000.0
"""Damaged minutes explain a step better than a flight of this length does, however long the gap."""


@kernel
def way_m(gap_us: int, limits: AnomalyLimits) -> float:
    """How far a device may travel between two fixes."""
    size_us = abs(gap_us)
    way = limits.vehicle_mps * size_us
    if size_us > limits.flight_after_us:
        way += (limits.flight_mps - limits.vehicle_mps) * (size_us - limits.flight_after_us)
    return float(way / SECOND_US)


@kernel
def reach_m(gap_us: int, radii_m: float, limits: AnomalyLimits) -> float:
    """How far apart two fixes may lie, given also the sum of their 68 % radii."""
    return float(limits.jump_m + limits.error_radii * radii_m + way_m(gap_us, limits))


@kernel
def _here_reach_m(row: np.void, fix: Fix, limits: AnomalyLimits) -> float:
    return reach_m(fix.time_us - row["here_us"], fix.radius_m + row["here_radius_m"], limits)


@kernel
def _there_reach_m(row: np.void, fix: Fix, limits: AnomalyLimits) -> float:
    if row["there_us"] == UNKNOWN_TIME_US:
        return -1.0
    return reach_m(fix.time_us - row["there_us"], fix.radius_m + row["there_radius_m"], limits)


@kernel
def _put_here(row: np.void, fix: Fix) -> None:
    row["here_us"] = fix.time_us
    row["here_radius_m"] = fix.radius_m
    put(row["here_m"], fix)


@kernel
def _put_there(row: np.void, fix: Fix) -> None:
    row["there_us"] = fix.time_us
    row["there_radius_m"] = fix.radius_m
    put(row["there_m"], fix)


@kernel
def _advance_here(row: np.void, fix: Fix, here2: float, limits: AnomalyLimits) -> None:
    """Move belief along, unless the old place, grown since, still tells more than the new fix."""
    way = way_m(fix.time_us - row["here_us"], limits)
    if fix.radius_m > row["here_radius_m"] + way:
        return
    if here2 > way * way:
        row["prior_us"] = row["here_us"]
        row["prior_radius_m"] = row["here_radius_m"]
        for axis in range(3):
            row["prior_m"][axis] = row["here_m"][axis]
    _put_here(row, fix)


@kernel
def _is_return(row: np.void, fix: Fix, here2: float, limits: AnomalyLimits) -> bool:
    """Whether a fix is where the device was before a step that only errors explain."""
    gap_us = fix.time_us - row["prior_us"]
    if row["prior_us"] == UNKNOWN_TIME_US or gap_us > limits.speed_after_us:
        return False
    prior2 = square_m2(row["prior_m"], fix)
    reach = reach_m(gap_us, fix.radius_m + row["prior_radius_m"], limits)
    return bool(prior2 <= reach * reach and prior2 * _RETURN2 <= here2)


@kernel
def _note_switch(row: np.void, time_us: int, distance_m: float, limits: AnomalyLimits) -> None:
    """One change between two places that cannot be reached from each other."""
    if distance_m < limits.clone_m:
        return
    if row["switches"] > 0 and time_us - row["switch_us"] > limits.clone_calm_us:
        row["switches"] = 0
    if row["switches"] == 0:
        row["switch_since_us"] = time_us
    row["switches"] += 1
    row["switch_us"] = max(row["switch_us"], time_us)
    lasted = time_us - row["switch_since_us"] >= limits.clone_after_us
    if is_active(row, _CLONE) or (row["switches"] >= limits.clone_switches and lasted):
        begin(row, _CLONE, row["switch_since_us"])
        row["quantity"][_CLONE] = distance_m
        row["count"][_CLONE] = row["switches"]


@kernel
def _note_damage(row: np.void, fix: Fix, distance_m: float, damaged: int) -> None:
    if not is_active(row, _MINUTES):
        row["count"][_MINUTES] = 0
    begin(row, _MINUTES, fix.time_us)
    row["minutes_us"] = max(row["minutes_us"], fix.time_us)
    row["quantity"][_MINUTES] = distance_m
    row["count"][_MINUTES] += damaged


@kernel
def _undo_damage(row: np.void, fix: Fix, here2: float, limits: AnomalyLimits) -> int:
    """`_DAMAGED` for a fix whose repair is within reach, `_NOTHING` for one that repairs belief.

    `_IMPLAUSIBLE` if damaged minutes explain nothing.
    """
    if here2 < _DAMAGE_M * _DAMAGE_M:
        return _IMPLAUSIBLE
    here = row["here_m"]
    believed = Fix(row["here_us"], here[0], here[1], here[2], row["here_radius_m"])
    near = min(_here_reach_m(row, fix, limits), limits.minutes_m)
    in_order = is_in_order(row, fix)
    meant = repaired_near(fix, believed)
    if between_m2(meant, believed) <= near * near:
        _note_damage(row, fix, math.sqrt(here2), 1)
        if in_order:
            row["wild"] = 0
            _put_here(row, meant)
        return _DAMAGED
    if in_order and between_m2(repaired_near(believed, fix), fix) <= near * near:
        _note_damage(row, fix, math.sqrt(here2), 0)
        row["wild"] = 0
        _put_here(row, fix)
        return _NOTHING
    return _IMPLAUSIBLE


@kernel
def _lengthen_run(
    row: np.void, time_us: int, agreeing: int, here_m: float, limits: AnomalyLimits
) -> None:
    """One more fix in order that is not here; when they persist, SPEED begins.

    Args:
        row: State of the track.
        time_us: Fix time.
        agreeing: 1 if it agrees with the other place, else 0.
        here_m: How far it is from the place believed.
        limits: The parameters.
    """
    if row["wild"] == 0:
        row["wild_since_us"] = time_us
        row["wild_mps"] = here_m / max(time_us - row["here_us"], 1) * SECOND_US
    if row["wild"] == 0 or not agreeing:
        row["there_since_us"] = time_us
        row["there_count"] = 0
    row["there_count"] += 1
    row["wild"] += 1
    row["wild_us"] = time_us
    lasted_us = time_us - row["wild_since_us"]
    if row["wild"] >= limits.speed_fixes and lasted_us >= limits.speed_after_us:
        begin(row, _SPEED, row["wild_since_us"])
        row["quantity"][_SPEED] = row["wild_mps"]
        row["count"][_SPEED] = row["wild"]


@kernel
def _move_belief(row: np.void, limits: AnomalyLimits) -> None:
    """Here and there change places, once enough fixes in a row agree on there."""
    lasted_us = row["there_us"] - row["there_since_us"]
    if row["there_count"] < limits.speed_fixes or lasted_us < limits.speed_after_us:
        return
    here, there = row["here_m"], row["there_m"]
    left = Fix(row["here_us"], here[0], here[1], here[2], row["here_radius_m"])
    _put_here(row, Fix(row["there_us"], there[0], there[1], there[2], row["there_radius_m"]))
    _put_there(row, left)
    row["prior_us"] = UNKNOWN_TIME_US
    row["wild"] = 0
    row["at_there"] = 0


@kernel
def _note_there(row: np.void, fix: Fix, agreeing: int, here2: float, limits: AnomalyLimits) -> None:
    """Take a fix that is at the other place, or that makes its own the other place."""
    if agreeing and fix.time_us == row["there_us"]:
        return
    here_m = math.sqrt(here2)
    if not agreeing:
        row["switches"] = 0
    if not (agreeing and row["at_there"]) and here_m > _here_reach_m(row, fix, limits):
        _note_switch(row, fix.time_us, here_m, limits)
    row["at_there"] = 1
    if is_in_order(row, fix) and not is_active(row, _CLONE):
        _lengthen_run(row, fix.time_us, agreeing, here_m, limits)
    if not agreeing or fix.time_us > row["there_us"]:
        _put_there(row, fix)
    if row["wild"] > 0:
        _move_belief(row, limits)


@kernel
def _note_jump(row: np.void, fix: Fix, here2: float, limits: AnomalyLimits) -> int:
    """Take a fix that is not plainly here: it is out of reach, or others were just before."""
    here_reach = _here_reach_m(row, fix, limits)
    reached = here2 <= here_reach * here_reach
    there2 = square_m2(row["there_m"], fix)
    there_reach = _there_reach_m(row, fix, limits)
    there_reached = there_reach >= 0.0 and there2 <= there_reach * there_reach
    agreeing = int(there_reached and there2 * _AGREEMENT2 <= here2)
    if not reached and is_in_order(row, fix) and _is_return(row, fix, here2, limits):
        row["prior_us"] = UNKNOWN_TIME_US
        row["wild"] = 0
        row["at_there"] = 0
        _put_here(row, fix)
        return _NOTHING
    if not reached or here2 > _FAR_M * _FAR_M:
        found = _undo_damage(row, fix, here2, limits)
        if found != _IMPLAUSIBLE:
            return found
    if reached and not (agreeing and row["wild"] > 0):
        if fix.time_us == row["here_us"]:
            return _NOTHING
        if row["at_there"] and not there_reached:
            _note_switch(row, fix.time_us, math.sqrt(there2), limits)
        row["at_there"] = 0
        if is_in_order(row, fix):
            row["wild"] = 0
            _advance_here(row, fix, here2, limits)
        return _NOTHING
    _note_there(row, fix, agreeing, here2, limits)
    return _IMPLAUSIBLE


@kernel
def note_place(row: np.void, fix: Fix, limits: AnomalyLimits) -> int:
    """Take the place of one fix into the state of its track; what is odd about it."""
    if row["here_us"] == UNKNOWN_TIME_US:
        _put_here(row, fix)
        return _NOTHING
    here2 = square_m2(row["here_m"], fix)
    reach = min(_here_reach_m(row, fix, limits), _FAR_M)
    if here2 > reach * reach or row["wild"] > 0 or row["at_there"]:
        return _note_jump(row, fix, here2, limits)
    if is_in_order(row, fix):
        _advance_here(row, fix, here2, limits)
    return _NOTHING


@kernel
def note_calm(row: np.void, time_us: int, limits: AnomalyLimits) -> None:
    """End what has not been seen for long enough, at a fix in order that is here."""
    if is_active(row, _SPEED) and time_us - row["wild_us"] >= limits.speed_calm_us:
        end(row, _SPEED)
    if is_active(row, _CLONE) and time_us - row["switch_us"] >= limits.clone_calm_us:
        end(row, _CLONE)
        row["switches"] = 0
    if is_active(row, _MINUTES) and time_us - row["minutes_us"] >= limits.minutes_calm_us:
        end(row, _MINUTES)
