"""The outbox forgets nothing over a restart and repeats nothing that was confirmed."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.deliveries import ChannelName, Delivery, Entry, decode_entry, encode_entry
from alerts.errors import DeskStateError
from alerts.outbox import Outbox
from devices.reports import Receipt
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    WATCH,
    desk,
    event,
    transition,
)

STATES = ("received", "shown", "answered")


def receipt(of: Delivery, state: str, device: str = "phone1", answer: str | None = None) -> Receipt:
    return Receipt(
        message=0,
        device=device,
        command_id=of.id,
        state=state,
        time_us=START_US + SECOND_US,
        answer=answer,
    )


def notified() -> tuple[Outbox, Delivery]:
    outbox = Outbox(PROFILES, BEARERS.get)
    [change] = desk().on_transition(transition(1, Level.ALERT), WATCH, now_us=START_US)
    outbox.take(change, now_us=START_US)
    return outbox, outbox.pending("handset")[0]


def test_a_change_taken_again_is_sent_once() -> None:
    outbox = Outbox(PROFILES, BEARERS.get)
    [change] = desk().on_transition(transition(1, Level.ALERT), WATCH, now_us=START_US)
    for _ in range(2):
        outbox.take(change, now_us=START_US)
    channels: tuple[ChannelName, ...] = ("handset", "agency")
    for channel in channels:
        delivery = outbox.next(channel)
        assert delivery is not None
        outbox.take(change, now_us=START_US)
        assert outbox.next(channel) is None
        outbox.finish(delivery, "sent", START_US)
    outbox.take(change, now_us=START_US)
    assert outbox.pending() == []


def test_receipts_are_recorded_once_each_and_only_forwards() -> None:
    outbox, delivery = notified()
    outbox.finish(delivery, "sent", START_US)
    records = [
        outbox.answered(receipt(delivery, state), now_us=START_US)
        for state in ("received", "received", "shown", "received", "answered")
    ]
    assert [record and record.state for record in records] == [
        "received",
        None,
        "shown",
        None,
        "answered",
    ]
    assert outbox.counts.receipts == 3
    assert outbox.counts.stray_receipts == 0


def test_a_receipt_record_has_the_answer_and_both_times() -> None:
    outbox, delivery = notified()
    record = outbox.answered(receipt(delivery, "answered", answer="I am safe"), now_us=START_US)
    assert record is not None
    assert record.type == "cordon.delivery.answered"
    assert record.answer == "I am safe"
    assert record.time == "2026-11-23T16:44:05.250000Z"
    assert record.device_time == "2026-11-23T16:44:06.250000Z"


def test_what_arrived_is_not_sent_again() -> None:
    outbox, delivery = notified()
    outbox.answered(receipt(delivery, "received"), now_us=START_US)
    assert outbox.pending("handset") == []


def test_nobody_answers_for_another() -> None:
    outbox, delivery = notified()
    assert outbox.answered(receipt(delivery, "shown", device="tag1"), now_us=START_US) is None
    assert outbox.answered(receipt(delivery, "eaten"), now_us=START_US) is None
    stray = Receipt(0, "phone1", "no-such-command", "shown", START_US, None)
    assert outbox.answered(stray, now_us=START_US) is None
    assert outbox.counts.stray_receipts == 3
    assert outbox.pending("handset") == [delivery]


def test_the_most_urgent_goes_first() -> None:
    on = desk()
    outbox = Outbox(PROFILES, BEARERS.get)
    for seq, kind in enumerate(("battery_low", "permission_off", "panic"), 1):
        for change in on.on_event(event(kind, seq), PHONE, now_us=START_US):
            outbox.take(change, now_us=START_US)
    taken = [outbox.next("agency") for _ in range(4)]
    assert [delivery and delivery.tier for delivery in taken] == [1, 4, 4, None]


def test_too_much_waiting_drops_the_least_urgent_and_says_so() -> None:
    on = desk()
    outbox = Outbox(PROFILES, BEARERS.get, pending_limit=2)
    records = [
        record
        for seq, kind in enumerate(("battery_low", "panic", "permission_off", "strap_cut"), 1)
        for change in on.on_event(event(kind, seq), PHONE, now_us=START_US)
        for record in outbox.take(change, now_us=START_US)
        if record.channel == "agency"
    ]
    assert [record.state for record in records] == ["dropped", "dropped"]
    assert [delivery.tier for delivery in outbox.pending("agency")] == [1, 1]
    assert outbox.counts.dropped >= 2


def test_what_was_in_somebodys_hands_can_be_taken_back() -> None:
    outbox, delivery = notified()
    assert outbox.next("handset") == delivery
    assert outbox.next("handset") is None
    outbox.put_all_back("handset")
    assert outbox.next("handset") == delivery
    outbox.finish(delivery, "sent", START_US)
    assert not outbox.put_back(delivery)
    outbox.put_all_back("handset")
    assert outbox.next("handset") is None


@pytest.mark.parametrize("data", [b"", b"CO9\x80", b"CO1\xc1", b"CO1\x80"])
def test_a_damaged_snapshot_leaves_the_outbox_as_it_was(data: bytes) -> None:
    outbox, delivery = notified()
    with pytest.raises(DeskStateError):
        outbox.load_snapshot(data)
    assert outbox.pending("handset") == [delivery]


class OutboxMachine(RuleBasedStateMachine):
    """An outbox beside a plain account of what was confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = desk()
        self.outbox = Outbox(PROFILES, BEARERS.get)
        self.entries: list[Entry] = []
        self.planned: dict[str, Delivery] = {}
        self.settled: set[str] = set()
        self.seq = 0
        self.snapshot = self.outbox.snapshot()
        self.snapshot_after = 0

    @rule(kind=st.sampled_from(["panic", "battery_low", "charging", "strap_cut"]))
    def something_happens(self, kind: str) -> None:
        self.seq += 1
        for change in self.desk.on_event(event(kind, self.seq), PHONE, now_us=START_US):
            self.entries.append(change)
            assert self.outbox.take(change, now_us=START_US) == []
        self.planned |= {delivery.id: delivery for delivery in self.outbox.pending()}

    @precondition(lambda self: self.outbox.pending())
    @rule(data=st.data(), state=st.sampled_from(["sent", "expired", "refused"]))
    def one_is_done(self, data: st.DataObject, state: str) -> None:
        delivery = data.draw(st.sampled_from(self.outbox.pending()))
        record = self.outbox.finish(delivery, state, START_US)  # type: ignore[arg-type]
        self.entries.append(record)
        self.settled.add(delivery.id)

    @precondition(lambda self: self.planned)
    @rule(data=st.data(), state=st.sampled_from(STATES))
    def a_handset_answers(self, data: st.DataObject, state: str) -> None:
        delivery = data.draw(st.sampled_from(list(self.planned.values())))
        record = self.outbox.answered(receipt(delivery, state), now_us=START_US)
        if record is not None:
            assert delivery.channel == "handset"
            self.entries.append(record)
            self.settled.add(delivery.id)

    @rule()
    def keep_a_snapshot(self) -> None:
        self.snapshot = self.outbox.snapshot()
        self.snapshot_after = len(self.entries)

    @rule()
    def restart_from_the_snapshot(self) -> None:
        self.outbox = Outbox(PROFILES, BEARERS.get)
        self.outbox.load_snapshot(self.snapshot)
        self.outbox.restore(self.as_read(self.snapshot_after), now_us=START_US)

    @rule()
    def restart_without_one(self) -> None:
        self.outbox = Outbox(PROFILES, BEARERS.get)
        self.outbox.restore(self.as_read(0), now_us=START_US)

    def as_read(self, after: int) -> list[Entry]:
        return [decode_entry(encode_entry(entry)) for entry in self.entries[after:]]

    @invariant()
    def what_is_not_settled_is_pending_with_its_own_id_and_bytes(self) -> None:
        expected = {found: d for found, d in self.planned.items() if found not in self.settled}
        assert {delivery.id: delivery for delivery in self.outbox.pending()} == expected

    @invariant()
    def no_record_is_made_twice(self) -> None:
        ids = [entry.id for entry in self.entries]
        assert len(set(ids)) == len(ids)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
