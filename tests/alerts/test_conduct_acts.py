"""Acts that the streams tell of, through a real desk."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerts.conduct import DAY_US, MINUTE_US, Act
from alerts.conduct_acts import (
    RESTS_KEPT,
    Told,
    acts_of_tampering,
    acts_of_watches,
    alert_ids_of,
)
from alerts.decisions import AnomalyDecision
from alerts.model import Alert
from alerts.steps import Acknowledge, Check, Resolve
from devices.reports import Event
from geofence.anomaly_state import Anomaly
from geofence.levels import Cause, Level
from tests.alerts import conduct_stories
from tests.alerts.builders import NOW_US, SECOND_US, START_US, TAG, ZONE, anomaly, desk, event
from tests.alerts.conduct_stories import RULES

LATER_US = START_US + 30 * DAY_US
CLEAR, OUTER, ALERT, CONTACT, UNKNOWN = (
    Level.CLEAR,
    Level.PRE_ALERT,
    Level.ALERT,
    Level.CONTACT,
    Level.UNKNOWN,
)


def acts_of(told: conduct_stories.Told, now_us: int = LATER_US) -> list[Act]:
    entries = Told(told.decisions, [], [])
    assert alert_ids_of(entries, "wearer1") >= told.alerts.keys()
    return [found.act for found in acts_of_watches(entries, told.alerts, RULES, now_us)]


def test_a_short_spell_in_the_outer_ring_is_probing_and_a_long_one_loitering() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, OUTER), (4, CLEAR)])
    told.spell(1, [(0, OUTER), (11, CLEAR)])
    probing, loitering = acts_of(told)
    assert (probing.kind, loitering.kind) == ("probing", "loitering")
    assert probing.ended_us == probing.began_us + 4 * MINUTE_US
    assert probing.rests[0].kind == "alert"
    assert probing.rests[0].id in told.alerts
    assert [rest.id for rest in probing.rests[1:]] == [
        "keep-away/tag1/phone1#1",
        "keep-away/tag1/phone1#2",
    ]


def test_each_coming_into_the_alert_ring_is_an_approach() -> None:
    told = conduct_stories.Told()
    steps = [(0, OUTER), (2, ALERT), (3, CONTACT), (5, OUTER), (60, ALERT), (61, CLEAR)]
    told.spell(0, steps, distance_m=90.0)
    first, second = acts_of(told)
    assert (first.kind, second.kind) == ("approach", "approach")
    assert first.began_us == START_US + 2 * MINUTE_US
    assert first.ended_us == START_US + 5 * MINUTE_US
    assert first.closest_m == 90.0
    assert first.rests[0] == second.rests[0]  # one alert for the encounter


@pytest.mark.parametrize("cause", [Cause.AHEAD, Cause.SILENCE, Cause.PLAN])
def test_what_was_not_measured_is_no_act(cause: Cause) -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, OUTER), (30, ALERT), (40, CLEAR)], cause=cause)
    told.spell(1, [(0, UNKNOWN), (40, CLEAR)])
    assert acts_of(told) == []


def test_time_that_nothing_is_known_of_is_not_loitering() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, OUTER), (3, UNKNOWN), (60, OUTER), (62, CLEAR)])
    assert [one.kind for one in acts_of(told)] == ["probing"]


def test_a_spell_that_goes_on_has_no_end_and_becomes_loitering() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, OUTER)])
    [probing] = acts_of(told, START_US + 5 * MINUTE_US)
    [loitering] = acts_of(told, START_US + 15 * MINUTE_US)
    assert (probing.kind, loitering.kind) == ("probing", "loitering")
    assert (probing.ended_us, probing.id) == (None, loitering.id)


def test_a_zone_is_entered_and_an_inclusion_zone_is_nobody_s() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, ALERT), (5, CLEAR)], ZONE)
    told.spell(
        1,
        [(0, ALERT), (5, CLEAR)],
        msgspec.structs.replace(ZONE, key="in/tag1", condition="inclusion"),
    )
    [entry] = acts_of(told)
    assert entry.kind == "approach"


def test_a_spell_without_an_alert_is_not_counted() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, ALERT), (5, CLEAR)])
    told.alerts.clear()
    found = acts_of_watches(Told(told.decisions, [], []), told.alerts, RULES, LATER_US)
    assert found == []


def test_an_outcome_in_his_favour_explains_the_act() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(0, ALERT), (5, CLEAR)])
    told.outcome("no_breach")
    assert [one.explained for one in acts_of(told)] == ["no_breach"]
    told.outcome("breach")
    assert [one.explained for one in acts_of(told)] == [""]


def test_a_restless_spell_names_its_first_decisions_and_the_last() -> None:
    told = conduct_stories.Told()
    told.spell(0, [(n, ALERT if n % 2 else CONTACT) for n in range(60)] + [(60, CLEAR)])
    [one] = acts_of(told)
    assert len(one.rests) == 1 + RESTS_KEPT
    assert one.rests[-1].at_us == START_US + 60 * MINUTE_US


def tampering(
    events: list[Event], anomalies: list[AnomalyDecision], alerts: dict[str, Alert]
) -> list[Act]:
    told = Told([], anomalies, events)
    assert alert_ids_of(told, "wearer1") >= alerts.keys()
    return acts_of_tampering(told, alerts)


def test_each_repetition_of_a_tamper_is_an_act_on_the_one_open_alert() -> None:
    machine = desk()
    events = [event("strap_cut", seq, device="tag1") for seq in (1, 7, 5000)]
    changes = [
        change for one in events for change in machine.on_event(one, TAG, now_us=one.time_us)
    ]
    alerts = {change.data.alert_id: change.data for change in changes}
    assert len(alerts) == 1
    [name] = alerts
    found = tampering([*events, event("battery_low", 9, device="tag1")], [], alerts)
    assert [one.began_us for one in found] == [one.time_us for one in events]
    assert {one.rests[0].id for one in found} == {name}
    assert [one.rests[1].id for one in found] == [f"tag1/strap_cut#{seq}" for seq in (1, 7, 5000)]


def test_a_device_at_fault_explains_its_tampers() -> None:
    machine = desk()
    cut = event("strap_cut", 1, device="tag1")
    [raised] = machine.on_event(cut, TAG, now_us=NOW_US)
    name = raised.data.alert_id
    at: Any = {"operator": "Kim", "now_us": NOW_US + SECOND_US}
    machine.act(name, Acknowledge(), version=1, **at)
    machine.act(name, Check(by="replaced", note="worn strap"), version=2, **at)
    changes = machine.act(name, Resolve(outcome="device_at_fault", note="x"), version=3, **at)
    [one] = tampering([cut], [], {name: changes[-1].data})
    assert one.explained == "device_at_fault"


def test_a_tag_that_stays_behind_is_tampering_and_a_wrong_clock_is_not() -> None:
    machine = desk()
    kinds = (Anomaly.STAYS_BEHIND, Anomaly.CLOCK, Anomaly.CLONE)
    changes = [anomaly(kind, 1) for kind in kinds]
    raised = [one for change in changes for one in machine.on_anomaly(change, TAG, now_us=NOW_US)]
    decisions = [
        AnomalyDecision(
            change=change,
            person="wearer1",
            role="wearer",
            agency="centre",
            rules="r",
            build="b",
            caseload_version="v",
            after_position=1,
        )
        for change in changes
    ]
    alerts = {one.data.alert_id: one.data for one in raised if one.data.anomaly != "clock"}
    found = tampering([], decisions, alerts)
    assert [one.rests[-1].id for one in found] == ["stays_behind/tag1#1", "clone/tag1#1"]
    assert all(one.rests[0].id in alerts for one in found)
    hers = [msgspec.structs.replace(one, role="protected") for one in decisions]
    assert acts_of_tampering(Told([], hers, []), alerts) == []
