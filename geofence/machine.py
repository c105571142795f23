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
it, where a prediction need only be half as probable as for entering. Calm must last for
`clear_dwell_s` without a break. It is measured in fix time, by the older fix of a pair, so that a
buffer flushed in one message is judged as if it had come one by one; or in time since it was
received, so that it can end without another fix. Only fixes are evidence of calm; the passing of
time may break it.

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

import numpy as np

from geofence.kernel import constant, kernel
from geofence.layout import ALERT_RING, NO_ZONE, RINGS
from geofence.levels import UNKNOWN_TIME_US, Cause, Level
from geofence.planes import Planes
from geofence.rising import NO_MOVER, asked, heard, look
from geofence.rules import Limits
from geofence.silence import newest_us, oldest_us, overdue_us, reached_us
from geofence.watch import is_outside

_NO_TIME_US = constant(UNKNOWN_TIME_US)
_ALERT = int(Level.ALERT)
_POSITION = int(Cause.POSITION)
_SILENCE = int(Cause.SILENCE)
_CALM = int(Cause.CALM)


@kernel
def _excluded(depth_m: float, ring_m: float, sigma_m: float, limits: Limits) -> bool:
    return bool(depth_m - limits.reach_sigmas * sigma_m > ring_m)


@kernel
def _is_calm(terms: np.void, ring: int, depth_m: float, sigma_m: float, limits: Limits) -> bool:
    enter_m = terms["enter_m"][ring]
    if math.isnan(enter_m):
        return True
    if not _excluded(depth_m, enter_m, sigma_m, limits):
        return False
    if depth_m - terms["hold_m"][ring] > terms["calm_sigmas"] * sigma_m:
        return True
    return is_outside(terms, depth_m, terms["hold_m"][ring], sigma_m, terms["clear_probability"])


@kernel
def _note_calm(
    state: np.void, terms: np.void, supported: int, time_us: int, now_us: int, limits: Limits
) -> None:  # fmt: skip
    """Start, keep or break the calm of every ring up to the level held.

    `supported` is the level that something still speaks for; `time_us` is `UNKNOWN_TIME_US` where
    there is no new fix: calm is then not started.
    """
    for ring in range(RINGS):
        calm = supported <= ring < state["held"] and _is_calm(
            terms, ring, state["depth_m"], state["sigma_m"], limits
        )
        if not calm:
            state["calm_fix_us"][ring] = UNKNOWN_TIME_US
            state["calm_now_us"][ring] = UNKNOWN_TIME_US
        elif state["calm_now_us"][ring] == UNKNOWN_TIME_US and time_us != UNKNOWN_TIME_US:
            state["calm_fix_us"][ring] = time_us
            state["calm_now_us"][ring] = now_us


@kernel
def _fall(state: np.void, terms: np.void, time_us: int, now_us: int) -> bool:
    """Give up levels whose ring has been calm for long enough; True if any was."""
    dwell_us = terms["clear_dwell_us"]
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
def _settled(state: np.void) -> bool:
    """Whether nothing speaks for a level below the one held."""
    held: int = state["held"]
    if held == 0:
        return True
    calm_us: int = state["calm_now_us"][held - 1]
    return calm_us == UNKNOWN_TIME_US


@kernel
def decide(
    state: np.void, terms: np.void, a: np.void, b: np.void, planes: Planes, now_us: int,
    mover: int, limits: Limits,
) -> None:  # fmt: skip
    """Apply a new fix to a watch that is measured at `now_us` and whose fixes are not too old."""
    time_us = oldest_us(a, b)
    least = asked(terms, a, b)
    supported = look(state, terms, a, b, planes, now_us, mover, least, limits)
    _note_calm(state, terms, supported, time_us, now_us, limits)
    _fall(state, terms, time_us, now_us)
    depth, sigma = state["depth_m"], state["sigma_m"]
    alert_m = terms["enter_m"][ALERT_RING]
    blunt = False
    if terms["zone"] == NO_ZONE:
        best = 1.0 - math.exp(-0.5 * (alert_m / sigma) * (alert_m / sigma))
        blunt = best < least
    decisive = not blunt or _excluded(depth, alert_m, sigma, limits)
    if decisive:
        state["decided_us"] = max(state["decided_us"], time_us)
    if blunt and depth <= alert_m and state["held"] < _ALERT:
        if not state["unknown"]:
            state["cause"] = _POSITION
        state["unknown"] = 1
    elif decisive and _settled(state):
        if state["unknown"] and not state["held"]:
            state["cause"] = _CALM
        elif state["unknown"] and state["cause"] == _SILENCE:
            state["cause"] = _POSITION
        state["unknown"] = 0


@kernel
def glance(
    state: np.void,
    terms: np.void,
    a: np.void,
    b: np.void,
    planes: Planes,
    now_us: int,
    limits: Limits,
) -> None:
    """Apply what is predicted for this instant, without a new fix: it can raise, not lower."""
    least = asked(terms, a, b)
    supported = look(state, terms, a, b, planes, now_us, NO_MOVER, least, limits)
    _note_calm(state, terms, supported, _NO_TIME_US, now_us, limits)


@kernel
def elapse(
    state: np.void,
    terms: np.void,
    a: np.void,
    b: np.void,
    planes: Planes,
    now_us: int,
    limits: Limits,
) -> int:
    """Apply the passing of time to a watch; the instant that a change of level dates from."""
    if newest_us(a, b) == UNKNOWN_TIME_US or heard(state, now_us, limits):
        return now_us
    missed_us = overdue_us(state, terms, a, b, limits)
    if now_us > missed_us:
        possible_us = reached_us(terms, a, b, planes, now_us, limits)
        if possible_us <= now_us:
            if not state["unknown"]:
                state["cause"] = _SILENCE
            state["unknown"] = 1
            for ring in range(RINGS):
                state["calm_fix_us"][ring] = UNKNOWN_TIME_US
                state["calm_now_us"][ring] = UNKNOWN_TIME_US
            return max(missed_us, possible_us)
    if _fall(state, terms, _NO_TIME_US, now_us) and _settled(state):
        state["unknown"] = 0
    return now_us
