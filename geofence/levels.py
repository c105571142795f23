"""What the engine can say about a watch, and the record it makes when that changes."""

from __future__ import annotations

import math
from enum import IntEnum

import msgspec

UNKNOWN_TIME_US = -1
"""Stands for "no fix yet" wherever an instant is expected."""


class Level(IntEnum):
    """How near it is. The order is the order of danger, `UNKNOWN` standing apart.

    The values are stored and journaled: never renumber them.
    """

    CLEAR = 0
    PRE_ALERT = 1
    ALERT = 2
    CONTACT = 3
    UNKNOWN = 4

    @property
    def label(self) -> str:
        """The name used in payloads and on screens, for example ``pre_alert``."""
        return self.name.lower()


class Cause(IntEnum):
    """What a change of level rests on. Stored and journaled: never renumber."""

    POSITION = 0  # where they are
    AHEAD = 1  # where they will be soon
    PATH = 2  # how near they came between two fixes
    BEACON = 3  # one device hears the other
    SILENCE = 4  # nothing that could exclude it, for too long
    CALM = 5  # away for long enough
    PLAN = 6  # the caseload no longer asks

    @property
    def label(self) -> str:
        """The name used in payloads and on screens."""
        return self.name.lower()


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One change of level of one watch, with the numbers it rests on.

    Attributes:
        watch: Key of the watch in the plan (condition and the devices it compares).
        number: 1 for the first transition of this watch, then 2, 3, ...; part of the engine's
            state, so a replay gives the same transition the same number.
        previous, level: Level before and after.
        onset_us: Fix time that began the present episode (the spell away from clear). For a
            transition back to clear, the onset of the episode that ends.
        decided_at_us: The `now` the engine was given.
        distance_m: Geodesic distance, or signed distance to the zone's boundary (negative
            inside). NaN when there is no position to measure from.
        distance_low_m, distance_high_m: Its 95 % interval.
        probability: Of being inside the ring (or in breach of the zone) this level is about; of
            coming to be or having been there, where the cause is `AHEAD` or `PATH`.
        time_to_contact_s: Predicted, infinite when they are not closing.
        fix_time_a_us, fix_time_b_us: Fix times used; `UNKNOWN_TIME_US` where there is none (a
            zone has no b).
        swept: Decided by the passing of time, not by a fix.
        cause: What it rests on.
        sigma_m: Standard deviation per axis that the interval and the probability rest on.
        ring_m: Ring that the probability is about, NaN for none.
        closest_m, closest_us: Nearest they came on the way between two fixes, and when; NaN and
            `UNKNOWN_TIME_US` where that was not looked at.
        away_deg, away_spread_deg: See `geofence.away.Away`; NaN where it is not known or was not
            asked. Not part of what is decided: it is said beside it.
    """

    watch: str
    number: int
    previous: Level
    level: Level
    onset_us: int
    decided_at_us: int
    distance_m: float
    distance_low_m: float
    distance_high_m: float
    probability: float
    time_to_contact_s: float
    fix_time_a_us: int
    fix_time_b_us: int
    swept: bool
    cause: Cause = Cause.POSITION
    sigma_m: float = math.nan
    ring_m: float = math.nan
    closest_m: float = math.nan
    closest_us: int = UNKNOWN_TIME_US
    away_deg: float = math.nan
    away_spread_deg: float = math.nan
