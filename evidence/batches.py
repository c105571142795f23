"""Batches put together again from their rows, to the bit, in the order in which they are taken in.

Payloads stay where they are: a replay works on decoded rows, as the engine did. Read in slices of
bounded size, so that years can be gone through.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from devices.course import Order, order_of
from devices.instants import to_datetime
from devices.reports import FIX_DTYPE, Batch, Event, FixArray, Receipt, Refusal, Status, no_fixes
from evidence.columns import Wire, aggregates, read_groups
from evidence.copying import POSTGRES_EPOCH_US
from evidence.fixes import FIX_WIRE
from evidence.rest import Rest, event_order, whole

SLICE_FIXES = 50_000
SLICE_BATCHES = 20_000
"""The most that is in memory at once (but always one batch)."""

Connection = psycopg.AsyncConnection


class TornBatchError(RuntimeError):
    """The rows of a batch are not those it was stored with: some are gone, or were added.

    Attributes:
        received_us: When the batch came: its records are of a time before.
    """

    def __init__(self, text: str, received_us: int) -> None:
        super().__init__(text)
        self.received_us = received_us


@dataclass(frozen=True, slots=True)
class Head:
    """A row of `evidence.batch`."""

    received_us: int
    gateway: str
    number: int
    position: int
    fixes: int
    events: int
    receipts: int
    statuses: int
    refusals: int

    @property
    def name(self) -> str:
        """As `Batch.name`."""
        return f"{self.gateway}/{self.number}"

    @property
    def order(self) -> Order:
        """Its place among others."""
        return order_of(self.gateway, self.number, self.received_us)


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch, and where it stands in the journal. Its messages are left out."""

    position: int
    batch: Batch


async def read_batches(
    connection: Connection, from_us: int, to_us: int, columns: Collection[str] = FIX_WIRE
) -> AsyncIterator[list[StoredBatch]]:
    """All batches received from an instant to before another, in slices, in order.

    Args:
        connection: In a transaction that sees one state.
        from_us: The first instant.
        to_us: The instant behind the last.
        columns: Of fixes, what is asked for beside device, time, number and message; the
            others are 0 in fixes that have a row.

    Raises:
        TornBatchError: Naming the batch.
    """
    wire = {name: _WIRE[name] for name in _WIRE if name in columns or name in _PLACES}
    async with connection.cursor(name="heads") as cursor:
        await cursor.execute(_HEADS, (to_datetime(from_us), to_datetime(to_us)))
        part: list[Head] = []
        fixes = 0
        while found := await cursor.fetchmany(SLICE_BATCHES):
            for row in found:
                head = Head(*row)
                if part and (fixes + head.fixes > SLICE_FIXES or len(part) >= SLICE_BATCHES):
                    yield await _slice(connection, part, wire)
                    part, fixes = [], 0
                part.append(head)
                fixes += head.fixes
        if part:
            yield await _slice(connection, part, wire)


async def _slice(connection: Connection, heads: Sequence[Head], wire: Wire) -> list[StoredBatch]:
    span = {
        "first": min(head.position for head in heads),
        "last": max(head.position for head in heads),
        "until": to_datetime(max(head.received_us for head in heads)),
    }
    rests = await _rests(connection, span)
    fixes = await _fixes(connection, span, wire) if any(head.fixes for head in heads) else {}
    small: dict[str, dict[int, list[Any]]] = {
        kind: await _small(connection, kind, span) if any(counts) else {}
        for kind, counts in (
            ("event", [head.events for head in heads]),
            ("receipt", [head.receipts for head in heads]),
            ("status", [head.statuses for head in heads]),
            ("refusal", [head.refusals for head in heads]),
        )
    }
    return [
        StoredBatch(head.position, _whole(head, fixes.get(head.position), small, rests))
        for head in heads
    ]


def _whole(
    head: Head,
    fixes: tuple[tuple[str, ...], FixArray] | None,
    small: Mapping[str, Mapping[int, list[Any]]],
    rests: Mapping[tuple[int, str], Rest],
) -> Batch:
    devices, table = fixes or ((), no_fixes())
    events = small["event"].get(head.position, [])
    rest = rests.get((head.position, head.name))
    if rest is not None:
        devices, table = whole(devices, table, rest)
        events = events if rest.events is None else list(rest.events)
    parts = {
        "receipts": small["receipt"].get(head.position, []),
        "statuses": small["status"].get(head.position, []),
        "refusals": small["refusal"].get(head.position, []),
    }
    stored = {"fixes": len(table), "events": len(events), **{k: len(v) for k, v in parts.items()}}
    for kind, count in stored.items():
        if count != (had := getattr(head, kind)):
            raise TornBatchError(
                f"batch {head.name} (journal position {head.position}) was stored with {had} "
                f"{kind}; {count} are there",
                head.received_us,
            )
    return Batch(
        gateway=head.gateway,
        number=head.number,
        received_us=head.received_us,
        messages=(),
        devices=devices,
        fixes=table,
        events=tuple(events),
        receipts=tuple(parts["receipts"]),
        statuses=tuple(parts["statuses"]),
        refusals=tuple(parts["refusals"]),
    )


