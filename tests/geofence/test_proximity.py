from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geofence.plan import FloatArray
from geofence.proximity import (
    RICE_ERROR,
    SIGMAS_PER_R68,
    distance_interval_m,
    is_within,
    normal_cdf,
    side_of,
    time_to_radius_s,
    within_radii,
    within_radius,
)

DISTANCE = st.floats(0, 5_000)
SIGMA = st.floats(0.5, 2_000)


def scaled_bessel(x: FloatArray) -> FloatArray:
    """exp(-x) I0(x), by the asymptotic series where NumPy's I0 would overflow."""
    small = np.minimum(x, 50.0)
    large = np.maximum(x, 50.0)
    series = 1 + 1 / (8 * large) + 9 / (128 * large**2) + 225 / (3072 * large**3)
    near = np.i0(small) * np.exp(-small)
    far = series / np.sqrt(2 * np.pi * large)
    return np.where(x < 50.0, near, far)


def rice(distance_m: float, radius_m: float, sigma_m: float) -> float:
    """Rice's density, integrated by the trapezoidal rule where it is not negligible."""
    low = max(0.0, distance_m - 9 * sigma_m)
    high = min(radius_m, distance_m + 9 * sigma_m)
    if high <= low:
        return float(distance_m < radius_m)
    r = np.linspace(low, high, 40_001)
    density = (
        r
        / sigma_m**2
        * np.exp(-((r - distance_m) ** 2) / (2 * sigma_m**2))
        * scaled_bessel(r * distance_m / sigma_m**2)
    )
    return float(np.trapezoid(density, r))


@given(DISTANCE, st.floats(1, 5_000), SIGMA)
@example(0.0, 100.0, 84.9)
@example(5_000.0, 5_000.0, 1.0)
@example(1.0, 1.0, 2_000.0)
def test_probability_is_rices(distance_m: float, radius_m: float, sigma_m: float) -> None:
    assert within_radius(distance_m, radius_m, sigma_m) == pytest.approx(
        rice(distance_m, radius_m, sigma_m), abs=1e-4
    )


def test_probability_against_dice() -> None:
    rng = np.random.default_rng(20261123)
    for distance_m, radius_m, sigma_m in ((0, 100, 60), (120, 100, 60), (480, 500, 30), (9, 4, 8)):
        x, y = rng.normal(0, sigma_m, (2, 200_000))
        share = np.mean(np.hypot(distance_m + x, y) < radius_m)
        assert within_radius(distance_m, radius_m, sigma_m) == pytest.approx(share, abs=0.005)


@given(DISTANCE, SIGMA, st.floats(1, 5_000), st.floats(1, 2))
def test_wider_and_nearer_is_likelier(
    distance_m: float, sigma_m: float, radius_m: float, factor: float
) -> None:
    probability = within_radius(distance_m, radius_m, sigma_m)
    assert 0.0 <= probability <= 1.0
    assert within_radius(distance_m, radius_m * factor, sigma_m) >= probability - 1e-4
    assert within_radius(distance_m * factor, radius_m, sigma_m) <= probability + 1e-4


@given(DISTANCE, SIGMA)
def test_a_ring_that_is_not_there_holds_nothing(distance_m: float, sigma_m: float) -> None:
    assert within_radius(distance_m, math.nan, sigma_m) == 0.0
    assert within_radius(distance_m, 0.0, sigma_m) == 0.0


NEAR_IT = st.floats(-9, 9)
PROBABILITY = st.one_of(st.floats(0, 1), st.sampled_from([0.05, 0.1, 0.25, 0.35, 0.5, 0.9, 1.0]))


@settings(max_examples=2_000)
@given(NEAR_IT, st.floats(1, 5_000), SIGMA, PROBABILITY)
def test_a_side_is_told_only_where_it_is_sure(
    sigmas: float, radius_m: float, sigma_m: float, probability: float
) -> None:
    distance_m = max(0.0, radius_m - sigmas * sigma_m)
    computed = within_radius(distance_m, radius_m, sigma_m)
    side = side_of(distance_m, radius_m, sigma_m, probability)
    assert side in {0, 1 if computed > probability else -1}
    if side:
        assert abs(computed - probability) > RICE_ERROR / 2, "by more than it may be off"
    within = is_within(distance_m, radius_m, sigma_m, probability)
    assert within == (computed >= probability)


def test_a_side_is_told_mostly() -> None:
    """Of an error of 5 % of the ring, wherever they are about its edge."""
    distances_m = np.linspace(100.0, 300.0, 401)
    sides = [side_of(distance_m, 200.0, 10.0, 0.5) for distance_m in distances_m]
    assert sides.count(0) < 0.05 * len(sides)
    assert [side_of(distance_m, math.nan, 10.0, 0.5) for distance_m in (0.0, 200.0)] == [0, 0]


def test_array_form_is_the_scalar_form() -> None:
    rng = np.random.default_rng(3)
    distance_m, radius_m, sigma_m = rng.uniform(1, 300, (3, 50))
    out = np.empty(50)
    within_radii(distance_m, radius_m, sigma_m, out)
    cases = zip(distance_m, radius_m, sigma_m, strict=True)
    assert out.tolist() == [within_radius(*case) for case in cases]


@given(DISTANCE, SIGMA)
@example(0.0, 10.0)
@example(20.0, 10.0)
def test_interval_holds_95_percent(distance_m: float, sigma_m: float) -> None:
    low, high = distance_interval_m(distance_m, sigma_m)
    assert 0.0 <= low <= distance_m <= high
    below = rice(distance_m, low, sigma_m) if low > 0 else 0.0
    assert below <= 0.0251
    assert 1 - rice(distance_m, high, sigma_m) <= 0.0251


def test_stated_radius_holds_68_percent() -> None:
    assert within_radius(0.0, 25.0, 25.0 * SIGMAS_PER_R68) == pytest.approx(0.68, abs=1e-6)


@given(st.floats(-8, 8))
def test_normal_distribution(z: float) -> None:
    assert normal_cdf(z) + normal_cdf(-z) == pytest.approx(1.0)
    assert normal_cdf(z) == pytest.approx(0.5 * (1 + math.erf(z / math.sqrt(2))), abs=1e-12)


def test_time_to_radius() -> None:
    assert time_to_radius_s(500.0, 100.0, 4.0) == 100.0
    assert time_to_radius_s(99.0, 100.0, -4.0) == 0.0
    assert time_to_radius_s(101.0, 100.0, 0.0) == math.inf
    assert time_to_radius_s(101.0, 100.0, math.nan) == math.inf
