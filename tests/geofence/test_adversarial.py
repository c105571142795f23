"""What no honest device sends: the poles, other centuries, a microsecond apart, any accuracy."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.levels import UNKNOWN_TIME_US, Level, Transition
from geofence.plan import Plan, ZoneKind, Zones
from tests.geofence.plans import S, make_pairs

DAY_US = 86_400 * S
LATEST_US = 253_402_300_799 * S
"""The end of the year 9999."""

PLACES = [
    (900_000_000, 0),
    (899_999_990, 1_799_999_999),
    (-900_000_000, -1_800_000_000),
    (-899_990_000, 450_000_000),
    (0, 1_800_000_000),
    (10, -1_799_999_990),
    (0, 0),
    (517_500_000, -12_500_000),
    (517_510_000, -12_500_000),
    (517_500_000, -12_490_000),
    (517_540_000, -12_430_000),
    (-517_500_000, 1_787_500_000),
]
"""Poles, both sides of 180 degrees, antipodes, and some places near each other (1e-7 degrees)."""


def circles() -> Zones:
    """Round a place on land, on the antimeridian, and round a pole."""
    centres = np.array([[51.75, -1.25, 300.0], [0.0, 180.0, 5000.0], [89.99, 10.0, 2000.0]])
    kinds = (ZoneKind.EXCLUSION, ZoneKind.INCLUSION, ZoneKind.EXCLUSION)
    return Zones(
        ("land", "antimeridian", "pole"),
        np.array([0, 1, 2]),
        np.array([int(kind) for kind in kinds]),
        np.array([100.0, 0.0, 50.0]),
        centres,
        np.zeros(4, np.int64),
        np.zeros(1, np.int64),
        np.zeros(0),
        np.zeros(0),
    )


def world_plan() -> Plan:
    pairs = make_pairs(("a", 0, 3), ("b", 1, 3), ("c", 2, 0), ("d", 2, 1))
    return Plan("world", ("t0", "t1", "t2", "t3"), pairs, circles())


FIX = st.tuples(
    st.integers(0, 3),
    st.sampled_from([0, 1, 2, 1000, S // 2, S, 15 * S, 120 * S, 7200 * S, DAY_US, 30 * DAY_US]),
    st.sampled_from(PLACES)
    | st.tuples(st.integers(-900_000_000, 900_000_000), st.integers(-1_800_000_000, 1_800_000_000)),
    st.sampled_from([-(2**31), -1, 0, 1, 300, 500, 20_000, 100_000, 10**7, 2**31, 2**40]),
    st.sampled_from([0, 0, 0, -S, -1, 59 * S, -DAY_US]),
)
"""Device, time since the fix before, place, accuracy in centimetres, how wrong its clock is."""

AdversarialFix = tuple[int, int, tuple[int, int], int, int]


class Watcher:
    """Drives an engine and holds everything it says to what may be said."""

    def __init__(self, plan: Plan, now_us: int) -> None:
        self.engine = Engine(plan, now_us=now_us)
        self.now_us = now_us
        self.shown: dict[str, Level] = defaultdict(lambda: Level.CLEAR)
        self.number: dict[str, int] = defaultdict(int)
        self.onset_us: dict[str, int] = {}

    def take(self, fixes: list[AdversarialFix]) -> None:
        rows = []
        for track, step_us, (lat_e7, lon_e7), accuracy_cm, off_us in fixes:
            self.now_us += step_us
            rows.append((track, self.now_us + off_us, lat_e7, lon_e7, accuracy_cm))
        columns = np.array(rows, np.int64).reshape(-1, 5).T
        for one in self.engine.update(*columns, now_us=self.now_us).transitions:
            self.check(one)
        self.check_state()

    def sweep(self, after_us: int = 0) -> None:
        self.now_us += after_us
        for one in self.engine.sweep(self.now_us):
            self.check(one)
        self.check_state()

    def check(self, one: Transition) -> None:
        assert one.previous == self.shown[one.watch] != one.level
        assert one.number == self.number[one.watch] + 1
        if one.previous == Level.CLEAR:
            assert one.onset_us > self.onset_us.get(one.watch, -(2**62))
        self.shown[one.watch], self.number[one.watch] = one.level, one.number
        self.onset_us[one.watch] = one.onset_us
        placed = not math.isnan(one.distance_m)
        both = one.fix_time_a_us != UNKNOWN_TIME_US and (
            one.fix_time_b_us != UNKNOWN_TIME_US or one.watch in {"land", "antimeridian", "pole"}
        )
        assert placed == both
        if placed:
            assert one.distance_low_m <= one.distance_m <= one.distance_high_m
            assert math.isfinite(one.distance_high_m)
            assert 0.0 <= one.probability <= 1.0
            assert 0.0 < one.sigma_m < math.inf
            assert one.time_to_contact_s >= 0.0
        assert one.level != Level.UNKNOWN or not math.isnan(one.ring_m)

    def check_state(self) -> None:
        tracks = self.engine._tracks[self.engine._tracks["time_us"] != UNKNOWN_TIME_US]
        for name in ("weight", "mean_m", "mean_mps", "spread", "here_m", "xyz_m", "xyz_mps"):
            assert np.isfinite(tracks[name]).all(), name
        for name in ("here_sigma_m", "sigma_m", "sigma_mps", "stated_m2", "noise_count"):
            assert (tracks[name] > 0).all(), name
            assert np.isfinite(tracks[name]).all(), name
        assert np.allclose(tracks["weight"].sum(axis=1), 1.0)
        assert (tracks["weight"] >= 0).all()
        assert (tracks["spread"][:, :, [0, 2]] > 0).all()
        picture = self.engine.picture().watches
        known = ~np.isnan(picture.distance_m)
        for shown in (picture.distance_low_m, picture.distance_high_m, picture.probability):
            assert (np.isnan(shown) == ~known).all()
        assert ((picture.probability[known] >= 0) & (picture.probability[known] <= 1)).all()
        assert set(picture.level.tolist()) <= {int(level) for level in Level}


@settings(max_examples=150)
@given(
    st.sampled_from([S, 1_764_000_000 * S, LATEST_US]),
    st.lists(st.tuples(st.lists(FIX, max_size=12), st.sampled_from([0, 1, S, 121 * S, DAY_US]))),
)
def test_whatever_is_sent(start_us: int, rounds: list[tuple[list[AdversarialFix], int]]) -> None:
    watcher = Watcher(world_plan(), start_us)
    for fixes, pause_us in rounds:
        watcher.take(fixes)
        watcher.sweep(pause_us)


@pytest.mark.parametrize("step_us", [1, 1000, S])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("accuracy_cm", [0, 500, 2**31])
def test_five_hundred_fixes_in_one_batch(
    step_us: int, place: tuple[int, int], accuracy_cm: int
) -> None:
    """Of one device; then it is somewhere else at once."""
    watcher = Watcher(world_plan(), 1_764_000_000 * S)
    watcher.take([(3, 0, place, accuracy_cm, 0)])
    watcher.take([(0, step_us, place, accuracy_cm, 0)] * 500)
    watcher.sweep()
    watcher.take([(0, step_us, (517_500_000, -12_500_000), accuracy_cm, 0)] * 500)
    for _ in range(10):
        watcher.sweep(15 * S)
    watcher.sweep(30 * DAY_US)


@pytest.mark.parametrize("step_us", [1, 1000, S, 120 * S])
def test_teleporting(step_us: int) -> None:
    watcher = Watcher(world_plan(), 1_764_000_000 * S)
    watcher.take([(3, step_us, place, 500, 0) for place in PLACES])
    for turn in range(50):
        watcher.take([(0, step_us, PLACES[(turn // 4) % len(PLACES)], 500, 0)])
        watcher.sweep(step_us)
    watcher.sweep(300 * S)
