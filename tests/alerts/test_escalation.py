"""Nobody acts in time: who else is asked, by what, and never twice."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from alerts.agenda import DUE_AT_ONCE
from alerts.contacts import Contact, Contacts, parse_contacts
from alerts.deliveries import Delivery, Summons, decode_entry, encode_entry
from alerts.desk import Desk
from alerts.errors import ContactsError, VersionConflict
from alerts.escalation import Escalation
from alerts.escalation_rules import ContactChannel, EscalationRule, rule_problems
from alerts.model import Alert, AlertChange
from alerts.outbox import Outbox
from alerts.steps import Acknowledge, Shelve
from devices.reports import Receipt
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    NOW_US,
    PHONE,
    PROFILES,
    SECOND_US,
    TAG,
    WATCH,
    act,
    event,
    kinds,
    profiles_with,
    transition,
)

CHANNELS: tuple[ContactChannel, ...] = ("push", "sms", "email", "webhook")
CONTACTS = parse_contacts(
    b"""
    [[contact]]
    name = "First supervisor"
    role = "supervisor"
    push = { endpoint = "https://push.example/1" }
    sms = "+34600000001"

    [[contact]]
    name = "Second supervisor"
    role = "supervisor"
    sms = "+34600000002"

    [[contact]]
    name = "Control room"
    role = "police"
    agency = "centre"
    webhook = "https://police.example/alerts"

    [[contact]]
    name = "Her phone"
    role = "protected"
    person = "protected1"
    sms = "+34600000003"
    """,
    "contacts.toml",
)


class Room:
    """A desk with an outbox, and what was written to the stream."""

    def __init__(
        self,
        contacts: tuple[Contact, ...] = CONTACTS,
        rules: tuple[EscalationRule, ...] | None = None,
    ) -> None:
        self.profiles = profiles_with() if rules is None else profiles_with(escalation=rules)
        self.contacts = Contacts(contacts, CHANNELS)
        self.entries: list[Any] = []
        self.start()

    def start(self) -> None:
        self.outbox = Outbox(self.profiles, BEARERS.get, self.contacts)
        escalation = Escalation(self.profiles, self.contacts, self.outbox.arrived)
        self.desk = Desk(self.profiles, rules="r", build="b", escalation=escalation)

    def restart(self, snapshots: tuple[bytes, bytes] | None = None, after: int = 0) -> None:
        self.start()
        if snapshots is not None:
            self.desk.load_snapshot(snapshots[0])
            self.outbox.load_snapshot(snapshots[1])
        entries = [decode_entry(encode_entry(entry)) for entry in self.entries[after:]]
        self.desk.restore(entry for entry in entries if isinstance(entry, AlertChange))
        self.outbox.restore(entries, now_us=NOW_US)

    def keep(self, changes: list[AlertChange]) -> list[AlertChange]:
        for change in changes:
            self.entries.append(change)
            self.entries += self.outbox.take(change, now_us=NOW_US)
        return changes

    def step(self, number: int, level: Level, at_us: int = NOW_US) -> list[AlertChange]:
        return self.keep(self.desk.on_transition(transition(number, level), WATCH, now_us=at_us))

    def at(self, seconds: float) -> list[AlertChange]:
        return self.keep(self.desk.advance(NOW_US + round(seconds * SECOND_US)))

    def asked(self, seconds: float) -> list[tuple[str, str]]:
        return [(a.recipient, a.channel) for change in self.at(seconds) for a in change.asked]

    def only(self) -> Alert:
        [alert] = self.desk.open_alerts()
        return alert

    def hear(self, delivery: Delivery, state: str = "received") -> None:
        receipt = Receipt(0, delivery.recipient, delivery.id, state, NOW_US, None)
        record = self.outbox.answered(receipt, now_us=NOW_US)
        assert record is not None
        self.entries.append(record)

    def waiting(self, channel: str) -> list[Delivery]:
        return [delivery for delivery in self.outbox.pending() if delivery.channel == channel]


def test_an_unseen_critical_alert_goes_up_the_ladder() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    room.hear(room.waiting("handset")[0])  # she has the notice
    assert room.asked(29) == []
    assert room.asked(30) == [("operators", "console")]
    assert room.asked(31) == []
    assert room.asked(60) == [("First supervisor", "push")]
    assert room.asked(90) == [("First supervisor", "sms"), ("Second supervisor", "sms")]
    assert room.asked(120) == [("Control room", "webhook")]
    assert room.asked(86_000) == []
    assert [d.recipient for d in room.waiting("sms")] == ["First supervisor", "Second supervisor"]


def test_an_escalation_is_a_change_that_everybody_hears_of() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    room.hear(room.waiting("handset")[0])
    room.at(30)
    [change] = room.at(60)
    assert (change.type, change.actor) == ("cordon.alert.escalated", "system")
    assert change.data.escalated_to == "First supervisor, supervisor (push)"
    assert change.id in [delivery.change_id for delivery in room.waiting("agency")]
    [push] = room.waiting("push")
    summons = msgspec.json.decode(push.payload, type=Summons)
    assert (summons.id, summons.kind, summons.tier) == (push.id, "unacknowledged", 1)
    said = summons.title + summons.text
    for secret in ("wearer1", "protected1", "contact", "321"):
        assert secret not in said


def test_a_receipt_spares_the_next_channel() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    room.hear(room.waiting("handset")[0])
    room.at(60)
    room.hear(room.waiting("push")[0])
    assert room.asked(90) == [("Second supervisor", "sms")]


def test_acknowledging_stops_the_ladder_and_starts_the_reminders() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    room.hear(room.waiting("handset")[0])
    room.at(30)
    room.keep(act(room.desk, room.only(), Acknowledge(), now_us=NOW_US + 40 * SECOND_US))
    assert room.asked(900) == []
    reminders = [room.asked(40 + 900 * n) for n in range(1, 6)]
    assert reminders[:3] == [[("ada", "console")]] * 3
    assert sorted(reminders[3]) == [("First supervisor", "push"), ("ada", "console")]
    assert reminders[4] == []


def test_what_did_not_reach_her_handset_is_sent_another_way() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    assert room.asked(19) == []
    assert room.asked(20) == [("Her phone", "sms")]
    [sms] = room.waiting("sms")
    summons = msgspec.json.decode(sms.payload, type=Summons)
    assert summons.title == "Someone you are protected from may be very near"
    assert room.asked(25) == []


def test_each_of_several_protected_people_is_asked_for_herself() -> None:
    others = {
        "phone1": PHONE,
        "phone2": msgspec.structs.replace(PHONE, device="phone2", person="protected2"),
        "tag1": msgspec.structs.replace(TAG, notify=("phone1", "phone2")),
    }
    contacts = tuple(
        Contact(name=f"Phone of {person}", role="protected", person=person, sms="+34600000009")
        for person in ("protected1", "protected2")
    )
    for heard, asked in (("phone1", "protected2"), ("phone2", "protected1")):
        known = Contacts(contacts, CHANNELS)
        outbox = Outbox(PROFILES, others.get, known)
        escalation = Escalation(PROFILES, known, outbox.arrived, others.get)
        on = Desk(PROFILES, rules="r", build="b", escalation=escalation)
        cut = event("strap_cut", 1, device="tag1")
        [raised] = on.on_event(cut, others["tag1"], now_us=NOW_US)
        outbox.take(raised, now_us=NOW_US)
        [delivery] = [d for d in outbox.pending("handset") if d.recipient == heard]
        receipt = Receipt(0, heard, delivery.id, "received", NOW_US, None)
        assert outbox.answered(receipt, now_us=NOW_US) is not None
        [change] = on.advance(NOW_US + 20 * SECOND_US)
        assert [ask.recipient for ask in change.asked] == [f"Phone of {asked}"]


def test_each_notice_has_its_own_time_to_arrive() -> None:
    room = Room()
    room.step(1, Level.ALERT)
    room.hear(room.waiting("handset")[0])
    assert ("Her phone", "sms") not in room.asked(40)
    room.step(2, Level.CONTACT, NOW_US + 50 * SECOND_US)
    assert room.asked(69) == []
    assert ("Her phone", "sms") in room.asked(70)


def test_where_nobody_can_be_reached_the_next_does_not_wait() -> None:
    room = Room(tuple(c for c in CONTACTS if c.role not in {"supervisor", "protected"}))
    room.step(1, Level.CONTACT)
    room.at(30)
    [change] = room.at(60)
    assert [(a.role, a.recipient, a.channel) for a in change.asked] == [
        ("supervisor", "", ""),
        ("supervisor", "", ""),
        ("police", "Control room", "webhook"),
    ]
    assert "nobody can be reached" in change.data.escalated_to
    refused = [e for e in room.entries if e.type == "cordon.delivery.refused"]
    assert len({record.id for record in refused}) == 3  # with the one to her
    assert room.outbox.counts.unreachable == 3
    assert room.asked(86_000) == []


def test_a_shelved_alert_asks_nobody_and_begins_anew() -> None:
    room = Room()
    room.step(1, Level.ALERT)
    room.hear(room.waiting("handset")[0])
    room.keep(act(room.desk, room.only(), Shelve(minutes=10, reason="known")))
    assert room.asked(599) == []
    assert kinds(room.at(600)) == ["unshelved"]
    assert room.asked(719) == []
    assert room.asked(720) == [("operators", "console")]


def test_a_worse_tier_begins_anew() -> None:
    room = Room()
    room.step(1, Level.ALERT)
    room.hear(room.waiting("handset")[0])
    assert room.asked(120) == [("operators", "console")]
    room.step(2, Level.CONTACT, NOW_US + 130 * SECOND_US)
    room.hear(room.waiting("handset")[0])
    assert room.asked(159) == []
    assert room.asked(160) == [("operators", "console")]


def test_an_escalation_does_not_get_in_an_operators_way() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    seen = room.only()
    assert kinds(room.at(30)) == ["escalated"]
    room.restart()
    [change] = act(room.desk, seen, Acknowledge())
    assert (change.kind, change.data.version) == ("acknowledged", 3)
    with pytest.raises(VersionConflict, match="'acknowledged' by ada"):
        act(room.desk, seen, Acknowledge(), "bob")


def test_after_a_long_absence_everything_due_is_asked_at_once_in_one_change() -> None:
    room = Room()
    room.step(1, Level.CONTACT)
    room.restart()
    [change] = room.at(3600)
    assert [a.recipient for a in change.asked] == [
        "operators",
        "First supervisor",
        "First supervisor",
        "Second supervisor",
        "Control room",
        "Her phone",
    ]


def test_when_thousands_are_due_a_tick_takes_some_and_forgets_none() -> None:
    room = Room()
    total = 2 * DUE_AT_ONCE + 1
    for number in range(total):
        watch = msgspec.structs.replace(WATCH, key=f"k{number}/t/p", notify=())
        made = transition(1, Level.CONTACT, watch=watch.key)
        room.keep(room.desk.on_transition(made, watch, now_us=NOW_US))
    ticks = [room.at(30 + second) for second in range(4)]
    assert [len(changes) for changes in ticks] == [DUE_AT_ONCE, DUE_AT_ONCE, 1, 0]
    assert len({change.subject for changes in ticks for change in changes}) == total


def rule(**fields: Any) -> EscalationRule:
    values: dict[str, Any] = {
        "when": "unacknowledged",
        "tier": 1,
        "after_s": 10,
        "ask": "supervisor",
        "via": ("push",),
    }
    return EscalationRule(**(values | fields))


@pytest.mark.parametrize(
    ("rules", "where"),
    [
        ((rule(), rule(after_s=20)), "escalation.1"),
        ((rule(times=2),), "escalation.0.times"),
        ((rule(repeat_s=5),), "escalation.0.times"),
        ((rule(fallback_after_s=5),), "escalation.0.fallback_after_s"),
        ((rule(ask="operators"),), "escalation.0.via"),
        ((rule(via=("console", "push")),), "escalation.0.via"),
        ((rule(when="undelivered"),), "escalation.0.ask"),
        ((rule(ask="protected"),), "escalation.0.ask"),
    ],
)
def test_rules_that_contradict_themselves_are_named(
    rules: tuple[EscalationRule, ...], where: str
) -> None:
    assert where in [found for found, _ in rule_problems(rules)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[contact]]\nname='a'", "role"),
        ("[[contact]]\nname='a'\nrole='police'\nsms='0600'", "contact"),
        ("[[contact]]\nname='a'\nrole='protected'", "person"),
        ("[[contact]]\nname='a'\nrole='police'\n" * 2, "twice"),
        ("nonsense", "cannot be used"),
    ],
)
def test_a_contacts_file_that_cannot_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(ContactsError, match=message):
        parse_contacts(text.encode(), "contacts.toml")
