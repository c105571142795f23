"""The statements the store is made of. Each runs in its caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import errors, sql

from devices.instants import to_datetime
from evidence.fixes import FIX_COLUMNS, Fixes, JournalEntry, Rows, direct, staged
from evidence.rows import Row, Table
from evidence.text import clean

Connection = psycopg.AsyncConnection

DIRECT_FIXES = 100
"""Fewer are not worth asking whether they can be copied without being staged."""


async def claim(connection: Connection, stream: str, partition: int) -> int:
    """Lock the position of a stream until the transaction ends, and read it."""
    await connection.execute(
        "INSERT INTO evidence.position VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
        (stream, partition),
    )
    cursor = await connection.execute(
        "SELECT last_sequence FROM evidence.position "
        "WHERE stream = %s AND partition = %s FOR UPDATE",
        (stream, partition),
    )
    row = await cursor.fetchone()
    assert row is not None, "inserted just before"
    return int(row[0])


async def set_position(connection: Connection, stream: str, partition: int, position: int) -> None:
    """Move the position, in the transaction that stores the rows up to there."""
    await connection.execute(
        "UPDATE evidence.position SET last_sequence = %s WHERE stream = %s AND partition = %s",
        (position, stream, partition),
    )


async def copy(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Add rows that cannot be there yet: a faster way, but a duplicate ends it."""
    async with connection.cursor() as cursor, cursor.copy(_copying(table)) as out:
        out.set_types([kind for _, kind in table.columns])
        for row in rows:
            await out.write_row(row)


async def copy_bytes(connection: Connection, table: Table, data: bytes) -> None:
    """The same, of rows that are in COPY's binary format already."""
    async with connection.cursor() as cursor, cursor.copy(_copying(table)) as out:
        await out.write(data)


