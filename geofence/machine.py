"""How the level of a watch changes.

A watch *holds* one of four levels, by its rings, and beside that may be *unknown*, which is then
what it shows. Two things move it: evidence (all its devices have a fix not older than it may go
without), and the passing of time.

**Rising** is eager, and any number of levels may be passed at once. A level is entered when it is
at least so probable (see `Sensitivity`) that

- they are inside its ring now, by what is believed of both at this instant, not at their fixes;
- they were on the way between two fixes;
- they will soon be inside the alert ring (pre-alert), or in contact (alert);

or, for contact, when one device hears the other's beacon, whatever the satellites say.

**Falling** is conservative, ring by ring. Evidence is *calm* for a ring when being inside the
widened ring is at most `clear_probability` likely, the ring itself lies more than `reach_sigmas`
away (so that a fix too coarse to say anything does not clear), and nothing of the above speaks for
it at half the probability of entering. Calm must last for `clear_dwell_s` without a break. It is
measured in fix time, by the older fix of a pair, so that a buffer flushed in one message is judged
as if it had come one by one; or in time since it was received, so that it can end without another
fix. Only fixes are evidence of calm; the passing of time may break it.

**Unknown** means: nearness cannot be excluded. It is entered

- in time, when nothing has been decided for longer than allowed (counted from the instant the
  engine began to listen, if that was later: a restart accuses nobody at once) and the devices,
  moving towards each other since their last fixes as fast as is plausible for the movement last
  seen, could by now be inside the alert ring. A pair of which one device has never been heard
  cannot be excluded, once the other has a position; a watch none of whose devices was ever heard
  stays clear at no distance, because nothing suggests nearness: that silence is a matter of
  device health;
- by evidence, when a pair is measured within the alert ring by fixes so coarse that they could
  not show it more likely than not even at distance 0.

It is left when evidence decides again: to the level held if that evidence supports it or to a
higher one; and where it speaks for a lower level, only after the dwell, so that somebody who
comes out of a tunnel far away does not cause another alarm on his way to clear.

An *episode* is one spell away from clear. Its onset is the fix time that began it; or, for one
begun by time, the instant from which nearness could not be excluded, whenever that is noticed. So
an engine that replays finds the same onset. Onsets of one watch grow strictly, which lets them
name episodes.
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
from geofence.track import TrackArray, reach_m
from geofence.watch import WatchArray, inside, zone_depth_m

_PRE_ALERT = int(Level.PRE_ALERT)
_ALERT = int(Level.ALERT)
_CONTACT = int(Level.CONTACT)
_POSITION = int(Cause.POSITION)
_AHEAD = int(Cause.AHEAD)
_PATH = int(Cause.PATH)
_BEACON = int(Cause.BEACON)
_SILENCE = int(Cause.SILENCE)
_CALM = int(Cause.CALM)

NO_MOVER = -1
_LOG_SPARSE = math.log(SPARSE_S)
_HOLDING = 0.5
"""What keeps a level from falling, as a share of what it takes to enter it."""

_HALVINGS = 40
"""Of an interval of up to a year, to less than a millisecond."""


@kernel
def oldest_us(layout: Layout, watch: int, tracks: TrackArray) -> int:
    """Time of the older fix of a watch, `UNKNOWN_TIME_US` if one is missing."""
    a_us: int = tracks[layout.first[watch]]["time_us"]
    if layout.second[watch] == NO_TRACK:
        return a_us
    b_us: int = tracks[layout.second[watch]]["time_us"]
    return min(a_us, b_us)


@kernel
def newest_us(layout: Layout, watch: int, tracks: TrackArray) -> int:
    """Time of the newer fix of a watch, `UNKNOWN_TIME_US` if there is none."""
    a_us: int = tracks[layout.first[watch]]["time_us"]
    if layout.second[watch] == NO_TRACK:
        return a_us
    b_us: int = tracks[layout.second[watch]]["time_us"]
    return max(a_us, b_us)


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
    beacon_us: int = watches[watch]["beacon_us"]
    return beacon_us != UNKNOWN_TIME_US and now_us - beacon_us <= limits.beacon_hold_us


@kernel
def _excluded(depth_m: float, ring_m: float, sigma_m: float, limits: Limits) -> bool:
    return depth_m - limits.reach_sigmas * sigma_m > ring_m


@kernel
def _is_calm(
    layout: Layout, watch: int, ring: int, depth_m: float, sigma_m: float, limits: Limits
) -> bool:
    enter_m = layout.enter_m[watch, ring]
    if math.isnan(enter_m):
        return True
    if not _excluded(depth_m, enter_m, sigma_m, limits):
        return False
    most = layout.policy[layout.policy_of[watch]]["clear_probability"]
    hold_m = layout.hold_m[watch, ring]
    return bool(inside(layout, watch, depth_m, hold_m, sigma_m) <= most)


@kernel
def _note_calm(
    watches: WatchArray, watch: int, layout: Layout, supported: int, time_us: int, now_us: int,
    limits: Limits,
) -> None:  # fmt: skip
    """Start, keep or break the calm of every ring up to the level held.

    `supported` is the level that something still speaks for; `time_us` is `UNKNOWN_TIME_US` where
    there is no new fix: calm is then not started.
    """
    state = watches[watch]
    for ring in range(RINGS):
        calm = supported <= ring < state["held"] and _is_calm(
            layout, watch, ring, state["depth_m"], state["sigma_m"], limits
        )
        if not calm:
            state["calm_fix_us"][ring] = UNKNOWN_TIME_US
            state["calm_now_us"][ring] = UNKNOWN_TIME_US
        elif state["calm_now_us"][ring] == UNKNOWN_TIME_US and time_us != UNKNOWN_TIME_US:
            state["calm_fix_us"][ring] = time_us
            state["calm_now_us"][ring] = now_us


@kernel
def _fall(watches: WatchArray, watch: int, layout: Layout, time_us: int, now_us: int) -> bool:
    """Give up levels whose ring has been calm for long enough; True if any was."""
    state = watches[watch]
    dwell_us = layout.policy[layout.policy_of[watch]]["clear_dwell_us"]
    fell = False
    while state["held"] > 0:
        ring = state["held"] - 1
        if state["calm_now_us"][ring] == UNKNOWN_TIME_US:
            break
        by_fix_us = time_us - state["calm_fix_us"][ring]
        by_now_us = now_us - state["calm_now_us"][ring]
        if max(by_fix_us, by_now_us) < dwell_us:
            break
        state["calm_fix_us"][ring] = UNKNOWN_TIME_US
        state["calm_now_us"][ring] = UNKNOWN_TIME_US
        state["held"] = ring
        state["cause"] = _CALM
        fell = True
    return fell


@kernel
def _settled(watches: WatchArray, watch: int) -> bool:
    """Whether nothing speaks for a level below the one held."""
    held: int = watches[watch]["held"]
    if held == 0:
        return True
    calm_us: int = watches[watch]["calm_now_us"][held - 1]
    return calm_us == UNKNOWN_TIME_US


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
        watches, watch, tracks, layout: The watch must be measured at `now_us`.
        now_us: When this is decided.
        mover: The track that has a new fix; `NO_MOVER`: none has.
        limits: Parameters.

    Returns:
        The level that something still speaks for, at `_HOLDING` of what entering takes.
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


@kernel
def decide(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, mover: int,
    limits: Limits,
) -> None:  # fmt: skip
    """Apply a new fix to a watch that is measured at `now_us` and whose fixes are not too old."""
    state = watches[watch]
    time_us = oldest_us(layout, watch, tracks)
    supported = look(watches, watch, tracks, layout, now_us, mover, limits)
    _note_calm(watches, watch, layout, supported, time_us, now_us, limits)
    _fall(watches, watch, layout, time_us, now_us)
    depth, sigma = state["depth_m"], state["sigma_m"]
    alert_m = layout.enter_m[watch, ALERT_RING]
    blunt = False
    if watch < layout.pair_count:
        best = 1.0 - math.exp(-0.5 * (alert_m / sigma) * (alert_m / sigma))
        blunt = best < asked(layout, watch, tracks)
    decisive = not blunt or _excluded(depth, alert_m, sigma, limits)
    if decisive:
        state["decided_us"] = max(state["decided_us"], time_us)
    if blunt and depth <= alert_m and state["held"] < _ALERT:
        if not state["unknown"]:
            state["cause"] = _POSITION
        state["unknown"] = 1
    elif decisive and _settled(watches, watch):
        if state["unknown"] and not state["held"]:
            state["cause"] = _CALM
        state["unknown"] = 0


@kernel
def glance(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits
) -> None:
    """Apply what is predicted for this instant, without a new fix: it can raise, not lower."""
    supported = look(watches, watch, tracks, layout, now_us, NO_MOVER, limits)
    _note_calm(watches, watch, layout, supported, UNKNOWN_TIME_US, now_us, limits)


@kernel
def _way_left_m(
    watch: int, tracks: TrackArray, layout: Layout, at_us: int, limits: Limits
) -> float:
    """How much farther away than plausible the alert ring is at an instant; below 0: not at all."""
    alert_m = layout.enter_m[watch, ALERT_RING]
    a = tracks[layout.first[watch]]
    reached_m = reach_m(a, at_us, limits)
    here, sigma2 = a["here_m"], a["here_sigma_m"] * a["here_sigma_m"]
    if layout.second[watch] == NO_TRACK:
        depth_m = zone_depth_m(watch - layout.pair_count, here[0], here[1], here[2], layout)
        return depth_m - limits.reach_sigmas * math.sqrt(sigma2) - alert_m - reached_m
    b = tracks[layout.second[watch]]
    reached_m += reach_m(b, at_us, limits)
    sigma2 += b["here_sigma_m"] * b["here_sigma_m"]
    dx, dy, dz = here[0] - b["here_m"][0], here[1] - b["here_m"][1], here[2] - b["here_m"][2]
    apart_m = math.sqrt(dx * dx + dy * dy + dz * dz)
    return apart_m - limits.reach_sigmas * math.sqrt(sigma2) - alert_m - reached_m


@kernel
def _reached_us(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits
) -> int:
    """Since when the alert ring could have been reached; after `now_us` if not yet.

    A device whose position is not known could be anywhere: since ever.
    """
    since_us = oldest_us(layout, watch, tracks)
    if since_us == UNKNOWN_TIME_US:
        return UNKNOWN_TIME_US
    if _way_left_m(watch, tracks, layout, now_us, limits) > 0.0:
        return now_us + 1
    low, high = since_us, now_us
    for _ in range(_HALVINGS):
        if high - low <= 1:
            break
        middle = low + (high - low) // 2
        if _way_left_m(watch, tracks, layout, middle, limits) > 0.0:
            low = middle
        else:
            high = middle
    return high


@kernel
def elapse(
    watches: WatchArray, watch: int, tracks: TrackArray, layout: Layout, now_us: int, limits: Limits
) -> int:
    """Apply the passing of time to a watch; the instant that a change of level dates from."""
    state = watches[watch]
    if newest_us(layout, watch, tracks) == UNKNOWN_TIME_US:
        return now_us
    since_us = max(state["decided_us"], tracks[layout.first[watch]]["listening_us"])
    if layout.second[watch] != NO_TRACK:
        since_us = max(since_us, tracks[layout.second[watch]]["listening_us"])
    overdue_us: int = since_us + layout.overdue_us[watch]
    if now_us > overdue_us:
        reached_us = _reached_us(watches, watch, tracks, layout, now_us, limits)
        if reached_us <= now_us:
            if not state["unknown"]:
                state["cause"] = _SILENCE
            state["unknown"] = 1
            for ring in range(RINGS):
                state["calm_fix_us"][ring] = UNKNOWN_TIME_US
                state["calm_now_us"][ring] = UNKNOWN_TIME_US
            return max(overdue_us, reached_us)
    if _fall(watches, watch, layout, UNKNOWN_TIME_US, now_us) and _settled(watches, watch):
        state["unknown"] = 0
    return now_us
