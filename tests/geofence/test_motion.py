from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geofence.lanes import LANES, load
from geofence.motion import blend, fastest_mps, mix, ou_step, sum_up
from geofence.plan import FloatArray
from geofence.rules import DEFAULT_RULES, MODELS, Limits
from geofence.track import new_scratch
from tests.geofence.lane_states import mixed
from tests.geofence.track_states import (
    Movement,
    is_positive_definite,
    movement_of,
    per_axis,
    three_movements,
    track_of,
)

LIMITS = DEFAULT_RULES.limits()
MEMORY_S = st.floats(0.5, 5000.0)
TIME_S = st.floats(0.001, 20_000.0)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(40)


def transition(dt_s: float, memory_s: float) -> FloatArray:
    """exp(A dt) for x' = v, v' = -v / T: the series of a small part of dt, squared again."""
    doublings = max(0, math.ceil(math.log2(dt_s / memory_s)) + 4)
    a = np.array([[0.0, 1.0], [0.0, -1.0 / memory_s]]) * dt_s / 2.0**doublings
    term = total = np.eye(2)
    for n in range(1, 20):
        term = term @ a / n
        total = total + term
    return np.linalg.matrix_power(total, 2**doublings)


def growth(dt_s: float, memory_s: float) -> FloatArray:
    """The integral of what a push s before the end has become, times itself, for q = 1."""
    pieces = min(2000, math.ceil(dt_s / memory_s))
    edges = np.linspace(0.0, dt_s, pieces + 1)
    half = (edges[1:] - edges[:-1])[:, None] / 2
    s = (edges[:-1, None] + half * (1 + _NODES)).ravel()
    weight = (half * _WEIGHTS).ravel()
    moved = -memory_s * np.expm1(-s / memory_s)
    left = np.exp(-s / memory_s)
    pv = np.sum(weight * moved * left)
    return np.array([[np.sum(weight * moved**2), pv], [pv, np.sum(weight * left**2)]])


def step_of(dt_s: float, memory_s: float) -> tuple[FloatArray, FloatArray]:
    d, f, pp, pv, vv = ou_step(dt_s, memory_s)
    return np.array([[1.0, f], [0.0, d]]), np.array([[pp, pv], [pv, vv]])


@given(TIME_S, MEMORY_S)
@example(0.05, 1.0)
@example(math.nextafter(0.05, 0.0), 1.0)
@example(0.001, 5000.0)
@example(20_000.0, 0.5)
def test_a_step_is_the_integral(dt_s: float, memory_s: float) -> None:
    moved, grown = step_of(dt_s, memory_s)
    assert moved == pytest.approx(transition(dt_s, memory_s), rel=1e-10, abs=1e-300)
    assert grown == pytest.approx(growth(dt_s, memory_s), rel=2e-8)


@given(TIME_S, MEMORY_S, st.floats(0.01, 0.99))
@example(0.08, 1.0, 0.5)
def test_two_steps_are_one(dt_s: float, memory_s: float, part: float) -> None:
    first, grown_first = step_of(part * dt_s, memory_s)
    second, grown_second = step_of((1 - part) * dt_s, memory_s)
    whole, grown = step_of(dt_s, memory_s)
    assert second @ first == pytest.approx(whole, rel=1e-9, abs=1e-300)
    assert second @ grown_first @ second.T + grown_second == pytest.approx(grown, rel=2e-8)


@given(MEMORY_S)
def test_the_series_joins_the_closed_form(memory_s: float) -> None:
    below, above = (0.05 * memory_s * (1 + sign * 1e-12) for sign in (-1, 1))
    assert ou_step(below, memory_s) == pytest.approx(ou_step(above, memory_s), rel=2e-8)


def change_matrix(dt_s: float, limits: Limits) -> FloatArray:
    """Somebody stays with his kind of movement for a time, then one is drawn afresh."""
    last = [limits.regime_s, limits.regime_s, limits.driving_s]
    other = (1 - limits.driving_share) / 2
    fresh = np.array([other, other, limits.driving_share])
    stay = np.exp(-dt_s / np.array(last))
    matrix: FloatArray = np.diag(stay) + np.outer(1 - stay, fresh)
    return matrix


def matched(parts: list[tuple[float, FloatArray, FloatArray]]) -> tuple[FloatArray, FloatArray]:
    """Mean and covariance of a mixture of Gaussians: weight, mean, covariance of each."""
    mean = sum((w * m for w, m, _ in parts), np.zeros(4))
    spread = sum((w * (c + np.outer(m - mean, m - mean)) for w, m, c in parts), np.zeros((4, 4)))
    return mean, spread


def predicted(
    mean: FloatArray, covariance: FloatArray, dt_s: float, model: int, limits: Limits
) -> tuple[FloatArray, FloatArray]:
    moved = np.kron(transition(dt_s, limits.memory_s[model]), np.eye(2))
    grown = np.kron(growth(dt_s, limits.memory_s[model]), np.eye(2))
    return moved @ mean, moved @ covariance @ moved.T + limits.push[model] * grown


