"""How somebody may move between two fixes: three models of one kind, and what each predicts.

Velocity is an Ornstein-Uhlenbeck process: a random push of spectral density q (m^2/s^3) per axis,
and a memory T (s) after which a velocity is forgotten (R. A. Singer, "Estimating optimal tracking
filter performance for manned maneuvering targets", IEEE Trans. AES-6, 1970, has the same idea one
derivative higher). Over a time dt, with u = dt/T, d = exp(-u) and f = T (1 - d),

    position += f velocity        velocity *= d

and the covariance of the two grows by q times

    pp = T^3 (u - 2 (1 - d) + (1 - d^2) / 2)        pv = f^2 / 2        vv = T (1 - d^2) / 2

which for small u are dt^3/3, dt^2/2 and dt, those of a velocity that wanders freely.

Three sets (q, T) stand side by side: *steady* (standing, or going straight on), *turning* (on
foot or on a bicycle) and *driving*. Which one holds may change between fixes; `mix` moves their
probabilities and blends their states accordingly, after H. Blom and Y. Bar-Shalom, "The
interacting multiple model algorithm", IEEE Trans. AC-33, 1988.

Everything is Earth-centred Cartesian, and errors count alike in every direction. A covariance is
then three numbers that hold for each axis: position, position with velocity, velocity. Nothing is
special at the poles or at 180 degrees; that a straight line leaves the ellipsoid is a matter of
25 m of height after 18 km.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.exponential import exp_falling
from geofence.kernel import kernel
from geofence.lanes import EVERY
from geofence.plan import FloatArray
from geofence.rules import MODELS, Limits

MODEL_DTYPE_FIELDS = (
    ("weight", np.float64, (MODELS,)),  # probability of each model
    ("mean_m", np.float64, (MODELS, 3)),
    ("mean_mps", np.float64, (MODELS, 3)),
    ("spread", np.float64, (MODELS, 3)),  # per axis: m^2, m^2/s, m^2/s^2
)
"""What a track keeps for each model, as fields of its dtype."""

_SMALL = 0.05


@kernel
def ou_step(dt_s: float, memory_s: float) -> tuple[float, float, float, float, float]:
    """Factors d and f, and the growths pp, pv and vv for q = 1; see the module."""
    if dt_s == 0.0:
        return 1.0, 0.0, 0.0, 0.0, 0.0
    d = math.exp(-dt_s / memory_s)
    f, pp = _moved_and_grown(dt_s, memory_s, d)
    return d, f, pp, 0.5 * f * f, f * (1.0 + d) * 0.5


@kernel
def _moved_and_grown(dt_s: float, memory_s: float, d: float) -> tuple[float, float]:
    """F and pp of a step whose d is known.

    For small u their closed forms lose digits; series are used there, that of pp to u^7 (1e-9).
    """
    u = dt_s / memory_s
    f_series = dt_s * (1.0 - u * (1 / 2 - u * (1 / 6 - u * (1 / 24 - u * (1 / 120 - u / 720)))))
    pp_series = 1 / 3 - u * (1 / 4 - u * (7 / 60 - u * (1 / 24 - u * 31 / 2520)))
    f_closed = memory_s * (1.0 - d)
    pp_closed = memory_s * memory_s * memory_s * (u - 2.0 * (1.0 - d) + 0.5 * (1.0 - d * d))
    small = u < _SMALL
    # Both are reckoned: to choose one is no branch.
    return (
        f_series if small else f_closed,
        dt_s * dt_s * dt_s * pp_series if small else pp_closed,
    )


@kernel
def mix(scratch: np.void, limits: Limits) -> None:
    """Blend the models' states for a change of model since the fix before, then predict each.

    With s1 and s2 the shares of the second and the third model in a blend, and p1 and p2 how far
    they are from the first, the spread of the differences is s1 (1 - s1) p1^2 + s2 (1 - s2) p2^2
    - 2 s1 s2 p1 p2.

    Args:
        scratch: A record with the fields of `LANE_FIELDS`. `since_s` and the models at the fix
            before are read, those at the fix written.
        limits: Parameters.
    """
    _compare(scratch, limits)
    _predict(scratch, limits, 0)
    _predict(scratch, limits, 1)
    _predict(scratch, limits, 2)


@kernel
def _compare(scratch: np.void, limits: Limits) -> None:
    """What the models' predictions have in common.

    `changing`: the probability that anything made the person change; and of that, that the second
    or the third model did before. `products` of how far the second and the third model are from the
    first, over all axes: of places (11, 22, 12), of places with velocities (11, 22, 12 + 21), of
    velocities (11, 22, 12). They are halved: there are three axes, but people move over a surface,
    in two. That is what the differences are shared between.
    """
    regime_s, driving_s = limits.regime_s, limits.driving_s
    since_s, weight, mean_m, mean_mps = (
        scratch["since_s"], scratch["old_weight"], scratch["old_m"], scratch["old_mps"],
    )  # fmt: skip
    stay, changing, products = scratch["stay"], scratch["changing"], scratch["products"]
    for i in range(EVERY):
        stay[0, i] = stay[1, i] = exp_falling(-since_s[i] / regime_s)
        stay[2, i] = exp_falling(-since_s[i] / driving_s)
        changing[1, i] = (1.0 - stay[1, i]) * weight[1, i]
        changing[2, i] = (1.0 - stay[2, i]) * weight[2, i]
        # Whoever changes is drawn afresh, whatever he did before.
        changing[0, i] = (1.0 - stay[0, i]) * weight[0, i] + changing[1, i] + changing[2, i]
        pp11 = pp22 = pp12 = pv11 = pv22 = pv12 = vv11 = vv22 = vv12 = 0.0
        for axis in range(3):
            x1 = mean_m[1, axis, i] - mean_m[0, axis, i]
            x2 = mean_m[2, axis, i] - mean_m[0, axis, i]
            v1 = mean_mps[1, axis, i] - mean_mps[0, axis, i]
            v2 = mean_mps[2, axis, i] - mean_mps[0, axis, i]
            pp11 += 0.5 * x1 * x1
            pp22 += 0.5 * x2 * x2
            pp12 += 0.5 * x1 * x2
            pv11 += 0.5 * x1 * v1
            pv22 += 0.5 * x2 * v2
            pv12 += 0.5 * (x1 * v2 + x2 * v1)
            vv11 += 0.5 * v1 * v1
            vv22 += 0.5 * v2 * v2
            vv12 += 0.5 * v1 * v2
        products[0, i], products[1, i], products[2, i] = pp11, pp22, pp12
        products[3, i], products[4, i], products[5, i] = pv11, pv22, pv12
        products[6, i], products[7, i], products[8, i] = vv11, vv22, vv12


@kernel
def _predict(scratch: np.void, limits: Limits, target: int) -> None:
    """Write the state of one model at the fix."""
    driving = target == MODELS - 1
    fresh = limits.driving_share if driving else 0.5 * (1.0 - limits.driving_share)
    own1, own2 = (1.0 if target == 1 else 0.0), (1.0 if driving else 0.0)
    memory_s, q = limits.memory_s[target], limits.push[target]
    since_s, stay, changing, products = (
        scratch["since_s"], scratch["stay"], scratch["changing"], scratch["products"],
    )  # fmt: skip
    weight, mean_m, mean_mps, spread = (
        scratch["old_weight"], scratch["old_m"], scratch["old_mps"], scratch["old_spread"],
    )  # fmt: skip
    out_weight, out_m, out_mps, out_spread = (
        scratch["weight"], scratch["mean_m"], scratch["mean_mps"], scratch["spread"],
    )  # fmt: skip
    for i in range(EVERY):
        same = stay[target, i] * weight[target, i]
        total = fresh * changing[0, i] + same
        share1 = (fresh * changing[1, i] + own1 * same) / total
        share2 = (fresh * changing[2, i] + own2 * same) / total
        share0 = 1.0 - share1 - share2
        one, two, both = share1 * (1.0 - share1), share2 * (1.0 - share2), share1 * share2
        pp = share0 * spread[0, 0, i] + share1 * spread[1, 0, i] + share2 * spread[2, 0, i]
        pv = share0 * spread[0, 1, i] + share1 * spread[1, 1, i] + share2 * spread[2, 1, i]
        vv = share0 * spread[0, 2, i] + share1 * spread[1, 2, i] + share2 * spread[2, 2, i]
        pp += one * products[0, i] + two * products[1, i] - 2.0 * both * products[2, i]
        pv += one * products[3, i] + two * products[4, i] - both * products[5, i]
        vv += one * products[6, i] + two * products[7, i] - 2.0 * both * products[8, i]
        d = exp_falling(-since_s[i] / memory_s)
        f, grow_pp = _moved_and_grown(since_s[i], memory_s, d)
        for axis in range(3):
            # About the first model's place: Earth-centred coordinates are large, spreads small.
            x0 = mean_m[0, axis, i]
            x1, x2 = mean_m[1, axis, i] - x0, mean_m[2, axis, i] - x0
            v0, v1, v2 = mean_mps[0, axis, i], mean_mps[1, axis, i], mean_mps[2, axis, i]
            v = share0 * v0 + share1 * v1 + share2 * v2
            out_m[target, axis, i] = x0 + (share1 * x1 + share2 * x2 + f * v)
            out_mps[target, axis, i] = d * v
        out_spread[target, 0, i] = pp + 2.0 * f * pv + f * f * vv + q * grow_pp
        out_spread[target, 1, i] = d * (pv + f * vv) + q * (0.5 * f * f)
        out_spread[target, 2, i] = d * d * vv + q * (f * (1.0 + d) * 0.5)
        out_weight[target, i] = total


@kernel
def sum_up(scratch: np.void) -> None:
    """One state for all models, at the fix: `here` of every lane.

    Position and velocity (Earth-centred), then the variances of position and of velocity per axis.
    What `blend` says of no time ahead, but for its last bits.
    """
    weight, mean_m, mean_mps, spread, here = (
        scratch["weight"], scratch["mean_m"], scratch["mean_mps"], scratch["spread"],
        scratch["here"],
    )  # fmt: skip
    for i in range(EVERY):
        w0, w1, w2 = weight[0, i], weight[1, i], weight[2, i]
        pp = w0 * spread[0, 0, i] + w1 * spread[1, 0, i] + w2 * spread[2, 0, i]
        vv = w0 * spread[0, 2, i] + w1 * spread[1, 2, i] + w2 * spread[2, 2, i]
        for axis in range(3):
            x0, v0 = mean_m[0, axis, i], mean_mps[0, axis, i]
            x1, x2 = mean_m[1, axis, i] - x0, mean_m[2, axis, i] - x0
            v1, v2 = mean_mps[1, axis, i] - v0, mean_mps[2, axis, i] - v0
            x, v = w1 * x1 + w2 * x2, w1 * v1 + w2 * v2
            here[axis, i] = x0 + x
            here[3 + axis, i] = v0 + v
            pp += 0.5 * (w1 * x1 * x1 + w2 * x2 * x2 - x * x)
            vv += 0.5 * (w1 * v1 * v1 + w2 * v2 * v2 - v * v)
        here[6, i], here[7, i] = pp, vv


@kernel
def blend(state: np.void, dt_s: float, limits: Limits, out: FloatArray) -> None:
    """One state for all models, dt after the record's own time; changes nothing.

    Args:
        state: A record with the fields of `MODEL_DTYPE_FIELDS`.
        dt_s: Time ahead, at least 0.
        limits: Parameters.
        out: (9,) position, velocity (Earth-centred), and the variances of position and velocity
            and their covariance per axis, in this order: pp, pv, vv.
    """
    weight, mean_m, mean_mps, spread = (
        state["weight"], state["mean_m"], state["mean_mps"], state["spread"],
    )  # fmt: skip
    w0, w1, w2 = weight[0], weight[1], weight[2]
    d0, f0, pp0, pv0, vv0 = ou_step(dt_s, limits.memory_s[0])
    d1, f1, pp1, pv1, vv1 = ou_step(dt_s, limits.memory_s[1])
    d2, f2, pp2, pv2, vv2 = ou_step(dt_s, limits.memory_s[2])
    q0, q1, q2 = w0 * limits.push[0], w1 * limits.push[1], w2 * limits.push[2]
    pp = q0 * pp0 + q1 * pp1 + q2 * pp2
    pv = q0 * pv0 + q1 * pv1 + q2 * pv2
    vv = q0 * vv0 + q1 * vv1 + q2 * vv2
    for model, w, d, f in ((0, w0, d0, f0), (1, w1, d1, f1), (2, w2, d2, f2)):
        own_pv, own_vv = spread[model, 1], spread[model, 2]
        pp += w * (spread[model, 0] + 2.0 * f * own_pv + f * f * own_vv)
        pv += w * d * (own_pv + f * own_vv)
        vv += w * d * d * own_vv
    for axis in range(3):
        # About the first model's place, as in `mix`; of the differences the mean square, less the
        # square of the mean.
        v0, v1, v2 = d0 * mean_mps[0, axis], d1 * mean_mps[1, axis], d2 * mean_mps[2, axis]
        x0 = f0 * mean_mps[0, axis]
        x1 = mean_m[1, axis] - mean_m[0, axis] + f1 * mean_mps[1, axis]
        x2 = mean_m[2, axis] - mean_m[0, axis] + f2 * mean_mps[2, axis]
        x = w0 * x0 + w1 * x1 + w2 * x2
        v = w0 * v0 + w1 * v1 + w2 * v2
        out[axis] = mean_m[0, axis] + x
        out[3 + axis] = v
        pp += 0.5 * (w0 * x0 * x0 + w1 * x1 * x1 + w2 * x2 * x2 - x * x)
        pv += 0.5 * (w0 * x0 * v0 + w1 * x1 * v1 + w2 * x2 * v2 - x * v)
        vv += 0.5 * (w0 * v0 * v0 + w1 * v1 * v1 + w2 * v2 * v2 - v * v)
    out[6] = pp
    out[7] = pv
    out[8] = vv


@kernel
def fastest_mps(state: np.void, limits: Limits) -> tuple[float, float]:
    """How fast, at any time from the record's own on, what `blend` gives may change.

    The mean velocity is sum w d v with d at most 1. The variance pp grows by 2 pv, and no
    covariance is greater than the root of the product of the variances, so the standard deviation
    of the position grows by at most that of the velocity. Of its variance the part of each model
    lies between what it is and q T / 2, at which it settles; that of the difference between the
    models is at most the sum of w v^2 / 2.

    Args:
        state: A record with the fields of `MODEL_DTYPE_FIELDS`.
        limits: Parameters.

    Returns:
        Bounds of the speed of the position, and of the growth of its standard deviation per axis,
        which is one of the standard deviation of the velocity, too.
    """
    speed_mps = 0.0
    spread_mps2 = 0.0
    for model in range(MODELS):
        w, v = state["weight"][model], state["mean_mps"][model]
        speed2 = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
        settled = 0.5 * limits.push[model] * limits.memory_s[model]
        speed_mps += w * math.sqrt(speed2)
        spread_mps2 += w * (max(state["spread"][model, 2], settled) + 0.5 * speed2)
    return speed_mps, math.sqrt(spread_mps2)
