"""How long silence is no sign of anything, by how often a device reports."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from geofence.engine import Engine
from tests.geofence.plans import NOW_US, Fix, S, levels, pair_plan, send

APART_M = 1200.0
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
    engine = Engine(pair_plan(pre_alert_m=500.0), now_us=NOW_US)
    last_us = report(engine, range(0, 10 * interval_s, interval_s))
    assert engine.sweep(last_us + (patience_s - 1) * S) == []
    assert levels(engine.sweep(last_us + (patience_s + 1) * S)) == ["unknown"]


@pytest.mark.parametrize(("silent", "patience_s"), [(0, 120), (1, 250)])
def test_each_device_has_a_patience_of_its_own(silent: int, patience_s: int) -> None:
    """His tag reports every second, her phone every 100 s; one of them falls silent."""
    engine = Engine(pair_plan(pre_alert_m=500.0), now_us=NOW_US)
    for second in range(901 + patience_s):
        now_us = NOW_US + second * S
        heard = [
            fix
            for fix in (Fix(0, now_us, APART_M), Fix(1, now_us, 0.0))
            if (fix.track == 0 or second % 100 == 0) and not (fix.track == silent and second > 900)
        ]
        assert send(engine, *heard, now_us=now_us).transitions == []
        assert engine.sweep(now_us) == []
    now_us = NOW_US + (901 + patience_s) * S
    assert levels(engine.sweep(now_us)) == ["unknown"]


def test_one_gap_is_not_a_habit() -> None:
    """Whoever was gone for five minutes once is not given ten the next time."""
    engine = Engine(pair_plan(pre_alert_m=500.0), now_us=NOW_US)
    last_us = report(engine, range(0, 600, 30))
    gone_us = last_us + 300 * S
    assert levels(engine.sweep(gone_us)) == ["unknown"]
    for second in range(0, 30, 15):
        now_us = gone_us + second * S
        send(engine, Fix(0, now_us, APART_M), Fix(1, now_us, 0.0), now_us=now_us)
        engine.sweep(now_us)
    assert engine.picture().watches.level.tolist() == [0]
    assert levels(engine.sweep(gone_us + (15 + 121) * S)) == ["unknown"]


@pytest.mark.parametrize("reports", [1, 2])
def test_nothing_is_known_of_somebody_heard_once_or_twice(reports: int) -> None:
    engine = Engine(pair_plan(pre_alert_m=500.0), now_us=NOW_US)
    last_us = report(engine, range(0, 100 * reports, 100))
    assert engine.sweep(last_us + 120 * S) == []
    assert levels(engine.sweep(last_us + 121 * S)) == ["unknown"]
