"""However much is due, one look is short; tier 1 goes first, and nothing is left out."""

from __future__ import annotations

import msgspec
import pytest

from alerts import agenda
from alerts.agenda import DUE_AT_ONCE, Agenda
from alerts.desk import Desk
from alerts.model import AlertChange
from geofence.levels import Level
from tests.alerts.builders import NOW_US, SECOND_US, WATCH, desk, transition

CROWD = 4 * DUE_AT_ONCE + 3
LATER_US = NOW_US + 3600 * SECOND_US


def crowd(on: Desk, levels: list[Level]) -> None:
    for number, level in enumerate(levels):
        watch = msgspec.structs.replace(WATCH, key=f"near-{number}")
        on.on_transition(transition(1, level, watch=watch.key), watch, now_us=NOW_US)


def looks(on: Desk, now_us: int) -> list[list[AlertChange]]:
    found = []
    while on.is_behind(now_us):
        found.append(on.advance(now_us))
        assert len(found) < 100, "it never comes to an end"
    return found


def test_a_burst_is_spread_and_nobody_is_forgotten() -> None:
    on = desk()
    crowd(on, [Level.ALERT] * CROWD)
    found = looks(on, LATER_US)
    assert max(map(len, found)) <= DUE_AT_ONCE
    asked = [change.subject for changes in found for change in changes]
    assert sorted(asked) == sorted(alert.alert_id for alert in on.open_alerts())
    assert looks(on, LATER_US) == []


def test_tier_1_goes_first_however_late_it_came() -> None:
    on = desk()
    crowd(on, [Level.PRE_ALERT] * CROWD + [Level.CONTACT] * 3)
    first = next(changes for changes in looks(on, LATER_US) if changes)
    assert [change.data.tier for change in first[:4]] == [1, 1, 1, 3]


def test_instants_that_hold_no_longer_are_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "STALE_LEAST", 10)
    on = desk()
    crowd(on, [Level.ALERT])
    [alert] = on.open_alerts()
    plans = Agenda()
    for number in range(1000):
        plans.plan(alert, NOW_US + number)
        assert sum(map(len, plans._heaps)) <= 13
    assert plans.due(NOW_US + 998) == []
    assert plans.due(NOW_US + 999) == [alert.alert_id]
    assert not plans.has_due(LATER_US)
