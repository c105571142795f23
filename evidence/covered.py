"""How the rows that the log covers (`evidence.covered_tables`) become payloads.

Fixes are many: PostgreSQL hands them over as fixed-width binary, and NumPy lays out the payloads.
Everything else is a CBOR array: layout, table, then the columns in the order below, instants in
microseconds since 1970, documents as the text they were stored as.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from evidence.covered_tables import FIX, LAYOUT, RECORDS, Covered
from evidence.fixes import FIX_WIRE, POSTGRES_EPOCH_US
from evidence.log.canonical import encode
from evidence.log.leaves import FIX_PAYLOAD, FIX_VERSION, Row, chain_of
from evidence.partitions import DAY_US

FETCHED_AT_ONCE = 1_000
"""Rows of a table made into payloads in one go."""


class DamagedRowsError(RuntimeError):
    """Stored rows that no writer of ours can have written, such as a fix without a position."""


Span = tuple[int, int]
"""Transactions from the first to before the second."""

Stored = tuple[int, Row]
"""A row, and the transaction that stored it."""

_WIRE = (("chain", "S32"), *FIX_WIRE.items())
_COPIED = (*_WIRE, ("stored_in", ">i8"))
_FIX_COPY = np.dtype(
    [("fields", ">i2")]
    + [pair for name, wire in _COPIED for pair in ((f"{name}_size", ">i4"), (name, wire))]
)
_FIX_BYTES = np.dtype([("version", "u1")] + [(name, wire) for name, wire in _WIRE])
_COPY_HEADER_BYTES = 19
_COPY_TRAILER = b"\xff\xff"
assert _FIX_BYTES.itemsize == FIX_PAYLOAD.size, "one layout, said twice"


async def fix_rows(connection: psycopg.AsyncConnection, span: Span) -> list[Stored]:
    """The fixes that these transactions stored.

    Raises:
        DamagedRowsError: They are not as the schema wants them.
    """
    async with connection.cursor() as cursor, cursor.copy(_FIXES, span) as out:
        parts = [bytes(part) async for part in out]
    body = b"".join(parts)[_COPY_HEADER_BYTES : -len(_COPY_TRAILER)]
    if len(body) % _FIX_COPY.itemsize:
        raise DamagedRowsError("stored fixes have empty columns, which no writer leaves empty")
    copied = np.frombuffer(body, _FIX_COPY)
    for name, wire in _COPIED:
        if (copied[f"{name}_size"] != np.dtype(wire).itemsize).any():
            raise DamagedRowsError("stored fixes have empty columns, which no writer leaves empty")
    # In a thread, as below: other work on the event loop must not wait for a large batch.
    return await asyncio.to_thread(_fix_payloads, copied)


def _fix_payloads(copied: NDArray[np.void]) -> list[Stored]:
    packed = np.empty(len(copied), _FIX_BYTES)
    packed["version"] = FIX_VERSION
    for name, _ in _WIRE:
        packed[name] = copied[name]
    for name in ("time", "received_at"):
        packed[name] += POSTGRES_EPOCH_US
    days = (packed["time"] // DAY_US).tolist()
    stored = copied["stored_in"].tolist()
    data, width = packed.tobytes(), _FIX_BYTES.itemsize
    starts = range(0, len(data), width)
    return [
        (transaction, (data[at + 1 : at + 33], data[at : at + width], day))
        for at, day, transaction in zip(starts, days, stored, strict=True)
    ]


async def record_rows(
    connection: psycopg.AsyncConnection, table: Covered, span: Span, layout: int
) -> AsyncIterator[Stored]:
    """The rows of another table that these transactions stored."""
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_query_of(table), span)
        while found := await cursor.fetchmany(FETCHED_AT_ONCE):
            for row in await asyncio.to_thread(_record_rows, table, found, layout):
                yield row


def _record_rows(table: Covered, found: Sequence[Sequence[Any]], layout: int) -> list[Stored]:
    return [
        (
            transaction,
            (chain_of(table.name, subject), record_payload(table, values, layout), day),
        )
        for transaction, subject, day, *values in found
    ]


def record_payload(table: Covered, values: Sequence[Any], layout: int) -> bytes:
    """The payload of a row whose columns have these values."""
    return encode([layout, table.name, *values])


async def stored_rows(
    connection: psycopg.AsyncConnection,
    span: Span,
    layout: int = LAYOUT,
    among: Collection[str] | None = None,
) -> list[Stored]:
    """All rows of all covered tables that these transactions stored, by a layout.

    Args:
        connection: In a transaction.
        span: The transactions.
        layout: How payloads are made.
        among: Tables that alone have such rows, where that is known; each costs a search.

    Raises:
        DamagedRowsError: They are not as the schema wants them, or the layout is not known.
    """
    if layout not in RECORDS:
        raise DamagedRowsError(f"layout {layout} is not known to this version")
    rows = await fix_rows(connection, span) if among is None or FIX.name in among else []
    for table in RECORDS[layout]:
        if among is None or table.name in among:
            rows += [row async for row in record_rows(connection, table, span, layout)]
    return rows


async def rows_of(
    connection: psycopg.AsyncConnection, span: Span, among: Collection[str] | None = None
) -> list[Row]:
    """The same rows by the newest layout, without the transactions."""
    return [row for _, row in await stored_rows(connection, span, LAYOUT, among)]


async def stored_per_transaction(
    connection: psycopg.AsyncConnection, span: Span
) -> list[tuple[int, int, list[str]]]:
    """Transactions of a span that stored covered rows, in order: how many, in which tables."""
    cursor = await connection.execute(_COUNTS, {"from": span[0], "to": span[1]})
    return [(int(row[0]), int(row[1]), row[2]) for row in await cursor.fetchall()]


def covered_tables(layout: int = LAYOUT) -> tuple[Covered, ...]:
    """Every table the log covers."""
    return (FIX, *RECORDS[layout])


def _query_of(table: Covered) -> sql.Composed:
    subject: sql.Composable = sql.SQL("''")
    if table.subject:
        subject = sql.SQL("coalesce({}, '')").format(sql.Identifier(table.subject))
    return sql.SQL(
        "SELECT stored_in, {subject}, (floor(evidence.us({time}) / {day}::numeric))::int4, {columns} "
        "FROM evidence.{table} WHERE stored_in >= %s AND stored_in < %s"
    ).format(
        subject=subject,
        time=sql.Identifier(table.time),
        day=sql.Literal(DAY_US),
        columns=sql.SQL(", ").join(_column(*column) for column in table.columns),
        table=sql.Identifier(table.name),
    )


def _column(name: str, kind: str) -> sql.Composable:
    column = sql.Identifier(name)
    if kind == "time":
        return sql.SQL("evidence.us({})").format(column)
    return sql.SQL("{}::text").format(column) if kind == "text" else column


_FIXES = sql.SQL(
    "COPY (SELECT sha256('\\x66697800'::bytea || convert_to(device, 'UTF8')), {columns} "
    "FROM evidence.fix WHERE stored_in >= %s AND stored_in < %s) TO STDOUT (FORMAT BINARY)"
).format(columns=sql.SQL(", ").join(sql.Identifier(name) for name, _ in _COPIED[1:]))

_COUNTS = sql.SQL(
    "SELECT stored_in, sum(n)::int8, array_agg(name) FROM ({}) AS every GROUP BY stored_in ORDER BY stored_in"
).format(
    sql.SQL(" UNION ALL ").join(
        sql.SQL(
            "SELECT stored_in, count(*) AS n, {}::text AS name FROM evidence.{} "
            "WHERE stored_in >= %(from)s AND stored_in < %(to)s GROUP BY 1"
        ).format(sql.Literal(table.name), sql.Identifier(table.name))
        for table in covered_tables()
    )
)
