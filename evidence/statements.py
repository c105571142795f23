"""The statements the store is made of. Each runs in its caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from devices.instants import to_datetime
from evidence.fixes import FIX_COLUMNS, Fixes, JournalEntry
from evidence.rows import Row, Table
from evidence.text import clean

Connection = psycopg.AsyncConnection


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
    """Add rows that cannot be there yet: the fastest way, but a duplicate ends it."""
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier("evidence", table.name), _names(table)
    )
    async with connection.cursor() as cursor, cursor.copy(statement) as out:
        out.set_types([kind for _, kind in table.columns])
        for row in rows:
            await out.write_row(row)


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

    COPY cannot pass over duplicates, so the rows go through a temporary table.
    """
    if not fixes.devices:
        return StoredFixes({})
    async with connection.cursor() as cursor:
        async with cursor.copy("COPY stage_fix FROM STDIN (FORMAT BINARY)") as out:
            await out.write(fixes.data)
        await cursor.execute(_FIXES_FROM_STAGE, (fixes.devices,))
        added: dict[int, int] = dict(await cursor.fetchall())
        if sum(added.values()) == fixes.count:
            return StoredFixes(added)
        await cursor.execute(_FIXES_WITHOUT_ROW, (fixes.devices,))
        return StoredFixes(added, frozenset(row[0] for row in await cursor.fetchall()))


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


def _names(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(name) for name, _ in table.columns)


_KEPT = sql.SQL(", ").join(
    sql.Identifier(name) for name, _, _ in FIX_COLUMNS if name not in {"ordinal", "device"}
)
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
