"""Whether a device's clock is wrong, judged by when its fixes arrive.

A fix is received after it was made, by the delay of its way. Over a window of minutes the least
delay is that of a message that was not held up; it differs from a few tenths of a second by the
error of the clock. A clock that is ahead shows at once (nothing arrives before it is made), one
that is behind looks like a device that keeps its fixes back, and the statement is no more than
that: no fix of it was ever younger.

Two windows in a row must agree, so that a buffer being worked off, whose delay shrinks, is not a
clock. Fixes that are late or duplicates count like any other: a repeated message only has a
greater delay.
"""

from __future__ import annotations

import numpy as np

from geofence.anomaly_rules import AnomalyLimits
from geofence.anomaly_state import NO_KIND, Anomaly, begin, end, is_active
from geofence.durations import SECOND_US
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US

_CLOCK = int(Anomaly.CLOCK)
_CLOCK_GPS = int(Anomaly.CLOCK_GPS)


@kernel
def _kind_of(row: np.void, ahead_us: int, limits: AnomalyLimits) -> int:
    """What a least delay of `-ahead_us` speaks for. What is active is left at half its limit."""
    early_us = ahead_us - limits.leap_us
    if -limits.leap_early_us <= early_us <= limits.leap_late_us:
        return _CLOCK_GPS
    ease = 2 if is_active(row, _CLOCK) or is_active(row, _CLOCK_GPS) else 1
    if ahead_us >= limits.clock_ahead_us // ease or -ahead_us >= limits.clock_behind_us // ease:
        return _CLOCK
    return NO_KIND


@kernel
def _judge_window(row: np.void, limits: AnomalyLimits) -> None:
    delay_us = row["window_delay_us"]
    kind = _kind_of(row, -delay_us, limits)
    steady = abs(delay_us - row["before_delay_us"]) <= limits.clock_steady_us
    if kind == NO_KIND:
        end(row, _CLOCK)
        end(row, _CLOCK_GPS)
    elif kind == row["before_kind"] and steady:
        if not is_active(row, kind):
            end(row, _CLOCK + _CLOCK_GPS - kind)
            begin(row, kind, row["before_onset_us"])
            row["count"][kind] = 1
        row["count"][kind] += 1
        row["quantity"][kind] = -delay_us / SECOND_US
    row["before_kind"] = kind
    row["before_delay_us"] = delay_us
    row["before_onset_us"] = row["window_onset_us"]


@kernel
def note_delay(row: np.void, time_us: int, received_us: int, limits: AnomalyLimits) -> None:
    """Take the delay of one fix; at the end of a window, say what it means."""
    delay_us = received_us - time_us
    if row["window_since_us"] == UNKNOWN_TIME_US:
        row["window_since_us"] = received_us
        row["window_onset_us"] = time_us
        row["window_delay_us"] = delay_us
        row["window_fixes"] = 1
        return
    row["window_fixes"] += 1
    if delay_us < row["window_delay_us"]:
        row["window_delay_us"] = delay_us
        row["window_onset_us"] = time_us
    if (
        received_us - row["window_since_us"] >= limits.clock_window_us
        and row["window_fixes"] >= limits.clock_fixes
    ):
        _judge_window(row, limits)
        row["window_since_us"] = UNKNOWN_TIME_US


def ahead_us(row: np.void) -> int | None:
    """How far a device's clock is ahead, by the least delay of the newest windows; None: not known.

    Below 0 it is behind, or nothing of it was ever faster than that.
    """
    delays = (int(row["window_delay_us"]), int(row["before_delay_us"]))
    known = [delay_us for delay_us in delays if delay_us != UNKNOWN_TIME_US]
    return -min(known) if known else None
