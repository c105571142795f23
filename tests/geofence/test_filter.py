from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geofence.filter import noise_scale2, note_odd
from geofence.plan import FloatArray
from geofence.proximity import SIGMAS_PER_R68
from geofence.rules import DEFAULT_RULES, MODELS, Limits
from geofence.track import advance, new_scratch, new_tracks
from tests.geofence.filter_twin import OddTwin, absorbed
from tests.geofence.lane_states import COLUMNS, mixed, take_in
from tests.geofence.plans import NOW_US, Fix, S
from tests.geofence.receiver_errors import with_tail
from tests.geofence.track_states import (
    MIDDLE_M,
    Movement,
    down,
    is_positive_definite,
    three_movements,
    track_of,
    up,
)

LIMITS = DEFAULT_RULES.limits()
SIGMA_M = st.floats(2.0, 130.0)
OFF_M = st.floats(-3000.0, 3000.0)
SCALE2 = st.floats(0.05, 40.0)


def state_of(drawn: list[Movement], scale2: float = 1.0) -> np.void:
    """A track in that state, with a scale of noise learned."""
    state = track_of(drawn)
    state["noise_sum"], state["noise_count"] = 30.0 * scale2, 30.0
    state["stated_m2"] = 25.0
    return state


def rows_of(drawn: list[Movement]) -> FloatArray:
    """The same as rows of `COLUMNS`."""
    out = np.zeros((MODELS, COLUMNS))
    for row, one in zip(out, drawn, strict=True):
        row[:3], row[3:6] = MIDDLE_M + up(one.place_m), up(one.velocity_mps)
        row[6], row[7], row[8] = one.spread[0, 0], one.spread[0, 1], one.spread[1, 1]
        row[9] = one.weight
    return out


def models_of(state: np.void) -> list[Movement]:
    spread = state["spread"]
    return [
        Movement(
            float(state["weight"][model]),
            down(state["mean_m"][model] - MIDDLE_M),
            down(state["mean_mps"][model]),
            np.array([spread[model, [0, 1]], spread[model, [1, 2]]]),
        )
        for model in range(MODELS)
    ]


def take(
    state: np.void, drawn: list[Movement], fix_m: FloatArray, sigma_m: float, limits: Limits
) -> float:
    return take_in(state, rows_of(drawn), MIDDLE_M + up(fix_m), sigma_m, 1.0, limits)


@given(three_movements(), OFF_M, OFF_M, SIGMA_M, SCALE2)
def test_a_fix_is_absorbed_as_by_general_matrices(
    drawn: list[Movement], east_m: float, north_m: float, sigma_m: float, scale2: float
) -> None:
    state = state_of(drawn, scale2)
    noise2 = min(0.25 * scale2, 9.0) * sigma_m**2
    assert noise_scale2(state, LIMITS) * sigma_m**2 == pytest.approx(noise2)
    fix_m = np.array([east_m, north_m])
    sound = take(state, drawn, fix_m, sigma_m, LIMITS)
    expected = absorbed(drawn, fix_m, noise2, LIMITS)
    assert sound == pytest.approx(expected.sound, rel=1e-6, abs=1e-9)
    for found, one in zip(models_of(state), expected.movements, strict=True):
        assert found.weight == pytest.approx(one.weight, rel=1e-6, abs=1e-12)
        assert found.mean == pytest.approx(one.mean, rel=1e-6, abs=1e-6)
        assert found.spread == pytest.approx(one.spread, rel=1e-5, abs=1e-6)
    count = max(30.0 * LIMITS.noise_forget + expected.told, LIMITS.noise_weight)
    assert state["noise_count"] == pytest.approx(count)
    total = 30.0 * scale2 * LIMITS.noise_forget + expected.surprise * noise2 / 0.25 / sigma_m**2
    assert state["noise_sum"] == pytest.approx(total, rel=1e-6)


ANY_M = st.one_of(OFF_M, st.floats(-1e7, 1e7))