def assert_same(found: Movement, mean: FloatArray, covariance: FloatArray) -> None:
    assert found.mean == pytest.approx(mean, rel=1e-7, abs=2e-8)
    assert found.spread == pytest.approx(per_axis(covariance), rel=1e-6, abs=1e-7)


STEP_S = st.floats(0.001, 3000.0)


@given(three_movements(), STEP_S)
def test_mixing_is_that_of_general_matrices(drawn: list[Movement], dt_s: float) -> None:
    out = mixed(track_of(drawn), dt_s, LIMITS)
    joint = change_matrix(dt_s, LIMITS) * np.array([[one.weight] for one in drawn])
    assert out[:, 9].sum() == pytest.approx(1.0, abs=1e-12)
    for model in range(MODELS):
        total = joint[:, model].sum()
        shares = joint[:, model] / total
        blended = matched(
            [(w, one.mean, one.covariance) for w, one in zip(shares, drawn, strict=True)]
        )
        found = movement_of(out[model])
        assert found.weight == pytest.approx(total, rel=1e-12)
        assert_same(found, *predicted(*blended, dt_s, model, LIMITS))
        assert is_positive_definite(found.spread)


@given(three_movements(), st.one_of(st.just(0.0), STEP_S))
def test_blending_is_that_of_general_matrices(drawn: list[Movement], dt_s: float) -> None:
    state = track_of(drawn)
    before = state.copy()
    out = np.zeros(9)
    blend(state, dt_s, LIMITS, out)
    assert state == before
    parts = []
    for model, one in enumerate(drawn):
        moved = one.mean, one.covariance
        if dt_s > 0:
            moved = predicted(*moved, dt_s, model, LIMITS)
        parts.append((one.weight, *moved))
    found = movement_of(out)
    assert_same(found, *matched(parts))
    assert is_positive_definite(found.spread)


@given(three_movements(), STEP_S, st.floats(0.01, 5.0), st.floats(5.0, 1000.0))
def test_mixing_loses_neither_mean_nor_spread(
    drawn: list[Movement], dt_s: float, push: float, memory_s: float
) -> None:
    """With all models alike, what there was in all is what there is, moved on."""
    alike = replace(DEFAULT_RULES, push=(push,) * 3, memory_s=(memory_s,) * 3).limits()
    out = mixed(track_of(drawn), dt_s, alike)
    rows = [movement_of(row) for row in out]
    after = matched([(one.weight, one.mean, one.covariance) for one in rows])
    before = matched([(one.weight, one.mean, one.covariance) for one in drawn])
    mean, covariance = predicted(*before, dt_s, 0, alike)
    assert after[0] == pytest.approx(mean, rel=1e-7, abs=2e-8)
    assert per_axis(after[1]) == pytest.approx(per_axis(covariance), rel=1e-6, abs=1e-7)


@given(three_movements())
def test_the_sum_of_the_models_is_their_blend(drawn: list[Movement]) -> None:
    state, scratch, out = track_of(drawn), new_scratch(), np.zeros(9)
    for name in ("weight", "mean_m", "mean_mps", "spread"):
        scratch[name][..., 3] = state[name]
    sum_up(scratch)
    blend(state, 0.0, LIMITS, out)
    here = scratch["here"][:, 3]
    assert here[:6] == pytest.approx(out[:6], rel=1e-12, abs=1e-8)
    assert here[6:] == pytest.approx(out[[6, 8]], rel=1e-9)


@given(st.lists(st.tuples(three_movements(), STEP_S), min_size=LANES, max_size=LANES))
@settings(max_examples=20)
def test_every_lane_is_reckoned_for_itself(given_: list[tuple[list[Movement], float]]) -> None:
    together = new_scratch()
    for lane, (drawn, dt_s) in enumerate(given_):
        load(track_of(drawn), lane, together)
        together["since_s"][lane] = dt_s
    mix(together, LIMITS)
    for lane, (drawn, dt_s) in enumerate(given_):
        rows = mixed(track_of(drawn), dt_s, LIMITS)
        assert together["mean_m"][:, :, lane].tolist() == rows[:, :3].tolist()
        assert together["mean_mps"][:, :, lane].tolist() == rows[:, 3:6].tolist()
        assert together["spread"][:, :, lane].tolist() == rows[:, 6:9].tolist()
        assert together["weight"][:, lane].tolist() == rows[:, 9].tolist()


@given(three_movements(), st.floats(0.0, 3000.0), STEP_S)
def test_nothing_moves_faster_than_said(drawn: list[Movement], at_s: float, dt_s: float) -> None:
    state = track_of(drawn)
    moving_mps, growing_mps = fastest_mps(state, LIMITS)
    first, second = np.zeros(9), np.zeros(9)
    blend(state, at_s, LIMITS, first)
    blend(state, at_s + dt_s, LIMITS, second)
    room = 1 + 1e-9
    way_m = float(np.linalg.norm(second[:3] - first[:3]))
    assert way_m <= moving_mps * dt_s * room + 1e-7
    assert np.linalg.norm(second[3:6]) <= moving_mps * room
    assert math.sqrt(second[6]) - math.sqrt(first[6]) <= growing_mps * dt_s * room + 1e-7
    assert math.sqrt(second[8]) <= growing_mps * room
