"""When a watch must be looked at again although no fix has come, and when a fix changes nothing.

Most pairs are kilometres from every ring. Nothing can happen to them before somebody has had the
time to come near, and until then a sweep passes them by: its cost goes with the pairs that are
near, not with all. And a fix of somebody far away is told to be one without bringing both devices
up to the present instant. What stands here are bounds: whatever would be found by looking at
everything must be found all the same (a test runs such an engine beside the ordinary one).

Let D be the depth of a watch that is clear, w its widest ring, and k its `far_sigmas`: a place
that lies k standard deviations outside a ring is inside it with less probability than it takes to
enter, and is excluded by `Rules.reach_sigmas`. From now on the believed place of a device moves no
faster than s, and its standard deviation grows no faster than g, which its velocity's never exceeds
(`geofence.motion.fastest_mps`). Of the devices of a watch the ways are summed, the errors
squared and summed: sigma grows no faster than the length of (g_a, g_b), which is called g from
here on. A depth changes by no more than the way gone, but for `STRETCH`. Then w cannot be entered

- *now*, while D - k sigma > w; in a time t that shrinks by at most (s + k g) t;
- *ahead*: A seconds from now at the most they come nearest. By then they are nearer by at most
  s A, and the variance is at most sigma^2 + g^2 A^2 + 2 q A^3 / 3 (see `geofence.chances`), which
  holds for *now* as well, and whose root grows no faster than sigma does;
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

All of this holds as well with D as it was by the last fixes, and the time since each of them in
place of none (`settle_far`).
"""

from __future__ import annotations

import math

import numpy as np

from geofence.kernel import kernel
from geofence.layout import NO_ZONE
from geofence.plan import FloatArray
from geofence.planes import MAX_RADIUS_M, REACH_M
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
def _counted_m(terms: np.void, depth_m: float) -> float:
    """What is counted of a depth, as a way to go."""
    far_m = PAIR_FAR_M if terms["zone"] == NO_ZONE else ZONE_FAR_M
    return min(depth_m, far_m) / STRETCH


@kernel
def _apart_m(a_m: FloatArray, b_m: FloatArray) -> float:
    dx, dy, dz = a_m[0] - b_m[0], a_m[1] - b_m[1], a_m[2] - b_m[2]
    return math.sqrt(dx * dx + dy * dy + dz * dz)


@kernel
def _since_s(track: np.void, at_us: int) -> float:
    return float(max(0, at_us - track["time_us"]) / _SECOND_US)


@kernel
def _far_sigmas(terms: np.void, limits: Limits) -> float:
    return float(max(terms["far_sigmas"], limits.reach_sigmas))


@kernel
def _growing_mps2(terms: np.void, a: np.void, b: np.void) -> float:
    """The square of the greatest speed at which sigma of a watch grows."""
    growing_mps2 = a["growing_mps"] * a["growing_mps"]
    if terms["zone"] == NO_ZONE:
        growing_mps2 += b["growing_mps"] * b["growing_mps"]
    return float(growing_mps2)


@kernel
def _ahead_m2(terms: np.void, growing_mps2: float, limits: Limits) -> float:
    """The variance that is added to what is predicted at the most, of a pair; 0 for a zone."""
    ahead_s = terms["ahead_s"]
    turned_m2 = 2.0 * limits.push[_TURNING] * ahead_s / 3.0
    return float(ahead_s * ahead_s * (growing_mps2 + turned_m2))


@kernel
def _way_m(
    terms: np.void, mover: np.void, other: np.void, at_us: int, sigmas: float, limits: Limits
) -> float:
    """By how much nearer than at the fixes, errors included, the mover's way since the one before.

    `at_us` is the instant that both are brought up to when that way is looked at.
    """
    span_s = mover["span_s"]
    if span_s == 0.0:
        return 0.0
    off_m = mover["path_m"]
    variance = mover["path_sigma_m"] * mover["path_sigma_m"]
    push = limits.push[_TURNING]
    if terms["zone"] == NO_ZONE:
        since_s = _since_s(other, max(at_us, mover["time_us"]))
        sigma_m = other["path_sigma_m"] + since_s * other["growing_mps"]
        off_m += other["path_m"] + 2.0 * since_s * other["moving_mps"]
        variance += sigma_m * sigma_m
        push *= 2.0
    variance += push * span_s * span_s * span_s / 48.0
    return float(off_m + sigmas * math.sqrt(variance))


