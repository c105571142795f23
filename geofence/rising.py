"""What raises a watch: where they are, where they will be soon, how near they came, a beacon.

See `geofence.machine` for how a level is entered and left.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.chances import closest_on_path, inside_soon, is_inside_soon
from geofence.crossing import crossed
from geofence.kernel import constant, kernel
from geofence.layout import ALERT_RING, CONTACT_RING, NO_ZONE, RINGS
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from geofence.planes import Planes
from geofence.proximity import is_within, within_radius
from geofence.rules import Limits
from geofence.sensitivity import HOLDING, SPARSE_S
from geofence.watch import inside, is_inside

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
_SECOND_US = 1e6


@kernel
def _sparsity(a: np.void, b: np.void) -> float:
    """How far apart fixes are: 0 with one a second, 1 from `SPARSE_S` on."""
    interval_s = max(a["interval_s"], b["interval_s"])
    return float(min(1.0, math.log(max(1.0, interval_s)) / _LOG_SPARSE))


@kernel
def asked(terms: np.void, a: np.void, b: np.void) -> float:
    """The probability that it takes to enter a level; of a pair, by how often there are fixes."""
    often = terms["enter_probability"]
    if terms["zone"] != NO_ZONE:
        return float(often)
    return float(often + _sparsity(a, b) * (terms["sparse_probability"] - often))


@kernel
def _by_position(terms: np.void, rings: int, depth_m: float, sigma_m: float, least: float) -> int:
    """The highest level, of the first `rings`, whose ring is probably entered; 0 where there is none."""
    reach_m = terms["far_sigmas"] * sigma_m
    for ring in range(rings - 1, -1, -1):
        ring_m = terms["enter_m"][ring]
        if depth_m - ring_m > reach_m:
            continue
        if is_inside(terms, depth_m, ring_m, sigma_m, least):
            return ring + 1
    return 0


@kernel
def _chance(terms: np.void, level: int, depth_m: float, sigma_m: float) -> float:
    """How probably the ring of a level is entered; 0 where there is none."""
    return inside(terms, depth_m, terms["enter_m"][level - 1], sigma_m) if level else 0.0


@kernel
def _inside_lately(state: np.void, terms: np.void, a: np.void, at_us: int, limits: Limits) -> float:
    """The mean probability of having been inside a zone lately, up to `at_us`.

    It fades with `lasting_s`, less where fixes are farther apart. What counts is the present; in
    the time between the last fix and this one there was nothing else to count. Beyond
    `reach_sigmas` nothing is counted, so that fixes far away need not be looked at
    (`geofence.due.settle_far`): they only made time pass, up to ``decided_us``.
    """
    chance = 0.0
    ring_m = terms["enter_m"][ALERT_RING]
    if state["depth_m"] - ring_m <= limits.reach_sigmas * state["sigma_m"]:
        chance = inside(terms, state["depth_m"], ring_m, state["sigma_m"])
    memory_us = _SECOND_US * terms["lasting_s"] * (1.0 - _sparsity(a, a))
    since_us = max(state["decided_us"], state["lately_us"])
    if since_us == UNKNOWN_TIME_US or memory_us <= 0.0:
        return float(chance)
    before = 0.0
    if state["lately_us"] != UNKNOWN_TIME_US:
        before = state["lately"] * math.exp((state["lately_us"] - since_us) / memory_us)
    fading = math.exp(min(0, since_us - at_us) / memory_us)
    return float(chance + fading * (before - chance))


@kernel
def _lasting(
    state: np.void, terms: np.void, a: np.void, now_us: int, mover: int, level: int,
    chance: float, least: float, limits: Limits,
) -> bool:  # fmt: skip
    """Whether somebody who is probably inside a zone is not only there for a moment.

    With a new fix, what was seen lately is kept.
    """
    at_us = now_us if mover == NO_MOVER else a["time_us"]
    lately = _inside_lately(state, terms, a, at_us, limits)
    if mover != NO_MOVER:
        state["lately"], state["lately_us"] = lately, at_us
    if level < _ALERT or state["held"] >= _ALERT or chance >= terms["sure_probability"]:
        return True
    return bool(lately >= min(least, terms["lasting_probability"]))


@kernel
def _ahead(
    terms: np.void, a: np.void, b: np.void, sigmas: float, least: float, limits: Limits
) -> int:
    """The level that what is predicted speaks for, 0 for none.

    So many `sigmas` outside a ring, being inside it is less probable than `least`.
    """
    contact_m, contact_s = terms["enter_m"][CONTACT_RING], terms["contact_ahead_s"]
    if is_inside_soon(a, b, contact_m, contact_s, sigmas, least, limits):
        return _ALERT
    alert_m, warn_s = terms["enter_m"][ALERT_RING], terms["warn_ahead_s"]
    if is_inside_soon(a, b, alert_m, warn_s, sigmas, least, limits):
        return _PRE_ALERT
    return 0


@kernel
def _chance_ahead(
    terms: np.void, level: int, a: np.void, b: np.void, sigmas: float, limits: Limits
) -> float:
    """How probable that is."""
    if level == _ALERT:
        contact_m, contact_s = terms["enter_m"][CONTACT_RING], terms["contact_ahead_s"]
        return inside_soon(a, b, contact_m, contact_s, sigmas, limits)
    alert_m, warn_s = terms["enter_m"][ALERT_RING], terms["warn_ahead_s"]
    return inside_soon(a, b, alert_m, warn_s, sigmas, limits)


@kernel
def _on_the_way(
    state: np.void, terms: np.void, mover: np.void, other: np.void, planes: Planes, supported: int,
    least: float, limits: Limits,
) -> tuple[int, float]:  # fmt: skip
    """The level that the way between the mover's last two fixes speaks for, and how probably.

    Only levels above the one that is supported already are looked at. Of a pair, NaN where that level is
    held anyway.
    """
    if terms["zone"] != NO_ZONE:
        if supported >= _ALERT:
            return 0, 0.0
        chance, depth_m, at_us = crossed(mover, terms, state["depth_m"], planes, limits)
        state["closest_m"], state["closest_us"] = depth_m, at_us
        return (_ALERT, chance) if chance >= least else (0, 0.0)
    if supported >= _CONTACT:
        return 0, 0.0
    distance_m, sigma_m, at_us = closest_on_path(mover, other, limits)
    state["closest_m"], state["closest_us"] = distance_m, at_us
    reach_m = terms["far_sigmas"] * sigma_m
    for ring in range(RINGS - 1, supported - 1, -1):
        ring_m = terms["enter_m"][ring]
        if not distance_m - ring_m <= reach_m:
            continue
        if is_within(distance_m, ring_m, sigma_m, least):
            rises = ring + 1 > state["held"]
            return ring + 1, within_radius(distance_m, ring_m, sigma_m) if rises else math.nan
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
def _foresee(
    state: np.void, terms: np.void, a: np.void, b: np.void, supported: int, least: float,
    limits: Limits,
) -> int:  # fmt: skip
    """Raise a pair by what is predicted; the level that it, or `supported` before it, speaks for.

    A prediction speaks for an alert at the most; where that is supported anyway, it is of no use. Less
    than entering takes is asked only where there is a level to be kept.
    """
    sigmas = terms["far_sigmas"]
    if supported < state["held"]:
        sigmas = terms["soon_sigmas"]
        level = _ahead(terms, a, b, sigmas, HOLDING * least, limits)
    elif supported < _ALERT:
        level = _ahead(terms, a, b, sigmas, least, limits)
    else:
        return supported
    supported = max(supported, level)
    if level > state["held"]:
        chance = _chance_ahead(terms, level, a, b, sigmas, limits)
        if chance < least:  # less was asked; of what a rise takes, no higher level is found
            sigmas = terms["far_sigmas"]
            level = _ahead(terms, a, b, sigmas, least, limits)
            chance = _chance_ahead(terms, level, a, b, sigmas, limits)
        _rise(state, level, chance, _AHEAD)
    return supported


@kernel
def look(
    state: np.void, terms: np.void, a: np.void, b: np.void, planes: Planes, now_us: int,
    mover: int, least: float, limits: Limits,
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
        least: What it takes to enter a level (see `asked`).
        limits: Parameters.

    Returns:
        The level that something still speaks for; a prediction, at `HOLDING` of what entering
        takes.
    """
    depth_m, sigma_m = state["depth_m"], state["sigma_m"]
    level = _by_position(terms, RINGS, depth_m, sigma_m, least)
    seen = level
    if terms["zone"] != NO_ZONE:
        chance = _chance(terms, level, depth_m, sigma_m)
        if not _lasting(state, terms, a, now_us, mover, level, chance, least, limits):
            level = _by_position(terms, ALERT_RING, depth_m, sigma_m, least)
    if level > state["held"]:
        _rise(state, level, _chance(terms, level, depth_m, sigma_m), _POSITION)
    supported = level
    if terms["zone"] == NO_ZONE:
        supported = _foresee(state, terms, a, b, supported, least, limits)
        if heard(state, now_us, limits):
            _rise(state, _CONTACT, 1.0, _BEACON)
            supported = _CONTACT
    if mover != NO_MOVER:
        one, other = (a, b) if mover == FIRST_MOVED else (b, a)
        # Who is inside a zone now, but not for long enough, did not only cross it.
        known = max(seen, supported)
        level, chance = _on_the_way(state, terms, one, other, planes, known, least, limits)
        _rise(state, level, chance, _PATH)
        supported = max(supported, level)
    return supported
