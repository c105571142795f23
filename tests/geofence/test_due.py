"""What a sweep passes by, and a fix far away cuts short, changes nothing.

Beside the ordinary engine runs one for which nothing is ever far: its widest rings are taken to be
infinite where it asks for them in order to save work, and only there.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.levels import Transition
from geofence.plan import FloatArray, Plan, ZoneKind
from geofence.sensitivity import Sensitivity
from tests.geofence.plans import NOW_US, Fix, S, comparable, make_pairs, send, square_zones

DEVICES = 4
PACES_MPS = [0.0, 1.4, 1.4, 5.0, 14.0, 33.0, 80.0, 250.0]


@dataclass(frozen=True)
class Habits:
    """What is drawn from for every leg of a way."""

    intervals_s: tuple[int, ...]
    lags_s: tuple[int, ...]
    accuracies_m: tuple[float | None, ...]
    steps_s: tuple[int, ...]


DENSE = Habits((1, 1, 2, 5, 15), (0, 0, 0, 0, 1, 10), (3.0, 5.0, 5.0, 12.0), (1, 1, 1, 2, 5))
POOR = Habits(
    (1, 1, 5, 15, 60, 60, 170, 400),
    (0, 0, 0, 0, 3, 100, 130, 500, -50),
    (None, 0.0, 3.0, 5.0, 12.0, 40.0, 200.0, 900.0, 4000.0),
    (1, 1, 1, 2, 7, 30, 121, 900),
)


def looking_at_everything(plan: Plan) -> Engine:
    engine = Engine(plan, now_us=NOW_US)
    engine._layout.terms["widest_m"] = np.inf
    return engine


@dataclass
class Walker:
    """Somebody who goes on a way of his own, with a device that reports as it likes."""

    habits: Habits
    place_m: FloatArray
    velocity_mps: FloatArray = field(default_factory=lambda: np.zeros(2))
    interval_s: int = 1
    lag_s: int = 0
    accuracy_m: float | None = None

    def turn(self, rng: np.random.Generator) -> None:
        """Go another way, at another pace; half of the time to the middle, where they meet."""
        pace_mps = rng.choice(PACES_MPS)
        angle = rng.uniform(0, 2 * np.pi)
        if rng.random() < 0.5:
            angle = np.arctan2(-self.place_m[1], -self.place_m[0])
        self.velocity_mps = pace_mps * np.array([np.cos(angle), np.sin(angle)])
        self.interval_s = int(rng.choice(self.habits.intervals_s))
        self.lag_s = int(rng.choice(self.habits.lags_s))
        self.accuracy_m = rng.choice(np.array(self.habits.accuracies_m, object))

    def fix(self, rng: np.random.Generator, track: int, second: int) -> Fix:
        spread_m = self.accuracy_m or 20.0
        if rng.random() < 0.03:
            spread_m = 3000.0
        east_m, north_m = self.place_m - self.lag_s * self.velocity_mps
        dx, dy = rng.normal(0, spread_m / 1.5, 2)
        time_us = NOW_US + (second - self.lag_s) * S
        return Fix(track, time_us, east_m + dx, north_m + dy, self.accuracy_m)


def crowd_plan(rng: np.random.Generator) -> Plan:
    alert_m = float(rng.choice([100.0, 300.0, 1000.0]))
    sensitivity = Sensitivity(
        warn_ahead_s=float(rng.choice([0.0, 20.0, 60.0, 300.0])),
        stale_after_s=float(rng.choice([30.0, 120.0, 600.0])),
    )
    return Plan(
        "crowd",
        tuple("abcd"),
        make_pairs(
            *((f"{a}{b}", a, b) for a in range(DEVICES) for b in range(a)),
            alert_m=alert_m,
            pre_alert_m=2.0 * alert_m,
        ),
        square_zones(
            ("x", ZoneKind.EXCLUSION, 0),
            ("y", ZoneKind.EXCLUSION, 1),
            ("h", ZoneKind.INCLUSION, 2),
            half_m=float(rng.choice([60.0, 500.0, 20_000.0])),
        ),
        sensitivities=(sensitivity,),
    )


def run(seed: int, steps: int) -> tuple[list[Transition], list[Transition]]:
    """The same walks before both engines: what each decided."""
    rng = np.random.default_rng(seed)
    plan = crowd_plan(rng)
    ordinary, looking = Engine(plan, now_us=NOW_US), looking_at_everything(plan)
    apart_m = 10.0 ** rng.uniform(1.7, 5.2)
    habits = DENSE if rng.random() < 0.5 else POOR
    walkers = [Walker(habits, rng.normal(0, apart_m, 2)) for _ in range(DEVICES)]
    for walker in walkers:
        walker.turn(rng)
    found: list[Transition] = []
    expected: list[Transition] = []
    second = 0
    for _ in range(steps):
        step_s = int(rng.choice(habits.steps_s))
        second += step_s
        now_us = NOW_US + second * S
        fixes = []
        for track, walker in enumerate(walkers):
            walker.place_m = walker.place_m + step_s * walker.velocity_mps
            if rng.random() < 0.05:
                walker.turn(rng)
            if rng.random() < step_s / walker.interval_s:
                fixes.append(walker.fix(rng, track, second))
        for engine, decided in ((ordinary, found), (looking, expected)):
            decided.extend(send(engine, *fixes, now_us=now_us).transitions)
            decided.extend(engine.sweep(now_us))
        if comparable(found[-6:]) != comparable(expected[-6:]):
            break
    return found, expected


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_nothing_that_is_passed_by_would_have_changed(seed: int) -> None:
    found, expected = run(seed, steps=150)
    assert comparable(found) == comparable(expected)