async def insert(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Add those of the rows that are not there yet. Returns how many those are."""
    if not rows:
        return 0
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        sql.Identifier("evidence", table.name),
        _names(table),
        sql.SQL(", ").join(sql.SQL("%s") for _ in table.columns),
    )
    async with connection.cursor() as cursor:
        await cursor.executemany(statement, rows)
        return cursor.rowcount


@dataclass(frozen=True, slots=True)
class StoredFixes:
    """What became of fixes.

    Attributes:
        added: How many have a row now, by journal position; positions with none are left out.
        missing: Places among the fixes given of those that have none, as there was one before.
    """

    added: dict[int, int]
    missing: frozenset[int] = frozenset()


async def insert_fixes(connection: Connection, fixes: Fixes) -> StoredFixes:
    """Add those of the fixes that are not there yet; of equal ones the first.

    COPY is the fastest way and cannot pass over duplicates. So fixes of devices of which nothing as
    late is stored are copied, and the others go through a temporary table. It is the primary key
    that keeps fixes from being stored twice: if another writer is quicker with one of these, all go
    through the temporary table.
    """
    rows = fixes.rows
    added: dict[int, int] = {}
    slow = np.ones(len(rows), np.bool_)
    if len(rows) >= DIRECT_FIXES:
        slow = np.isin(rows["device"], list(await _with_later(connection, fixes)))
        if await _copy_fixes(connection, fixes, ~slow):
            added = _by_position(rows[~slow])
        else:
            slow[:] = True
    if not slow.any():
        return StoredFixes(added)
    async with connection.cursor() as cursor:
        async with cursor.copy("COPY stage_fix FROM STDIN (FORMAT BINARY)") as out:
            await out.write(staged(rows[slow]))
        await cursor.execute(_FIXES_FROM_STAGE, (fixes.devices,))
        passed: dict[int, int] = dict(await cursor.fetchall())
        for position, count in passed.items():
            added[position] = added.get(position, 0) + count
        if sum(passed.values()) == np.count_nonzero(slow):
            return StoredFixes(added)
        await cursor.execute(_FIXES_WITHOUT_ROW, (fixes.devices,))
        return StoredFixes(added, frozenset(row[0] for row in await cursor.fetchall()))


async def _with_later(connection: Connection, fixes: Fixes) -> set[int]:
    """Devices, counted from 1, whose fixes may be stored already, or are doubled among these."""
    nameless = {number for number, name in enumerate(fixes.devices, 1) if not name}
    first = fixes.earliest()
    # Not prepared: planned for these times, so that only pieces of then and later are looked at.
    cursor = await connection.execute(
        _WITH_LATER, (fixes.devices, first, min(first)), prepare=False
    )
    return {row[0] for row in await cursor.fetchall()} | fixes.doubled() | nameless


async def _copy_fixes(connection: Connection, fixes: Fixes, which: NDArray[np.bool_]) -> bool:
    """Add fixes that cannot be there yet. Returns whether that was so; if not, none is added."""
    if not which.any():
        return True
    data = direct(fixes.devices, fixes.rows[which])
    try:
        async with (
            connection.transaction(),
            connection.cursor() as cursor,
            cursor.copy(_FIXES_DIRECT) as out,
        ):
            await out.write(data)
    except errors.UniqueViolation:
        return False
    return True


def _by_position(rows: Rows) -> dict[int, int]:
    positions, counts = np.unique(rows["journal_position"].astype(np.int64), return_counts=True)
    return dict(zip(positions.tolist(), counts.tolist(), strict=True))


async def known_batches(
    connection: Connection, entries: Sequence[JournalEntry]
) -> set[tuple[str, int]]:
    """Which of these batches are stored already, perhaps from another position."""
    times = [to_datetime(batch.received_us) for _, batch in entries]
    cursor = await connection.execute(
        """
        SELECT gateway, number FROM evidence.batch
        JOIN unnest(%s::timestamptz[], %s::text[], %s::bigint[])
            AS wanted (received_at, gateway, number) USING (received_at, gateway, number)
        WHERE received_at BETWEEN %s AND %s
        """,
        (
            times,
            [clean(batch.gateway) for _, batch in entries],
            [batch.number for _, batch in entries],
            min(times),
            max(times),
        ),
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


def _copying(table: Table) -> sql.Composed:
    return sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier("evidence", table.name), _names(table)
    )


def _names(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name, _ in table.columns)


_KEPT = sql.SQL(", ").join(
    sql.Identifier(name) for name, _, _ in FIX_COLUMNS if name not in {"ordinal", "device"}
)
_FIXES_DIRECT = sql.SQL("COPY evidence.fix (device, {}) FROM STDIN (FORMAT BINARY)").format(_KEPT)
_WITH_LATER = """
    SELECT number FROM unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS d (name, first, number)
    WHERE (SELECT true FROM evidence.fix f
        WHERE f.device = d.name AND f.time >= d.first AND f.time >= %s LIMIT 1)
"""
_FIXES_FROM_STAGE = sql.SQL(
    """
    WITH added AS (
        INSERT INTO evidence.fix (device, {kept})
        SELECT named.name, {kept}
        FROM stage_fix JOIN unnest(%s::text[]) WITH ORDINALITY AS named (name, number)
            ON named.number = stage_fix.device
        ORDER BY ordinal
        ON CONFLICT DO NOTHING
        RETURNING journal_position
    )
    SELECT journal_position, count(*) FROM added GROUP BY journal_position
    """
).format(kept=_KEPT)

_FIXES_WITHOUT_ROW = """
    SELECT ordinal FROM (
        SELECT s.*, named.name, row_number() OVER (
            PARTITION BY s.device, s.time, s.seq ORDER BY ordinal) AS nth
        FROM stage_fix s JOIN unnest(%s::text[]) WITH ORDINALITY AS named (name, number)
            ON named.number = s.device) staged
    WHERE nth > 1 OR NOT EXISTS (
        SELECT FROM evidence.fix f
        WHERE f.device = staged.name AND f.time = staged.time AND f.seq = staged.seq
            AND f.journal_position = staged.journal_position
            AND f.received_at = staged.received_at AND f.message = staged.message)
"""
"""Asked only where there are any: most groups have none."""
