"""Which way leads from one device to another, and how sure that is: for whoever has to move apart.

The error of where both are is a disc around the second as seen from the first; it holds the truth in
95 % of cases. Seen from the first, the disc is so many degrees wide. Where it reaches the first, no way is
known to lead away, and none is said.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geofence.levels import UNKNOWN_TIME_US
from geofence.plan import FloatArray

DISC_SIGMAS = 2.4477
"""Radius of the disc that holds 95 % of a round normal distribution: sqrt(-2 ln 0.05)."""

SPREAD_LIMIT_DEG = 60.0
"""A direction less sure than this leads anywhere."""


PLACED_US = 10_000_000
"""Tracks placed longer ago than this have gone on since."""


@dataclass(frozen=True, slots=True)
class Away:
    """A direction.

    Attributes:
        bearing_deg: Clockwise from true north, 0 to 360.
        spread_deg: The way lies within so much to either side, in 95 % of cases.
    """

    bearing_deg: float
    spread_deg: float


def away(first: np.void, second: np.void, at_us: int) -> Away | None:
    """The way from the first track to the second and on; None where it is not known.

    Args:
        first: Row of `geofence.track.TRACK_DTYPE`.
        second: Another.
        at_us: The instant it is asked for. Tracks that were placed for another are no answer.
    """
    if UNKNOWN_TIME_US in {int(first["time_us"]), int(second["time_us"])}:
        return None
    if max(abs(at_us - int(first["at_us"])), abs(at_us - int(second["at_us"]))) > PLACED_US:
        return None
    sigma_m = math.hypot(float(first["sigma_m"]), float(second["sigma_m"]))
    return direction(first["xyz_m"], second["xyz_m"], sigma_m)


def direction(first_m: FloatArray, second_m: FloatArray, sigma_m: float) -> Away | None:
    """The way from one place to another and on, with the error per axis of what lies between.

    Args:
        first_m: (3,) Earth-centred, Earth-fixed, metres.
        second_m: As the first.
        sigma_m: Standard deviation per axis of the second as seen from the first.
    """
    north, east = _axes(second_m)
    apart_m = np.asarray(second_m) - np.asarray(first_m)
    to_north_m, to_east_m = float(apart_m @ north), float(apart_m @ east)
    distance_m = math.hypot(to_north_m, to_east_m)
    disc_m = DISC_SIGMAS * sigma_m
    if not math.isfinite(disc_m) or disc_m >= distance_m:
        return None
    spread_deg = math.degrees(math.asin(disc_m / distance_m))
    if spread_deg > SPREAD_LIMIT_DEG:
        return None
    turn_deg = math.degrees(math.atan2(to_east_m, to_north_m)) % 360.0
    return Away(turn_deg % 360.0, spread_deg)  # of a tiny negative number the first gives 360


def _axes(place_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Unit vectors to the north and to the east at a place; the sphere's, a fifth of a degree off."""
    x, y, z = (float(value) for value in place_m)
    level = math.hypot(x, y)
    radius = math.hypot(level, z)
    if level == 0.0:
        return np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    east = np.array([-y / level, x / level, 0.0])
    north = np.array([-x * z / (level * radius), -y * z / (level * radius), level / radius])
    return north, east
