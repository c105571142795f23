"""What raises a watch: where they are, where they will be soon, how near they came, a beacon.

See `geofence.machine` for how a level is entered and left.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.chances import closest_on_path, inside_soon
from geofence.crossing import crossed
from geofence.kernel import constant, kernel
from geofence.layout import ALERT_RING, CONTACT_RING, NO_ZONE, RINGS
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from geofence.planes import Planes
from geofence.proximity import within_radius
from geofence.rules import Limits
from geofence.sensitivity import SPARSE_S
from geofence.watch import inside

_PRE_ALERT = constant(Level.PRE_ALERT)
_ALERT = constant(Level.ALERT)
_CONTACT = constant(Level.CONTACT)
_POSITION = constant(Cause.POSITION)
_AHEAD = constant(Cause.AHEAD)
_PATH = constant(Cause.PATH)
_BEACON = constant(Cause.BEACON)

NO_MOVER = constant(-1)
FIRST_MOVED = constant(0)
SECOND_MOVED = constant(1)
"""Which track of a watch has a new fix."""

_LOG_SPARSE = math.log(SPARSE_S)
_HOLDING = 0.5
"""What a prediction takes to keep a level from falling, as a share of what it takes to enter it."""


@kernel
def asked(terms: np.void, a: np.void, b: np.void) -> float:
    """The probability that it takes to enter a level, by how often there are fixes."""
    interval_s = max(a["interval_s"], b["interval_s"])
    sparse = min(1.0, math.log(max(1.0, interval_s)) / _LOG_SPARSE)
    often = terms["enter_probability"]
    return float(often + sparse * (terms["sparse_probability"] - often))


@kernel
def _by_position(terms: np.void, depth_m: float, sigma_m: float, least: float) -> tuple[int, float]:
    """The highest level whose ring is probably entered, 0 for none; and how probably."""
    for ring in range(RINGS - 1, -1, -1):
        chance = inside(terms, depth_m, terms["enter_m"][ring], sigma_m)
        if chance >= least:
            return ring + 1, chance
    return 0, 0.0


@kernel
def _ahead(
    terms: np.void, a: np.void, b: np.void, least: float, limits: Limits
) -> tuple[int, float]:
    """The level that what is predicted speaks for, 0 for none; and how probably."""
    contact_m = terms["enter_m"][CONTACT_RING]
    chance = inside_soon(a, b, contact_m, terms["contact_ahead_s"], limits)
    if chance >= least:
        return _ALERT, chance
    alert_m = terms["enter_m"][ALERT_RING]
    chance = inside_soon(a, b, alert_m, terms["warn_ahead_s"], limits)
    if chance >= least:
        return _PRE_ALERT, chance
    return 0, 0.0


@kernel
def _on_the_way(
    state: np.void, terms: np.void, mover: np.void, other: np.void, planes: Planes, least: float,
    limits: Limits,
) -> tuple[int, float]:  # fmt: skip
    """The level that the way between the mover's last two fixes speaks for, and how probably."""
    if terms["zone"] != NO_ZONE:
        chance, depth_m, at_us = crossed(mover, terms, state["depth_m"], planes, limits)
        state["closest_m"], state["closest_us"] = depth_m, at_us
        return (_ALERT, chance) if chance >= least else (0, 0.0)
    distance_m, sigma_m, at_us = closest_on_path(mover, other, limits)
    state["closest_m"], state["closest_us"] = distance_m, at_us
    if math.isnan(distance_m):
        return 0, 0.0
    for ring in range(RINGS - 1, -1, -1):
        chance = within_radius(distance_m, terms["enter_m"][ring], sigma_m)
        if chance >= least:
            return ring + 1, chance
    return 0, 0.0


@kernel
def heard(state: np.void, now_us: int, limits: Limits) -> bool:
    """Whether one device of a pair hears the other's beacon."""
    both = state["beacon_us"]
    beacon_us: int = max(both[0], both[1])
    return beacon_us != UNKNOWN_TIME_US and now_us - beacon_us <= limits.beacon_hold_us


@kernel
def _rise(state: np.void, level: int, chance: float, cause: int) -> None:
    if level > state["held"]:
        state["held"] = level
        state["chance"] = chance
        state["cause"] = cause


@kernel
def hear(state: np.void) -> None:
    """Raise a pair of which one device hears the other's beacon."""
    _rise(state, _CONTACT, 1.0, _BEACON)
    if state["unknown"]:
        state["cause"] = _BEACON
        state["chance"] = 1.0
    state["unknown"] = 0
    for ring in range(RINGS):
        state["calm_fix_us"][ring] = UNKNOWN_TIME_US
        state["calm_now_us"][ring] = UNKNOWN_TIME_US


@kernel
def look(
    state: np.void, terms: np.void, a: np.void, b: np.void, planes: Planes, now_us: int,
    mover: int, limits: Limits,
) -> int:  # fmt: skip
    """Raise a watch as far as positions, predictions, the way and beacons speak for it.

    Args:
        state: A record of `WATCH_DTYPE`, measured at `now_us`.
        terms: The same watch's of `geofence.layout.TERMS_DTYPE`.
        a: Its first track's record.
        b: Its second's; of a zone the first's again.
        planes: Of all zones.
        now_us: When this is decided.
        mover: Which of the two has a new fix: `NO_MOVER`, `FIRST_MOVED` or `SECOND_MOVED`.
        limits: Parameters.

    Returns:
        The level that something still speaks for; a prediction, at `_HOLDING` of what entering
        takes.
    """
    least = asked(terms, a, b)
    level, chance = _by_position(terms, state["depth_m"], state["sigma_m"], least)
    _rise(state, level, chance, _POSITION)
    supported = level
    if terms["zone"] == NO_ZONE:
        level, chance = _ahead(terms, a, b, _HOLDING * least, limits)
        supported = max(supported, level)
        if chance < least and level:
            level, chance = _ahead(terms, a, b, least, limits)
        _rise(state, level, chance, _AHEAD)
        if heard(state, now_us, limits):
            _rise(state, _CONTACT, 1.0, _BEACON)
            supported = _CONTACT
    if mover != NO_MOVER:
        if mover == FIRST_MOVED:
            level, chance = _on_the_way(state, terms, a, b, planes, least, limits)
        else:
            level, chance = _on_the_way(state, terms, b, a, planes, least, limits)
        _rise(state, level, chance, _PATH)
        supported = max(supported, level)
    return supported
