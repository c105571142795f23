from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.levels import Transition
from geofence.sensitivity import Sensitivity
from tests.geofence.pair_twin import pair_twin
from tests.geofence.plans import NOW_US, Fix, S, pair_plan, send
from tests.geofence.watch_twin import Change, TooCloseToCallError

KEY = "c1/tag/phone"
PACE_MPS = st.sampled_from([0.0, 1.4, -1.4, 5.0, -5.0, 15.0, -15.0, -15.0, -25.0, 40.0])
INTERVAL_S = st.sampled_from([1, 3, 10, 15, 30, 60, 170])
LAG_S = st.sampled_from([0, 0, 0, 0, 0, 0, 0, 0, 2, 12, 119, 121, -59, -61])
PLACE_M = st.one_of(
    st.sampled_from([0.0, 40.0, 60.0, 450.0, 505.0, 560.0, 900.0, 1050.0, 1150.0, 2500.0, 6000.0]),
    st.floats(0, 3000),
)
APART_M = st.sampled_from([30.0, 150.0, 700.0, 1600.0, 1600.0, 3000.0, 3000.0, 6000.0])
ACCURACY_M = st.sampled_from([3.0, 5.0, 5.0, 8.0, 20.0, 80.0, 150.0, 700.0, 3000.0, None, 0.0])
WAIT_S = st.sampled_from([0, 1, 4, 6, 10, 31, 70, 121, 300, 900])
WHO = st.sampled_from([{0, 1}, {0, 1}, {0, 1}, {0}, {1}])
LEG = st.tuples(
    st.just("leg"), WHO, st.integers(1, 30), INTERVAL_S,
    PACE_MPS, LAG_S, ACCURACY_M,
)  # fmt: skip
STEP = st.one_of(
    *[LEG] * 8,
    st.tuples(st.just("place"), st.integers(0, 1), PLACE_M),
    st.tuples(st.just("wait"), WAIT_S),
    st.tuples(st.just("sight"), LAG_S, st.booleans()),
)
RINGS_M = st.sampled_from([(50.0, 500.0, 1000.0), (50.0, 100.0, 200.0), (0.0, 500.0, 500.0)])
SENSITIVITY = st.builds(
    Sensitivity,
    clear_factor=st.sampled_from([1.0, 1.1, 1.5]),
    clear_probability=st.sampled_from([0.05, 0.1, 0.25]),
    clear_dwell_s=st.sampled_from([0.0, 10.0, 60.0]),
    warn_ahead_s=st.sampled_from([0.0, 60.0, 200.0]),
    stale_after_s=st.sampled_from([30.0, 120.0, 600.0]),
)


class Story:
    """Two devices on a line, told to the engine and to its twin."""

    def __init__(
        self, rings_m: tuple[float, float, float], sensitivity: Sensitivity, apart_m: float
    ) -> None:
        contact_m, alert_m, pre_alert_m = rings_m
        plan = replace(pair_plan(alert_m, pre_alert_m, contact_m), sensitivities=(sensitivity,))
        self.engine = Engine(plan, now_us=NOW_US)
        self.twin = pair_twin(contact_m, alert_m, pre_alert_m, NOW_US, sensitivity)
        self.now_us = NOW_US
        self.place_m = [apart_m, 0.0]

    def leg(
        self, who: set[int], count: int, interval_s: int, pace_mps: float, lag_s: int,
        accuracy_m: float | None,
    ) -> None:  # fmt: skip
        """Some fixes of those who report; the first of them moves."""
        for _ in range(count):
            self.now_us += interval_s * S
            self.place_m[min(who)] += interval_s * pace_mps
            for track in sorted(who):
                # Beside each other, so that the receivers' errors are not quite along the line.
                fix = Fix(track, self.now_us - lag_s * S, self.place_m[track], 3.0, accuracy_m)
                expected = self.twin.fix(fix, self.now_us)
                found = send(self.engine, fix, now_us=self.now_us).transitions
                self.compare(found, expected, swept=False)
            self.wait(0)

    def place(self, who: int, place_m: float) -> None:
        self.place_m[who] = place_m

    def wait(self, wait_s: int) -> None:
        self.now_us += wait_s * S
        expected = self.twin.sweep(self.now_us)
        self.compare(self.engine.sweep(self.now_us), expected, swept=True)

    def sight(self, lag_s: int, lost: bool) -> None:  # noqa: FBT001 - drawn
        time_us = self.now_us - lag_s * S
        expected = self.twin.sight(time_us, lost=lost, now_us=self.now_us)
        found = self.engine.sight(KEY, time_us, lost=lost, now_us=self.now_us)
        self.compare(found, expected, swept=False)

    def compare(self, found: list[Transition], expected: list[Change], *, swept: bool) -> None:
        assert [(t.previous, t.level, t.number, t.cause) for t in found] == [
            (c.previous, c.level, c.number, c.cause) for c in expected
        ]
        for transition, change in zip(found, expected, strict=True):
            # The instant of reaching rests on distances, which differ by rounding.
            assert abs(transition.onset_us - change.onset_us) <= 2
            assert transition.decided_at_us == self.now_us
            assert transition.swept == swept


@settings(max_examples=150)
@given(RINGS_M, SENSITIVITY, APART_M, st.lists(STEP, min_size=3, max_size=12))
def test_engine_is_its_twin(
    rings_m: tuple[float, float, float],
    sensitivity: Sensitivity,
    apart_m: float,
    steps: list[tuple[object, ...]],
) -> None:
    story = Story(rings_m, sensitivity, apart_m)
    for name, *arguments in steps:
        try:
            getattr(story, str(name))(*arguments)
        except TooCloseToCallError:
            assume(False)
