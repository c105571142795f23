"""Writes the history into PostgreSQL: a group of entries, their rows and the position at once.

The position of a stream stands in the database and changes in the transaction that stores the
rows. A writer locks it first and leaves out what lies at or before it. So whatever happens (a
crash after the commit, the same group again, two writers at once), each entry is stored exactly
once. Should a stream be set up anew and read from its start, unique keys still keep every batch,
fix, event, decision and change from being stored twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import numpy as np

from devices.instants import to_datetime
from evidence import course_rows, decided, device_rows, her_rows, looks, rest, rows
from evidence.database import Database
from evidence.decided import AlertEntry, DecisionEntry
from evidence.fixes import JournalEntry, pack_fixes
from evidence.partitions import DAY_US, day_of, ensure
from evidence.rows import DAMAGED_ENTRY, GAP, UnstorableError
from evidence.sources import Stream
from evidence.statements import (
    Connection,
    claim,
    copy,
    copy_bytes,
    insert,
    insert_fixes,
    known_batches,
    set_position,
)
from evidence.text import clean

__all__ = ["Break", "Damaged", "Store", "UnstorableError", "Written"]


@dataclass(slots=True)
class Written:
    """What one transaction, or several added up, stored.

    Attributes:
        entries: Entries of the stream that were new.
        skipped: Entries that were stored before: at or before the position, or a batch of the
            same name.
        fixes, events: Stored now.
        duplicate_fixes, duplicate_events: Sent again by the device, and stored before.
    """

    entries: int = 0
    skipped: int = 0
    messages: int = 0
    fixes: int = 0
    duplicate_fixes: int = 0
    events: int = 0
    duplicate_events: int = 0
    receipts: int = 0
    statuses: int = 0
    refusals: int = 0
    decisions: int = 0
    anomalies: int = 0
    device_health: int = 0
    sequence_steps: int = 0
    commands: int = 0
    course_steps: int = 0
    alert_changes: int = 0
    deliveries: int = 0
    choices: int = 0
    digests: int = 0
    looks: int = 0
    damaged: int = 0

    def __iadd__(self, other: Written) -> Self:
        for name in _COUNTED:
            if more := getattr(other, name):
                setattr(self, name, getattr(self, name) + more)
        return self


_COUNTED = tuple(field.name for field in fields(Written))


@dataclass(frozen=True, slots=True)
class Damaged:
    """An entry of a stream that cannot be read or stored.

    Attributes:
        name: What its header calls it; empty without one.
        reason: Why, without any value from inside it.
    """

    position: int
    name: str
    data: bytes
    reason: str
    found_us: int


@dataclass(frozen=True, slots=True)
class Break:
    """A break in a stream.

    Attributes:
        kind: ``expired``: the positions from `after` + 1 to `resume_after` are gone for good.
            ``replaced``: the stream was set up anew and counts from the start again.
        after: Position stored when it was found.
        resume_after: Position to go on after.
    """

    kind: Literal["expired", "replaced"]
    after: int
    resume_after: int
    found_us: int


class Store:
    """The writing side of the history, on one connection that is opened when needed.

    The methods raise `UnstorableError` when the fault is with the entries, and `psycopg.Error` or
    `TimeoutError` when it is with the server and another try may succeed. Either way nothing of
    the group is stored.
    """

    def __init__(self, dsn: str) -> None:
        self._database = Database(dsn)

    async def migrate(self) -> list[str]:
        """Bring the schema `evidence` to this version; names of the files applied now."""
        return await self._database.migrate()

    async def connect(self) -> None:
        """Connect now rather than at the first use, to learn whether it is possible."""
        async with self._database.session():
            pass

    async def ping(self) -> None:
        """See that the server answers."""
        async with self._database.session() as connection:
            await connection.execute("SELECT 1")

    async def close(self) -> None:
        """Let go of the connection; it is opened again when needed."""
        await self._database.close()

    async def position(self, stream: Stream, partition: int) -> int:
        """Position of the last entry stored; 0 before the first."""
        async with self._database.session() as connection:
            cursor = await connection.execute(
                "SELECT last_sequence FROM evidence.position WHERE stream = %s AND partition = %s",
                (stream, partition),
            )
            row = await cursor.fetchone()
        return int(row[0]) if row else 0

    async def write_journal(
        self, entries: Sequence[JournalEntry], stream: Stream = Stream.JOURNAL, partition: int = 0
    ) -> Written:
        """Store batches: their messages, their rows, and how far the journal is stored.

        Args:
            entries: Positions, growing, and the batches that stand there.
            stream: The journal.
            partition: Of the journal.
        """
        for _, batch in entries:
            rows.check(batch)
        async with self._database.session() as connection:
            await self._make_room(connection, _days(entries))
            async with connection.transaction():
                after = await claim(connection, stream, partition)
                late = [entry for entry in entries if entry[0] > after]
                fresh = await _without_known(connection, late)
                written = await _store_batches(connection, fresh, partition)
                if late:
                    await set_position(connection, stream, partition, late[-1][0])
        written.skipped = len(entries) - len(fresh)
        return written

    async def write_decisions(
        self,
        entries: Sequence[DecisionEntry],
        stream: Stream = Stream.DECISIONS,
        partition: int = 0,
    ) -> Written:
        """Store decisions and findings: positions, growing, and what was decided there."""
        days = {day_of(at_us) for entry in entries for at_us in decided.decided_us(entry)}
        async with self._database.session() as connection:
            await self._make_room(connection, {table.name: days for table, _ in _DECIDED})
            async with connection.transaction():
                after = await claim(connection, stream, partition)
                late = [entry for entry in entries if entry[0] > after]
                decisions, anomalies, health, gaps, commands, steps = [
                    await insert(connection, table, rows_of(late)) for table, rows_of in _DECIDED
                ]
                written = Written(
                    entries=len(late),
                    skipped=len(entries) - len(late),
                    decisions=decisions,
                    anomalies=anomalies,
                    device_health=health,
                    sequence_steps=gaps,
                    commands=commands,
                    course_steps=steps,
                )
                if late:
                    await set_position(connection, stream, partition, late[-1][0])
        return written

    async def write_alerts(
        self, entries: Sequence[AlertEntry], stream: Stream = Stream.ALERTS, partition: int = 0
    ) -> Written:
        """Store alert changes and deliveries: positions, growing, and the contents there."""
        days = {day_of(entry.time_us) for entry in entries}
        async with self._database.session() as connection:
            await self._make_room(connection, {"alert_change": days, "delivery": days})
            async with connection.transaction():
                after = await claim(connection, stream, partition)
                late = [entry for entry in entries if entry.position > after]
                changes, deliveries, choices, digests, looked = [
                    await insert(connection, table, rows_of(late)) for table, rows_of in _ALERTS
                ]
                written = Written(
                    entries=len(late),
                    skipped=len(entries) - len(late),
                    alert_changes=changes,
                    deliveries=deliveries,
                    choices=choices,
                    digests=digests,
                    looks=looked,
                )
                if late:
                    await set_position(connection, stream, partition, late[-1].position)
        return written

    async def write_damaged(self, damaged: Damaged, stream: Stream, partition: int = 0) -> Written:
        """Keep an entry that cannot be read or stored, with the reason, and go on behind it."""
        row = (
            stream.value,
            partition,
            damaged.position,
            hashlib.sha256(damaged.data).digest(),
            to_datetime(damaged.found_us),
            clean(damaged.name),
            clean(damaged.reason),
            damaged.data,
        )
        async with self._database.session() as connection, connection.transaction():
            if damaged.position <= await claim(connection, stream, partition):
                return Written(skipped=1)
            await insert(connection, DAMAGED_ENTRY, [row])
            await set_position(connection, stream, partition, damaged.position)
        return Written(entries=1, damaged=1)

    async def write_break(self, found: Break, stream: Stream, partition: int = 0) -> bool:
        """Record a break in a stream and go on behind it.

        Returns:
            Whether the position was still the one it was found at. If not, another writer has
            moved on in the meantime and nothing is done: look again.
        """
        row = (
            stream.value,
            partition,
            found.kind,
            found.after,
            found.resume_after,
            to_datetime(found.found_us),
        )
        async with self._database.session() as connection, connection.transaction():
            if await claim(connection, stream, partition) != found.after:
                return False
            await insert(connection, GAP, [row])
            await set_position(connection, stream, partition, found.resume_after)
        return True

    async def _make_room(
        self, connection: Connection, days_by_table: Mapping[str, set[int]]
    ) -> None:
        timelines = self._database.timelines
        await ensure(connection, [(timelines[name], days) for name, days in days_by_table.items()])


def _days(entries: Sequence[JournalEntry]) -> dict[str, set[int]]:
    """Days since 1970-01-01 that the rows of these batches fall on, by table."""
    batches = [batch for _, batch in entries]
    received = {day_of(message.received_us) for batch in batches for message in batch.messages}
    return {
        "batch": {day_of(batch.received_us) for batch in batches},
        "batch_rest": {day_of(batch.received_us) for batch in batches},
        "fix": {
            day for batch in batches for day in np.unique(batch.fixes["time_us"] // DAY_US).tolist()
        },
        "event": {day_of(event.time_us) for batch in batches for event in batch.events},
        "message": received,
        "receipt": received if any(batch.receipts for batch in batches) else set(),
        "status": received if any(batch.statuses for batch in batches) else set(),
        "refusal": received if any(batch.refusals for batch in batches) else set(),
    }


async def _without_known(
    connection: Connection, entries: Sequence[JournalEntry]
) -> list[JournalEntry]:
    """Leave out batches stored before under another position, and doubles among these."""
    if not entries:
        return []
    known = await known_batches(connection, entries)
    fresh = []
    for position, batch in entries:
        name = (clean(batch.gateway), batch.number)
        if name not in known:
            known.add(name)
            fresh.append((position, batch))
    return fresh


async def _store_batches(
    connection: Connection, entries: Sequence[JournalEntry], partition: int
) -> Written:
    stored = await insert_fixes(connection, pack_fixes(entries))
    written = Written(entries=len(entries))
    batch_rows = []
    again = set()
    for position, batch in entries:
        events = await insert(connection, rows.EVENT, rows.event_rows(position, batch))
        if events < len(batch.events):
            again.add(position)
        fixes = stored.added.get(position, 0)
        one = Written(
            messages=len(batch.messages),
            fixes=fixes,
            duplicate_fixes=len(batch.fixes) - fixes,
            events=events,
            duplicate_events=len(batch.events) - events,
            receipts=len(batch.receipts),
            statuses=len(batch.statuses),
            refusals=len(batch.refusals),
        )
        batch_rows.append(
            rows.batch_row(position, batch, partition, one.duplicate_fixes, one.duplicate_events)
        )
        written += one
    rests = rest.rest_rows(entries, rest.Missing(stored.missing), again)
    if rests:
        await copy(connection, rest.BATCH_REST, rests)
    if written.messages:
        await copy_bytes(connection, rows.MESSAGE, rows.message_copy(entries))
    for table, rows_of in _COPIED:
        new = [row for position, batch in entries for row in rows_of(position, batch)]
        if new:
            await copy(connection, table, new)
    if batch_rows:
        await copy(connection, rows.BATCH, batch_rows)
    return written


_DECIDED = (
    (decided.DECISION, decided.decision_rows),
    (decided.ANOMALY, decided.anomaly_rows),
    (device_rows.DEVICE_HEALTH, device_rows.health_rows),
    (device_rows.SEQUENCE_STEP, device_rows.gap_rows),
    (device_rows.COMMAND, device_rows.command_rows),
    (course_rows.COURSE, course_rows.course_rows),
)
"""Tables that are filled from the decisions stream."""

_ALERTS = (
    (decided.ALERT_CHANGE, decided.change_rows),
    (decided.DELIVERY, decided.delivery_rows),
    (her_rows.CHOICE, her_rows.choice_rows),
    (her_rows.DIGEST, her_rows.digest_rows),
    (looks.ACCESS, looks.look_rows),
)
"""Tables that are filled from the alerts stream."""

_COPIED = (
    (rows.RECEIPT, rows.receipt_rows),
    (rows.STATUS, rows.status_rows),
    (rows.REFUSAL, rows.refusal_rows),
)
"""Tables whose rows belong to one batch: where the batch is new, they are."""
