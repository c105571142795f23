"""How a fix changes what is believed of a track.

The error of a fix is one of four kinds: *ordinary*, Gaussian with a multiple of the stated
radius; from the *tail*, several times that; *wild* (a reflection, a wrong satellite), many times;
or *stray*, anywhere at all. With S = P + R, the spread of the difference between the fix and the
place predicted if it is of one kind, each kind has the likelihood

    share exp(-d^2 / 2S) / S        (stray: 2 pi density)

and so a posterior weight w. The track moves by the mean over the kinds and its spread becomes
that of the mixture (probabilistic data association: Y. Bar-Shalom and E. Tse, "Tracking in a
cluttered environment", Automatica 11, 1975), so a fix that may be wrong both moves it less and
leaves it less sure. With W1 = sum w/S, W2 = sum w/S^2:

    position += P W1 d      P -= P^2 W1 - P^2 (W2 - W1^2) d^2 / 2        (velocity likewise)

Nothing is cut off: an odd fix counts for next to nothing, and is kept.

How large a receiver's ordinary error is, compared with what it states, is learned from the same
differences: d^2 / 2S is 1 on average when the scale is right, so its square is the mean of what
it was at each fix times that.

A track that was wrong, or somebody carried away while nobody looked, shows as fixes in a row that
it cannot explain but that explain each other. After `moved_fixes` of them it begins anew there.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.exponential import exp_falling
from geofence.kernel import kernel
from geofence.lanes import EVERY, load, store
from geofence.rules import MODELS, Limits

_DOUBTED = 0.2
_DRIFT_GAIN = 0.1
_DRIFT_JUMP = 4.0
"""The stated variance is averaged over about ten fixes; one cannot raise it more than by this."""

FILTER_FIELDS = (
    ("noise_sum", np.float64),  # over ordinary fixes, of scale^2 d^2 / 2S, as noise_scale^2
    ("noise_count", np.float64),
    ("stated_m2", np.float64),  # mean of the variance stated per axis, of late
    ("odd_count", np.int64),  # fixes in a row that the track does not explain
    ("odd_us", np.int64),
    ("odd_m", np.float64, (3,)),  # the last of them
    ("odd_sigma_m", np.float64),
    ("odd_began_us", np.int64),
    ("odd_began_m", np.float64, (3,)),  # the first
)
"""What a track keeps beside its models, as fields of its dtype."""


@kernel
def noise_scale2(state: np.void, limits: Limits) -> float:
    """Variance of an ordinary error as a multiple of the stated variance, as learned."""
    learned = limits.noise_scale * limits.noise_scale * state["noise_sum"] / state["noise_count"]
    return float(min(learned, limits.noise_limit * limits.noise_limit))


@kernel
def lasting_m2(state: np.void, limits: Limits) -> float:
    """Variance per axis of the error that does not average out, m^2 (see `Rules`)."""
    hidden = limits.hidden_share2 - limits.hidden_factor * noise_scale2(state, limits)
    return float(state["stated_m2"] * max(limits.drift_share2, hidden))


@kernel
def begin(state: np.void, x: float, y: float, z: float, sigma_m: float, limits: Limits) -> None:
    """Start a track at its first fix: there, and in any kind of movement."""
    scale = 1.0 if sigma_m > limits.coarse_sigma_m else 1.5 * limits.noise_scale
    sigma = scale * sigma_m
    for model in range(MODELS):
        state["mean_m"][model, 0] = x
        state["mean_m"][model, 1] = y
        state["mean_m"][model, 2] = z
        for axis in range(3):
            state["mean_mps"][model, axis] = 0.0
        state["spread"][model, 0] = sigma * sigma
        state["spread"][model, 1] = 0.0
        state["spread"][model, 2] = limits.first_mps2[model]
        state["weight"][model] = 0.5 * (1.0 - limits.driving_share)
    state["weight"][MODELS - 1] = limits.driving_share
    state["noise_sum"] = limits.noise_weight
    state["noise_count"] = limits.noise_weight
    state["stated_m2"] = sigma_m * sigma_m
    state["odd_count"] = 0


@kernel
def _ordinary_m2(state: np.void, sigma_m: float, since_s: float, limits: Limits) -> float:
    """Variance per axis of an ordinary error."""
    stated_m2 = sigma_m * sigma_m
    r0 = noise_scale2(state, limits) * stated_m2
    if sigma_m > limits.coarse_sigma_m:
        # Fixes from the same cell share their error: only so many seconds of them count as one.
        shared = 1.0 + 2.0 * limits.coarse_memory_s / since_s
        r0 = max(r0, stated_m2) * shared
    return float(r0)


@kernel
def prepare(
    state: np.void, lane: int, sigma_m: float, since_s: float, limits: Limits, scratch: np.void
) -> None:
    """Put into a lane what `geofence.motion.mix` and `absorb` must know of a track and its fix."""
    load(state, lane, scratch)
    scratch["since_s"][lane] = since_s
    scratch["error_m2"][lane] = _ordinary_m2(state, sigma_m, since_s, limits)
    first_guess = limits.noise_scale * limits.noise_scale
    scratch["learned"][lane] = noise_scale2(state, limits) / first_guess


@kernel
def absorb(scratch: np.void, limits: Limits) -> None:
    """Change the models for the fixes of all lanes.

    Args:
        scratch: A record with the fields of `LANE_FIELDS`. What is known is read, with the models
            at the fix as `geofence.motion.mix` leaves them. They are overwritten; also written are
            `sound`, the probability that the fix is neither wild nor stray, and what an ordinary
            one tells about the receiver's errors (see `learn`).
        limits: Parameters.
    """
    total, sound, noise_sum, noise_count = (
        scratch["total"], scratch["sound"], scratch["noise_sum"], scratch["noise_count"],
    )  # fmt: skip
    for i in range(EVERY):
        total[i] = sound[i] = noise_sum[i] = noise_count[i] = 0.0
    _absorb_one(scratch, limits, 0)
    _absorb_one(scratch, limits, 1)
    _absorb_one(scratch, limits, 2)
    weight = scratch["weight"]
    for i in range(EVERY):
        for model in range(MODELS):
            weight[model, i] /= total[i]
        sound[i] /= total[i]
        noise_sum[i] /= total[i]
        noise_count[i] /= total[i]


@kernel
def _absorb_one(scratch: np.void, limits: Limits, model: int) -> None:
    """Change one model, and leave its part of the sums over models."""
    tail_factor2, wild_factor2 = limits.tail_factor2, limits.wild_factor2
    tail_share, wild_share = limits.tail_share, limits.wild_share
    ordinary_share = 1.0 - tail_share - wild_share
    stray = 2.0 * math.pi * limits.stray_density
    fix_m, error_m2, learned, total, sound, noise_sum, noise_count = (
        scratch["fix_m"], scratch["error_m2"], scratch["learned"],
        scratch["total"], scratch["sound"], scratch["noise_sum"], scratch["noise_count"],
    )  # fmt: skip
    weight, mean_m, mean_mps, spread = (
        scratch["weight"], scratch["mean_m"], scratch["mean_mps"], scratch["spread"],
    )  # fmt: skip
    for i in range(EVERY):
        r0 = error_m2[i]
        r1, r2 = r0 * tail_factor2, r0 * wild_factor2
        dx = fix_m[0, i] - mean_m[model, 0, i]
        dy = fix_m[1, i] - mean_m[model, 1, i]
        dz = fix_m[2, i] - mean_m[model, 2, i]
        half = 0.5 * (dx * dx + dy * dy + dz * dz)
        pp, pv, vv = spread[model, 0, i], spread[model, 1, i], spread[model, 2, i]
        h0, h1, h2 = 1.0 / (pp + r0), 1.0 / (pp + r1), 1.0 / (pp + r2)
        l0 = ordinary_share * exp_falling(-half * h0) * h0
        l1 = tail_share * exp_falling(-half * h1) * h1
        l2 = wild_share * exp_falling(-half * h2) * h2
        likelihood = l0 + l1 + l2 + stray
        w0, w1, w2 = l0 / likelihood, l1 / likelihood, l2 / likelihood
        first = w0 * h0 + w1 * h1 + w2 * h2
        second = w0 * h0 * h0 + w1 * h1 * h1 + w2 * h2 * h2
        bend = half * (second - first * first) - first
        mean_m[model, 0, i] += pp * first * dx
        mean_m[model, 1, i] += pp * first * dy
        mean_m[model, 2, i] += pp * first * dz
        mean_mps[model, 0, i] += pv * first * dx
        mean_mps[model, 1, i] += pv * first * dy
        mean_mps[model, 2, i] += pv * first * dz
        spread[model, 0, i] = pp + pp * pp * bend
        spread[model, 1, i] = pv + pp * pv * bend
        spread[model, 2, i] = vv + pv * pv * bend
        joint = weight[model, i] * likelihood
        sound[i] += weight[model, i] * (l0 + l1)
        weight[model, i] = joint
        total[i] += joint
        # Where the track itself is unsure, a difference tells little about the receiver.
        told = joint * w0 * r0 * h0
        noise_count[i] += told
        noise_sum[i] += told * half * h0 * learned[i]


@kernel
def learn(state: np.void, lane: int, sigma_m: float, limits: Limits, scratch: np.void) -> None:
    """Put the models of a lane into a track, and what its fix tells about the receiver."""
    store(state, lane, scratch)
    if sigma_m > limits.coarse_sigma_m:
        return
    stated_m2 = sigma_m * sigma_m
    total = state["noise_sum"] * limits.noise_forget + scratch["noise_sum"][lane]
    count = state["noise_count"] * limits.noise_forget + scratch["noise_count"][lane]
    if count < limits.noise_weight:
        total += limits.noise_weight - count
        count = limits.noise_weight
    state["noise_sum"] = total
    state["noise_count"] = count
    held = state["stated_m2"]
    state["stated_m2"] = held + _DRIFT_GAIN * (min(stated_m2, _DRIFT_JUMP * held) - held)


@kernel
def note_odd(
    state: np.void,
    time_us: int,
    x: float,
    y: float,
    z: float,
    sigma_m: float,
    sound: float,
    limits: Limits,
) -> bool:
    """Count fixes in a row that the track does not explain; move it when they explain each other.

    Args:
        state: A track's record, after `absorb`.
        time_us: Time of the fix.
        x: Earth-centred position of the fix, metres.
        y: See x.
        z: See x.
        sigma_m: Stated error per axis.
        sound: What `absorb` returned.
        limits: Parameters.

    Returns:
        Whether the track was begun anew at this fix.
    """
    if sound > 0.5:
        if sound > 1.0 - _DOUBTED:
            state["odd_count"] = 0
        return False
    joined = False
    if state["odd_count"] > 0:
        dx, dy, dz = x - state["odd_m"][0], y - state["odd_m"][1], z - state["odd_m"][2]
        apart_m = math.sqrt(dx * dx + dy * dy + dz * dz)
        error_m = 2.0 * limits.noise_scale * (sigma_m + state["odd_sigma_m"])
        way_m = limits.move_limit_mps * (time_us - state["odd_us"]) / 1e6
        joined = apart_m <= way_m + error_m
    state["odd_count"] = state["odd_count"] + 1 if joined else 1
    state["odd_us"] = time_us
    state["odd_sigma_m"] = sigma_m
    state["odd_m"][0], state["odd_m"][1], state["odd_m"][2] = x, y, z
    if not joined:
        state["odd_began_us"] = time_us
        state["odd_began_m"][0], state["odd_began_m"][1], state["odd_began_m"][2] = x, y, z
    if state["odd_count"] < limits.moved_fixes:
        return False
    _move(state, time_us, x, y, z, sigma_m, limits)
    return True


@kernel
def _move(
    state: np.void, time_us: int, x: float, y: float, z: float, sigma_m: float, limits: Limits
) -> None:
    """Begin anew at the last of the odd fixes, on the way from the first of them.

    What the way between two fixes of an error tells about the velocity is weighed against what
    is known of anybody's: fixes a moment apart tell nothing.
    """
    span_s = (time_us - state["odd_began_us"]) / 1e6
    began = state["odd_began_m"]
    vx, vy, vz = (x - began[0]) / span_s, (y - began[1]) / span_s, (z - began[2]) / span_s
    scale2, count, stated_m2 = state["noise_sum"], state["noise_count"], state["stated_m2"]
    begin(state, x, y, z, sigma_m, limits)
    state["noise_sum"], state["noise_count"], state["stated_m2"] = scale2, count, stated_m2
    variance = state["spread"][0, 0]
    measured_mps2 = 2.0 * variance / (span_s * span_s)
    anybody_mps2 = limits.first_mps2[MODELS - 1]
    gain = anybody_mps2 / (anybody_mps2 + measured_mps2)
    speed_mps = math.sqrt(vx * vx + vy * vy + vz * vz)
    share = gain * limits.move_limit_mps / max(speed_mps, limits.move_limit_mps)
    for model in range(MODELS):
        state["mean_mps"][model, 0] = share * vx
        state["mean_mps"][model, 1] = share * vy
        state["mean_mps"][model, 2] = share * vz
        state["spread"][model, 1] = gain * variance / span_s
        state["spread"][model, 2] = gain * measured_mps2 + limits.first_mps2[0]
    state["weight"][0] = 0.25
    state["weight"][1] = 0.25
    state["weight"][MODELS - 1] = 0.5
