"""What the kernels of `geofence.lanes` make of one track, in one of the lanes."""

from __future__ import annotations

import numpy as np

from geofence.filter import absorb, learn, prepare
from geofence.lanes import load
from geofence.motion import mix
from geofence.plan import FloatArray
from geofence.rules import MODELS, Limits
from geofence.track import new_scratch

COLUMNS = 10
"""Of a model's state as a row: three of position, of velocity, of covariance, and its weight."""

_LANE = 5
_FIELDS = ("mean_m", "mean_mps", "spread")


def mixed(state: np.void, dt_s: float, limits: Limits) -> FloatArray:
    """(3, `COLUMNS`) the models of a track, dt later; changes nothing of the track."""
    scratch = new_scratch()
    load(state, _LANE, scratch)
    scratch["since_s"][_LANE] = dt_s
    mix(scratch, limits)
    rows = np.zeros((MODELS, COLUMNS))
    for index, name in enumerate(_FIELDS):
        rows[:, 3 * index : 3 * index + 3] = scratch[name][:, :, _LANE]
    rows[:, 9] = scratch["weight"][:, _LANE]
    return rows


def take_in(
    state: np.void,
    predicted: FloatArray,
    fix_m: FloatArray,
    sigma_m: float,
    since_s: float,
    limits: Limits,
) -> float:
    """Change a track, of which this is predicted, for a fix; how probably it is sound."""
    scratch = new_scratch()
    prepare(state, _LANE, sigma_m, since_s, limits, scratch)
    scratch["fix_m"][:, _LANE] = fix_m
    for index, name in enumerate(_FIELDS):
        scratch[name][:, :, _LANE] = predicted[:, 3 * index : 3 * index + 3]
    scratch["weight"][:, _LANE] = predicted[:, 9]
    absorb(scratch, limits)
    learn(state, _LANE, sigma_m, limits, scratch)
    return float(scratch["sound"][_LANE])
