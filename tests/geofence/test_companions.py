"""Two devices of one person: stories, and the kernel against a twin in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geofence.anomaly_rules import DEFAULT_ANOMALY_RULES, AnomalyRules
from geofence.companions import new_companions, note_companions
from geofence.levels import UNKNOWN_TIME_US
from tests.geofence.plans import NOW_US, S

LIMITS = DEFAULT_ANOMALY_RULES.limits()
WORN, CARRIED = 0, 1


class TooCloseToCallError(Exception):
    """The numbers lie so near to a threshold that rounding decides."""


def within(value: float, limit: float) -> bool:
    if abs(value - limit) < 1e-6:
        raise TooCloseToCallError
    return value < limit


@dataclass
class Spot:
    time_us: int
    east_m: float
    sigma_m: float


@dataclass
class CompanionTwin:
    rules: AnomalyRules
    last: dict[int, Spot] = field(default_factory=dict)
    anchor: dict[int, Spot] = field(default_factory=dict)
    active: bool = False
    onset_us: int = -1
    number: int = 0
    standing: int = 0
    apart_us: int | None = None
    together_us: int | None = None
    compared_us: int | None = None

    def fix(self, which: int, spot: Spot) -> None:
        self.last[which] = spot
        if len(self.last) == 2:
            for one, at in self.last.items():
                if one not in self.anchor or not self.stands(at, self.anchor[one]):
                    self.anchor[one] = at
            self.compare()

    def stands(self, at: Spot, anchor: Spot) -> bool:
        errors_m = self.rules.pair_sigmas * (at.sigma_m + anchor.sigma_m)
        return within(abs(at.east_m - anchor.east_m), self.rules.stand_m + errors_m)

    def compare(self) -> None:
        rules = self.rules
        a, b = self.last[WORN], self.last[CARRIED]
        gap_s = abs(a.time_us - b.time_us) / S
        if gap_s > rules.pair_gap_s:
            return
        now_us = max(a.time_us, b.time_us)
        if self.compared_us is None or now_us - self.compared_us > rules.pair_gap_s * S:
            self.apart_us = self.together_us = None
        self.compared_us = now_us
        errors_m = rules.pair_sigmas * math.hypot(a.sigma_m, b.sigma_m)
        distance_m = abs(a.east_m - b.east_m)
        if within(distance_m, rules.apart_m / 2 + errors_m):
            self.apart_us = None
            self.together_us = now_us if self.together_us is None else self.together_us
            if now_us - self.together_us >= rules.together_after_s * S:
                self.active = False
        elif not within(distance_m, rules.apart_m + errors_m + rules.pair_mps * gap_s):
            self.together_us = None
            self.apart_us = now_us if self.apart_us is None else self.apart_us
            since = [self.anchor[one].time_us for one in (WORN, CARRIED)]
            stood = now_us - min(since) >= rules.stand_after_s * S
            if not self.active and stood and now_us - self.apart_us >= rules.apart_after_s * S:
                self.active, self.onset_us = True, self.apart_us
                self.standing = since.index(min(since))
                self.number += 1


class Pair:
    """The kernel, fed along a line."""

    def __init__(self) -> None:
        self.state = new_companions(1)
        self.place = np.zeros((2, 3))
        self.sigma = [1.0, 1.0]
        self.time_us = [UNKNOWN_TIME_US] * 2

    def fix(self, which: int, spot: Spot) -> bool:
        self.place[which] = (6_378_137.0, spot.east_m, 0.0)
        self.sigma[which], self.time_us[which] = spot.sigma_m, spot.time_us
        place, sigma, time_us = self.place, self.sigma, self.time_us
        return note_companions(
            self.state, 0, place[0], sigma[0], time_us[0], place[1], sigma[1], time_us[1], LIMITS
        )


steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from([0, 5, 20, 60, 60, 120, 400]),
        st.sampled_from([0.0, 0.0, 20.0, 60.0, 130.0, 1500.0, 6000.0]),
        st.sampled_from([2.0, 2.0, 8.0, 60.0]),
    ),
    max_size=6,
)
quiet = st.builds(
    lambda count, worn_m, carried_m: [
        (i % 2, 30, (worn_m, carried_m)[i % 2], 3.0) for i in range(count)
    ],
    st.integers(2, 30),
    st.sampled_from([0.0, 500.0]),
    st.sampled_from([0.0, 10.0, 5000.0]),
)


@given(st.lists(st.one_of(steps, quiet), max_size=8))
def test_the_kernel_agrees_with_its_description(
    parts: list[list[tuple[int, int, float, float]]],
) -> None:
    pair, twin = Pair(), CompanionTwin(DEFAULT_ANOMALY_RULES)
    time_us = NOW_US
    for which, after_s, east_m, sigma_m in (step for part in parts for step in part):
        time_us += after_s * S
        spot = Spot(time_us, east_m, sigma_m)
        try:
            twin.fix(which, spot)
        except TooCloseToCallError:
            assume(False)
        assert pair.fix(which, spot) == twin.active
        row = pair.state[0]
        assert (row["number"], row["onset_us"]) == (twin.number, twin.onset_us)
        assert row["standing"] == twin.standing


def spells(
    pair: Pair, seconds: range, worn_m: float, start_m: float, mps: float
) -> list[tuple[int, bool]]:
    """Feed both for a while, the carried one moving; the begins and ends, in seconds."""
    told = []
    active = bool(pair.state[0]["active"])
    rng = np.random.default_rng(5)
    for second in seconds:
        time_us = NOW_US + second * S
        where = ((WORN, worn_m), (CARRIED, start_m + mps * (second - seconds.start)))
        for which, east_m in where:
            found = pair.fix(which, Spot(time_us, east_m + rng.normal(0, 3), 4.0))
            if found != active:
                active = found
                told.append((second, found))
    return told


@pytest.mark.parametrize("step_s", [1, 15, 60])
def test_a_tag_that_stays_while_the_phone_travels(step_s: int) -> None:
    pair = Pair()
    assert not spells(pair, range(0, 900, step_s), 0.0, 0.0, 0.0)
    [(began_s, begins)] = spells(pair, range(900, 1500, step_s), 0.0, 0.0, 5.0)
    assert begins
    onset_s = (int(pair.state[0]["onset_us"]) - NOW_US) / S
    assert 920 <= onset_s <= 930 + step_s
    assert began_s == onset_s + 120
    assert pair.state[0]["standing"] == WORN
    assert not spells(pair, range(1500, 5000, step_s), 0.0, 3000.0, 0.0)
    [(ended_s, begins)] = spells(pair, range(5000, 6000, step_s), 0.0, 10.0, 0.0)
    assert not begins
    assert ended_s == 5060
    assert pair.state[0]["number"] == 1


def test_a_phone_left_at_home_is_told_from_a_tag_left_at_home() -> None:
    pair = Pair()
    for second in range(0, 1800, 15):
        time_us = NOW_US + second * S
        pair.fix(CARRIED, Spot(time_us, 0.0, 4.0))
        pair.fix(WORN, Spot(time_us, max(0.0, 2.0 * (second - 600)), 4.0))
    assert pair.state[0]["active"] == 1
    assert pair.state[0]["standing"] == CARRIED


def test_together_on_a_motorway_with_fixes_half_a_minute_apart_is_nothing() -> None:
    pair = Pair()
    for second in range(0, 3600, 30):
        which = (second // 30) % 2
        assert not pair.fix(which, Spot(NOW_US + second * S, 35.0 * second, 4.0))


def test_neither_silence_nor_one_glimpse_is_enough() -> None:
    pair = Pair()
    spells(pair, range(0, 900, 15), 0.0, 0.0, 0.0)
    # One is silent while the other travels; hours later they are apart for one comparison.
    away_m = 0.0
    for second in range(900, 9000, 60):
        away_m = 10.0 * (second - 900)
        assert not pair.fix(CARRIED, Spot(NOW_US + second * S, away_m, 4.0))
    assert not pair.fix(WORN, Spot(NOW_US + 9000 * S, 0.0, 4.0))
    assert not pair.fix(WORN, Spot(NOW_US + 9060 * S, away_m, 4.0))
    assert pair.state[0]["number"] == 0
