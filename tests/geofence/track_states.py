"""States of a track drawn at random, on a plane that touches the Earth, and the way back to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from geofence.distance import to_cartesian_m
from geofence.plan import FloatArray
from geofence.rules import MODELS
from geofence.track import TrackArray, new_tracks

LAT, LON = 51.75, -1.25
MIDDLE_M = np.array(to_cartesian_m(LAT, LON))


def _axes() -> FloatArray:
    lat, lon = np.radians([LAT, LON])
    east = [-np.sin(lon), np.cos(lon), 0.0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    return np.array([east, north])


AXES = _axes()
"""(2, 3) east and north: orthonormal."""


def up(plane: FloatArray) -> FloatArray:
    """A vector (or several) of the plane, in space."""
    return plane @ AXES


def down(space: FloatArray) -> FloatArray:
    """A vector (or several) in space, on the plane."""
    return space @ AXES.T


@dataclass(frozen=True)
class Movement:
    """What one model believes: place and velocity on the plane, and their covariance per axis."""

    weight: float
    place_m: FloatArray
    velocity_mps: FloatArray
    spread: FloatArray

    @property
    def mean(self) -> FloatArray:
        """(4,) x, y, and their velocities."""
        return np.concatenate([self.place_m, self.velocity_mps])

    @property
    def covariance(self) -> FloatArray:
        """(4, 4), the same on both axes."""
        both: FloatArray = np.kron(self.spread, np.eye(2)).astype(np.float64)
        return both


def per_axis(covariance: FloatArray) -> FloatArray:
    """(2, 2) of a (4, 4) covariance: the mean of both axes."""
    mean: FloatArray = (covariance[::2, ::2] + covariance[1::2, 1::2]) / 2
    return mean


@st.composite
def movements(draw: st.DrawFn) -> Movement:
    sigma_m = 10.0 ** draw(st.floats(-0.5, 3.0))
    sigma_mps = 10.0 ** draw(st.floats(-1.5, 1.5))
    both = draw(st.floats(-0.99, 0.99)) * sigma_m * sigma_mps
    place = st.floats(-1000.0, 1000.0)
    speed = st.floats(-50.0, 50.0)
    return Movement(
        draw(st.floats(0.001, 1.0)),
        np.array([draw(place), draw(place)]),
        np.array([draw(speed), draw(speed)]),
        np.array([[sigma_m**2, both], [both, sigma_mps**2]]),
    )


@st.composite
def three_movements(draw: st.DrawFn) -> list[Movement]:
    """One for each model, with weights that sum to 1."""
    drawn = [draw(movements()) for _ in range(MODELS)]
    total = sum(one.weight for one in drawn)
    return [Movement(m.weight / total, m.place_m, m.velocity_mps, m.spread) for m in drawn]


def track_of(drawn: list[Movement]) -> np.void:
    """A record of `TRACK_DTYPE` in that state."""
    tracks: TrackArray = new_tracks(1, listening_us=0)
    state: np.void = tracks[0]
    for model, one in enumerate(drawn):
        state["weight"][model] = one.weight
        state["mean_m"][model] = MIDDLE_M + up(one.place_m)
        state["mean_mps"][model] = up(one.velocity_mps)
        spread = one.spread
        state["spread"][model] = spread[0, 0], spread[0, 1], spread[1, 1]
    return state


def movement_of(row: FloatArray) -> Movement:
    """What a row of `geofence.motion.COLUMNS` says (or one without the weight)."""
    return Movement(
        float(row[9]) if row.size > 9 else 1.0,
        down(row[:3] - MIDDLE_M),
        down(row[3:6]),
        np.array([[row[6], row[7]], [row[7], row[8]]]),
    )


def is_positive_definite(spread: FloatArray) -> bool:
    """Whether a (2, 2) is a covariance: compared without units."""
    return bool(
        spread[0, 0] > 0
        and spread[1, 1] > 0
        and abs(spread[0, 1]) < np.sqrt(spread[0, 0]) * np.sqrt(spread[1, 1])
    )