async def _rests(connection: Connection, span: Mapping[str, Any]) -> dict[tuple[int, str], Rest]:
    cursor = await connection.execute(_RESTS, span)
    return {
        (position, f"{gateway}/{number}"): msgspec.msgpack.decode(content, type=Rest)
        for position, gateway, number, content in await cursor.fetchall()
    }


async def _small(
    connection: Connection, kind: str, span: Mapping[str, Any]
) -> dict[int, list[Any]]:
    """Rows of a small table, by position, in their order."""
    cursor = await connection.execute(_SMALL[kind], span)
    found: dict[int, list[Any]] = defaultdict(list)
    for position, *values in await cursor.fetchall():
        found[position].append(_MAKE[kind](*values))
    if kind == "event":
        for events in found.values():
            events.sort(key=event_order)
    return found


# -- fixes ----------------------------------------------------------------------------------

_WIRE = {name: wire for name, wire in FIX_WIRE.items() if name != "received_at"}
_PLACES = ("seq", "time", "message", "journal_position")
"""What fixes are sorted by, the last first."""


async def _fixes(
    connection: Connection, span: Mapping[str, Any], wire: Wire
) -> dict[int, tuple[tuple[str, ...], FixArray]]:
    """Devices and fixes by position, in the order of `evidence.rest.BY_ROWS`."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_FIXES.format(columns=aggregates(wire), span=_SPAN), span)
        found = sorted(await cursor.fetchall(), key=itemgetter(0))
    if not found:
        return {}
    names = [row[0] for row in found]
    sizes, copied = read_groups(wire, [row[1:] for row in found])
    index = np.repeat(np.arange(len(names)), sizes)
    order = np.lexsort((index, *(copied[name] for name in _PLACES)))
    index = index[order]
    table = np.zeros(len(index), FIX_DTYPE)
    table["message"] = copied["message"][order]
    table["time_us"] = copied["time"][order] + POSTGRES_EPOCH_US
    for name in wire.keys() - {"journal_position", "message", "time"}:
        table[name] = copied[name][order]
    positions = copied["journal_position"][order].astype(np.int64)
    starts = np.flatnonzero(np.diff(positions, prepend=-1))
    present = _place_devices(table, index, starts, len(names))
    ends = np.append(starts[1:], len(positions))
    known: dict[bytes, tuple[str, ...]] = {}  # most batches are of the same devices as others
    return {
        position: (_named(names, some, known), table[start:end])
        for position, some, start, end in zip(
            positions[starts].tolist(), present, starts.tolist(), ends.tolist(), strict=True
        )
    }


def _place_devices(
    table: FixArray, index: NDArray[np.intp], starts: NDArray[np.intp], count: int
) -> list[NDArray[np.intp]]:
    """Number the devices of each batch by themselves; which of all (`count`) they are, by batch."""
    sizes = np.diff(starts, append=len(index))
    batch = np.repeat(np.arange(len(starts)), sizes)
    found, places = np.unique(batch * count + index, return_inverse=True)
    of_batch, device = np.divmod(found, count)
    firsts = np.searchsorted(of_batch, np.arange(len(starts)))
    table["device"] = places - np.repeat(firsts, sizes)
    return np.split(device, firsts[1:])


def _named(
    names: Sequence[str], some: NDArray[np.intp], known: dict[bytes, tuple[str, ...]]
) -> tuple[str, ...]:
    key = some.tobytes()
    if key not in known:
        known[key] = tuple(names[i] for i in some.tolist())
    return known[key]


_SPAN = sql.SQL("journal_position BETWEEN %(first)s AND %(last)s AND received_at <= %(until)s")
_HEADS = """
    SELECT evidence.us(received_at), gateway, number, journal_position, fixes, events, receipts,
        statuses, refusals
    FROM evidence.batch WHERE received_at >= %s AND received_at < %s
    ORDER BY received_at, gateway COLLATE "C", number
"""
_RESTS = sql.SQL(
    "SELECT journal_position, gateway, number, content FROM evidence.batch_rest WHERE {}"
).format(_SPAN)
_FIXES = sql.SQL("SELECT device, {columns} FROM evidence.fix WHERE {span} GROUP BY device")
_SMALL = {
    kind: sql.SQL(
        "SELECT journal_position, {columns} FROM evidence.{table} WHERE {span} {order}"
    ).format(
        columns=sql.SQL(columns),
        table=sql.Identifier(kind),
        span=_SPAN,
        order=sql.SQL("" if kind == "event" else "ORDER BY journal_position, item"),
    )
    for kind, columns in {
        "event": "message, device, seq, evidence.us(time), type, peer, '{}'::json, time_doubted",
        "receipt": "message, device, command_id, state, evidence.us(time), answer",
        "status": "message, device, online, evidence.us(time)",
        "refusal": "message, device, code, reason, array_item::int4, size_bytes, sha256",
    }.items()
}
_MAKE: Mapping[str, Any] = {
    "event": Event,
    "receipt": Receipt,
    "status": Status,
    "refusal": Refusal,
}
