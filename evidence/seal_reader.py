"""The log's tables, for those who check and export: statements that only read.

Each function runs in its caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime

from psycopg import sql

from evidence.covered import Span
from evidence.covered_tables import Covered
from evidence.log.leaves import Head
from evidence.log.merkle import Coordinates
from evidence.seal_store import Connection, LogState, StoredBatch

ANCHORS_LOOKED_AT = 64
"""Signatures before a batch among which its anchor is looked for."""

HEADS_LOOKED_AT = 1_000
"""Newest signed heads among which a witnessed one is looked for."""

WITNESS_WAIT_S = 600.0
"""How long a pack prefers what is witnessed to what is newer."""


async def all_logs(connection: Connection) -> list[LogState]:
    """Every log, in order."""
    cursor = await connection.execute(
        "SELECT log, origin, size, next_transaction, closed_us, fence FROM evidence.seal_log "
        "ORDER BY log"
    )
    return [LogState(*row) async for row in cursor]


async def all_checkpoints(connection: Connection, log: int) -> list[tuple[int, str]]:
    """Size and note of every signed head of a log."""
    cursor = await connection.execute(
        "SELECT size, note FROM evidence.seal_checkpoint WHERE log = %s ORDER BY size", (log,)
    )
    return [(size, note) async for size, note in cursor]


async def all_nodes(connection: Connection, log: int) -> AsyncIterator[tuple[Coordinates, bytes]]:
    """Every stored node of a log's tree."""
    cursor = await connection.execute(
        "SELECT level, place, hash FROM evidence.seal_node WHERE log = %s", (log,)
    )
    async for level, place, node in cursor:
        yield (level, place), node


async def all_heads(connection: Connection) -> dict[bytes, Head]:
    """Where every chain stands."""
    cursor = await connection.execute("SELECT chain, length, leaf FROM evidence.seal_chain")
    return {chain: Head(length, leaf) async for chain, length, leaf in cursor}


async def count_unsealed(connection: Connection, table: str, start: int) -> tuple[int, int]:
    """Rows of a table stored from a transaction on, and those that carry none."""
    cursor = await connection.execute(
        sql.SQL(
            "SELECT count(*) FILTER (WHERE stored_in >= %s), "
            "count(*) FILTER (WHERE stored_in IS NULL) FROM evidence.{}"
        ).format(sql.Identifier(table)),
        (start,),
    )
    row = await cursor.fetchone()
    assert row is not None, "counting always answers"
    return int(row[0]), int(row[1])


async def transactions_of(
    connection: Connection,
    table: Covered,
    subjects: list[str],
    window: tuple[datetime, datetime],
    before: int | None = None,
) -> dict[str, tuple[int | None, int | None, int, int]]:
    """First and last transaction that stored records of chains in a window, and how many.

    By subject. The last number is that of records that were stored before there was a log. What was stored
    by a transaction from `before` on is passed over.
    """
    subject, time = sql.Identifier(table.subject), sql.Identifier(table.time)
    cursor = await connection.execute(
        sql.SQL(
            "SELECT {}, min(stored_in), max(stored_in), count(stored_in), "
            "count(*) - count(stored_in) FROM evidence.{} "
            "WHERE {} = ANY(%s) AND {} >= %s AND {} < %s "
            "AND coalesce(stored_in < %s, true) GROUP BY 1"
        ).format(subject, sql.Identifier(table.name), subject, time, time),
        (subjects, *window, before),
    )
    return {row[0]: (row[1], row[2], row[3], row[4]) async for row in cursor}


