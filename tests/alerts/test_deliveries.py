"""Who is told, and above all who is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, get_args

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from alerts.channels.agency import AgencyChannel, agency_topic
from alerts.channels.handset import HandsetChannel
from alerts.deliveries import (
    AGENCY_EXPIRY_S,
    NOTIFY_EXPIRY_S,
    DeliveryRecord,
    Entry,
    decode_entry,
    encode_entry,
)
from alerts.desk import Desk
from alerts.errors import EntryFormatError, NotDeliverable
from alerts.model import AlertChange
from alerts.outbox import Outbox
from alerts.profile import EVENTS, Role
from alerts.steps import Acknowledge
from devices.commands import AlarmAnswer, Notify, decode_command
from devices.instants import from_iso
from devices.watches import Bearer, DeviceKind, Watch
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    TAG,
    WATCH,
    act,
    desk,
    event,
    profiles_with,
    transition,
)


def episode(on: Desk) -> list[AlertChange]:
    """Up, down and over, with somebody taking it in hand."""
    levels = (Level.PRE_ALERT, Level.ALERT, Level.CONTACT)
    changes = [
        change
        for number, level in enumerate(levels, 1)
        for change in on.on_transition(transition(number, level), WATCH, now_us=START_US)
    ]
    alert = changes[-1].data
    changes += act(on, alert, Acknowledge(), now_us=START_US)
    changes += on.on_transition(transition(4, Level.CLEAR), WATCH, now_us=START_US)
    return changes


def told(outbox: Outbox, changes: list[AlertChange]) -> list[Notify]:
    for change in changes:
        outbox.take(change, now_us=START_US)
    commands = [decode_command(d.payload) for d in outbox.pending("handset")]
    notices = [command for command in commands if isinstance(command, Notify)]
    return sorted(notices, key=lambda notice: notice.version)


def test_she_is_told_of_what_changes_and_of_its_end_and_of_nothing_else() -> None:
    notices = told(Outbox(PROFILES, BEARERS.get), episode(desk()))
    assert [(n.kind, n.level, n.tier) for n in notices] == [
        ("raised", "pre_alert", 3),
        ("tier", "alert", 2),
        ("tier", "contact", 1),
        ("returned", "clear", 1),
    ]
    assert len({notice.id for notice in notices}) == 4
    assert len({notice.alert_id for notice in notices}) == 1
    assert notices[0].title == "Please be aware"
    assert notices[0].fix_times == {"tag1": "2026-11-23T16:44:05.250000Z"}
    assert from_iso(notices[0].time) == START_US
    assert from_iso(notices[0].expires) == START_US + NOTIFY_EXPIRY_S * SECOND_US


def test_the_agency_gets_every_change_as_it_is() -> None:
    outbox = Outbox(PROFILES, BEARERS.get)
    changes = episode(desk())
    for change in changes:
        outbox.take(change, now_us=START_US)
    sent = outbox.pending("agency")
    by_id = {json.loads(delivery.payload)["id"]: delivery for delivery in sent}
    assert set(by_id) == {change.id for change in changes}
    for change in changes:
        delivery = by_id[change.id]
        assert delivery.recipient == "centre"
        assert delivery.payload == encode_entry(change)
        assert delivery.expires_us == START_US + AGENCY_EXPIRY_S * SECOND_US


def test_who_was_not_told_of_the_beginning_is_not_told_of_the_end() -> None:
    levels = {
        condition: {level: msgspec.structs.replace(rule, tell=False) for level, rule in by.items()}
        for condition, by in PROFILES.by_name["default"].levels.items()
    }
    quiet = profiles_with(levels=levels)
    changes = episode(Desk(quiet, rules="r", build="b"))
    assert told(Outbox(quiet, BEARERS.get), changes) == []


def test_her_own_phone_and_his_tag_are_told_of_differently() -> None:
    on = desk()
    outbox = Outbox(PROFILES, BEARERS.get)
    hers = on.on_event(event("battery_low", 1), PHONE, now_us=START_US)
    his = on.on_event(event("battery_low", 1, device="tag1"), TAG, now_us=START_US)
    assert [notice.title for notice in told(outbox, hers)] == ["Please charge this phone"]
    assert len(told(outbox, his)) == 1  # still the one about hers


def test_ids_are_derived() -> None:
    first = Outbox(PROFILES, BEARERS.get)
    second = Outbox(PROFILES, BEARERS.get)
    for change in episode(desk()):
        first.take(change, now_us=START_US)
    for change in episode(desk()):
        second.take(change, now_us=START_US + 1)
    assert first.pending() == second.pending()
    assert len({delivery.id for delivery in first.pending()}) == len(first.pending())


def test_a_device_that_changed_hands_is_refused_and_recorded() -> None:
    outbox = Outbox(PROFILES, {"phone1": TAG, "tag1": TAG}.get)
    [change] = desk().on_transition(transition(1, Level.ALERT), WATCH, now_us=START_US)
    [record] = outbox.take(change, now_us=START_US)
    assert (record.state, record.recipient) == ("refused", "phone1")
    assert record.reason
    assert outbox.pending("handset") == []
    assert outbox.counts.refused == 1


# Invariant: nothing about the protected person travels towards the wearer.

KINDS: st.SearchStrategy[DeviceKind] = st.sampled_from(get_args(DeviceKind))
ROLES: st.SearchStrategy[Role | None] = st.sampled_from((*get_args(Role), None))
DEVICES = tuple(f"d{number}" for number in range(5))


@st.composite
def bearers(draw: st.DrawFn) -> dict[str, Bearer]:
    """Any assignment, also foolish ones, with any list of devices to notify."""
    return {
        device: Bearer(
            device=device,
            kind=draw(KINDS),
            person=f"person-{device}",
            role=draw(ROLES),
            fix_interval_s=60.0,
            agencies=draw(st.sampled_from([(), ("agency",), ("d0",), ("centre", "police")])),
            notify=tuple(draw(st.lists(st.sampled_from(DEVICES), unique=True))),
        )
        for device in draw(st.lists(st.sampled_from(DEVICES), unique=True, min_size=1))
    }


@st.composite
def watches(draw: st.DrawFn) -> Watch:
    """Any watch, also one that a faulty compiler would have made."""
    return msgspec.structs.replace(
        WATCH,
        condition=draw(st.sampled_from(["proximity", "exclusion", "inclusion"])),
        tag=draw(st.sampled_from(DEVICES)),
        agency=draw(st.sampled_from(["agency", "centre", "d0", "a/b", "+"])),
        notify=tuple(draw(st.lists(st.sampled_from(DEVICES), unique=True))),
    )


class Recorder:
    """Publishes into a list."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    def begin(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, payload))

    async def publish(self, topic: str, payload: bytes) -> None:
        self.published.append((topic, payload))


