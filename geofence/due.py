"""When a watch must be looked at again although no fix has come.

Most pairs are kilometres from every ring. Nothing can happen to them before somebody has had the
time to come near, and until then a sweep passes them by: its cost goes with the pairs that are
near, not with all. What stands here are bounds: whatever a sweep would find if it looked at
everything must be found all the same (a test runs such an engine beside the ordinary one).

Let D be the depth of a watch that is clear, w its widest ring, and k = `NEGLIGIBLE_SIGMAS`: what
lies k standard deviations away has no probability. From now on the believed place of a device
moves no faster than s, and its standard deviation grows no faster than g
(`geofence.motion.fastest_mps`); both are summed over the devices of the watch. A depth changes by
no more than the way gone, but for `STRETCH`. Then w cannot be entered

- *now*, while D - k sigma > w; in a time t that shrinks by at most (s + k g) t;
- *ahead*: A seconds from now at the most they come nearest. By then they are nearer by at most
  s A, and sigma is greater by at most g A + sqrt(2 q A^3 / 3) (see `geofence.chances`);
- *on the way* between the last two fixes of one of them. Of two places it is taken to have been
  at, neither is farther from where it is now than the way between the fixes and the way since; a
  companion who is followed back (or ahead) with his velocity has gone so far more. Sigma is at
  most the greatest of the places, and sqrt(q T^3 / 48) for a bend, the greatest value of
  sqrt(q T^3 u^2 (1 - u)^2 / 3);
- *in silence*: where they were at the last fixes is nearer than where they are now by at most the
  way since. From there they come nearer as `geofence.track.reach_m` says, and that grows by no
  more than the greater of pace and `boarded_mps`.

Between fixes nothing else counts, so the instant is set by every fix of a device, even one that
is too old to decide anything, and by every look.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel
from geofence.layout import NO_ZONE
from geofence.levels import UNKNOWN_TIME_US
from geofence.plan import FloatArray
from geofence.planes import MAX_RADIUS_M, REACH_M
from geofence.proximity import NEGLIGIBLE_SIGMAS
from geofence.rules import Limits
from geofence.track import reach_m

STRETCH = 1.001
"""More than an arc of `PAIR_FAR_M` is longer than its chord, or grows faster than it (1.00003),
and a circle's depth (1.0002 at `REACH_M` from its centre)."""

PAIR_FAR_M = 100_000.0
ZONE_FAR_M = REACH_M - MAX_RADIUS_M
"""No more of a depth is counted. Where a zone's plane ends its depth jumps, but not below this."""

_SECOND_US = 1e6
_TURNING = 1


@kernel
def _counted_m(state: np.void, terms: np.void) -> float:
    """What is counted of a depth, as a way to go."""
    far_m = PAIR_FAR_M if terms["zone"] == NO_ZONE else ZONE_FAR_M
    return float(min(state["depth_m"], far_m) / STRETCH)


