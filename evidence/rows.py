"""The rows of a journal entry, other than its fixes, as tuples for COPY. No I/O.

What cannot be stored is found by `check`, before a transaction begins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from devices.instants import from_datetime, to_datetime
from devices.reports import Batch, Event, Receipt, Refusal, Status
from evidence.copying import (
    COPY_HEADER,
    COPY_TRAILER,
    ROW_START,
    SIZE,
    instant,
    int2,
    int4,
    int8,
    text,
)
from evidence.text import clean, clean_optional, json_text

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table and the columns its rows fill, in the order of the row functions below.

    Attributes:
        columns: Column names and their PostgreSQL types.
    """

    name: str
    columns: tuple[tuple[str, str], ...]


_MESSAGE_KEY = (("received_at", "timestamptz"), ("journal_position", "int8"), ("item", "int4"))

BATCH = Table(
    "batch",
    (
        ("received_at", "timestamptz"),
        ("gateway", "text"),
        ("number", "int8"),
        ("partition", "int4"),
        ("journal_position", "int8"),
        ("messages", "int4"),
        ("fixes", "int4"),
        ("duplicate_fixes", "int4"),
        ("events", "int4"),
        ("duplicate_events", "int4"),
        ("receipts", "int4"),
        ("statuses", "int4"),
        ("refusals", "int4"),
    ),
)
MESSAGE = Table(
    "message",
    (
        *_MESSAGE_KEY,
        ("device", "text"),
        ("topic", "text"),
        ("payload", "bytea"),
        ("signature", "int2"),
    ),
)
EVENT = Table(
    "event",
    (
        ("time", "timestamptz"),
        ("seq", "int8"),
        ("received_at", "timestamptz"),
        ("journal_position", "int8"),
        ("message", "int4"),
        ("device", "text"),
        ("type", "text"),
        ("peer", "text"),
        ("detail", "json"),
        ("time_doubted", "bool"),
    ),
)
RECEIPT = Table(
    "receipt",
    (
        *_MESSAGE_KEY,
        ("message", "int4"),
        ("device", "text"),
        ("command_id", "text"),
        ("state", "text"),
        ("time", "timestamptz"),
        ("answer", "text"),
    ),
)
STATUS = Table(
    "status",
    (
        *_MESSAGE_KEY,
        ("message", "int4"),
        ("device", "text"),
        ("online", "bool"),
        ("time", "timestamptz"),
    ),
)
REFUSAL = Table(
    "refusal",
    (
        *_MESSAGE_KEY,
        ("message", "int4"),
        ("device", "text"),
        ("code", "text"),
        ("reason", "text"),
        ("array_item", "int8"),
        ("size_bytes", "int8"),
        ("sha256", "bytea"),
    ),
)

DAMAGED_ENTRY = Table(
    "damaged_entry",
    (
        ("stream", "text"),
        ("partition", "int4"),
        ("position", "int8"),
        ("sha256", "bytea"),
        ("found_at", "timestamptz"),
        ("name", "text"),
        ("reason", "text"),
        ("data", "bytea"),
    ),
)
GAP = Table(
    "gap",
    (
        ("stream", "text"),
        ("partition", "int4"),
        ("kind", "text"),
        ("from_position", "int8"),
        ("to_position", "int8"),
        ("found_at", "timestamptz"),
    ),
)


class UnstorableError(ValueError):
    """What stands in an entry contradicts itself or cannot be expressed in the database."""


EARLIEST_US = from_datetime(datetime(2, 1, 1, tzinfo=UTC))
LATEST_US = from_datetime(datetime(9999, 1, 1, tzinfo=UTC))
"""Within these, an instant and the piece of a table it falls into are dates Python can name."""


def check(batch: Batch) -> None:
    """See that every instant can be stored.

    Raises:
        UnstorableError: One is before `EARLIEST_US`, or not before `LATEST_US`.
    """
    if not all(EARLIEST_US <= instant_us < LATEST_US for instant_us in _instants_us(batch)):
        raise UnstorableError("an instant is outside the years 2 to 9998")


