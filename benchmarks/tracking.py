"""The engine's own estimate along a recording, once a second, beside the truth.

It is driven as the engine drives it: `judge`, `advance` for what is used, `place` at the second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.recordings import SECOND_US, Recording
from geofence.distance import to_cartesian_m
from geofence.kernel import kernel
from geofence.plan import FloatArray, IntArray
from geofence.rules import Limits
from geofence.track import Mark, Scratch, TrackArray, advance, judge, new_scratch, new_tracks, place

SETTLING_S = 5
"""Seconds at the start that are not scored: what a first fix says is not the estimator's."""

ERROR_LIMIT = 12.0
"""Most that e^2/2V counts: one second in which the track is lost must not decide a fit."""

_USED = int(Mark.USED)


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording as the kernels take it.

    Attributes:
        name: Of the recording.
        columns: (4, n) time (microseconds), latitude and longitude (1e-7 degrees), accuracy (cm).
        truth_m: (m, 3) where it was at each whole second from 0 on, Earth-centred.
    """

    name: str
    columns: IntArray
    truth_m: FloatArray


def sample_of(recording: Recording) -> Sample:
    """Arrange a recording for `follow`."""
    known: NDArray[np.bool_] = np.isfinite(recording.accuracy_m)
    accuracy_cm = np.where(known, np.where(known, recording.accuracy_m, 0.0) * 100, -1)
    columns = [recording.lat_deg * 1e7, recording.lon_deg * 1e7, accuracy_cm]
    grid_us = np.arange(recording.whole_s + 1, dtype=np.int64) * SECOND_US
    truth_m = np.empty((grid_us.size, 3))
    _to_cartesian(*recording.truth_at(grid_us), truth_m)
    rows = [recording.time_us, *(np.rint(column).astype(np.int64) for column in columns)]
    return Sample(recording.name, np.stack(rows), truth_m)


@kernel
def _to_cartesian(lat_deg: FloatArray, lon_deg: FloatArray, out: FloatArray) -> None:
    for i in range(lat_deg.size):
        out[i, 0], out[i, 1], out[i, 2] = to_cartesian_m(lat_deg[i], lon_deg[i])


@kernel
def _follow(
    tracks: TrackArray, columns: IntArray, truth_m: FloatArray, limits: Limits,
    scratch: Scratch, out: FloatArray,
) -> None:  # fmt: skip
    i = 0
    state = tracks[0]
    for second in range(truth_m.shape[0]):
        at_us = second * SECOND_US
        while i < columns.shape[1] and columns[0, i] <= at_us:
            time_us, lat_e7, lon_e7 = columns[0, i], columns[1, i], columns[2, i]
            if judge(state, time_us, lat_e7, lon_e7, at_us, limits) == _USED:
                advance(state, time_us, lat_e7, lon_e7, columns[3, i], limits, scratch)
            i += 1
        place(state, at_us, limits, scratch)
        error2 = 0.0
        for axis in range(3):
            off_m = state["xyz_m"][axis] - truth_m[second, axis]
            error2 += off_m * off_m
        out[second, 0] = error2
        out[second, 1] = state["sigma_m"] * state["sigma_m"]


def follow(sample: Sample, limits: Limits) -> FloatArray:
    """Squared error (m^2) and variance per axis claimed (m^2), (m, 2), at each whole second."""
    out = np.empty((len(sample.truth_m), 2))
    tracks = new_tracks(1, listening_us=0)
    _follow(tracks, sample.columns, sample.truth_m, limits, new_scratch(), out)
    return out


def surprise(followed: FloatArray) -> FloatArray:
    """How little the truth was expected at each second after `SETTLING_S`: log V + e^2/2V.

    That is the negative log likelihood of the true place under an isotropic Gaussian in two
    dimensions, less log 2 pi; e^2/2V is cut off at `ERROR_LIMIT`.
    """
    error2, variance = followed[SETTLING_S:].T
    found: FloatArray = np.log(variance) + np.minimum(error2 / (2.0 * variance), ERROR_LIMIT)
    return found


def share_within(followed: FloatArray, probability: float) -> tuple[int, int]:
    """How many truths lie within the radius that should hold such a share, and of how many.

    The radius is sqrt(-2 ln(1 - p)) standard deviations: the error's length follows Rayleigh's law.
    """
    error2, variance = followed[SETTLING_S:].T
    inside = error2 <= -2.0 * math.log(1.0 - probability) * variance
    return int(np.count_nonzero(inside)), inside.size
