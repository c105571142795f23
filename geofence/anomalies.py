"""What is wrong with the fixes of a device, told apart from where it is.

`note_fix` is called for every fix of a watched track in order of arrival, whatever else became of
it. It decides nothing about nearness and drops nothing: it marks the fix, and keeps which anomalies
of the device go on, since when, and the numbers they rest on. One that begins and ends is a spell;
each kind ends only after a calm of a minute or more, so it cannot begin twice in a minute.

| kind | looks at | late fixes and duplicates | module |
|---|---|---|---|
| FROZEN | equal positions while time goes on | a late one at another place breaks the run | this one |
| SPEED | jumps that persist | do not count | `geofence.jumps` |
| CLONE | two places in turns | late ones count | `geofence.jumps` |
| MINUTES | fixes that a repair brings back | late ones count | `geofence.unpadded` |
| CLOCK, CLOCK_GPS | delay of receipt | count | `geofence.clock_offset` |

A fix dated farther ahead of its receipt than `future_limit_s` is looked at by the clock alone. A
blank position (0 N 0 E, or a pole, as receivers send while they have none) is marked, and neither
breaks nor begins anything. All times of anomalies are fix times.

Anomalies of two devices of one person stand in `geofence.companions`.
"""

from __future__ import annotations

import numpy as np

from geofence.anomaly_rules import AnomalyLimits
from geofence.anomaly_state import (
    Anomaly,
    AnomalyArray,
    Fix,
    Oddity,
    begin,
    end,
    is_in_order,
    new_anomalies,
    put,
    square_m2,
)
from geofence.clock_offset import note_delay
from geofence.durations import SECOND_US
from geofence.jumps import note_calm, note_place
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US

__all__ = ["Anomaly", "Oddity", "is_blank", "new_anomalies", "note_fix"]

_FROZEN = int(Anomaly.FROZEN)
_NOTHING = int(Oddity.NONE)
_BLANK = int(Oddity.BLANK)


@kernel
def is_blank(x_m: float, y_m: float, z_m: float) -> bool:
    """Whether a place (Earth-centred) is within a metre of 0 N 0 E or of a pole."""
    at_origin = abs(z_m) < 1.0 and x_m > 0.0
    return abs(y_m) < 1.0 and (at_origin or abs(x_m) < 1.0)


@kernel
def _note_repetition(row: np.void, fix: Fix, limits: AnomalyLimits) -> None:
    """Count how often and for how long the position has been the same."""
    moved = square_m2(row["frozen_m"], fix) > limits.frozen_m * limits.frozen_m
    if is_in_order(row, fix):
        if moved or row["frozen_since_us"] == UNKNOWN_TIME_US:
            put(row["frozen_m"], fix)
            row["frozen_since_us"] = fix.time_us
            row["frozen_count"] = 1
            end(row, _FROZEN)
            return
        row["frozen_count"] += 1
        lasted_us = fix.time_us - row["frozen_since_us"]
        if lasted_us >= limits.frozen_after_us and row["frozen_count"] >= limits.frozen_fixes:
            begin(row, _FROZEN, row["frozen_since_us"])
            row["quantity"][_FROZEN] = lasted_us / SECOND_US
            row["count"][_FROZEN] = row["frozen_count"]
    elif moved and fix.time_us > row["frozen_since_us"]:
        # It was elsewhere meanwhile: equal since the newest fix at most.
        row["frozen_since_us"] = row["time_us"]
        row["frozen_count"] = 1
        end(row, _FROZEN)


@kernel
def note_fix(
    state: AnomalyArray,
    track: int,
    time_us: int,
    x_m: float,
    y_m: float,
    z_m: float,
    radius_m: float,
    received_us: int,
    limits: AnomalyLimits,
) -> tuple[int, int]:
    """Take one fix of a watched track, in order of arrival.

    Args:
        state: (T,) as from `new_anomalies`.
        track: Which of them.
        time_us: Fix time.
        x_m: Its place from `geofence.distance.to_cartesian_m`, Earth-centred.
        y_m: The same.
        z_m: The same.
        radius_m: Its 68 % radius as believed, above 0.
        received_us: When it was received; never below that of the fix before.
        limits: The parameters.

    Returns:
        The mask of anomalies that go on after this fix (`Anomaly.bit`), and what is odd about
        the fix itself (`Oddity`).
    """
    row = state[track]
    fix = Fix(time_us, x_m, y_m, z_m, radius_m)
    note_delay(row, time_us, received_us, limits)
    oddity = _NOTHING
    if is_blank(x_m, y_m, z_m):
        oddity = _BLANK
    elif time_us <= received_us + limits.future_limit_us:
        _note_repetition(row, fix, limits)
        oddity = note_place(row, fix, limits)
        if is_in_order(row, fix):
            row["time_us"] = time_us
            if oddity == _NOTHING and row["active"] != 0:
                note_calm(row, time_us, limits)
    active: int = row["active"]
    return active, oddity