@given(three_movements(), ANY_M, ANY_M, st.floats(1.0, 5000.0), SCALE2, st.floats(0.001, 20_000.0))
def test_whatever_comes_beliefs_stay_beliefs(
    drawn: list[Movement],
    east_m: float,
    north_m: float,
    sigma_m: float,
    scale2: float,
    since_s: float,
) -> None:
    state = state_of(drawn, scale2)
    fix_m = MIDDLE_M + up(np.array([east_m, north_m]))
    rows = mixed(state, since_s, LIMITS)
    sound = take_in(state, rows, fix_m, sigma_m, since_s, LIMITS)
    assert -1e-12 <= sound <= 1 + 1e-12
    assert state["weight"].sum() == pytest.approx(1.0, abs=1e-12)
    assert all(state["weight"] >= 0)
    assert 0 < noise_scale2(state, LIMITS) <= LIMITS.noise_limit**2
    for one in models_of(state):
        assert is_positive_definite(one.spread)
        assert np.isfinite(one.mean).all()


@given(three_movements(), st.floats(1e6, 1e7), st.floats(0, 2 * math.pi))
def test_a_fix_on_another_continent_changes_nothing(
    drawn: list[Movement], off_m: float, angle: float
) -> None:
    state = state_of(drawn)
    sound = take(state, drawn, off_m * np.array([math.cos(angle), math.sin(angle)]), 5.0, LIMITS)
    assert sound < 1e-6
    for found, one in zip(models_of(state), drawn, strict=True):
        assert found.mean == pytest.approx(one.mean, rel=1e-6, abs=1e-6)
        assert found.spread == pytest.approx(one.spread, rel=1e-6)
        assert found.weight == pytest.approx(one.weight, rel=1e-6)


