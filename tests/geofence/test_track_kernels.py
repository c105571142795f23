"""What becomes of a fix, and how far a device may have come, beside plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geofence.distance import to_cartesian_m
from geofence.filter import begin, lasting_m2, note_odd
from geofence.levels import UNKNOWN_TIME_US
from geofence.motion import blend, fastest_mps
from geofence.plan import FloatArray
from geofence.proximity import SIGMAS_PER_R68
from geofence.rules import DEFAULT_RULES, Rules
from geofence.track import (
    Mark,
    advance,
    judge,
    new_scratch,
    new_tracks,
    place,
    reach_m,
    stated_sigma_m,
)
from tests.geofence.lane_states import mixed, take_in
from tests.geofence.plans import NOW_US, Fix, S

RULES = DEFAULT_RULES
LIMITS = RULES.limits()


@dataclass
class TrackTwin:
    """A track once more: the kernels of movement and filter, and round them plain Python."""

    state: np.void = field(default_factory=lambda: new_tracks(1, listening_us=0)[0])
    time_us: int | None = None
    sent: tuple[int, int] = (0, 0)
    interval_s: float = 0.0
    here: tuple[FloatArray, float] = field(default_factory=lambda: (np.zeros(3), 0.0))
    before: tuple[int, FloatArray, float] | None = None
    pace_mps: float = 0.0

    def judge(self, fix: Fix, now_us: int) -> Mark:
        _, time_us, lat_e7, lon_e7, _ = fix.row()
        if time_us - now_us > RULES.future_limit_s * S:
            return Mark.FUTURE
        if self.time_us is None or time_us > self.time_us:
            return Mark.USED
        same = time_us == self.time_us and self.sent == (lat_e7, lon_e7)
        return Mark.DUPLICATE if same else Mark.LATE

    def at(self, at_us: int) -> tuple[FloatArray, float, FloatArray, float]:
        """Place, its sigma, velocity and its sigma at an instant."""
        assert self.time_us is not None
        out = np.zeros(9)
        blend(self.state, max(0, at_us - self.time_us) / S, LIMITS, out)
        sigma_m = math.hypot(math.sqrt(out[6]), math.sqrt(lasting_m2(self.state, LIMITS)))
        return out[:3], sigma_m, out[3:6], math.sqrt(out[8])

    def advance(self, fix: Fix) -> Mark:
        _, time_us, lat_e7, lon_e7, _ = fix.row()
        where = to_cartesian_m(lat_e7 / 1e7, lon_e7 / 1e7)
        radius_m = RULES.unknown_accuracy_m
        if fix.accuracy_m:
            radius_m = max(RULES.accuracy_floor_m, round(fix.accuracy_m * 100) / 100)
        sigma_m = radius_m * SIGMAS_PER_R68
        mark = Mark.USED
        if self.time_us is None or time_us - self.time_us > RULES.restart_s * S:
            begin(self.state, *where, sigma_m, LIMITS)
            self.before, self.interval_s = None, 0.0
        else:
            self.before = (self.time_us, *self.here)
            since_s = (time_us - self.time_us) / S
            if self.interval_s == 0:
                self.interval_s = since_s
            self.interval_s = 0.8 * self.interval_s + 0.2 * since_s
            predicted = mixed(self.state, since_s, LIMITS)
            sound = take_in(self.state, predicted, np.array(where), sigma_m, since_s, LIMITS)
            if note_odd(self.state, time_us, *where, sigma_m, sound, LIMITS):
                mark, self.before = Mark.MOVED, None
            elif sound < 0.5:
                mark = Mark.OUTLIER
        self.time_us, self.sent = time_us, (lat_e7, lon_e7)
        place_m, sigma_m, velocity_mps, sigma_mps = self.at(time_us)
        self.here = (place_m, sigma_m)
        pace_mps = RULES.reach_factor * float(np.linalg.norm(velocity_mps)) + 2 * sigma_mps
        self.pace_mps = min(max(pace_mps, RULES.reach_least_mps), RULES.reach_most_mps)
        return mark


PLACE_M = st.one_of(st.floats(-50.0, 50.0), st.floats(-50_000.0, 50_000.0))
WAIT_US = st.one_of(
    st.sampled_from([0, 1, S, S, 5 * S, 60 * S, 21_600 * S, 21_601 * S]),
    st.integers(1, 300 * S),
)
LAG_S = st.sampled_from([0, 0, 0, 0, 1, 30, -59, -61])
ACCURACY_M = st.sampled_from([None, 0.0, 1.0, 5.0, 12.34, 80.0, 250.0, 3000.0])
SENT = st.tuples(WAIT_US, LAG_S, PLACE_M, PLACE_M, ACCURACY_M)


@given(st.lists(SENT, min_size=1, max_size=12), st.floats(0.0, 3000.0))
@example([(S, 0, 40.0 * n, 0.0, 5.0) for n in range(10)], 7.0)
@example([(S, 0, 0.0, 0.0, 5.0)] * 4 + [(S, 0, 9000.0 + n, 0.0, 5.0) for n in range(5)], 1.0)
@example([(S, 0, 3.0, 3.0, 5.0), (0, 0, 3.0, 3.0, 5.0), (0, 0, 4.0, 3.0, 5.0)], 0.0)
def test_a_track_is_its_twin(
    sent: list[tuple[int, int, float, float, float | None]], later_s: float
) -> None:
    tracks, scratch, twin = new_tracks(1, listening_us=0), new_scratch(), TrackTwin()
    now_us = NOW_US
    for wait_us, lag_s, east_m, north_m, accuracy_m in sent:
        now_us += wait_us
        fix = Fix(0, now_us - lag_s * S, east_m, north_m, accuracy_m)
        row = fix.row()
        before = tracks.copy()
        mark = judge(tracks[0], *row[1:4], now_us, LIMITS)
        assert mark == twin.judge(fix, now_us)
        assert tracks == before
        if mark == Mark.USED:
            assert advance(tracks[0], *row[1:], LIMITS, scratch) == twin.advance(fix)
    if twin.time_us is not None:
        assert_is_twin(tracks[0], twin)
        at_us = twin.time_us + round(later_s * S)
        place(tracks[0], at_us, LIMITS, scratch)
        place_m, sigma_m, velocity_mps, sigma_mps = twin.at(at_us)
        assert tracks[0]["at_us"] == at_us
        assert tracks[0]["xyz_m"] == pytest.approx(place_m, abs=1e-6)
        assert tracks[0]["xyz_mps"] == pytest.approx(velocity_mps, abs=1e-9)
        assert tracks[0]["sigma_m"] == pytest.approx(sigma_m)
        assert tracks[0]["sigma_mps"] == pytest.approx(sigma_mps)
        assert_is_twin(tracks[0], twin)


def assert_is_twin(state: np.void, twin: TrackTwin) -> None:
    assert state["time_us"] == twin.time_us
    assert (state["lat_e7"], state["lon_e7"]) == twin.sent
    assert state["interval_s"] == pytest.approx(twin.interval_s)
    assert state["here_m"] == pytest.approx(twin.here[0], abs=1e-6)
    assert state["here_sigma_m"] == pytest.approx(twin.here[1])
    assert state["pace_mps"] == pytest.approx(twin.pace_mps)
    moving_mps, growing_mps = fastest_mps(twin.state, LIMITS)
    assert state["moving_mps"] == pytest.approx(moving_mps)
    assert state["growing_mps"] == pytest.approx(growing_mps)
    if twin.before is None:
        assert state["before_us"] == UNKNOWN_TIME_US
    else:
        assert state["before_us"] == twin.before[0]
        assert state["before_m"] == pytest.approx(twin.before[1], abs=1e-6)
        assert state["before_sigma_m"] == pytest.approx(twin.before[2])


def test_an_instant_before_the_last_fix_is_that_of_the_fix() -> None:
    tracks, scratch = new_tracks(1, listening_us=0), new_scratch()
    place(tracks[0], NOW_US, LIMITS, scratch)
    assert tracks[0]["at_us"] == UNKNOWN_TIME_US
    advance(tracks[0], *Fix(0, NOW_US, 0.0).row()[1:], LIMITS, scratch)
    place(tracks[0], NOW_US - 10 * S, LIMITS, scratch)
    assert tracks[0]["at_us"] == NOW_US
    assert tracks[0]["xyz_m"].tolist() == tracks[0]["here_m"].tolist()


@given(st.integers(-100, 1_000_000))
def test_a_stated_radius_is_an_error_per_axis(accuracy_cm: int) -> None:
    radius_m = accuracy_cm / 100 if accuracy_cm > 0 else RULES.unknown_accuracy_m
    sigma_m = stated_sigma_m(accuracy_cm, LIMITS)
    assert sigma_m >= RULES.accuracy_floor_m * SIGMAS_PER_R68
    if radius_m >= RULES.accuracy_floor_m:
        assert 1 - math.exp(-((radius_m / sigma_m) ** 2) / 2) == pytest.approx(0.68)


def reach_of(pace_mps: float, age_us: int, rules: Rules = RULES) -> float:
    state = new_tracks(1, listening_us=0)[0]
    state["time_us"], state["pace_mps"] = NOW_US, pace_mps
    return reach_m(state, NOW_US + age_us, rules.limits())


PACE_MPS = st.floats(RULES.reach_least_mps, RULES.reach_most_mps)
AGE_US = st.integers(0, 10_000 * S)


@given(PACE_MPS, AGE_US, AGE_US)
def test_reach_is_what_the_greatest_speeds_add_up_to(
    pace_mps: float, first_us: int, second_us: int
) -> None:
    early_us, late_us = sorted((first_us, second_us))
    boarding_us = round(RULES.boarding_s * S)
    faster_mps = max(pace_mps, RULES.boarded_mps)
    on_foot_us = max(0, min(late_us, boarding_us) - early_us)
    way_m = (pace_mps * on_foot_us + faster_mps * (late_us - early_us - on_foot_us)) / S
    assert reach_of(pace_mps, late_us) - reach_of(pace_mps, early_us) == pytest.approx(
        way_m, abs=1e-6
    )
    assert reach_of(pace_mps, late_us) >= reach_of(pace_mps, early_us)


@given(PACE_MPS)
def test_reach_begins_at_nothing_and_has_no_jump(pace_mps: float) -> None:
    assert reach_of(pace_mps, 0) == 0.0
    assert reach_of(pace_mps, -60 * S) == 0.0
    boarding_us = round(RULES.boarding_s * S)
    around = [reach_of(pace_mps, boarding_us + step) for step in (-1, 0, 1)]
    assert max(around) - min(around) <= 3e-6 * RULES.reach_most_mps
