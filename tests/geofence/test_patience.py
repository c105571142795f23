"""How long silence is no sign of anything, by how often a device reports."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from geofence.engine import Engine
from tests.geofence.plans import NOW_US, Fix, S, levels, pair_plan, send

APART_M = 2000.0
"""Near enough to be reached within minutes, too far for anything else."""


def report(engine: Engine, at_s: Iterable[int]) -> int:
    """Both devices report at these seconds, where they always are; the last instant."""
    now_us = NOW_US
    for second in at_s:
        now_us = NOW_US + second * S
        fixes = Fix(0, now_us, APART_M), Fix(1, now_us, 0.0)
        assert send(engine, *fixes, now_us=now_us).transitions == []
        assert engine.sweep(now_us) == []
    return now_us


@pytest.mark.parametrize(
    ("interval_s", "patience_s"),
    [(1, 120), (30, 120), (60, 150), (120, 300), (240, 600), (500, 600)],
)
def test_patience_grows_with_the_interval(interval_s: int, patience_s: int) -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    last_us = report(engine, range(0, 10 * interval_s, interval_s))
    assert engine.sweep(last_us + (patience_s - 1) * S) == []
    assert levels(engine.sweep(last_us + (patience_s + 1) * S)) == ["unknown"]


def test_a_slow_device_decides_for_the_pair() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    last_us = report(engine, range(0, 1000, 100))
    for second in range(1, 250):
        now_us = last_us + second * S
        assert send(engine, Fix(1, now_us, 0.0), now_us=now_us).transitions == []
        assert engine.sweep(now_us) == []
    assert levels(engine.sweep(last_us + 251 * S)) == ["unknown"]


def test_one_gap_is_not_a_habit() -> None:
    """Whoever was gone for five minutes once is not given ten the next time."""
    engine = Engine(pair_plan(), now_us=NOW_US)
    last_us = report(engine, range(0, 600, 30))
    gone_us = last_us + 300 * S
    assert levels(engine.sweep(gone_us)) == ["unknown"]
    for second in range(0, 30, 15):
        now_us = gone_us + second * S
        send(engine, Fix(0, now_us, APART_M), Fix(1, now_us, 0.0), now_us=now_us)
        engine.sweep(now_us)
    assert engine.picture().watches.level.tolist() == [0]
    assert levels(engine.sweep(gone_us + (15 + 121) * S)) == ["unknown"]


def test_somebody_heard_once_is_given_no_more() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    last_us = report(engine, [0])
    assert engine.sweep(last_us + 120 * S) == []
    assert levels(engine.sweep(last_us + 121 * S)) == ["unknown"]
