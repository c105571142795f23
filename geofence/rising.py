"""What raises a watch: where they are, where they will be soon, how near they came, a beacon.

See `geofence.machine` for how a level is entered and left.
"""

from __future__ import annotations

import math

from geofence.chances import closest_on_path, inside_soon
from geofence.crossing import crossed
from geofence.kernel import kernel
from geofence.layout import ALERT_RING, CONTACT_RING, NO_TRACK, RINGS, Layout
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from geofence.proximity import within_radius
from geofence.rules import Limits
from geofence.sensitivity import SPARSE_S
from geofence.track import TrackArray
from geofence.watch import WatchArray, inside

_PRE_ALERT = int(Level.PRE_ALERT)
_ALERT = int(Level.ALERT)
_CONTACT = int(Level.CONTACT)
_POSITION = int(Cause.POSITION)
_AHEAD = int(Cause.AHEAD)
_PATH = int(Cause.PATH)
_BEACON = int(Cause.BEACON)

NO_MOVER = -1
"""In place of a track: there is no new fix."""

_LOG_SPARSE = math.log(SPARSE_S)
_HOLDING = 0.5
"""What a prediction takes to keep a level from falling, as a share of what it takes to enter it."""


@kernel
def asked(layout: Layout, watch: int, tracks: TrackArray) -> float:
    """The probability that it takes to enter a level, by how often there are fixes."""
    policy = layout.policy[layout.policy_of[watch]]
    interval_s = tracks[layout.first[watch]]["interval_s"]
    if layout.second[watch] != NO_TRACK:
        interval_s = max(interval_s, tracks[layout.second[watch]]["interval_s"])
    sparse = min(1.0, math.log(max(1.0, interval_s)) / _LOG_SPARSE)
    often = policy["enter_probability"]
    return float(often + sparse * (policy["sparse_probability"] - often))


@kernel
def _by_position(
    layout: Layout, watch: int, depth_m: float, sigma_m: float, least: float
) -> tuple[int, float]:
    """The highest level whose ring is probably entered, 0 for none; and how probably."""
    for ring in range(RINGS - 1, -1, -1):
        chance = inside(layout, watch, depth_m, layout.enter_m[watch, ring], sigma_m)
        if chance >= least:
            return ring + 1, chance
    return 0, 0.0


@kernel
def _ahead(
    layout: Layout, watch: int, tracks: TrackArray, least: float, limits: Limits
) -> tuple[int, float]:
    """The level that what is predicted speaks for, 0 for none; and how probably."""
    policy = layout.policy[layout.policy_of[watch]]
    a, b = tracks[layout.first[watch]], tracks[layout.second[watch]]
    contact_m = layout.enter_m[watch, CONTACT_RING]
    chance = inside_soon(a, b, contact_m, policy["contact_ahead_s"], limits)
    if chance >= least:
        return _ALERT, chance
    alert_m = layout.enter_m[watch, ALERT_RING]
    chance = inside_soon(a, b, alert_m, policy["warn_ahead_s"], limits)
    if chance >= least:
        return _PRE_ALERT, chance
    return 0, 0.0


@kernel
def _on_the_way(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, mover: int, least: float,
    limits: Limits,
) -> tuple[int, float]:  # fmt: skip
    """The level that the way between the mover's last two fixes speaks for, and how probably."""
    state = watches[watch]
    if watch >= layout.pair_count:
        chance, depth_m, at_us = crossed(tracks[mover], watch, state["depth_m"], layout, limits)
        state["closest_m"], state["closest_us"] = depth_m, at_us
        return (_ALERT, chance) if chance >= least else (0, 0.0)
    other = layout.second[watch] if layout.first[watch] == mover else layout.first[watch]
    distance_m, sigma_m, at_us = closest_on_path(tracks[mover], tracks[other], limits)
    state["closest_m"], state["closest_us"] = distance_m, at_us
    if math.isnan(distance_m):
        return 0, 0.0
    for ring in range(RINGS - 1, -1, -1):
        chance = within_radius(distance_m, layout.enter_m[watch, ring], sigma_m)
        if chance >= least:
            return ring + 1, chance
    return 0, 0.0


@kernel
def heard(watches: WatchArray, watch: int, now_us: int, limits: Limits) -> bool:
    """Whether one device of a pair hears the other's beacon."""
    both = watches[watch]["beacon_us"]
    beacon_us: int = max(both[0], both[1])
    return beacon_us != UNKNOWN_TIME_US and now_us - beacon_us <= limits.beacon_hold_us


@kernel
def _rise(watches: WatchArray, watch: int, level: int, chance: float, cause: int) -> None:
    state = watches[watch]
    if level > state["held"]:
        state["held"] = level
        state["chance"] = chance
        state["cause"] = cause


@kernel
def hear(watches: WatchArray, watch: int) -> None:
    """Raise a pair of which one device hears the other's beacon."""
    _rise(watches, watch, _CONTACT, 1.0, _BEACON)
    state = watches[watch]
    if state["unknown"]:
        state["cause"] = _BEACON
        state["chance"] = 1.0
    state["unknown"] = 0
    for ring in range(RINGS):
        state["calm_fix_us"][ring] = UNKNOWN_TIME_US
        state["calm_now_us"][ring] = UNKNOWN_TIME_US


@kernel
def look(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, mover: int,
    limits: Limits,
) -> int:  # fmt: skip
    """Raise a watch as far as positions, predictions, the way and beacons speak for it.

    Args:
        watches: All watches.
        watch: One that is measured at `now_us`.
        tracks: All tracks.
        layout: As laid out.
        now_us: When this is decided.
        mover: The track that has a new fix; `NO_MOVER`: none has.
        limits: Parameters.

    Returns:
        The level that something still speaks for; a prediction, at `_HOLDING` of what entering
        takes.
    """
    state = watches[watch]
    least = asked(layout, watch, tracks)
    level, chance = _by_position(layout, watch, state["depth_m"], state["sigma_m"], least)
    _rise(watches, watch, level, chance, _POSITION)
    supported = level
    if watch < layout.pair_count:
        level, chance = _ahead(layout, watch, tracks, _HOLDING * least, limits)
        supported = max(supported, level)
        if chance < least and level:
            level, chance = _ahead(layout, watch, tracks, least, limits)
        _rise(watches, watch, level, chance, _AHEAD)
        if heard(watches, watch, now_us, limits):
            _rise(watches, watch, _CONTACT, 1.0, _BEACON)
            supported = _CONTACT
    if mover != NO_MOVER:
        level, chance = _on_the_way(watches, watch, tracks, layout, mover, least, limits)
        _rise(watches, watch, level, chance, _PATH)
        supported = max(supported, level)
    return supported