@settings(max_examples=300, deadline=None)
@given(
    watch=watches(),
    before=bearers(),
    later=bearers(),
    levels=st.lists(st.sampled_from(Level), min_size=1, max_size=6),
    noticed=st.lists(st.tuples(st.sampled_from(sorted(EVENTS)), st.integers(0, 4)), max_size=6),
)
def test_nothing_is_ever_addressed_to_a_wearers_device(
    watch: Watch,
    before: dict[str, Bearer],
    later: dict[str, Bearer],
    levels: list[Level],
    noticed: list[tuple[str, int]],
) -> None:
    on = desk()
    outbox = Outbox(PROFILES, before.get)
    changes: list[AlertChange] = []
    for number, level in enumerate(levels, 1):
        changes += on.on_transition(transition(number, level), watch, now_us=START_US)
    for seq, (kind, which) in enumerate(noticed):
        bearer = list(before.values())[which % len(before)]
        changes += on.on_event(event(kind, seq, device=bearer.device), bearer, now_us=START_US)
    for change in changes:
        outbox.take(change, now_us=START_US)
    for delivery in outbox.pending("handset"):
        assert before[delivery.recipient].kind == "handset"
        assert before[delivery.recipient].role == "protected"
    # Devices change hands while notices wait: it is asked again when they are sent.
    published = asyncio.run(send_all(outbox, later))
    hers = {d for d, b in later.items() if b.kind == "handset" and b.role == "protected"}
    for topic, payload in published:
        parts = topic.split("/")
        assert parts[:2] == ["cordon", "v1"]
        if parts[-1] == "command":
            assert len(parts) == 4
            assert parts[2] in hers
            assert isinstance(decode_command(payload), Notify | AlarmAnswer)
        else:
            assert (parts[2], parts[4], len(parts)) == ("agency", "alert", 5)
            assert json.loads(payload)["data"]["agency"] == parts[3]


async def send_all(outbox: Outbox, bearers: dict[str, Bearer]) -> list[tuple[str, bytes]]:
    recorder = Recorder()
    channels: dict[str, Any] = {
        "handset": HandsetChannel(recorder, bearers.get),
        "agency": AgencyChannel(recorder),
    }
    for delivery in outbox.pending():
        with contextlib.suppress(NotDeliverable):
            await channels[delivery.channel].send(delivery)
    return recorder.published


@pytest.mark.parametrize("agency", ["", "+", "#", "a/b", "a b", "a\n", "é", "x" * 65])
def test_an_agency_cannot_name_another_topic(agency: str) -> None:
    with pytest.raises(NotDeliverable):
        agency_topic(agency)


# Entries of the alerts stream


def test_entries_come_back_as_they_were() -> None:
    changes = episode(desk())
    outbox = Outbox(PROFILES, BEARERS.get)
    outbox.take(changes[0], now_us=START_US)
    delivery = outbox.pending("handset")[0]
    record = outbox.finish(delivery, "sent", START_US + 1)
    entries: list[Entry] = [*changes, record]
    for entry in entries:
        assert decode_entry(encode_entry(entry)) == entry


def test_a_record_says_what_became_of_what() -> None:
    [change, *_] = episode(desk())
    outbox = Outbox(PROFILES, BEARERS.get)
    outbox.take(change, now_us=START_US)
    [delivery] = outbox.pending("handset")
    record = outbox.finish(delivery, "expired", START_US, reason="too late")
    assert json.loads(encode_entry(record)) == {
        "id": f"{delivery.id}/expired",
        "type": "cordon.delivery.expired",
        "time": "2026-11-23T16:44:05.250000Z",
        "delivery_id": delivery.id,
        "alert_id": change.subject,
        "change_id": change.id,
        "channel": "handset",
        "recipient": "phone1",
        "state": "expired",
        "device_time": None,
        "answer": None,
        "reason": "too late",
    }


def test_a_later_version_may_add_fields() -> None:
    [change, *_] = episode(desk())
    document = json.loads(encode_entry(change))
    document["data"]["not_known_yet"] = "new"
    document["extension"] = 1
    assert decode_entry(json.dumps(document).encode()) == change


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b'{"type": 7}', b'{"type": "cordon.other.raised"}', b"\xff\xfe"),
        *(b'{"type": "cordon.alert.raised"}', b'{"type": "cordon.delivery.sent"}'),
    ],
)
def test_what_is_no_entry_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(EntryFormatError):
        decode_entry(data)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text().map(str.encode))
def test_no_bytes_break_the_reader(data: bytes) -> None:
    try:
        entry = decode_entry(data)
    except EntryFormatError:
        return
    assert isinstance(entry, AlertChange | DeliveryRecord)
