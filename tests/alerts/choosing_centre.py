"""A desk and an outbox, the stream between runs, and her handset: for the tests of what she chooses."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.deliveries import DeliveryRecord, Entry, decode_entry, encode_entry
from alerts.desk import Desk
from alerts.model import AlertChange
from alerts.outbox import PENDING_LIMIT, Outbox
from devices.choices import Choices, Quiet
from devices.commands import ChoicesAnswer, Digest, Notify, decode_command
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

HOUR_US = 3_600 * SECOND_US
NIGHT = Choices(quiet=Quiet(from_="22:00", to="07:00"), zone="Europe/Madrid")
DIGESTS = Choices(topics={"outer_ring": "digest", "device": "off"}, zone="UTC", digest_at="08:00")


class Centre:
    """A desk and an outbox, the stream between runs, and her handset."""

    def __init__(self) -> None:
        self.now_us = START_US
        self.desk: Desk = desk()
        self.room = PENDING_LIMIT
        self.bearers = dict(BEARERS)  # as the caseload in force has them
        self.outbox = self.new_outbox()
        self.stream: list[bytes] = []
        self.versions: dict[str, int] = {}  # newest version of each alert that she knows
        self.shown: list[Notify | Digest] = []
        self.number = 0

    def new_outbox(self) -> Outbox:
        return Outbox(
            PROFILES, self.bearers.get, handsets_of=self.handsets_of, pending_limit=self.room
        )

    def handsets_of(self, person: str) -> list[str]:
        return [
            d for d, one in self.bearers.items() if (one.person, one.kind) == (person, "handset")
        ]

    def gets_another_phone(self) -> None:
        """A new handset takes the place of the old one, which nobody carries."""
        self.bearers["phone1"] = msgspec.structs.replace(PHONE, person=None, role=None)
        self.bearers["phone2"] = msgspec.structs.replace(PHONE, device="phone2")

    def choose(self, choices: Choices, by: str = "protected1") -> Any:
        change = self.outbox.choosing.choose(
            "protected1",
            choices,
            name=str(self.now_us),
            by=by,
            way="handset",
            asked_us=self.now_us,
            now_us=self.now_us,
            locked=frozenset(),
            device="phone1",
        )
        if change is not None:
            self.keep(change)
        return change

    def keep(self, *entries: Entry) -> None:
        self.stream += [encode_entry(entry) for entry in entries]

    def take(self, changes: list[AlertChange]) -> list[DeliveryRecord]:
        records = []
        for change in changes:
            self.keep(change)
            records += self.outbox.take(change, now_us=self.now_us)
        self.keep(*records)
        return records

    def level(self, level: Level) -> list[DeliveryRecord]:
        self.number += 1
        fields = {"onset_us": START_US, "decided_at_us": self.now_us}
        moved = transition(self.number, level, **fields)
        return self.take(self.desk.on_transition(moved, WATCH, now_us=self.now_us))

    def battery(self, kind: str) -> list[DeliveryRecord]:
        self.number += 1
        one = event(kind, self.number)
        return self.take(self.desk.on_event(one, PHONE, now_us=self.now_us))

    def send(self, *, answered: bool = True) -> list[Notify | Digest]:
        """Everything that waits reaches her handset, which may answer."""
        sent: list[Notify | Digest] = []
        while (delivery := self.outbox.next("handset")) is not None:
            self.keep(self.outbox.finish(delivery, "sent", self.now_us))
            if not answered:
                continue
            command = decode_command(delivery.payload)
            if not isinstance(command, ChoicesAnswer):  # after a restart: of what she had chosen
                assert isinstance(command, Notify | Digest)
                self.see(command)
                sent.append(command)
            receipt = Receipt(0, delivery.recipient, delivery.id, "shown", self.now_us, None)
            record = self.outbox.answered(receipt, now_us=self.now_us)
            if record is not None:
                self.keep(record)
        return sent

    def see(self, command: Notify | Digest) -> None:
        self.shown.append(command)
        items = command.items if isinstance(command, Digest) else (command,)
        for one in items:
            newest = max(self.versions.get(one.alert_id, 0), one.version)
            self.versions[one.alert_id] = newest

    def digest(self) -> None:
        self.keep(*self.outbox.digest_due(self.now_us))

    def restart(self, *, from_snapshot: bool) -> list[DeliveryRecord]:
        """Go back to what was kept; the stream is read again, with what is known already."""
        fresh = self.new_outbox()
        if from_snapshot:
            fresh.load_snapshot(self.outbox.snapshot())
            fresh.choosing.load_snapshot(self.outbox.choosing.snapshot())
        self.outbox = fresh
        return fresh.restore([decode_entry(data) for data in self.stream], now_us=self.now_us)
