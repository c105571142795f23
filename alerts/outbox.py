"""The outbox: what has still to be sent, and what the handsets answered.

A pure structure: time is given, nothing is sent here. It is rebuilt from the entries of the alerts
stream, so a notice that the broker had not confirmed when the service died is sent again, with the
same id; the handset knows that id and shows it once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

import msgspec

from alerts.choosing import ChoiceChange, Choosing, DigestMade
from alerts.contacts import Contacts
from alerts.deliveries import (
    BearerOf,
    ChannelName,
    Delivery,
    DeliveryRecord,
    DeliveryState,
    Entry,
    HandsetsOf,
    ask_id,
    delivery_id,
    for_agency,
    for_contact,
    for_handset,
    handset_address,
    nobody_reached,
    record_of,
    refused,
    tells_handsets,
)
from alerts.incidents import incident_of, is_update, takes_incidents
from alerts.lanes import Lanes
from alerts.model import AlertChange, Ask
from alerts.outbox_state import Done, OutboxCounts, pieces, read_contents
from alerts.personal import DIGEST_MARK, alarm_deliveries, answer_delivery, digest_delivery
from alerts.profile import DEFAULT_LANGUAGE, Profiles
from devices.instants import to_iso
from devices.reports import Receipt

PENDING_LIMIT = 50_000
"""Deliveries that may wait per channel. Beyond it the least urgent gives way, the oldest of such,
and is recorded as dropped."""

REMEMBERED_LIMIT = 100_000
"""Deliveries done with whose receipts are still understood. Beyond it the oldest is forgotten; a
receipt for it is counted and not recorded."""

DEAD_LETTERS_SHOWN = 500
"""Deliveries given up that are kept to be shown; the history has all."""

_STEPS: tuple[DeliveryState, ...] = ("sent", "received", "shown", "answered")
_NOT_SENT = -1
_NOT_A_HANDSET = "the device is not a handset that a protected person carries"


class Outbox:
    """Deliveries not sent yet, and those whose receipts may still come.

    Args:
        profiles: Whom to tell and in which words.
        bearer_of: The assignment of a device now; decides who may be told.
        contacts: Who may be asked when nobody acts; None for nobody.
        handsets_of: Where a person is told what is of no alert.
        pending_limit: See `PENDING_LIMIT`.
    """

    def __init__(
        self,
        profiles: Profiles,
        bearer_of: BearerOf,
        contacts: Contacts | None = None,
        *,
        handsets_of: HandsetsOf = lambda _: (),
        pending_limit: int = PENDING_LIMIT,
    ) -> None:
        self.counts = OutboxCounts()
        self._profiles = profiles
        self._contacts = contacts or Contacts()
        self.dead_letters: deque[DeliveryRecord] = deque(maxlen=DEAD_LETTERS_SHOWN)
        self._bearer_of = bearer_of
        self._handsets_of = handsets_of
        self.choosing = Choosing()
        self._pending_limit = pending_limit
        self._clear()

    def _clear(self) -> None:
        self._lanes = Lanes()
        self._done: OrderedDict[str, Done] = OrderedDict()
        self._unanswered: dict[str, str] = {}  # by handset the newest that is sent again

    # What has to be sent

    def take(self, change: AlertChange, *, now_us: int) -> list[DeliveryRecord]:
        """Plan the deliveries of a change. One that is known is not planned again.

        Returns:
            Records of those that will not be sent at all: refused, or dropped for want of room.
        """
        records: list[DeliveryRecord] = []
        delivery = for_agency(change)
        if delivery is None:
            self.counts.unaddressed += 1
        else:
            records += self._add(delivery, now_us)
        if tells_handsets(change, self._profiles):
            for device in change.data.notify:
                records += self._take_notice(change, device, now_us)
        for answer in alarm_deliveries(change, self._bearer_of, self._profiles):
            records += self._add(answer, now_us)
        for ask in change.asked:
            records += self._take_ask(change, ask, now_us)
        if is_update(change):
            for name in change.data.contacts_asked:
                records += self._take_update(change, name, now_us)
        return records

    def _take_ask(self, change: AlertChange, ask: Ask, now_us: int) -> list[DeliveryRecord]:
        if ask.channel == "console":
            return []  # the change itself is what the consoles show
        if not ask.channel:
            self.counts.unreachable += 1
            return [nobody_reached(change, ask, now_us)]
        contact = self._contacts.find(ask.recipient)
        language = DEFAULT_LANGUAGE if contact is None else contact.language
        if ask.channel == "webhook" and contact and takes_incidents(contact, change.data):
            profile = self._profiles.of_alert(change.data)
            words = profile.staff_words(ask.step.partition("/")[0], language)
            name = ask_id(change.data.alert_id, ask)
            return self._add(incident_of(change, contact, words, name), now_us)
        delivery = for_contact(change, ask, self._profiles, language)
        return [] if delivery is None else self._add(delivery, now_us)

    def _take_update(self, change: AlertChange, name: str, now_us: int) -> list[DeliveryRecord]:
        """A dispatch system that was asked is told how the incident stands now."""
        contact = self._contacts.find(name)
        if contact is None or not takes_incidents(contact, change.data):
            return []
        reached = self._contacts.channels(contact, ["webhook"])  # as this site is set up now
        return self._add(incident_of(change, contact), now_us) if reached else []

    def arrived(self, delivery: str) -> bool:
        """Whether a delivery of this id has a receipt."""
        known = self._done.get(delivery)
        if known is None:
            return False
        # A webhook's receiver has answered when it was sent.
        answers = known.delivery.channel in {"webhook", "eido"}
        needed: DeliveryState = "sent" if answers else "received"
        return known.step >= _STEPS.index(needed)

    def _take_notice(self, change: AlertChange, device: str, now_us: int) -> list[DeliveryRecord]:
        address = handset_address(device, self._bearer_of)
        if address is None:
            self.counts.refused += 1
            found = delivery_id(change.id, device)
            return [refused(found, change, "handset", device, _NOT_A_HANDSET, now_us)]
        bearer = self._bearer_of(device)
        language = DEFAULT_LANGUAGE if bearer is None else bearer.language
        profile = self._profiles.of_alert(change.data)
        words = profile.words(change.data, language)
        delivery = for_handset(change, self._profiles, address, language)
        if delivery is None or words is None:
            return []
        person = None if bearer is None else bearer.person
        verdict = self.choosing.judge(change, person, words, profile.locked)
        if verdict != "now":
            return [record_of(delivery, verdict, now_us)]
        return self._add(delivery, now_us)

    def answer(self, change: ChoiceChange, now_us: int) -> list[DeliveryRecord]:
        """Have her told what is in force of what she has chosen. As `take`.

        The handset that asked is told; of what the staff have set, all that she has.
        """
        staff_set = self._handsets_of(change.person) if change.accepted else ()
        in_force, by = self.choosing.of(change.person), self.choosing.by(change.person)
        records: list[DeliveryRecord] = []
        for device in [change.device] if change.device else staff_set:
            bearer = self._bearer_of(device)
            if bearer is not None and bearer.person == change.person:
                answer = answer_delivery(change, in_force, by, bearer, self._profiles)
                records += self._add(answer, now_us)
        return records

    def came_online(self, device: str, now_us: int) -> list[DeliveryRecord]:
        """A handset is there: what it has not answered and is to be sent again is sent. As `take`."""
        done = self._done.get(self._unanswered.get(device, ""))
        if done is None:
            return []
        bearer, delivery = self._bearer_of(device), done.delivery
        if bearer is None or bearer.person != delivery.again_for or now_us >= delivery.expires_us:
            self._forget(device)
            return []
        del self._done[delivery.id]
        return self._add(delivery, now_us)

    def digest_due(self, now_us: int) -> list[DigestMade | DeliveryRecord]:
        """Make the digests that are due and have them sent; what is returned has to be kept."""
        found: list[DigestMade | DeliveryRecord] = []
        for person in list(self.choosing.due(now_us)):
            if devices := tuple(self._handsets_of(person)):
                made = self.choosing.make(person, devices, now_us)
                found += [made, *self._post_digest(made, now_us)]
        return found

    def _post_digest(self, made: DigestMade, now_us: int) -> list[DeliveryRecord]:
        records: list[DeliveryRecord] = []
        for device in self._handsets_of(made.person):
            if bearer := self._bearer_of(device):
                records += self._add(digest_delivery(made, bearer, self._profiles), now_us)
        return records

    def _add(self, delivery: Delivery, now_us: int) -> list[DeliveryRecord]:
        if delivery.id in self._lanes or delivery.id in self._done:
            return []
        self._lanes.add(delivery)
        if delivery.again_for:
            self._forget(delivery.recipient)
            self._unanswered[delivery.recipient] = delivery.id
        victim = self._lanes.beyond(delivery.channel, self._pending_limit)
        if victim is None:
            return []
        self.counts.dropped += 1
        return [self.finish(victim, "dropped", now_us, reason="too much was waiting to be sent")]

    def _forget(self, device: str) -> None:
        """What was to be sent again to a handset is not."""
        done = self._done.get(self._unanswered.pop(device, ""))
        if done is not None:
            self._done[done.delivery.id] = Done(_without_content(done.delivery), done.step)

    def next(self, channel: ChannelName) -> Delivery | None:
        """The most urgent delivery of a channel that is in nobody's hands; now it is in yours.

        Return it with `finish` or `put_back`.
        """
        return self._lanes.next(channel)

    def put_back(self, delivery: Delivery) -> bool:
        """It could not be sent this time. False when it was finished meanwhile."""
        if delivery.id not in self._lanes:
            return False
        self._lanes.put_back(delivery)
        return True

    def put_all_back(self, channel: ChannelName) -> None:
        """Nothing of this channel is in anybody's hands any more."""
        self._lanes.put_all_back(channel)

    def finish(
        self, delivery: Delivery, state: DeliveryState, now_us: int, *, reason: str = ""
    ) -> DeliveryRecord:
        """It needs no sending any more. Returns the record to be written."""
        settled = self._settle(delivery)
        record = record_of(delivery, state, now_us, reason=reason)
        if state not in _STEPS:
            self._give_up(settled, record)
        return record

    def _give_up(self, settled: Done, record: DeliveryRecord) -> None:
        """It was not sent, unless a receipt says that it arrived all the same."""
        if settled.step <= 0:
            self._reach(settled, _NOT_SENT)
        self.dead_letters.append(record)

    def _reach(self, known: Done, step: int) -> None:
        self._done[known.delivery.id] = Done(known.delivery, step)
        if step > 0 and self._unanswered.get(known.delivery.recipient) == known.delivery.id:
            self._forget(known.delivery.recipient)

    def pending(self, channel: ChannelName | None = None) -> list[Delivery]:
        """What waits or is being sent, most urgent first, then oldest first."""
        wanted = [d for d in self._lanes.all() if channel in {None, d.channel}]
        return sorted(wanted, key=lambda delivery: delivery.tier)

    # What handsets answer

    def answered(self, receipt: Receipt, *, now_us: int) -> DeliveryRecord | None:
        """Take in a receipt.

        Returns:
            The record to be written. None when nothing is new, or when it is a stray one: for a
            command not known here, from a device it was not sent to, or of an unknown state.
        """
        pending = self._lanes.find(receipt.command_id)
        known = self._done.get(receipt.command_id)
        delivery = pending or (known.delivery if known else None)
        if delivery is None or delivery.recipient != receipt.device or receipt.state not in _STEPS:
            self.counts.stray_receipts += 1
            return None
        if known is None:
            known = self._settle(delivery)  # it arrived, though the broker's word is outstanding
        step = _STEPS.index(receipt.state)
        if step <= known.step:
            return None
        self._reach(known, step)
        self._note_digest(delivery)
        self.counts.receipts += 1
        return msgspec.structs.replace(
            record_of(delivery, _STEPS[step], now_us),
            device_time=to_iso(receipt.time_us),
            answer=receipt.answer,
        )

    def confirmed(self, delivery_id: str, operator: str, *, now_us: int) -> DeliveryRecord | None:
        """Somebody of the staff has what a contact was sent. As `answered`, for contacts only."""
        done = self._done.get(delivery_id)
        delivery = self._lanes.find(delivery_id) or (done.delivery if done else None)
        if delivery is None or delivery.channel in {"handset", "agency"}:
            return None
        receipt = Receipt(0, delivery.recipient, delivery_id, "received", now_us, operator)
        return self.answered(receipt, now_us=now_us)

    # What is kept

    def restore(self, entries: Iterable[Entry], *, now_us: int) -> list[DeliveryRecord]:
        """Take in entries of the alerts stream, in order; those known change nothing.

        Returns:
            Records of `take` that the stream lacks: the service ended before it wrote them.
        """
        made: dict[str, DeliveryRecord] = {}
        for entry in entries:
            if isinstance(entry, AlertChange):
                records = self.take(entry, now_us=now_us)
                made |= {record.delivery_id: record for record in records}
            elif isinstance(entry, DeliveryRecord):
                made.pop(entry.delivery_id, None)
                self._recall(entry)
            elif isinstance(entry, ChoiceChange):
                self.choosing.apply(entry)
                records = self.answer(entry, now_us)
                made |= {record.delivery_id: record for record in records}
            elif isinstance(entry, DigestMade):
                self.choosing.take_digest(entry)
                records = self._post_digest(entry, now_us)
                made |= {record.delivery_id: record for record in records}
        return list(made.values())

    def _recall(self, record: DeliveryRecord) -> None:
        delivery = self._lanes.find(record.delivery_id)
        known = self._settle(delivery) if delivery else self._done.get(record.delivery_id)
        if known is None:
            return
        if record.state in _STEPS:
            reached = max(known.step, _STEPS.index(record.state))
            self._reach(known, reached)
            if reached > 0:
                self._note_digest(known.delivery)
        else:
            self._give_up(known, record)

    def _note_digest(self, delivery: Delivery) -> None:
        """A handset has it: if it is a digest, nothing of it has to be told again."""
        person, _, digest = delivery.change_id.partition(DIGEST_MARK)
        if digest:
            self.choosing.arrived(person, digest)

    def snapshot(self) -> bytes:
        """All that `load_snapshot` needs. What is being sent counts as not sent."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The snapshot of this moment, bit by bit: the outbox may go on meanwhile."""
        return pieces(list(self._lanes.all()), list(self._done.values()))

    def load_snapshot(self, data: bytes) -> None:
        """Become the outbox that wrote the snapshot; what was here before is gone.

        Raises:
            DeskStateError: The bytes cannot be read. The outbox is as before.
        """
        contents = read_contents(data)
        self._clear()
        for delivery in contents.pending:
            self._add(delivery, 0)
        self._done = OrderedDict((done.delivery.id, done) for done in contents.done)
        for done in contents.done:
            if done.delivery.again_for:
                self._unanswered.setdefault(done.delivery.recipient, done.delivery.id)

    def _settle(self, delivery: Delivery) -> Done:
        self._lanes.remove(delivery)
        done = self._done.get(delivery.id)
        if done is None:
            awaited = self._unanswered.get(delivery.recipient) == delivery.id
            done = Done(delivery if awaited else _without_content(delivery), 0)
            self._done[delivery.id] = done
            while len(self._done) > REMEMBERED_LIMIT:
                self._done.popitem(last=False)
        return done


def _without_content(delivery: Delivery) -> Delivery:
    return msgspec.structs.replace(delivery, payload=b"", again_for="")
