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

from geofence.kernel import kernel
from geofence.plan import FloatArray
from geofence.rules import MODELS, Limits

MODEL_DTYPE_FIELDS = (
    ("weight", np.float64, (MODELS,)),  # probability of each model
    ("mean_m", np.float64, (MODELS, 3)),
    ("mean_mps", np.float64, (MODELS, 3)),
    ("spread", np.float64, (MODELS, 3)),  # per axis: m^2, m^2/s, m^2/s^2
)
"""What a track keeps for each model, as fields of its dtype."""

COLUMNS = 10
"""Columns of a mixed state: three of position, three of velocity, three of covariance, weight."""

_SMALL = 0.05


@kernel
def ou_step(dt_s: float, memory_s: float) -> tuple[float, float, float, float, float]:
    """Factors d and f, and the growths pp, pv and vv for q = 1; see the module.

    For small u the closed form of pp loses its digits; its series is used, to u^7 (1e-9).
    """
    if dt_s == 0.0:
        return 1.0, 0.0, 0.0, 0.0, 0.0
    u = dt_s / memory_s
    d = math.exp(-u)
    f = memory_s * (1.0 - d)
    if u < _SMALL:
        series = 1 / 3 - u * (1 / 4 - u * (7 / 60 - u * (1 / 24 - u * 31 / 2520)))
        pp = dt_s * dt_s * dt_s * series
        f = dt_s * (1.0 - u * (1 / 2 - u * (1 / 6 - u * (1 / 24 - u * (1 / 120 - u / 720)))))
    else:
        pp = memory_s * memory_s * memory_s * (u - 2.0 * (1.0 - d) + 0.5 * (1.0 - d * d))
    return d, f, pp, 0.5 * f * f, f * (1.0 + d) * 0.5


@kernel
def _stay(model: int, dt_s: float, limits: Limits) -> float:
    """Probability that nothing made the person change over dt."""
    memory_s = limits.driving_s if model == MODELS - 1 else limits.regime_s
    return math.exp(-dt_s / memory_s)


@kernel
def _change(source: int, target: int, stay: float, limits: Limits) -> float:
    """Probability of the target model after dt, from the source: stay, or be drawn afresh."""
    fresh = limits.driving_share if target == MODELS - 1 else 0.5 * (1.0 - limits.driving_share)
    return float((1.0 - stay) * fresh + (stay if source == target else 0.0))


@kernel
def mix(state: np.void, dt_s: float, limits: Limits, out: FloatArray) -> None:
    """Blend the models' states for a change of model within dt, then predict each over dt.

    Args:
        state: A record with the fields of `MODEL_DTYPE_FIELDS`.
        dt_s: Time since that state, above 0.
        limits: Parameters.
        out: (3, `COLUMNS`) the predicted states.
    """
    stay0 = _stay(0, dt_s, limits)
    stay2 = _stay(MODELS - 1, dt_s, limits)
    weight, mean_m, mean_mps, spread = (
        state["weight"], state["mean_m"], state["mean_mps"], state["spread"],
    )  # fmt: skip
    for target in range(MODELS):
        share0 = _change(0, target, stay0, limits) * weight[0]
        share1 = _change(1, target, stay0, limits) * weight[1]
        share2 = _change(2, target, stay2, limits) * weight[2]
        total = share0 + share1 + share2
        share0 /= total
        share1 /= total
        share2 /= total
        pp = share0 * spread[0, 0] + share1 * spread[1, 0] + share2 * spread[2, 0]
        pv = share0 * spread[0, 1] + share1 * spread[1, 1] + share2 * spread[2, 1]
        vv = share0 * spread[0, 2] + share1 * spread[1, 2] + share2 * spread[2, 2]
        d, f, grow_pp, grow_pv, grow_vv = ou_step(dt_s, limits.memory_s[target])
        for axis in range(3):
            x0, x1, x2 = mean_m[0, axis], mean_m[1, axis], mean_m[2, axis]
            v0, v1, v2 = mean_mps[0, axis], mean_mps[1, axis], mean_mps[2, axis]
            # About the first model's place: Earth-centred coordinates are large, spreads small.
            x = x0 + share1 * (x1 - x0) + share2 * (x2 - x0)
            v = share0 * v0 + share1 * v1 + share2 * v2
            # How far the models differ counts as spread. There are three axes, but the people
            # move over a surface, in two: that is what the differences are shared between.
            pp += 0.5 * (
                share0 * (x0 - x) * (x0 - x)
                + share1 * (x1 - x) * (x1 - x)
                + share2 * (x2 - x) * (x2 - x)
            )
            pv += 0.5 * (
                share0 * (x0 - x) * (v0 - v)
                + share1 * (x1 - x) * (v1 - v)
                + share2 * (x2 - x) * (v2 - v)
            )
            vv += 0.5 * (
                share0 * (v0 - v) * (v0 - v)
                + share1 * (v1 - v) * (v1 - v)
                + share2 * (v2 - v) * (v2 - v)
            )
            out[target, axis] = x + f * v
            out[target, 3 + axis] = d * v
        q = limits.push[target]
        out[target, 6] = pp + 2.0 * f * pv + f * f * vv + q * grow_pp
        out[target, 7] = d * (pv + f * vv) + q * grow_pv
        out[target, 8] = d * d * vv + q * grow_vv
        out[target, 9] = total


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
    steps = (
        ou_step(dt_s, limits.memory_s[0]),
        ou_step(dt_s, limits.memory_s[1]),
        ou_step(dt_s, limits.memory_s[2]),
    )
    for column in range(9):
        out[column] = 0.0
    for axis in range(3):
        out[axis] = mean_m[0, axis]
    for model in range(MODELS):
        w = weight[model]
        d, f, grow_pp, grow_pv, grow_vv = steps[model]
        q = limits.push[model]
        pp, pv, vv = spread[model, 0], spread[model, 1], spread[model, 2]
        out[6] += w * (pp + 2.0 * f * pv + f * f * vv + q * grow_pp)
        out[7] += w * (d * (pv + f * vv) + q * grow_pv)
        out[8] += w * (d * d * vv + q * grow_vv)
        for axis in range(3):
            v = mean_mps[model, axis]
            out[axis] += w * (mean_m[model, axis] - mean_m[0, axis] + f * v)
            out[3 + axis] += w * d * v
    for model in range(MODELS):
        w = weight[model]
        d, f, _pp, _pv, _vv = steps[model]
        for axis in range(3):
            v = mean_mps[model, axis]
            off_m = mean_m[model, axis] + f * v - out[axis]
            off_mps = d * v - out[3 + axis]
            out[6] += 0.5 * w * off_m * off_m
            out[7] += 0.5 * w * off_m * off_mps
            out[8] += 0.5 * w * off_mps * off_mps


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