@kernel
def _apart_m(a_m: FloatArray, b_m: FloatArray) -> float:
    dx, dy, dz = a_m[0] - b_m[0], a_m[1] - b_m[1], a_m[2] - b_m[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@kernel
def _ahead_m(terms: np.void, a: np.void, b: np.void, limits: Limits) -> float:
    """By how much nearer than now, errors included, a prediction may see a watch."""
    if terms["zone"] != NO_ZONE:
        return 0.0
    ahead_s = max(terms["warn_ahead_s"], terms["contact_ahead_s"])
    shrinking_mps = a["shrinking_mps"] + b["shrinking_mps"]
    turned_m = math.sqrt(2.0 * limits.push[_TURNING] * ahead_s * ahead_s * ahead_s / 3.0)
    return float(shrinking_mps * ahead_s + NEGLIGIBLE_SIGMAS * turned_m)


@kernel
def _span_s(track: np.void, limits: Limits) -> float:
    """Time between the last two fixes; 0 where the way between them is not looked at."""
    span_us = track["time_us"] - track["before_us"]
    if track["before_us"] == UNKNOWN_TIME_US or span_us > limits.path_limit_us:
        return 0.0
    return float(span_us / _SECOND_US)


@kernel
def _off_m(track: np.void, until_us: int) -> float:
    """No farther from where it is now was a track taken to be on the way, up to an instant."""
    off_m = _apart_m(track["here_m"], track["xyz_m"])
    if track["before_us"] != UNKNOWN_TIME_US:
        off_m += _apart_m(track["here_m"], track["before_m"])
    v = track["xyz_mps"]
    speed_mps = math.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
    followed_us = max(track["at_us"] - track["time_us"], until_us - track["at_us"], 0)
    return float(off_m + speed_mps * followed_us / _SECOND_US)


@kernel
def _worst_m2(track: np.void) -> float:
    """Greatest variance of any place a track is taken to have been at on the way."""
    sigma_m = max(track["sigma_m"], track["here_sigma_m"])
    if track["before_us"] != UNKNOWN_TIME_US:
        sigma_m = max(sigma_m, track["before_sigma_m"])
    return float(sigma_m * sigma_m)


@kernel
def _way_m(terms: np.void, a: np.void, b: np.void, limits: Limits) -> float:
    """By how much nearer than now, errors included, the way since the fix before may lie."""
    span_s = _span_s(a, limits)
    off_m = _off_m(a, a["time_us"])
    worst_m2 = _worst_m2(a)
    push = limits.push[_TURNING]
    if terms["zone"] == NO_ZONE:
        span_s = max(span_s, _span_s(b, limits))
        off_m = _off_m(a, b["time_us"]) + _off_m(b, a["time_us"])
        worst_m2 += _worst_m2(b)
        push *= 2.0
    if span_s == 0.0:
        return 0.0
    bend_m2 = push * span_s * span_s * span_s / 48.0
    return float(off_m + NEGLIGIBLE_SIGMAS * math.sqrt(worst_m2 + bend_m2))


@kernel
def far_m(state: np.void, terms: np.void, a: np.void, b: np.void, limits: Limits) -> float:
    """How much farther away a watch is than anything that could raise it now, metres.

    Above 0, neither position nor prediction nor the way since the fix before speaks for any ring.
    It must have been measured at the instant that both tracks are placed at.
    """
    now_m = NEGLIGIBLE_SIGMAS * state["sigma_m"] + _ahead_m(terms, a, b, limits)
    nearer_m = max(now_m, _way_m(terms, a, b, limits))
    return float(_counted_m(state, terms) - terms["widest_m"] - nearer_m)


@kernel
def next_due_us(
    state: np.void, terms: np.void, a: np.void, b: np.void, now_us: int, limits: Limits
) -> int:
    """The instant at which a watch must be looked at, if no fix comes; `now_us`: at every sweep.

    It must have been measured at `now_us`.
    """
    if state["held"] or state["unknown"] or math.isnan(state["depth_m"]):
        return now_us
    shrinking_mps = a["shrinking_mps"]
    reaching_mps = max(a["pace_mps"], limits.boarded_mps)
    reached_m = reach_m(a, now_us, limits) + _apart_m(a["here_m"], a["xyz_m"])
    here_m2 = a["here_sigma_m"] * a["here_sigma_m"]
    if terms["zone"] == NO_ZONE:
        shrinking_mps += b["shrinking_mps"]
        reaching_mps += max(b["pace_mps"], limits.boarded_mps)
        reached_m += reach_m(b, now_us, limits) + _apart_m(b["here_m"], b["xyz_m"])
        here_m2 += b["here_sigma_m"] * b["here_sigma_m"]
    free_m = _counted_m(state, terms) - terms["widest_m"]
    seen_m = free_m - NEGLIGIBLE_SIGMAS * state["sigma_m"]
    seen_s = (seen_m - _ahead_m(terms, a, b, limits)) / shrinking_mps
    silence_s = (free_m - reached_m - limits.reach_sigmas * math.sqrt(here_m2)) / reaching_mps
    return now_us + int(max(0.0, min(seen_s, silence_s)) * _SECOND_US)
