"""Errors are as large as the engine says: simulated walkers, and a receiver with white noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from geofence.filter import lasting_m2
from geofence.motion import ou_step
from geofence.plan import FloatArray
from geofence.proximity import SIGMAS_PER_R68
from geofence.rules import DEFAULT_RULES
from geofence.track import advance, new_scratch, new_tracks, place
from tests.geofence.plans import NOW_US, Fix, S
from tests.geofence.receiver_errors import gaussian, with_tail
from tests.geofence.track_states import MIDDLE_M, down

LIMITS = DEFAULT_RULES.limits()
ACCURACY_M = 8.0
SIGMA_M = ACCURACY_M * SIGMAS_PER_R68
FIXES = 600
_TURNING = 1


def way_of(rng: np.random.Generator, steps: int, step_s: int) -> FloatArray:
    """(n, 2) places of somebody who walks as the model for turning says."""
    d, f, pp, pv, vv = ou_step(float(step_s), LIMITS.memory_s[_TURNING])
    q = LIMITS.push[_TURNING]
    root = np.linalg.cholesky(q * np.array([[pp, pv], [pv, vv]]))
    place_m = np.zeros(2)
    velocity_mps = rng.normal(0, math.sqrt(q * LIMITS.memory_s[_TURNING] / 2), 2)
    places = []
    for _ in range(steps):
        places.append(place_m)
        moved_m, turned_mps = root @ rng.normal(0, 1, (2, 2))
        place_m = place_m + f * velocity_mps + moved_m
        velocity_mps = d * velocity_mps + turned_mps
    return np.array(places)


def squared_errors(
    seed: int, interval_s: int, ahead_s: int, error: Callable[[np.random.Generator], FloatArray]
) -> tuple[list[float], list[float]]:
    """Squares of the errors per axis, at fixes or so long after, in units of what is believed.

    With and without the error that does not average out, which this receiver does not have.
    """
    rng = np.random.default_rng(seed)
    step_s = math.gcd(interval_s, ahead_s)
    seconds = FIXES * interval_s
    places = way_of(rng, (seconds + ahead_s) // step_s, step_s)
    tracks, scratch = new_tracks(1, listening_us=0), new_scratch()
    believed, averaging = [], []
    for second in range(0, seconds, interval_s):
        east_m, north_m = places[second // step_s] + error(rng)
        fix = Fix(0, NOW_US + second * S, east_m, north_m, accuracy_m=ACCURACY_M)
        advance(tracks[0], *fix.row()[1:], LIMITS, scratch)
        place(tracks[0], NOW_US + (second + ahead_s) * S, LIMITS, scratch)
        if second < FIXES // 2 * interval_s:
            continue  # the scale of the noise is still being learned
        # The plane of the fixes is not quite that of the axes: both in degrees first.
        truth = Fix(0, 0, *places[(second + ahead_s) // step_s])
        error_m = down(tracks[0]["xyz_m"] - MIDDLE_M) - _on_plane(truth)
        square = float(error_m @ error_m) / 2
        variance = tracks[0]["sigma_m"] ** 2
        believed.append(square / variance)
        averaging.append(square / (variance - lasting_m2(tracks[0], LIMITS)))
    return believed, averaging


def _on_plane(fix: Fix) -> FloatArray:
    tracks, scratch = new_tracks(1, listening_us=0), new_scratch()
    advance(tracks[0], *fix.row()[1:], LIMITS, scratch)
    return down(tracks[0]["here_m"] - MIDDLE_M)


def as_stated(rng: np.random.Generator) -> FloatArray:
    return gaussian(rng, SIGMA_M)


def as_first_guessed(rng: np.random.Generator) -> FloatArray:
    return with_tail(rng, DEFAULT_RULES.noise_scale * SIGMA_M)


# Where somebody may be anywhere by the next fix, the fixes cannot tell how good the receiver is:
# then the first guess counts.
@pytest.mark.parametrize(
    ("interval_s", "ahead_s", "error"),
    [
        (1, 0, as_stated),
        (1, 5, as_stated),
        (5, 0, as_stated),
        (5, 20, as_stated),
        (1, 0, as_first_guessed),
        (15, 0, as_first_guessed),
        (60, 0, as_first_guessed),
        (15, 30, as_first_guessed),
    ],
)
def test_errors_are_as_large_as_believed(
    interval_s: int, ahead_s: int, error: Callable[[np.random.Generator], FloatArray]
) -> None:
    believed: list[float] = []
    averaging: list[float] = []
    for seed in range(8):
        one, other = squared_errors(seed, interval_s, ahead_s, error)
        believed += one
        averaging += other
    # What is believed leaves room for wild fixes, nearly a variance more, and none are drawn.
    assert 0.55 < np.mean(believed) < 1.2
    assert 0.55 < np.mean(averaging) < 1.25
