"""The log's tables: statements of the sealer, and of those who read what it wrote.

Each function runs in its caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import psycopg

from devices.instants import to_datetime
from evidence.covered import Span
from evidence.log.headers import NO_ANCHOR
from evidence.log.leaves import Head
from evidence.log.merkle import Coordinates, Range, nodes_needed, range_hash
from evidence.log.witnessing import InconsistentError, Seen
from evidence.text import clean

Connection = psycopg.AsyncConnection


@dataclass(frozen=True, slots=True)
class LogState:
    """Where a log stands.

    Attributes:
        log: Its number.
        next_transaction: The first that no batch has taken.
        closed_us: When its last batch was closed.
    """

    log: int
    origin: str
    size: int
    next_transaction: int
    closed_us: int
    fence: int


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as it stands in the database; the header is not checked."""

    log: int
    number: int
    span: Span
    segment: int
    layout: int
    program: str
    header: bytes


async def newest_log(connection: Connection) -> LogState | None:
    """The log that is being written; None before the first."""
    cursor = await connection.execute(
        "SELECT log, origin, size, next_transaction, closed_us, fence FROM evidence.seal_log "
        "ORDER BY log DESC LIMIT 1"
    )
    row = await cursor.fetchone()
    return LogState(*row) if row else None


async def open_log(connection: Connection, state: LogState, opened_us: int) -> None:
    """Begin a log."""
    await connection.execute(
        "INSERT INTO evidence.seal_log VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            state.log,
            state.origin,
            state.size,
            state.next_transaction,
            state.closed_us,
            state.fence,
            to_datetime(opened_us),
        ),
    )


async def take_fence(connection: Connection, log: int) -> int:
    """Make every sealer before this one powerless. Returns the number to write with."""
    cursor = await connection.execute(
        "UPDATE evidence.seal_log SET fence = fence + 1 WHERE log = %s RETURNING fence", (log,)
    )
    row = await cursor.fetchone()
    assert row is not None, "the log was just read"
    return int(row[0])


async def ended_transactions(connection: Connection) -> int:
    """The first transaction that may still be running; all before it have ended for good."""
    cursor = await connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8")
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return int(row[0])


async def summarize(connection: Connection) -> None:
    """Have the rows of the tables that grow fastest found by transaction; outside a transaction."""
    for table in ("fix", "message"):
        await connection.execute("SELECT evidence.summarize(%s)", (table,))


async def nodes_of(
    connection: Connection, log: int, wanted: Iterable[Coordinates]
) -> dict[Coordinates, bytes]:
    """Nodes of a log's tree by where they are; those that are not there are left out."""
    wanted = list(wanted)
    cursor = await connection.execute(
        "SELECT level, place, hash FROM evidence.seal_node "
        "JOIN unnest(%s::int2[], %s::int8[]) AS wanted (level, place) USING (level, place) "
        "WHERE log = %s",
        ([level for level, _ in wanted], [place for _, place in wanted], log),
    )
    return {(level, place): node async for level, place, node in cursor}


async def range_hashes(connection: Connection, log: int, ranges: Sequence[Range]) -> list[bytes]:
    """The hashes of ranges of a log's leaves: a proof, or a root.

    Raises:
        InconsistentError: Nodes are missing in the database.
    """
    nodes = await whole_nodes(connection, log, nodes_needed(ranges))
    return [range_hash(part, nodes.__getitem__) for part in ranges]


async def whole_nodes(
    connection: Connection, log: int, wanted: Iterable[Coordinates]
) -> dict[Coordinates, bytes]:
    """Nodes of a log's tree by where they are.

    Raises:
        InconsistentError: Some are missing in the database.
    """
    wanted = set(wanted)
    nodes = await nodes_of(connection, log, wanted)
    if len(nodes) < len(wanted):
        raise InconsistentError(
            "Nodes of the log's tree are missing in the database: somebody took them out. "
            "`cordon evidence check` says what does not fit."
        )
    return nodes


async def heads_of(connection: Connection, chains: Iterable[bytes]) -> dict[bytes, Head]:
    """Where these chains stand; those without leaves are left out."""
    cursor = await connection.execute(
        "SELECT chain, length, leaf FROM evidence.seal_chain WHERE chain = ANY(%s)", (list(chains),)
    )
    return {chain: Head(length, leaf) async for chain, length, leaf in cursor}


async def heads_at(
    connection: Connection, log: int, segment: int, chains: Iterable[bytes]
) -> dict[bytes, Head]:
    """Where these chains stood when they were first needed in a segment."""
    cursor = await connection.execute(
        "SELECT chain, length, leaf FROM evidence.seal_chain_start "
        "WHERE log = %s AND segment = %s AND chain = ANY(%s)",
        (log, segment, list(chains)),
    )
    return {chain: Head(length, leaf) async for chain, length, leaf in cursor}


async def write_heads(
    connection: Connection,
    log: int,
    segment: int,
    before: Mapping[bytes, Head],
    after: Mapping[bytes, Head],
) -> None:
    """Move chains on; note where those stood that were not needed before in this segment."""
    chains = list(after)
    starts = [before.get(chain) or Head.of_new(chain) for chain in chains]
    await connection.execute(
        "INSERT INTO evidence.seal_chain_start "
        "SELECT %s, %s, * FROM unnest(%s::bytea[], %s::int8[], %s::bytea[]) ON CONFLICT DO NOTHING",
        (log, segment, chains, [head.length for head in starts], [head.leaf for head in starts]),
    )
    ends = [after[chain] for chain in chains]
    await connection.execute(
        "INSERT INTO evidence.seal_chain SELECT * FROM unnest(%s::bytea[], %s::int8[], %s::bytea[]) "
        "ON CONFLICT (chain) DO UPDATE SET length = excluded.length, leaf = excluded.leaf",
        (chains, [head.length for head in ends], [head.leaf for head in ends]),
    )