async def proven_until(connection: Connection, quorum: int) -> int:
    """Transactions before this one are in the newest batch that enough witnesses signed, or in one before.

    Where witnesses have been away for `WITNESS_WAIT_S`, in the newest that is signed at all.
    """
    cursor = await connection.execute(
        "SELECT b.to_transaction FROM (SELECT c.log, c.size, c.signed_at, count(s.witness) AS witnesses, "
        "max(c.signed_at) OVER () AS newest FROM (SELECT log, size, signed_at "
        "FROM evidence.seal_checkpoint ORDER BY log DESC, size DESC LIMIT %s) c "
        "LEFT JOIN evidence.seal_cosignature s USING (log, size) GROUP BY c.log, c.size, c.signed_at) c "
        "JOIN evidence.seal_batch b ON (b.log, b.number) = (c.log, c.size - 1) "
        "ORDER BY (c.witnesses >= %s AND c.signed_at > c.newest - make_interval(secs => %s)) DESC, "
        "c.log DESC, c.size DESC LIMIT 1",
        (HEADS_LOOKED_AT, quorum, WITNESS_WAIT_S),
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def transactions_between(
    connection: Connection, table: Covered, spans: Mapping[str, Span]
) -> list[int]:
    """Every transaction that stored records of these chains, from a first to a last by subject."""
    cursor = await connection.execute(
        sql.SQL(
            "SELECT DISTINCT stored_in FROM evidence.{} t "
            "JOIN unnest(%s::text[], %s::int8[], %s::int8[]) AS s (subject, first, last) "
            "ON t.{} = s.subject AND t.stored_in BETWEEN s.first AND s.last"
        ).format(sql.Identifier(table.name), sql.Identifier(table.subject)),
        (
            list(spans),
            [first for first, _ in spans.values()],
            [last for _, last in spans.values()],
        ),
    )
    return [row[0] async for row in cursor]


async def batches_to_derive(
    connection: Connection, log: int, spans: Sequence[Span], also: Iterable[int] = ()
) -> list[StoredBatch]:
    """The batches that took transactions from a first to a last, others, and what their chains need.

    That is the batches before them in their segments: of a segment it is always a beginning of it.
    In order.
    """
    cursor = await connection.execute(
        "SELECT (SELECT number FROM evidence.seal_batch WHERE log = %(log)s "
        "AND to_transaction > first ORDER BY to_transaction, number LIMIT 1), "
        "(SELECT number FROM evidence.seal_batch WHERE log = %(log)s "
        "AND from_transaction <= last ORDER BY from_transaction DESC, number DESC LIMIT 1) "
        "FROM unnest(%(first)s::int8[], %(last)s::int8[]) AS s (first, last)",
        {"log": log, "first": [span[0] for span in spans], "last": [span[1] for span in spans]},
    )
    numbers = set(also)
    async for first, last in cursor:
        if first is not None and last is not None:
            numbers.update(range(first, last + 1))
    cursor = await connection.execute(
        "SELECT log, number, from_transaction, to_transaction, b.segment, layout, program, header "
        "FROM evidence.seal_batch b JOIN (SELECT segment, max(number) AS last "
        "FROM evidence.seal_batch WHERE log = %s AND number = ANY(%s) GROUP BY segment) s "
        "ON b.number BETWEEN s.segment AND s.last WHERE log = %s ORDER BY number",
        (log, list(numbers), log),
    )
    return [StoredBatch(r[0], r[1], (r[2], r[3]), *r[4:]) async for r in cursor]


async def anchor_text(connection: Connection, log: int, number: int, anchor: bytes) -> str | None:
    """The signature lines whose SHA-256 stands in the header of a batch; None: they are not here."""
    cursor = await connection.execute(
        "SELECT lines FROM evidence.seal_cosignature WHERE (log, size) <= (%s, %s) "
        "ORDER BY log DESC, size DESC LIMIT %s",
        (log, number, ANCHORS_LOOKED_AT),
    )
    lines = [row[0] async for row in cursor]
    return next((text for text in lines if hashlib.sha256(text.encode()).digest() == anchor), None)


async def head_over(
    connection: Connection, log: int, size: int, quorum: int
) -> tuple[int, str, list[str]] | None:
    """The head that best proves the first so many batches.

    The first of at least that size that enough witnesses signed, and before others one that is
    stamped; failing that, the newest.

    Returns:
        Its size, its note, and the lines of each witness; None where none is signed.
    """
    cursor = await connection.execute(
        "SELECT c.size, c.note, array_remove(array_agg(s.lines ORDER BY s.witness), NULL) AS lines "
        "FROM evidence.seal_checkpoint c LEFT JOIN evidence.seal_cosignature s USING (log, size) "
        "WHERE log = %s AND size >= %s GROUP BY c.log, c.size, c.note "
        "ORDER BY count(s.lines) >= %s DESC, "
        "EXISTS (SELECT FROM evidence.seal_stamp t WHERE (t.log, t.size) = (c.log, c.size)) DESC, CASE WHEN count(s.lines) >= %s THEN size ELSE -size END "
        "LIMIT 1",
        (log, size, quorum, quorum),
    )
    row = await cursor.fetchone()
    return (row[0], row[1], row[2]) if row else None


async def stamps_of(connection: Connection, log: int, size: int) -> list[tuple[str, bytes]]:
    """Authority and answer of each stamp over a head."""
    cursor = await connection.execute(
        "SELECT authority, response FROM evidence.seal_stamp WHERE log = %s AND size = %s "
        "ORDER BY authority",
        (log, size),
    )
    return [(authority, response) async for authority, response in cursor]
