"""Sweeps made in one go change what they change one by one, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.levels import Transition
from tests.geofence.plans import NOW_US, Fix, S, comparable, send
from tests.geofence.test_due import crowd_plan

TICK_US = S // 2


def in_one_go(engine: Engine, instants: range) -> list[Transition]:
    found: list[Transition] = []
    while instants:
        at_us, changed = engine.sweep_through(instants)
        assert not changed or {one.decided_at_us for one in changed} == {at_us}
        found += changed
        instants = range(at_us + TICK_US, instants.stop, TICK_US)
    return found


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from([1, 4096]))
def test_many_sweeps_in_one_go(monkeypatch: pytest.MonkeyPatch, seed: int, room: int) -> None:
    monkeypatch.setattr("geofence.engine.CHANGE_BUFFER", room)
    rng = np.random.default_rng(seed)
    plan = crowd_plan(rng)
    singly, together = Engine(plan, now_us=NOW_US), Engine(plan, now_us=NOW_US)
    spread_m = 10.0 ** rng.uniform(1.5, 4.0)
    now_us = NOW_US
    for _ in range(12):
        places = rng.normal(0, spread_m, (len(plan.tracks), 2))
        fixes = [
            Fix(
                track,
                now_us,
                places[track, 0],
                places[track, 1],
                float(rng.choice([4.0, 12.0, 90.0])),
            )
            for track in range(len(plan.tracks))
            if rng.random() < 0.4
        ]
        for engine in (singly, together):
            send(engine, *fixes, now_us=now_us)
        upto_us = now_us + int(rng.choice([1, 5, 60, 300])) * S
        instants = range(now_us + TICK_US, upto_us, TICK_US)
        expected = [one for at_us in instants for one in singly.sweep(at_us)]
        assert comparable(in_one_go(together, instants)) == comparable(expected)
        assert together.snapshot() == singly.snapshot()
        now_us = upto_us
