"""Closes days that are past: lays the fixes of each device together, so that a day of it is a few pages.

Rows come in the order of receipt, thousands of devices side by side; a question is about one device.
With TimescaleDB a closed day goes over to columns, compressed; without, its partition is clustered by
its key. Either way rows stay what they are, and late ones still find their place.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
from psycopg import sql

Connection = psycopg.AsyncConnection
Tell = Callable[[str], None]

CLOSED_AFTER_DAYS = 2
"""A day is closed when this much has passed since its end: most late fixes have come by then."""


async def close_days(connection: Connection, before: datetime, tell: Tell) -> int:
    """Close every piece of the fixes that ends at or before an instant and is not closed yet.

    Args:
        connection: In autocommit mode; its role owns the tables. A clustered piece is locked
            meanwhile, some seconds for some million rows.
        before: The instant.
        tell: Where progress goes: the name of each piece.

    Returns:
        How many were closed.
    """
    cursor = await connection.execute(_EXTENSION)
    row = await cursor.fetchone()
    if row is None:
        return await _cluster(connection, before, tell)
    return await _compress(connection, row[0], before, tell)


async def _compress(connection: Connection, schema: str, before: datetime, tell: Tell) -> int:
    cursor = await connection.execute(
        "SELECT compression_enabled FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = 'evidence' AND hypertable_name = 'fix'"
    )
    row = await cursor.fetchone()
    if row is not None and not row[0]:
        await connection.execute(_COLUMNS)
    cursor = await connection.execute(
        "SELECT chunk_schema, chunk_name FROM timescaledb_information.chunks "
        "WHERE hypertable_schema = 'evidence' AND hypertable_name = 'fix' AND NOT is_compressed "
        "AND range_end <= %s ORDER BY range_start",
        (before,),
    )
    chunks = await cursor.fetchall()
    for chunk in chunks:
        tell(f"Closing {chunk[1]}")
        await connection.execute(
            sql.SQL("SELECT {}(%s::regclass)").format(sql.Identifier(schema, "compress_chunk")),
            (f"{chunk[0]}.{chunk[1]}",),
        )
    return len(chunks)


async def _cluster(connection: Connection, before: datetime, tell: Tell) -> int:
    cursor = await connection.execute(_OPEN_PIECES, (before.astimezone(UTC).strftime("%Y%m%d"),))
    pieces = await cursor.fetchall()
    for name, index in pieces:
        tell(f"Closing {name}")
        await connection.execute(
            sql.SQL("CLUSTER evidence.{} USING {}").format(
                sql.Identifier(name), sql.Identifier(index)
            )
        )
        await connection.execute(sql.SQL("ANALYZE evidence.{}").format(sql.Identifier(name)))
    return len(pieces)


_EXTENSION = """
    SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'timescaledb'
"""
_COLUMNS = """
    ALTER TABLE evidence.fix SET (timescaledb.enable_columnstore,
        timescaledb.segmentby = 'device', timescaledb.orderby = 'time, seq')
"""
_OPEN_PIECES = """
    SELECT c.relname, i.relname
    FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid
    JOIN pg_index x ON x.indrelid = c.oid AND x.indisprimary AND NOT x.indisclustered
    JOIN pg_class i ON i.oid = x.indexrelid
    WHERE h.inhparent = 'evidence.fix'::regclass
        AND to_date(right(c.relname, 8), 'YYYYMMDD') < to_date(%s, 'YYYYMMDD')
    ORDER BY c.relname
"""
"""Pieces that are not clustered yet: days, by the date at the end of their names."""