@kernel
def settle_far(
    state: np.void, terms: np.void, mover: np.void, other: np.void, now_us: int, limits: Limits
) -> bool:
    """Whether a fix of the mover cannot change a watch that is clear; then `due_us` is set.

    Args:
        state: A record of `WATCH_DTYPE`; of a zone, one that has been measured once.
        terms: The same watch's of `geofence.layout.TERMS_DTYPE`.
        mover: The track with the new fix, brought up to that.
        other: The other one; of a zone the same again.
        now_us: When this is decided.
        limits: Parameters.
    """
    sigmas = _far_sigmas(terms, limits)
    mover_s = _since_s(mover, now_us)
    here_m2 = mover["here_sigma_m"] * mover["here_sigma_m"]
    now_sigma_m = mover["here_sigma_m"] + mover_s * mover["growing_mps"]
    now_m2 = now_sigma_m * now_sigma_m
    moving_mps = mover["moving_mps"]
    gone_m = moving_mps * mover_s
    reaching_mps = max(mover["pace_mps"], limits.boarded_mps)
    reached_m = reach_m(mover, now_us, limits)
    if terms["zone"] == NO_ZONE:
        depth_m = _apart_m(mover["here_m"], other["here_m"])
        other_s = _since_s(other, now_us)
        here_m2 += other["here_sigma_m"] * other["here_sigma_m"]
        now_sigma_m = other["here_sigma_m"] + other_s * other["growing_mps"]
        now_m2 += now_sigma_m * now_sigma_m
        moving_mps += other["moving_mps"]
        gone_m += other["moving_mps"] * other_s
        reaching_mps += max(other["pace_mps"], limits.boarded_mps)
        reached_m += reach_m(other, now_us, limits)
    else:
        depth_m = state["depth_m"] - STRETCH * _apart_m(mover["here_m"], state["from_m"])
    growing_mps2 = _growing_mps2(terms, mover, other)
    free_m = _counted_m(terms, depth_m) - terms["widest_m"]
    sigma_m = math.sqrt(now_m2 + _ahead_m2(terms, growing_mps2, limits))
    seen_m = free_m - gone_m - moving_mps * terms["ahead_s"] - sigmas * sigma_m
    way_m = free_m - _way_m(terms, mover, other, now_us, sigmas, limits)
    if not (seen_m > 0.0 and way_m > 0.0):
        return False
    silence_m = free_m - limits.reach_sigmas * math.sqrt(here_m2) - reached_m
    shrinking_mps = moving_mps + sigmas * math.sqrt(growing_mps2)
    left_s = min(seen_m / shrinking_mps, silence_m / reaching_mps)
    state["due_us"] = now_us + int(max(0.0, left_s) * _SECOND_US)
    return True


@kernel
def cannot_see(state: np.void, terms: np.void, a: np.void, b: np.void, limits: Limits) -> bool:
    """Whether neither position nor prediction can speak for any ring of a watch.

    It must have been measured at the instant that both tracks are placed at.
    """
    return _seen_m(state, terms, a, b, limits) > 0.0


@kernel
def _moving_mps(terms: np.void, a: np.void, b: np.void) -> float:
    """No faster do the places of a watch's devices come nearer."""
    moving_mps: float = a["moving_mps"]
    return moving_mps + b["moving_mps"] if terms["zone"] == NO_ZONE else moving_mps


@kernel
def _seen_m(state: np.void, terms: np.void, a: np.void, b: np.void, limits: Limits) -> float:
    """How much farther away a watch is than what position and prediction can see of a ring."""
    free_m = _counted_m(terms, state["depth_m"]) - terms["widest_m"]
    ahead_m2 = _ahead_m2(terms, _growing_mps2(terms, a, b), limits)
    sigma_m = math.sqrt(state["sigma_m"] * state["sigma_m"] + ahead_m2)
    ahead_m = _moving_mps(terms, a, b) * terms["ahead_s"]
    return float(free_m - ahead_m - _far_sigmas(terms, limits) * sigma_m)


@kernel
def next_due_us(
    state: np.void, terms: np.void, a: np.void, b: np.void, now_us: int, limits: Limits
) -> int:
    """The instant at which a watch must be looked at, if no fix comes; `now_us`: at every sweep.

    It must have been measured at `now_us`.
    """
    if state["held"] or state["unknown"] or math.isnan(state["depth_m"]):
        return now_us
    growing_mps = math.sqrt(_growing_mps2(terms, a, b))
    shrinking_mps = _moving_mps(terms, a, b) + _far_sigmas(terms, limits) * growing_mps
    reaching_mps = max(a["pace_mps"], limits.boarded_mps)
    reached_m = reach_m(a, now_us, limits) + _apart_m(a["here_m"], a["xyz_m"])
    here_m2 = a["here_sigma_m"] * a["here_sigma_m"]
    if terms["zone"] == NO_ZONE:
        reaching_mps += max(b["pace_mps"], limits.boarded_mps)
        reached_m += reach_m(b, now_us, limits) + _apart_m(b["here_m"], b["xyz_m"])
        here_m2 += b["here_sigma_m"] * b["here_sigma_m"]
    free_m = _counted_m(terms, state["depth_m"]) - terms["widest_m"]
    silence_m = free_m - reached_m - limits.reach_sigmas * math.sqrt(here_m2)
    left_s = min(_seen_m(state, terms, a, b, limits) / shrinking_mps, silence_m / reaching_mps)
    return now_us + int(max(0.0, left_s) * _SECOND_US)