def _small_rows(batch: Batch) -> Iterator[Event | Receipt | Status | Refusal]:
    yield from batch.events
    yield from batch.receipts
    yield from batch.statuses
    yield from batch.refusals


def _instants_us(batch: Batch) -> Iterator[int]:
    yield batch.received_us
    yield from (message.received_us for message in batch.messages)
    yield from (row.time_us for row in _small_rows(batch) if not isinstance(row, Refusal))
    if batch.fixes.size:
        yield int(batch.fixes["time_us"].min())
        yield int(batch.fixes["time_us"].max())


def batch_row(
    position: int, batch: Batch, partition: int, duplicate_fixes: int, duplicate_events: int
) -> Row:
    """The row of `BATCH`."""
    return (
        to_datetime(batch.received_us),
        clean(batch.gateway),
        batch.number,
        partition,
        position,
        len(batch.messages),
        len(batch.fixes),
        duplicate_fixes,
        len(batch.events),
        duplicate_events,
        len(batch.receipts),
        len(batch.statuses),
        len(batch.refusals),
    )


def message_copy(entries: Sequence[tuple[int, Batch]]) -> bytes:
    """The rows of `MESSAGE` of these entries, as binary COPY: there are as many as fixes."""
    parts = [COPY_HEADER]
    for position, batch in entries:
        devices = _devices_of_messages(batch)
        starts: dict[int, bytes] = {}
        middles: dict[tuple[str | None, str], bytes] = {}
        for item, message in enumerate(batch.messages):
            start = starts.get(message.received_us)
            if start is None:
                start = ROW_START(len(MESSAGE.columns)) + instant(message.received_us)
                start = starts[message.received_us] = start + int8(position)
            names = devices.get(item), message.topic
            middle = middles.get(names)
            if middle is None:
                middle = middles[names] = text(names[0]) + text(clean(names[1]))
            size = SIZE(len(message.payload))
            end = int2(message.signature)
            parts += (start, int4(item), middle, size, message.payload, end)
    parts.append(COPY_TRAILER)
    return b"".join(parts)


def _devices_of_messages(batch: Batch) -> dict[int, str]:
    """Which device each message is from, as its rows say."""
    names = [clean(name) for name in batch.devices]
    pairs = zip(batch.fixes["message"].tolist(), batch.fixes["device"].tolist(), strict=True)
    devices = {message: names[device] for message, device in pairs}
    for row in _small_rows(batch):
        devices.setdefault(row.message, clean(row.device))
    return devices


def event_rows(position: int, batch: Batch) -> list[Row]:
    """Rows of `EVENT`."""
    return [
        (
            to_datetime(event.time_us),
            event.seq,
            to_datetime(batch.messages[event.message].received_us),
            position,
            event.message,
            clean(event.device),
            clean(event.type),
            clean_optional(event.peer),
            json_text(event.detail),
            event.time_doubted,
        )
        for event in batch.events
    ]


def receipt_rows(position: int, batch: Batch) -> Iterator[Row]:
    """Rows of `RECEIPT`."""
    for item, receipt in enumerate(batch.receipts):
        yield (
            to_datetime(batch.messages[receipt.message].received_us),
            position,
            item,
            receipt.message,
            clean(receipt.device),
            clean(receipt.command_id),
            clean(receipt.state),
            to_datetime(receipt.time_us),
            clean_optional(receipt.answer),
        )


def status_rows(position: int, batch: Batch) -> Iterator[Row]:
    """Rows of `STATUS`."""
    for item, status in enumerate(batch.statuses):
        yield (
            to_datetime(batch.messages[status.message].received_us),
            position,
            item,
            status.message,
            clean(status.device),
            status.online,
            to_datetime(status.time_us),
        )


def refusal_rows(position: int, batch: Batch) -> Iterator[Row]:
    """Rows of `REFUSAL`."""
    for item, refusal in enumerate(batch.refusals):
        yield (
            to_datetime(batch.messages[refusal.message].received_us),
            position,
            item,
            refusal.message,
            clean(refusal.device),
            clean(refusal.code),
            clean(refusal.reason),
            refusal.item,
            refusal.size_bytes,
            refusal.sha256,
        )