@given(three_movements(), st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), SIGMA_M)
def test_with_one_kind_of_error_it_is_kalmans_filter(
    drawn: list[Movement], along: float, across: float, sigma_m: float
) -> None:
    """The textbook's: gain, innovation, and Bayes' rule among the models."""
    rare = replace(DEFAULT_RULES, tail_share=1e-200, wild_share=1e-200, stray_density=1e-200)
    one_kind = rare.limits()
    state = state_of(drawn)
    noise2 = 0.25 * sigma_m**2
    spread_m = math.sqrt(max(one.spread[0, 0] for one in drawn) + noise2)
    fix_m = drawn[0].place_m + spread_m * np.array([along, across])
    take(state, drawn, fix_m, sigma_m, one_kind)
    seen = np.eye(2, 4)
    evidence = []
    for found, one in zip(models_of(state), drawn, strict=True):
        s = seen @ one.covariance @ seen.T + noise2 * np.eye(2)
        gain = one.covariance @ seen.T @ np.linalg.inv(s)
        difference = fix_m - seen @ one.mean
        after = (np.eye(4) - gain @ seen) @ one.covariance
        log_likelihood = -0.5 * difference @ np.linalg.solve(s, difference)
        log_likelihood -= 0.5 * math.log(np.linalg.det(s))
        evidence.append(math.log(one.weight) + log_likelihood)
        if log_likelihood > -300.0:  # else the other kinds, however rare, are likelier
            assert found.mean == pytest.approx(one.mean + gain @ difference, rel=1e-6, abs=1e-6)
            assert found.spread == pytest.approx(after[::2, ::2], rel=1e-5, abs=1e-6)
    share = np.exp(np.array(evidence) - max(evidence))
    assert state["weight"] == pytest.approx(share / share.sum(), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("pace_mps", [0.0, 1.4])
def test_the_scale_of_the_noise_is_learned(scale: float, pace_mps: float) -> None:
    learned2 = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        tracks, scratch = new_tracks(1, listening_us=0), new_scratch()
        for second in range(900):
            place_m = np.array([pace_mps * second, 0.0])
            east_m, north_m = place_m + with_tail(rng, scale * 10.0 * SIGMAS_PER_R68)
            _, time_us, lat_e7, lon_e7, accuracy_cm = Fix(
                0, NOW_US + second * S, east_m, north_m, accuracy_m=10.0
            ).row()
            advance(tracks[0], time_us, lat_e7, lon_e7, accuracy_cm, LIMITS, scratch)
        learned2.append(noise_scale2(tracks[0], LIMITS))
    assert math.sqrt(np.mean(learned2)) == pytest.approx(scale, rel=0.12)


SOUND = st.sampled_from([0.0, 0.0, 0.0, 0.3, 0.6, 0.9])
ODD = st.tuples(st.integers(1_000, 200_000_000), OFF_M, OFF_M, SIGMA_M, SOUND)


@given(three_movements(), st.lists(ODD, min_size=1, max_size=12))
@example(
    [Movement(1 / 3, np.zeros(2), np.zeros(2), np.eye(2))] * 3,
    [(S, 1000.0 + 10.0 * n, 0.0, 5.0, 0.0) for n in range(6)],
)
@example(
    [Movement(1 / 3, np.zeros(2), np.zeros(2), np.eye(2))] * 3,
    [(2, 1000.0 + 20.0 * n, 0.0, 25.0, 0.0) for n in range(3)],
)
@example(
    [Movement(1 / 3, np.zeros(2), np.zeros(2), np.eye(2))] * 3,
    [(S, 1000.0, 0.0, 130.0, 0.0), (S, 1190.0, 0.0, 130.0, 0.0), (S, 1350.0, 0.0, 3.0, 0.0)],
)
def test_odd_fixes_in_a_row_move_a_track(
    drawn: list[Movement], odd: list[tuple[int, float, float, float, float]]
) -> None:
    state = state_of(drawn)
    twin = OddTwin(LIMITS, [])
    time_us = NOW_US
    for step_us, east_m, north_m, sigma_m, sound in odd:
        time_us += step_us
        fix_m = np.array([east_m, north_m])
        x, y, z = MIDDLE_M + up(fix_m)
        row = [*twin.row, (time_us, fix_m, sigma_m)]
        moved = note_odd(state, time_us, x, y, z, sigma_m, sound, LIMITS)
        assert moved == twin.note(time_us, fix_m, sigma_m, sound)
        assert state["odd_count"] == len(twin.row)
        if moved:
            assert_moved(state, row, time_us)


def assert_moved(state: np.void, row: list[tuple[int, FloatArray, float]], time_us: int) -> None:
    """Begun anew at the last fix, on the way from the first, and no faster than anybody goes."""
    began_us, began_m, _ = row[0]
    _, fix_m, _ = row[-1]
    way_mps = (fix_m - began_m) * 1e6 / (time_us - began_us)
    assert state["weight"].sum() == pytest.approx(1.0)
    assert noise_scale2(state, LIMITS) == pytest.approx(0.25)
    for one in models_of(state):
        assert one.place_m == pytest.approx(fix_m, abs=1e-6)
        assert is_positive_definite(one.spread)
        # Shrunk towards standing still, as far as the fixes' errors ask for.
        assert np.linalg.norm(one.velocity_mps) <= np.linalg.norm(way_mps) * (1 + 1e-9) + 1e-9
        assert np.linalg.norm(one.velocity_mps) <= LIMITS.move_limit_mps


def test_fixes_of_one_cell_do_not_average_down() -> None:
    tracks, scratch = new_tracks(1, listening_us=0), new_scratch()
    accuracy_m = 450.0
    for second in range(600):
        row = Fix(0, NOW_US + second * S, 0.0, 0.0, accuracy_m=accuracy_m).row()
        advance(tracks[0], *row[1:], LIMITS, scratch)
        if second:
            assert tracks[0]["here_sigma_m"] >= 0.7 * accuracy_m * SIGMAS_PER_R68
