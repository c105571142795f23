"""Changes of level with the names of their watches, in place of rows and indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geofence.levels import UNKNOWN_TIME_US, Cause, Level, Transition
from geofence.passes import CHANGE_DTYPE
from geofence.snapshot import Retired

_FIELDS = CHANGE_DTYPE.names or ()


def named_transition(
    row: tuple[Any, ...], keys: tuple[str, ...], now_us: int, *, swept: bool
) -> Transition:
    """A row of `CHANGE_DTYPE` with its names."""
    change = dict(zip(_FIELDS, row, strict=True))
    change["watch"] = keys[change["watch"]]
    change["previous"] = Level(change["previous"])
    change["level"] = Level(change["level"])
    change["cause"] = Cause(change["cause"])
    return Transition(**change, decided_at_us=now_us, swept=swept)


def shown_level(state: np.void) -> Level:
    """The level that a row of `WATCH_DTYPE` shows."""
    return Level.UNKNOWN if state["unknown"] else Level(int(state["held"]))


def closing_transition(key: str, ended: Retired, now_us: int) -> Transition:
    """The end of an episode whose watch is over: it rests on no fix and measures nothing."""
    return Transition(
        watch=key,
        number=ended.number + 1,
        previous=ended.level,
        level=Level.CLEAR,
        onset_us=ended.onset_us,
        decided_at_us=now_us,
        distance_m=math.nan,
        distance_low_m=math.nan,
        distance_high_m=math.nan,
        probability=math.nan,
        time_to_contact_s=math.inf,
        fix_time_a_us=UNKNOWN_TIME_US,
        fix_time_b_us=UNKNOWN_TIME_US,
        swept=True,
        cause=Cause.PLAN,
    )
