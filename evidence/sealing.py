"""One step of the sealer at a time, each in one transaction: batches, heads, recovery.

`evidence.sealer` takes these steps again and again; see there for the order and why.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import errors

from evidence import seal_store
from evidence.covered import Span, rows_of, stored_per_transaction
from evidence.covered_tables import LAYOUT
from evidence.keys import Guard
from evidence.log.headers import Header
from evidence.log.leaves import KEY_BYTES, Head, Row, seal
from evidence.log.merkle import (
    EMPTY_ROOT,
    Coordinates,
    completed_by,
    consistency_ranges,
    leaf_hash,
    root_of,
)
from evidence.log.notes import Checkpoint
from evidence.log.witnessing import InconsistentError, Seen
from evidence.seal_store import Connection, LogState, StoredBatch

ROWS_LIMIT = 50_000
"""Rows of one batch, but always one transaction: what is behind is caught up batch by batch."""

BATCHES_AT_ONCE = 8
"""Batches of one step, and so of one transaction of ours: all of them are there, or none."""

TRANSACTIONS_FIRST = 4096
"""Transactions looked through for rows at first; doubled while there are none."""

SEGMENT_BATCHES = 360
"""Batches from which a chain is derived to reach one of them: an hour at 10 s each."""

FIRST_LOG = 1

MADE_UP = "cordon.invalid"
"""Names of logs that nobody named begin with this."""


class FencedError(RuntimeError):
    """Another sealer has taken over: this one writes nothing any more."""


class RestoredError(RuntimeError):
    """More has been signed than the database holds, so it is an older one. Nothing is signed."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one step sealed.

    Attributes:
        rows: In all its batches.
        behind: More rows are waiting already.
    """

    state: LogState
    batches: int
    rows: int
    behind: bool


def origin_of(origin: str, log: int) -> str:
    """The name of a log: the first has the configured one, later ones a number behind it."""
    return origin if log == FIRST_LOG else f"{origin}/{log}"


async def open_first_log(connection: Connection, origin: str, now_us: int) -> LogState:
    """The log that is written; the first one is begun if there is none.

    Args:
        connection: In a transaction.
        origin: Name of the log. Empty: it has the name it has, and a new one gets one that no
            other log has.
        now_us: The time.

    Raises:
        RestoredError: The log has another name than the one configured.
    """
    state = await seal_store.newest_log(connection)
    if state is None:
        name = origin or f"{MADE_UP}/{secrets.token_hex(8)}"
        state = LogState(FIRST_LOG, name, 0, 0, now_us, 0)
        await seal_store.open_log(connection, state, now_us)
    if origin and state.origin != origin_of(origin, state.log):
        raise RestoredError(
            f"The log in this database is called {state.origin}, the settings say {origin}. A log "
            "keeps its name: set evidence.origin back, or begin a new log with "
            "`cordon evidence recover`."
        )
    return state


@dataclass
class Waiting:
    """Ended transactions that were looked through for rows, and not all of them sealed yet.

    Nothing is added to what they stored, so that looking once is enough for many batches.

    Attributes:
        looked: From the first to before the second.
        counts: Of those that stored rows: how many, in which tables.
        more: There were others behind them that had ended.
        summarized: Their rows can be found without going through what was stored lately.
    """

    looked: Span = (0, 0)
    more: bool = False
    summarized: bool = False
    counts: Sequence[tuple[int, int, list[str]]] = ()

    async def look(self, connection: Connection, start: int, horizon: int) -> None:
        """Look from `start` on, before `horizon`, until there are rows; or know them already."""
        first, end = self.looked
        self.counts = [one for one in self.counts if one[0] >= start]
        if self.counts and first <= start < end:
            return
        width = TRANSACTIONS_FIRST
        end = min(horizon, start + width)
        while not (counts := await stored_per_transaction(connection, (start, end))):
            if end == horizon:
                break
            width *= 2
            end = min(horizon, start + width)
        self.looked, self.counts, self.more = (start, end), counts, bool(counts) and end < horizon


@dataclass(frozen=True, slots=True)
class _Part:
    """What the next batch is made of; `more`: there is another one behind it."""

    span: Span
    rows: list[Row]
    more: bool


async def seal_batches(
    connection: Connection,
    fence: int,
    now_us: int,
    program: str,
    crashpoint: Callable[[str], None],
    waiting: Waiting | None = None,
) -> Sealed:
    """Seal what was stored since the batch before, in some batches; one is empty if nothing was.

    All is read and written in one transaction that sees one state, so whatever touches the log
    meanwhile (another sealer, an erasure) undoes the step.

    Args:
        connection: Outside a transaction.
        fence: Number to write with.
        now_us: The time.
        program: See `Header`.
        crashpoint: See `evidence.keys.Crashpoint`.
        waiting: What is known of what waits; goes on from step to step.

    Raises:
        FencedError: Another sealer has taken over.
        RestoredError: The numbers of transactions have gone back.
        psycopg.Error: The database does not answer.
    """
    waiting = waiting or Waiting()
    try:
        async with connection.transaction():
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            state = await seal_store.newest_log(connection)
            if state is None or state.fence != fence:
                raise FencedError("another sealer has taken over")
            closed_us = max(now_us, state.closed_us)
            part: _Part | None = await _read(connection, state.next_transaction, waiting)
            batches, rows, behind = 0, 0, False
            while part is not None:
                batches, rows, behind = batches + 1, rows + len(part.rows), part.more
                following = part.span[1] if behind and batches < BATCHES_AT_ONCE else None
                state, part = await _append(
                    connection, state, part, closed_us, program, (following, waiting)
                )
                crashpoint("batch written")
    except errors.SerializationFailure as error:
        raise FencedError("another sealer has taken over") from error
    crashpoint("batch committed")
    return Sealed(state, batches, rows, behind)


async def _read(connection: Connection, start: int, waiting: Waiting) -> _Part:
    """What the batch from a transaction on is made of."""
    span, tables, more = await _next_span(connection, start, waiting)
    return _Part(span, await rows_of(connection, span, tables), more)


async def _next_span(
    connection: Connection, start: int, waiting: Waiting
) -> tuple[Span, set[str], bool]:
    """The transactions of the next batch, the tables they stored rows in, and whether more wait."""
    horizon = await seal_store.ended_transactions(connection)
    if horizon < start:
        raise RestoredError(
            f"The database counts transactions from {horizon} on, the log has sealed up to {start}. "
            "It was brought into a new server from a dump. Stop it, raise its counter with "
            f"`pg_resetwal --next-transaction-id` above {start}, and start again."
        )
    await waiting.look(connection, start, horizon)
    total, tables = 0, set[str]()
    for transaction, rows, names in waiting.counts:
        if total and total + rows > ROWS_LIMIT:
            return (start, transaction), tables, True
        total += rows
        tables.update(names)
    return (start, waiting.looked[1]), tables, waiting.more


async def _append(
    connection: Connection,
    state: LogState,
    part: _Part,
    closed_us: int,
    program: str,
    following: tuple[int | None, Waiting],
) -> tuple[LogState, _Part | None]:
    """Add a batch to the log. Returns the log's new state, and what the batch behind it is made of.

    Args:
        connection: In the transaction that read the part.
        state: Of the log.
        part: What the batch is made of.
        closed_us: When it is closed.
        program: See `Header`.
        following: The first transaction of the batch behind it, to be read meanwhile; None: is not.
    """
    before = await seal_store.heads_of(connection, {chain for chain, _, _ in part.rows})
    keys = await _keys(connection, {(chain, day) for chain, _, day in part.rows})
    after = dict(before)
    start, waiting = following
    # Off the event loop: other work must not wait for the hashing of a large batch.
    hashing = asyncio.create_task(asyncio.to_thread(_hashed, part.rows, after, keys))
    behind = None if start is None else await _read(connection, start, waiting)
    root = await hashing
    text = f"{program}; layout {LAYOUT}"
    header = Header(
        state.log,
        state.size,
        len(part.rows),
        state.closed_us,
        closed_us,
        root,
        await seal_store.newest_anchor(connection),
        hashlib.sha256(text.encode()).digest(),
    ).encode()
    segment = state.size - state.size % SEGMENT_BATCHES
    batch = StoredBatch(state.log, state.size, part.span, segment, LAYOUT, text, header)
    nodes = await _completed(connection, state, leaf_hash(header))
    if not await seal_store.append_batch(connection, state, batch, closed_us, nodes):
        raise FencedError("another sealer has taken over")
    if after:
        await seal_store.write_heads(connection, state.log, segment, before, after)
    size, fence = state.size + 1, state.fence
    return LogState(state.log, state.origin, size, part.span[1], closed_us, fence), behind


def _hashed(
    rows: Sequence[Row], heads: dict[bytes, Head], keys: Mapping[tuple[bytes, int], bytes]
) -> bytes:
    """The root of a batch; chains are followed on in `heads`."""
    return root_of(seal(rows, heads, keys))


async def _keys(
    connection: Connection, wanted: set[tuple[bytes, int]]
) -> Mapping[tuple[bytes, int], bytes]:
    """The keys of these chains and days; those that are not there yet are made."""
    keys = await seal_store.keys_of(connection, wanted)
    new = {name: secrets.token_bytes(KEY_BYTES) for name in wanted - keys.keys()}
    if new:
        await seal_store.add_keys(connection, new)
    return keys | new


async def _completed(
    connection: Connection, state: LogState, leaf: bytes
) -> list[tuple[Coordinates, bytes]]:
    wanted, level, place = [], 0, state.size
    while place % 2:
        wanted.append((level, place - 1))
        level, place = level + 1, place >> 1
    nodes = await seal_store.whole_nodes(connection, state.log, wanted)
    return completed_by(state.size, leaf, nodes.__getitem__)


async def check_continues(connection: Connection, state: LogState, seen: Seen, whose: str) -> None:
    """See that the log in the database continues a head that was signed.

    Raises:
        RestoredError: It is shorter.
        InconsistentError: It is another one.
    """
    if seen.size > state.size:
        raise RestoredError(restored_text(state.size, seen.size))
    if seen.size:
        [root] = await seal_store.range_hashes(connection, state.log, [(0, seen.size)])
        if root != seen.root:
            raise InconsistentError(
                f"The first {seen.size} batches in the database are not those that {whose} signed: "
                "the history was rewritten, or two databases have gone separate ways. Nothing is "
                "signed until you decide; `cordon evidence check` says what does not fit."
            )


async def head_of(connection: Connection, state: LogState) -> Checkpoint:
    """The head of the log as the database has it."""
    if not state.size:
        return Checkpoint(state.origin, 0, EMPTY_ROOT)
    [root] = await seal_store.range_hashes(connection, state.log, [(0, state.size)])
    return Checkpoint(state.origin, state.size, root)


async def sign_head(
    connection: Connection,
    state: LogState,
    guard: Guard,
    now_us: int,
    crashpoint: Callable[[str], None],
) -> str:
    """Sign the head that is committed, and keep it. Returns the note.

    Raises:
        RestoredError: More was signed than the database holds.
        InconsistentError: What it holds does not continue what was signed.
        OSError: The guard cannot remember it, so it is not signed.
    """
    note = await seal_store.checkpoint_note(connection, state.log, state.size)
    if note is not None:
        return note
    seen = guard.seen(state.origin)
    await check_continues(connection, state, seen, "the key's guard")
    proof = await consistency(connection, state, seen.size)
    head = await head_of(connection, state)
    signed = guard.sign(head, proof, now_us // 1_000_000)
    crashpoint("head signed")
    await seal_store.add_checkpoint(connection, state.log, state.size, signed.encode(), now_us)
    crashpoint("head kept")
    return signed.encode()


async def consistency(connection: Connection, state: LogState, old: int) -> list[bytes]:
    """The proof that the log's head continues its head of size `old`."""
    return await seal_store.range_hashes(connection, state.log, consistency_ranges(old, state.size))


def restored_text(size: int, signed: int) -> str:
    """What a person is told whose database is older than what was signed."""
    return (
        f"The database holds {size} batches of the log, {signed} have been signed: it was restored "
        "from an older state. Nothing is signed until you decide. Restore a newer state if there "
        "is one. If not, `cordon evidence recover` begins a new log, with a record that says so."
    )


async def recover(
    connection: Connection, guard: Guard, now_us: int, actor: str, reason: str
) -> LogState:
    """Begin a new log where the old one can no longer be continued, and record why.

    The record is covered by the new log, and names the head of the old one that was signed last.

    Raises:
        RestoredError: There is no log yet.
    """
    async with connection.transaction():
        old = await seal_store.newest_log(connection)
        if old is None:
            raise RestoredError(
                "There is no log in this database yet: there is nothing to recover."
            )
        seen = guard.seen(old.origin)
        log = old.log + 1
        origin = old.origin.removesuffix(f"/{old.log}") if old.log > FIRST_LOG else old.origin
        state = LogState(
            log, origin_of(origin, log), 0, old.next_transaction, max(now_us, old.closed_us), 0
        )
        await seal_store.open_log(connection, state, now_us)
        await seal_store.add_recovery(connection, state, old, seen, now_us, actor, reason)
    return state
