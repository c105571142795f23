"""Changes of level with the names of their watches, in place of rows and indices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geofence.levels import UNKNOWN_TIME_US, Cause, Level, Transition
from geofence.snapshot import Retired

_LEVELS = tuple(Level)
_CAUSES = tuple(Cause)
"""By value: asking the classes for each change would take as long as deciding it."""


def named_transition(
    row: tuple[Any, ...], keys: tuple[str, ...], now_us: int, *, swept: bool
) -> Transition:
    """A row of `CHANGE_DTYPE` with its names."""
    watch, number, previous, level, onset_us, *numbers = row
    distance_m, low_m, high_m, probability, contact_s, a_us, b_us, cause, *rest = numbers
    sigma_m, ring_m, closest_m, closest_us = rest
    return Transition(
        watch=keys[watch],
        number=number,
        previous=_LEVELS[previous],
        level=_LEVELS[level],
        onset_us=onset_us,
        decided_at_us=now_us,
        distance_m=distance_m,
        distance_low_m=low_m,
        distance_high_m=high_m,
        probability=probability,
        time_to_contact_s=contact_s,
        fix_time_a_us=a_us,
        fix_time_b_us=b_us,
        swept=swept,
        cause=_CAUSES[cause],
        sigma_m=sigma_m,
        ring_m=ring_m,
        closest_m=closest_m,
        closest_us=closest_us,
    )


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
