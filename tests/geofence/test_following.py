"""Batches taken in many at once change what they change one by one, with the sweeps between, to the bit."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geofence.anomaly_keeper import Columns
from geofence.engine import Engine
from geofence.following import FollowingEngine, follow, warm_up
from geofence.plan import Companions, IntArray
from tests.geofence.plans import NOW_US, Fix, S, town_plan
from tests.geofence.test_due import DEVICES, crowd_plan

TICK_US = S // 2
Batches = list[tuple[int, IntArray]]


def made_up(rng: np.random.Generator) -> Batches:
    """Of a crowd that stands, walks, jumps, falls silent and sends twice."""
    spread_m = 10.0 ** rng.uniform(1.5, 4.0)
    places = rng.normal(0, spread_m, (DEVICES, 2))
    now_us, batches = NOW_US, Batches()
    for _ in range(40):
        now_us += int(rng.choice([0, 1, 700, 1_000, 10_000, 400_000])) * 1_000
        moving = rng.random(DEVICES) < 0.6
        places = (
            places + rng.normal(0, float(rng.choice([3.0, 60.0])), places.shape) * moving[:, None]
        )
        fixes = [
            Fix(
                track,
                now_us - int(rng.choice([0, 0, 3, 200])) * S,
                places[track, 0],
                places[track, 1],
                float(rng.choice([4.0, 12.0, 90.0])),
            )
            for track in rng.integers(0, DEVICES, int(rng.choice([0, 1, 3, 40])))
        ]
        rows = np.array([fix.row() for fix in fixes], np.int64).reshape(-1, 5)
        rows[rng.random(len(rows)) < 0.05, 0] = -1
        batches.append((now_us, rows))
    return batches


def one_by_one(engine: Engine, batches: Batches, tick_us: int) -> list[str]:
    found = list[str]()
    for now_us, rows in batches:
        for at_us in range(tick_us, now_us + 1, TICK_US):
            found += map(repr, engine.sweep(at_us))
        tick_us = max(tick_us, now_us - now_us % TICK_US + TICK_US)
        if len(rows):
            update = engine.update(*rows.T, now_us=now_us)
            found += map(repr, (*update.transitions, *update.anomalies))
    return found


def at_once(engine: FollowingEngine, batches: Batches, tick_us: int) -> list[str]:
    rows = np.concatenate([some for _, some in batches])
    ends = np.cumsum([len(some) for _, some in batches])
    received_us = np.array([now_us for now_us, _ in batches])
    columns = Columns(*(np.ascontiguousarray(column) for column in rows.T))
    told = engine.follow(columns, ends, received_us, (tick_us, TICK_US))
    assert all(one.batch <= following.batch for one, following in pairwise(told))
    for one in told:
        now_us = received_us[one.batch]
        for change in one.transitions:
            assert change.swept == one.swept
            assert change.decided_at_us <= now_us if one.swept else change.decided_at_us == now_us
    return [repr(change) for one in told for change in (*one.transitions, *one.anomalies)]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32), st.sampled_from([(8, 8), (4096, 8192)]))
def test_many_batches_at_once(
    monkeypatch: pytest.MonkeyPatch, seed: int, rooms: tuple[int, int]
) -> None:
    monkeypatch.setattr("geofence.engine.CHANGE_BUFFER", rooms[0])
    monkeypatch.setattr("geofence.following.CHANGES_KEPT", rooms[1])
    rng = np.random.default_rng(seed)
    plan = replace(crowd_plan(rng), companions=Companions(np.array([0, 1]), np.array([2, 3])))
    batches = made_up(rng)
    singly, together = Engine(plan, now_us=NOW_US), FollowingEngine(plan, now_us=NOW_US)
    for some in (batches[:20], batches[20:]):
        tick_us = some[0][0] - some[0][0] % TICK_US
        assert at_once(together, some, tick_us) == one_by_one(singly, some, tick_us)
        assert together.snapshot() == singly.snapshot()


def test_warm_up_leaves_nothing_to_compile() -> None:
    warm_up()
    before = len(follow.signatures)  # type: ignore[attr-defined]
    plan, batches = town_plan(), made_up(np.random.default_rng(7))
    at_once(FollowingEngine(plan, now_us=NOW_US), batches, NOW_US)
    assert len(follow.signatures) == before == 1  # type: ignore[attr-defined]
