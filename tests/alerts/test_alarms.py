"""Her handset's own alarms: one alert for one danger, and an answer to "was that real?"."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.alarms import ALARMS_LIMIT, LINK_US, alarm_of
from alerts.contacts import Contact, Contacts
from alerts.deliveries import decode_entry, encode_entry
from alerts.desk import Desk
from alerts.incidents import Draft
from alerts.model import AlertChange
from alerts.outbox import Outbox
from alerts.profile_rules import ALARM
from alerts.reality import verdict_of, was_real
from alerts.steps import Acknowledge, Dispatch, Resolve, Shelve
from devices.commands import AlarmAnswer, decode_command
from devices.instants import to_iso
from devices.reports import Event
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    NOW_US,
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    WATCH,
    act,
    desk,
    event,
    kinds,
    notice,
    profiles_with,
    transition,
)


def own(seq: int, alarm: str = "", **fields: Any) -> Event:
    detail = {"alarm": alarm} if alarm else {}
    return event("own_alarm", seq, detail=detail, **fields)


def raise_own(on: Desk, seq: int, alarm: str = "", at_us: int = NOW_US) -> list[AlertChange]:
    return on.on_alarm(own(seq, alarm), PHONE, [WATCH.key], now_us=at_us)


def level(on: Desk, number: int, to: Level, at_us: int = NOW_US) -> list[AlertChange]:
    return on.on_transition(transition(number, to), WATCH, now_us=at_us)


def answers(outbox: Outbox, changes: list[AlertChange]) -> list[AlarmAnswer]:
    """What her handset is answered to these changes."""
    found = []
    for change in changes:
        outbox.take(change, now_us=NOW_US)
    while (delivery := outbox.next("handset")) is not None:
        command = decode_command(delivery.payload)
        outbox.finish(delivery, "sent", NOW_US)
        if isinstance(command, AlarmAnswer):
            found.append(command)
    return found


def test_where_the_centre_sees_nothing_the_alarm_is_an_alert_by_itself() -> None:
    on = desk()
    [raised] = raise_own(on, 7, "a-1")
    alert = raised.data
    assert (alert.level, alert.tier, alert.protected) == ("own_alarm", 2, "protected1")
    assert [(one.id, one.cause, one.device) for one in alert.alarms] == [
        ("a-1", "engine", "phone1")
    ]
    assert raise_own(on, 7, "a-1") == []  # delivered again
    [answer] = answers(Outbox(PROFILES, BEARERS.get), [raised])
    assert (answer.alarm_id, answer.alert_id) == ("a-1", alert.alert_id)
    assert (answer.state, answer.verdict) == ("open", "only_handset")


def test_where_there_is_an_alert_of_the_pair_the_alarm_is_part_of_it() -> None:
    on = desk()
    [raised] = level(on, 1, Level.ALERT)
    [linked] = raise_own(on, 7, "a-1")
    assert (linked.kind, linked.data.alert_id) == ("alarm", raised.data.alert_id)
    assert raise_own(on, 7, "a-1") == []
    assert len(on.open_alerts()) == 1
    [answer] = answers(Outbox(PROFILES, BEARERS.get), [linked])
    assert (answer.alert_id, answer.verdict) == (raised.data.alert_id, "confirmed")


def test_an_alert_of_the_pair_soon_after_goes_on_with_it_and_there_is_one() -> None:
    on, outbox = desk(), Outbox(PROFILES, BEARERS.get)
    first = raise_own(on, 7, "a-1")
    changes = level(on, 1, Level.ALERT)
    assert kinds(changes) == ["raised", "resolved"]
    raised, closed = changes[0].data, changes[1].data
    assert [one.id for one in raised.alarms] == ["a-1"]
    assert (closed.alert_id, closed.merged_into) == (first[0].data.alert_id, raised.alert_id)
    assert [one.alert_id for one in on.open_alerts()] == [raised.alert_id]
    told = answers(outbox, [*first, *changes])
    assert [one.alert_id for one in told] == [closed.alert_id, raised.alert_id]


def test_long_after_or_once_somebody_was_sent_it_stays_an_alert_of_its_own() -> None:
    on = desk()
    raise_own(on, 7, "a-1")
    level(on, 1, Level.ALERT, NOW_US + LINK_US + 1)
    assert len(on.open_alerts()) == 2
    on = desk()
    raise_own(on, 7, "a-1")
    act(on, on.open_alerts()[0], Dispatch(to="patrol"))
    level(on, 1, Level.ALERT)
    assert len(on.open_alerts()) == 2


UNKNOWN_OF_3 = profiles_with(
    levels={
        **PROFILES.by_name["default"].levels,
        "proximity": {
            **PROFILES.by_name["default"].levels["proximity"],
            "unknown": msgspec.structs.replace(
                PROFILES.by_name["default"].levels["proximity"]["unknown"], tier=3
            ),
        },
    }
)


@pytest.mark.parametrize("to", [Level.PRE_ALERT, Level.UNKNOWN])
def test_what_goes_on_with_her_alarm_matters_as_much_until_it_was_seen(to: Level) -> None:
    on = Desk(UNKNOWN_OF_3, rules="r", build="b")
    raise_own(on, 7, "a-1")
    [raised, _closed] = level(on, 1, to)
    assert (raised.data.tier, raised.data.acknowledged_by) == (2, None)
    level(on, 2, Level.CONTACT)
    [moved] = level(on, 3, to)
    assert moved.data.tier == 2
    act(on, moved.data, Acknowledge())
    level(on, 4, Level.CONTACT)
    act(on, on.open_alerts()[0], Acknowledge())
    [seen] = level(on, 5, to)
    assert (seen.data.tier, seen.data.acknowledged_by) == (3, "ada")


@pytest.mark.parametrize("to", [Level.PRE_ALERT, Level.UNKNOWN])
@pytest.mark.parametrize("shelved", [False, True])
def test_her_alarm_asks_for_a_person_where_the_alert_was_in_hand_or_put_aside(
    to: Level,
    shelved: bool,  # noqa: FBT001 - given
) -> None:
    on = Desk(UNKNOWN_OF_3, rules="r", build="b")
    level(on, 1, to)
    act(on, on.open_alerts()[0], Acknowledge())
    if shelved:
        act(on, on.open_alerts()[0], Shelve(minutes=400, reason="his mast is down"))
    [linked] = raise_own(on, 7, "a-1", NOW_US + SECOND_US)
    alert = linked.data
    assert (linked.kind, alert.tier) == ("tier", 2)
    assert (alert.acknowledged_by, alert.shelved_until) == (None, None)
    assert alert.asks_since == to_iso(NOW_US + SECOND_US)
    assert [one.id for one in alert.alarms] == ["a-1"]
    [answer] = answers(Outbox(PROFILES, BEARERS.get), [linked])
    assert (answer.state, answer.tier) == ("open", 2)


def test_her_alarm_takes_one_of_the_same_tier_off_the_shelf_and_leaves_what_is_in_hand() -> None:
    on = desk()
    level(on, 1, Level.ALERT)
    act(on, on.open_alerts()[0], Acknowledge())
    [linked] = raise_own(on, 7, "a-1")
    assert (linked.kind, linked.data.acknowledged_by) == ("alarm", "ada")
    act(on, linked.data, Shelve(minutes=400, reason="his mast is down"))
    [back] = raise_own(on, 8, "a-2")
    assert (back.kind, back.data.shelved_until, back.data.acknowledged_by) == ("tier", None, None)


def test_dispatch_that_was_asked_of_her_alarm_hears_of_what_goes_on_before_the_closing() -> None:
    cad = Contact(name="CAD", role="police", webhook="https://cad.example/x", format="eido")
    contacts = Contacts([cad], ("webhook", "eido"))
    on, outbox = desk(), Outbox(PROFILES, BEARERS.get, contacts)
    [own_alert] = raise_own(on, 7, "a-1")
    asked = msgspec.structs.replace(own_alert.data, version=2, contacts_asked=("CAD",))
    on.restore(
        [msgspec.structs.replace(own_alert, id="a/2", type="cordon.alert.escalated", data=asked)]
    )
    changes = level(on, 1, Level.PRE_ALERT)
    for change in changes:
        outbox.take(change, now_us=NOW_US)
    told = [msgspec.json.decode(one.payload, type=Draft) for one in outbox.pending("eido")]
    assert [(one.alert_id, one.status) for one in told] == [
        (changes[0].data.alert_id, "new"),
        (own_alert.data.alert_id, "closed"),
    ]
    assert on.open_alerts()[0].contacts_asked == ("CAD",)


def test_a_panic_and_a_beacon_keep_the_name_that_the_handset_gave_them() -> None:
    on = desk()
    [raised] = notice(on, "panic", 1, detail={"alarm": "p-1"})
    assert [(one.id, one.cause) for one in raised.data.alarms] == [("p-1", "panic")]
    again = event("panic", 2, detail={"alarm": "p-2"})
    assert on.on_event(again, PHONE, now_us=NOW_US) == []
    [linked] = on.on_alarm(again, PHONE, (), now_us=NOW_US)
    assert [one.id for one in linked.data.alarms] == ["p-1", "p-2"]
    level(on, 1, Level.CONTACT)
    beacon = event("beacon_seen", 3, peer="tag1", detail={"alarm": "b-1"})
    [linked] = on.on_alarm(beacon, PHONE, [WATCH.key], now_us=NOW_US)
    assert [(one.id, one.cause) for one in linked.data.alarms] == [("b-1", "beacon")]
    assert linked.data.watch == WATCH.key


@pytest.mark.parametrize("name", [None, 7, "", "x" * 65, {"a": 1}])
def test_a_name_that_cannot_be_one_is_passed_over_and_no_alarm_is_lost(name: Any) -> None:
    assert alarm_of(event("panic", 1, detail={"alarm": name})) is None
    found = alarm_of(event("own_alarm", 5, detail={"alarm": name}))
    assert found is not None
    assert found.id == "5"
    assert alarm_of(event("battery_low", 1, detail={"alarm": "x"})) is None


def test_a_profile_that_does_not_know_of_such_alarms_loses_none() -> None:
    events = {k: v for k, v in PROFILES.by_name["default"].events.items() if k != "own_alarm"}
    older = profiles_with(events=events)
    profiles = type(older)({**PROFILES.by_name, "older": older.by_name["default"]})
    on = Desk(profiles, rules="r", build="b")
    bearer = msgspec.structs.replace(PHONE, profile="older")
    assert kinds(on.on_alarm(own(1), bearer, [], now_us=NOW_US)) == ["raised"]


def test_an_alert_keeps_a_limited_number_of_alarms() -> None:
    on = desk()
    level(on, 1, Level.ALERT)
    for seq in range(ALARMS_LIMIT + 5):
        raise_own(on, seq + 1, f"a-{seq}")
    [alert] = on.open_alerts()
    assert len(alert.alarms) == ALARMS_LIMIT
    assert alert.alarms[-1].id == f"a-{ALARMS_LIMIT + 4}"


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        ("breach", "real"),
        ("help_given", "real"),
        ("pressed_by_mistake", "not_real"),
        ("not_determined", "not_known"),
    ],
)
def test_whoever_closes_it_says_what_it_was_and_she_is_told(outcome: Any, verdict: str) -> None:
    on = desk()
    [raised] = raise_own(on, 7, "a-1")
    act(on, raised.data, Acknowledge(), "ada")
    [closed] = act(on, on.open_alerts()[0], Resolve(outcome=outcome, note="called her"))
    assert verdict_of(closed.data) == verdict
    [answer] = answers(Outbox(PROFILES, BEARERS.get), [closed])
    assert (answer.state, answer.verdict) == ("closed", verdict)
    found = was_real(closed.data, PROFILES)
    assert not found.open
    assert any("a-1" in reason for reason in found.reasons)
    assert any("called her" in reason for reason in found.reasons)
    # What she is told has neither the note nor a place.
    assert "called her" not in answer.text


def test_the_answer_is_not_sent_to_a_handset_that_another_carries_now() -> None:
    on = desk()
    changes = raise_own(on, 7, "a-1")
    other = {"phone1": msgspec.structs.replace(PHONE, person="protected2")}
    assert answers(Outbox(PROFILES, other.get), changes) == []


def test_every_verdict_has_words_in_every_language() -> None:
    profile = PROFILES.by_name["default"]
    for language in ("en", "es", "fr"):
        texts = profile.texts[language][ALARM]
        assert set(texts) == {
            "real",
            "not_real",
            "not_known",
            "confirmed",
            "not_excluded",
            "only_handset",
        }


class Reconciled(RuleBasedStateMachine):
    """Alarms, transitions, repetitions and restarts in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = desk()
        self.changes: list[AlertChange] = []
        self.now_us = NOW_US
        self.number = 0
        self.seq = 0
        self.sent: list[Event] = []

    def note(self, changes: list[AlertChange]) -> None:
        self.changes += [
            one
            for one in (decode_entry(encode_entry(change)) for change in changes)
            if isinstance(one, AlertChange)
        ]
        self.now_us += SECOND_US

    @rule(seconds=st.sampled_from([1, 60, 400]))
    def time_passes(self, seconds: int) -> None:
        self.now_us += seconds * SECOND_US

    @rule(to=st.sampled_from([Level.CLEAR, Level.PRE_ALERT, Level.ALERT, Level.CONTACT]))
    def the_engine_decides(self, to: Level) -> None:
        self.number += 1
        onset_us = START_US + self.number * SECOND_US
        moved = transition(self.number, to, onset_us=onset_us)
        self.note(self.desk.on_transition(moved, WATCH, now_us=self.now_us))

    @rule()
    def the_handset_raises_an_alarm(self) -> None:
        self.seq += 1
        one = own(self.seq, f"a-{self.seq}")
        self.sent.append(one)
        self.note(self.desk.on_alarm(one, PHONE, [WATCH.key], now_us=self.now_us))

    @rule(data=st.data())
    def an_alarm_comes_again(self, data: st.DataObject) -> None:
        if self.sent:
            one = data.draw(st.sampled_from(self.sent))
            assert self.desk.on_alarm(one, PHONE, [WATCH.key], now_us=self.now_us) == []

    @rule()
    def somebody_closes_what_can_be_closed(self) -> None:
        for alert in self.desk.open_alerts():
            if not alert.watch:
                if alert.acknowledged_by is None:
                    self.note(act(self.desk, alert, Acknowledge()))
                left = [one for one in self.desk.open_alerts() if one.alert_id == alert.alert_id]
                for one in left:
                    self.note(act(self.desk, one, Resolve(outcome="no_breach", note="looked")))

    @rule(shelved=st.booleans())
    def somebody_takes_one_in_hand(self, shelved: bool) -> None:  # noqa: FBT001 - drawn
        waiting = [one for one in self.desk.open_alerts() if one.acknowledged_by is None]
        for alert in waiting[:1]:
            changes = act(self.desk, alert, Acknowledge())
            self.note(changes)
            if shelved and alert.tier > 1 and changes[-1].kind != "resolved":
                step = Shelve(minutes=400, reason="his mast is down")
                self.note(act(self.desk, changes[-1].data, step, now_us=self.now_us))

    @rule(from_snapshot=st.booleans())
    def it_starts_anew(self, from_snapshot: bool) -> None:  # noqa: FBT001 - drawn
        fresh = desk()
        if from_snapshot:
            fresh.load_snapshot(self.desk.snapshot())
        fresh.restore(self.changes)
        assert fresh.open_alerts() == self.desk.open_alerts()
        self.desk = fresh

    @invariant()
    def every_alarm_is_kept_in_an_alert(self) -> None:
        kept = {alarm.id for change in self.changes for alarm in change.data.alarms}
        assert kept == {f"a-{number}" for number in range(1, self.seq + 1)}

    @invariant()
    def what_nobody_has_seen_is_not_turned_down(self) -> None:
        for alert in self.desk.open_alerts():
            if alert.alarms and alert.acknowledged_by is None:
                assert alert.tier <= 2

    @invariant()
    def an_alarm_is_open_in_one_alert_at_most(self) -> None:
        names = [alarm.id for alert in self.desk.open_alerts() for alarm in alert.alarms]
        assert len(names) == len(set(names))


TestReconciled = Reconciled.TestCase
TestReconciled.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