async def keys_of(
    connection: Connection, wanted: Iterable[tuple[bytes, int]]
) -> dict[tuple[bytes, int], bytes]:
    """Keys by chain and day; those that are not there are left out."""
    wanted = list(wanted)
    cursor = await connection.execute(
        "SELECT chain, day, key FROM evidence.seal_key "
        "JOIN unnest(%s::bytea[], %s::int4[]) AS wanted (chain, day) USING (chain, day)",
        ([chain for chain, _ in wanted], [day for _, day in wanted]),
    )
    return {(chain, day): key async for chain, day, key in cursor}


async def add_keys(connection: Connection, keys: Mapping[tuple[bytes, int], bytes]) -> None:
    """Keep new keys."""
    await connection.execute(
        "INSERT INTO evidence.seal_key SELECT * FROM unnest(%s::bytea[], %s::int4[], %s::bytea[])",
        ([chain for chain, _ in keys], [day for _, day in keys], list(keys.values())),
    )


async def newest_anchor(connection: Connection) -> bytes:
    """SHA-256 of the newest lines of a witness; `NO_ANCHOR` before the first."""
    cursor = await connection.execute(
        "SELECT lines FROM evidence.seal_cosignature ORDER BY log DESC, size DESC, witness LIMIT 1"
    )
    row = await cursor.fetchone()
    return hashlib.sha256(row[0].encode()).digest() if row else NO_ANCHOR


async def append_batch(
    connection: Connection,
    state: LogState,
    batch: StoredBatch,
    closed_us: int,
    nodes: Sequence[tuple[Coordinates, bytes]],
) -> bool:
    """Add a batch at the end of its log, if it is still where `state` saw it.

    Returns:
        Whether it was. If not, another sealer has taken over: write nothing.
    """
    cursor = await connection.execute(
        "UPDATE evidence.seal_log SET size = size + 1, next_transaction = %s, closed_us = %s "
        "WHERE log = %s AND size = %s AND fence = %s",
        (batch.span[1], closed_us, state.log, state.size, state.fence),
    )
    if cursor.rowcount != 1:
        return False
    await connection.execute(
        "INSERT INTO evidence.seal_batch VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            batch.log,
            batch.number,
            *batch.span,
            batch.segment,
            batch.layout,
            batch.program,
            batch.header,
        ),
    )
    await connection.execute(
        "INSERT INTO evidence.seal_node SELECT %s, * FROM unnest(%s::int2[], %s::int8[], %s::bytea[])",
        (
            state.log,
            [level for (level, _), _ in nodes],
            [place for (_, place), _ in nodes],
            [node for _, node in nodes],
        ),
    )
    return True


async def batches_between(
    connection: Connection, log: int, first: int, last: int
) -> list[StoredBatch]:
    """Batches of a log from a number to another, both included."""
    cursor = await connection.execute(
        "SELECT log, number, from_transaction, to_transaction, segment, layout, program, header "
        "FROM evidence.seal_batch WHERE log = %s AND number BETWEEN %s AND %s ORDER BY number",
        (log, first, last),
    )
    return [StoredBatch(r[0], r[1], (r[2], r[3]), *r[4:]) async for r in cursor]


async def checkpoint_note(connection: Connection, log: int, size: int) -> str | None:
    """The signed note of a size; None where there is none."""
    cursor = await connection.execute(
        "SELECT note FROM evidence.seal_checkpoint WHERE log = %s AND size = %s", (log, size)
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def add_checkpoint(
    connection: Connection, log: int, size: int, note: str, signed_us: int
) -> None:
    """Keep a signed head."""
    await connection.execute(
        "INSERT INTO evidence.seal_checkpoint VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (log, size, note, to_datetime(signed_us)),
    )


async def add_cosignature(
    connection: Connection, log: int, size: int, witness: str, lines: str, received_us: int
) -> None:
    """Keep what a witness signed."""
    await connection.execute(
        "INSERT INTO evidence.seal_cosignature VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (log, size, witness, lines, to_datetime(received_us)),
    )


async def add_stamp(
    connection: Connection, log: int, size: int, authority: str, response: bytes, stamped_us: int
) -> None:
    """Keep an authority's stamp over a head."""
    await connection.execute(
        "INSERT INTO evidence.seal_stamp VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (log, size, authority, response, to_datetime(stamped_us)),
    )


async def cosigned_sizes(connection: Connection, log: int) -> dict[str, int]:
    """The largest size of a log that each witness has signed, as far as it is known here."""
    cursor = await connection.execute(
        "SELECT witness, max(size) FROM evidence.seal_cosignature WHERE log = %s GROUP BY witness",
        (log,),
    )
    return {witness: size async for witness, size in cursor}


async def add_recovery(
    connection: Connection,
    state: LogState,
    old: LogState,
    signed: Seen,
    now_us: int,
    actor: str,
    reason: str,
) -> None:
    """Record why a new log begins."""
    await connection.execute(
        "INSERT INTO evidence.seal_recovery VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            to_datetime(now_us),
            state.log,
            old.log,
            old.origin,
            old.size,
            signed.size,
            signed.root,
            clean(actor),
            clean(reason),
        ),
    )
