"""The list of open alerts: its order, its limit, and what operators may do with it."""

from __future__ import annotations

import pytest

from alerts.errors import IllegalStep, NoSuchAlert, VersionConflict
from alerts.steps import Acknowledge
from geofence.levels import Level
from tests.alerts.builders import (
    NOW_US,
    ZONE,
    act,
    close,
    desk,
    kinds,
    notice,
    step,
    take,
    transition,
)


def test_a_danger_that_lasts_cannot_be_closed_away() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    take(on)
    with pytest.raises(IllegalStep, match="still lasts"):
        close(on)


def test_of_two_operators_one_is_told_of_the_other() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    alert = on.open_alerts()[0]
    act(on, alert, Acknowledge())
    with pytest.raises(VersionConflict, match="'acknowledged' by ada") as caught:
        act(on, alert, Acknowledge(), "bob")
    error = caught.value
    assert (error.alert_id, error.seen, error.version) == (alert.alert_id, 1, 2)
    assert (error.actor, error.kind) == ("ada", "acknowledged")
    with pytest.raises(IllegalStep, match="acknowledged by ada"):
        act(on, on.open_alerts()[0], Acknowledge(), "bob")


def test_an_unknown_alert_is_said_to_be_so() -> None:
    with pytest.raises(NoSuchAlert):
        desk().act("no-such", Acknowledge(), version=1, operator="ada", now_us=NOW_US)


@pytest.mark.parametrize("operator", ["", "  ", "system", "x" * 201])
def test_nobody_acts_without_a_name(operator: str) -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    with pytest.raises(IllegalStep, match="name"):
        take(on, operator)
    assert on.open_alerts()[0].acknowledged_by is None


def test_worst_first_then_oldest() -> None:
    on = desk()
    notice(on, "battery_low", 1)
    zone = transition(1, Level.ALERT, watch=ZONE.key)
    on.on_transition(zone, ZONE, now_us=NOW_US + 2)
    step(on, 1, Level.ALERT)
    notice(on, "panic", 2)
    assert [(a.tier, a.level) for a in on.open_alerts()] == [
        (1, "panic"),
        (2, "alert"),
        (2, "alert"),
        (4, "battery_low"),
    ]
    assert [a.condition for a in on.open_alerts()[1:3]] == ["proximity", "exclusion"]


def test_when_too_many_are_open_the_least_important_gives_way() -> None:
    on = desk(open_limit=2)
    notice(on, "battery_low", 1)
    notice(on, "permission_off", 2)
    assert notice(on, "gnss_lost", 3) == []  # nothing has returned: tier 4 must wait
    assert on.counts.refused == 1
    assert kinds(step(on, 1, Level.ALERT)) == ["raised"]  # tier 2 never waits
    notice(on, "charging", 4)
    closed, raised = notice(on, "panic", 5)
    assert (closed.kind, closed.actor, closed.data.level) == ("resolved", "system", "battery_low")
    assert "make room" in closed.data.note
    assert raised.kind == "raised"
    assert (on.counts.displaced, on.counts.refused) == (1, 1)


def test_a_refused_alert_is_raised_when_it_gets_worse() -> None:
    on = desk(open_limit=0)
    assert step(on, 1, Level.PRE_ALERT) == []
    assert kinds(step(on, 2, Level.ALERT)) == ["raised"]


def test_only_what_is_still_there_gives_way() -> None:
    on = desk(open_limit=2)
    notice(on, "battery_low", 1)
    notice(on, "charging", 2)
    take(on)  # it returned and was seen: it is off the desk
    notice(on, "gnss_lost", 3)
    notice(on, "no_motion", 4)
    assert notice(on, "permission_off", 5) == []
    assert kinds(notice(on, "panic", 6)) == ["raised"]
