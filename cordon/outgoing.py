"""Where the worker's results go: to their streams, to agencies and handsets, to open consoles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nats.js import JetStreamContext

from alerts.assurances import Assurances
from alerts.channels import Channel, MqttPublisher
from alerts.channels.agency import AgencyChannel
from alerts.channels.handset import HandsetChannel
from alerts.contacts import Contacts
from alerts.decisions import (
    Decision,
    Finding,
    encode_course,
    encode_decisions,
    encode_found,
)
from alerts.deliveries import BearerOf, ChannelName, DeliveryRecord, Entry, HandsetsOf, encode_entry
from alerts.dispatcher import Dispatcher
from alerts.load import Load
from alerts.model import AlertChange
from alerts.outbox import Outbox
from alerts.profile import Profiles
from cordon.appender import Appender
from cordon.checkpoint import Recorded
from cordon.command_lane import CommandLane
from cordon.wishes import Wish, Wishes
from devices.command_desk import Sending
from devices.course import CourseStep
from devices.instants import Clock
from devices.reports import Event, Receipt
from devices.watches import Bearer
from geofence.anomaly_changes import AnomalyChange
from ingest.streams import alert_subject, decision_subject

DECISIONS_PER_RECORD = 256
"""A sweep after a long silence can make very many decisions at once, and a record must fit into one
message of the broker. One decision has at most about 2 kB."""


@dataclass(slots=True)
class AssuredCounts:
    """Protection statuses, counted since the start of the process.

    Attributes:
        sent: The broker has taken charge of it.
        failed: The broker did not confirm it; the next turn sends it again.
        expired: It would have come when it no longer held.
        unaddressed: The handset had changed hands.
    """

    sent: int = 0
    failed: int = 0
    expired: int = 0
    unaddressed: int = 0


OnChange = Callable[[AlertChange], None]


class Outgoing:
    """Takes what the worker hands over and returns at once; `run` does the rest.

    Args:
        js: For the streams of decisions and alerts.
        publisher: MQTT connection for agencies and handsets.
        profiles: Whom to tell and in which words.
        bearer_of: The assignment of a device now.
        on_change: Is shown every change of an alert.
        clock: The time.
        contacts: Who may be asked when nobody acts.
        channels: To contacts.
        operators: How many consoles are open.
        handsets_of: What a protected person carries now.
    """

    def __init__(
        self,
        js: JetStreamContext,
        publisher: MqttPublisher,
        profiles: Profiles,
        bearer_of: BearerOf,
        on_change: OnChange,
        clock: Clock,
        *,
        contacts: Contacts | None = None,
        channels: Mapping[ChannelName, Channel] | None = None,
        operators: Callable[[], int] = lambda: 1,
        handsets_of: HandsetsOf = lambda _: (),
        partition: int = 0,
    ) -> None:
        self.decisions = Appender(js, decision_subject(partition))
        self.alerts = Appender(js, alert_subject(partition))
        self.outbox = Outbox(profiles, bearer_of, contacts, handsets_of=handsets_of)
        self.dispatcher = Dispatcher(
            self.outbox,
            {
                # Her handset first: lanes are woken in this order.
                "handset": HandsetChannel(publisher, bearer_of),
                "agency": AgencyChannel(publisher),
                **(channels or {}),
            },
            self._record,
            clock,
        )
        self.commands = CommandLane(publisher, bearer_of, clock)
        self.assurances = Assurances(profiles, self.outbox.choosing.of)
        self.assured = AssuredCounts()
        self.wishes = Wishes(self.outbox, profiles)
        self.burden = Load(clock())
        self._operators = operators
        self._on_change = on_change
        self._clock = clock

    async def run(self) -> None:
        """Append and send until cancelled. What is not sent by then is in the outbox."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.decisions.run(), name="append-decisions")
            group.create_task(self.alerts.run(), name="append-alerts")
            group.create_task(self.dispatcher.run(), name="deliveries")
            group.create_task(self.commands.run(), name="commands")

    @property
    def alerts_position(self) -> int:
        """How far the alert stream is known to hold what was handed over."""
        return self.alerts.last_position

    def decided(self, decisions: Sequence[Decision]) -> None:
        """The engine changed levels."""
        for start in range(0, len(decisions), DECISIONS_PER_RECORD):
            record = decisions[start : start + DECISIONS_PER_RECORD]
            first = record[0].transition
            # With the instant, as an engine that lost its state counts from 1 again.
            name = f"{first.watch}/{first.number}/{first.decided_at_us}"
            self.decisions.append(name, encode_decisions(record))

    def noted(self, found: Sequence[Finding]) -> None:
        """One or more things began or ended to be wrong with devices, all of one kind."""
        for start in range(0, len(found), DECISIONS_PER_RECORD):
            record = found[start : start + DECISIONS_PER_RECORD]
            self.decisions.append(_name_of(record[0]), encode_found(record))

    def coursed(self, step: CourseStep) -> None:
        """The worker was told something: kept so that what was decided can be decided again."""
        name = f"course:{step.run_us}/{step.number}"
        self.decisions.append(name, encode_course(step))

    def commanded(self, sendings: Sequence[Sending]) -> None:
        """Commands are to be sent to devices now."""
        self.commands.put(sendings)

    def changed(self, changes: Sequence[AlertChange]) -> None:
        """Alerts changed: record them, tell those concerned, show them."""
        for change in changes:
            self.alerts.append(change.id, encode_entry(change))
        self.dispatcher.submit(changes)
        for change in changes:
            self.burden.take(change, self._operators())
            self._on_change(change)

    def answered(self, receipts: Sequence[Receipt], now_us: int) -> None:
        """Devices answered commands."""
        for receipt in receipts:
            if self.assurances.is_own(receipt):
                record = self.assurances.answered(receipt, now_us)
            else:
                record = self.outbox.answered(receipt, now_us=now_us)
            if record is not None:
                self._record(record)

    def wished(self, event: Event, bearer: Bearer, now_us: int) -> None:
        """Her handset says what she has chosen."""
        self._note(self.wishes.of_event(event, bearer, now_us).entries)

    def chosen(self, wish: Wish) -> None:
        """Something was chosen, or refused: record it, and send the answer."""
        self._note(wish.entries)

    def _note(self, entries: Sequence[Entry]) -> None:
        """Keep these, and send what they have put into the outbox."""
        for entry in entries:
            if isinstance(entry, DeliveryRecord):
                self._record(entry)
            else:
                self.keep(entry)
        if entries:
            self.dispatcher.submit(())

    def came_online(self, device: str) -> None:
        """A handset is there: what it may not have is sent again."""
        self.assurances.lost(device)
        for record in self.outbox.came_online(device, self._clock()):
            self._record(record)
        self.dispatcher.submit(())

    def advance(self, now_us: int) -> None:
        """Time passes: make the digests that are due. Not while the past is read again."""
        self._note(self.outbox.digest_due(now_us))

    def keep(self, entry: Entry) -> None:
        """Write an entry to the alerts stream that nobody has to be told of."""
        self.alerts.append(entry.id, encode_entry(entry))

    def confirmed(self, delivery_id: str, operator: str) -> bool:
        """Staff have what they were sent. False when no such delivery is known."""
        now_us = self._clock()
        record = self.outbox.confirmed(delivery_id, operator, now_us=now_us)
        if record is not None:
            self._record(record)
        return record is not None or self.outbox.arrived(delivery_id)

    def choices(self) -> bytes:
        """What was chosen, and what is held by it."""
        return self.outbox.choosing.snapshot()

    def pieces(self) -> Iterator[bytes]:
        """What is still to be delivered, as bytes, bit by bit."""
        return self.outbox.pieces()

    def load_choices(self, data: bytes, *, choices_only: bool) -> None:
        """Go back to what was chosen and held; see `alerts.choosing.Choosing.load_snapshot`.

        Raises:
            alerts.errors.DeskStateError: It cannot be read; nothing has changed.
        """
        self.outbox.choosing.load_snapshot(data, choices_only=choices_only)

    def load(self, data: bytes) -> None:
        """Go back to a snapshot.

        Raises:
            alerts.errors.DeskStateError: It cannot be read; nothing has changed.
        """
        self.outbox.load_snapshot(data)

    def recall(self, recorded: Recorded) -> None:
        """Take in what was recorded after the snapshot, and send what had not been sent."""
        self.alerts.last_position = recorded.position
        for record in self.outbox.restore(recorded.entries, now_us=self._clock()):
            self._record(record)
        self.dispatcher.submit(())

    async def drained(self) -> bool:
        """Wait until everything handed over is on disk; False when a record had to be let go."""
        decisions, alerts = await asyncio.gather(self.decisions.drained(), self.alerts.drained())
        return decisions and alerts

    def _record(self, record: DeliveryRecord) -> None:
        self.burden.delivered(record)
        self.alerts.append(record.id, encode_entry(record))


def _name_of(finding: Finding) -> str:
    change = finding.change
    if not isinstance(change, AnomalyChange):
        return change.name
    step = f"{change.number}{'+' if change.began else '-'}"
    return f"anomaly:{change.key}/{step}/{change.decided_at_us}"
