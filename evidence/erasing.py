"""Erases records so that the log still verifies: what goes leaves its commitment and nothing else.

In one transaction: the batches that hold the records are derived anew, the commitments of what goes
are kept, the rows are deleted, the keys of their days are destroyed, and a record says who wanted it.
Records of the same days that stay keep their salts. Without key and row a commitment can neither be
opened nor guessed.

The sealer waits meanwhile: it must not seal with a key that is being destroyed. So does whoever places a
hold, and one that was placed since the plan was made stops it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from psycopg import sql

from devices.instants import to_datetime
from evidence import holds, seal_reader, seal_store
from evidence.covered import covered_tables
from evidence.covered_tables import Covered
from evidence.erasures import Connection, digest_of
from evidence.keeping import MESSAGE, Plan, Touched
from evidence.leavings import Leavings
from evidence.log.headers import Header
from evidence.log.leaves import Head, seal
from evidence.log.merkle import root_of
from evidence.parting import Parted, part
from evidence.partitions import DAY_US
from evidence.seal_store import StoredBatch
from evidence.sealed_rows import Reread, reread
from evidence.text import clean


class ErasureError(RuntimeError):
    """Nothing was erased. The text is for people."""


class NothingToEraseError(ErasureError):
    """There is nothing of it that is sealed."""


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants what gone, and why: as `evidence.erasures.Erasure`."""

    kind: str
    asked_by: str
    approved_by: str
    subject: str
    from_us: int
    to_us: int
    reason: str


@dataclass(slots=True)
class Erased:
    """What one erasure did.

    Attributes:
        rows: Deleted, by table.
        leaves: Of these, how many the log holds a place for.
        kept: Records of the same days that stay.
        keys: Destroyed.
        unsealed: Rows of it that are not sealed yet and stay until it is repeated.
    """

    erasure_id: UUID
    rows: dict[str, int] = field(default_factory=dict)
    leaves: int = 0
    kept: int = 0
    keys: int = 0
    unsealed: int = 0


async def erase(connection: Connection, plan: Plan, order: Order, now_us: int) -> Erased:
    """Carry out a plan, in one transaction.

    Raises:
        ErasureError: The log does not fit what is stored, there is none yet, nothing is there, or a hold
            is in force that the plan was not made with.
        psycopg.Error: The database does not answer; nothing is erased.
    """
    done = Erased(uuid4())
    async with connection.transaction():
        await holds.let_none_be_placed(connection)
        await _refuse_new_holds(connection, plan)
        next_transaction = await _stop_the_sealer(connection)
        chains = plan.chains()
        tables = {table.name: table for table in covered_tables()}
        stored = await _transactions(connection, chains, tables, next_transaction)
        left = Leavings(connection, done.erasure_id)
        for state in await seal_reader.all_logs(connection):
            batches = await _batches(connection, state.log, stored)
            await _derive(connection, batches, plan, chains, left)
        done.leaves, done.kept = left.leaves, left.stay
        older = await _delete(connection, plan, tables, next_transaction, done)
        if sum(done.rows.values()) - older != done.leaves:
            raise ErasureError(
                f"{sum(done.rows.values()) - older} rows would go and the log has {done.leaves} of "
                "them: they are not as they were sealed. Nothing was erased. See `cordon evidence "
                "check`."
            )
        if not done.rows:
            raise NothingToEraseError(
                "Nothing of this is stored and sealed: nothing was erased."
                + (f" {unsealed_text(done.unsealed)}" if done.unsealed else "")
            )
        done.keys = await _destroy_keys(connection, chains)
        await _record(connection, done, order, older, now_us)
    return done


def unsealed_text(unsealed: int) -> str:
    """What is to be done about rows that are not sealed yet, for people."""
    return (
        f"{unsealed} rows of it are not sealed yet and stay: have them sealed (`cordon evidence seal "
        "--once`, where the service does not seal), then repeat this."
    )


async def _refuse_new_holds(connection: Connection, plan: Plan) -> None:
    """Erase nothing by a plan that knows less than what is held by now."""
    new = [hold for hold in await holds.in_force(connection) if hold.hold_id not in plan.holds]
    if new:
        names = ", ".join(f"{hold.hold_id} ({hold.case}: {hold.reason})" for hold in new)
        raise ErasureError(
            f"Meanwhile something was put under hold, nothing of this was erased: {names}. Run it again: "
            "what is held then stays."
        )


async def _stop_the_sealer(connection: Connection) -> int:
    """Let no batch be sealed before this transaction ends. Returns the first transaction unsealed."""
    cursor = await connection.execute(
        "UPDATE evidence.seal_log SET fence = fence "
        "WHERE log = (SELECT max(log) FROM evidence.seal_log) RETURNING next_transaction"
    )
    row = await cursor.fetchone()
    if row is None:
        raise ErasureError(
            "There is no log yet: start the service, or `cordon evidence seal --once`."
        )
    return int(row[0])


async def _transactions(
    connection: Connection,
    chains: Mapping[bytes, Touched],
    tables: Mapping[str, Covered],
    before: int,
) -> list[int]:
    """Transactions that stored records of the touched chains and days and that are sealed."""
    wanted: dict[str, tuple[list[str], list[int]]] = {}
    for name, subject, touched in chains.values():
        subjects, days = wanted.setdefault(name, ([], []))
        for day in touched:
            subjects.append(subject)
            days.append(day)
    found: set[int] = set()
    for name, (subjects, days) in wanted.items():
        table = tables[name]
        cursor = await connection.execute(
            sql.SQL(
                "SELECT DISTINCT stored_in FROM evidence.{table} t JOIN unnest(%s::text[], %s::timestamptz[]) "
                "AS w (subject, day) ON {subject} = w.subject AND {time} >= w.day "
                "AND {time} < w.day + interval '24 hours' WHERE stored_in < %s"
            ).format(
                table=sql.Identifier(name),
                subject=_subject(table),
                time=sql.Identifier(table.time),
            ),
            (subjects, [to_datetime(day * DAY_US) for day in days], before),
        )
        found.update(row[0] for row in await cursor.fetchall())
    return sorted(found)


def _subject(table: Covered) -> sql.Composable:
    column = sql.Identifier(table.subject)
    if table.name == MESSAGE:
        return sql.SQL("coalesce({}, '')").format(column)
    return column  # not empty, and the index is by it


async def _batches(connection: Connection, log: int, stored: Sequence[int]) -> list[StoredBatch]:
    """The batches of these transactions, and those before them in their segments, in order."""
    if not stored:
        return []
    cursor = await connection.execute(
        "SELECT segment, number, from_transaction, to_transaction FROM evidence.seal_batch "
        "WHERE log = %s AND to_transaction > %s AND from_transaction <= %s ORDER BY number",
        (log, stored[0], stored[-1]),
    )
    ends: dict[int, int] = {}
    async for segment, number, start, end in cursor:
        at = bisect_left(stored, start)
        if at < len(stored) and stored[at] < end:
            ends[segment] = number
    found: list[StoredBatch] = []
    for segment, last in ends.items():
        found += await seal_store.batches_between(connection, log, segment, last)
    return found


async def _derive(
    connection: Connection,
    batches: Sequence[StoredBatch],
    plan: Plan,
    chains: Mapping[bytes, Touched],
    left: Leavings,
) -> None:
    """Find the leaves that go, and keep what is left of them."""
    segment, heads = -1, dict[bytes, Head]()
    async for one in reread(connection, batches):
        if one.damage is not None:
            raise ErasureError(f"Stored rows are damaged, nothing was erased: {one.damage}")
        if one.batch.segment != segment:
            segment, heads = one.batch.segment, {}
        stored = {chain for chain, _, _ in one.rows}
        if unknown := (stored | one.gone.commitments.keys()) - heads.keys():
            heads.update(await seal_store.heads_at(connection, one.batch.log, segment, unknown))
        if chains.keys() & stored:
            # In a thread: other work on the event loop must not wait for a large batch.
            parted = await asyncio.to_thread(_part, one, heads, plan, chains)
            await left.add(one.batch, parted)
        else:
            seal(one.rows, heads, one.keys, one.gone)
    await left.write()


def _part(
    one: Reread, heads: dict[bytes, Head], plan: Plan, chains: Mapping[bytes, Touched]
) -> Parted:
    parted = part(one.rows, heads, one.keys, one.gone, plan, chains)
    if root_of(parted.hashes) != Header.decode(one.batch.header).root:
        raise ErasureError(
            f"Batch {one.batch.number} holds other rows than were sealed: nothing was erased. "
            "`cordon evidence check` says more."
        )
    return parted


async def _delete(
    connection: Connection,
    plan: Plan,
    tables: Mapping[str, Covered],
    before: int,
    done: Erased,
) -> int:
    """Delete the rows of the plan that are sealed, or older than the log: how many those are."""
    # Compressed chunks are opened where rows of theirs go; without this, at most 100,000 rows.
    await connection.execute(
        "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
    )
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS kept_message (received_at timestamptz, journal_position bigint, "
        "item integer, PRIMARY KEY (received_at, journal_position, item)) ON COMMIT DELETE ROWS"
    )
    await _fill(connection, plan.kept)
    older = 0
    for name, by_subject in plan.windows.items():
        table = tables[name]
        windows = [(subject, *part) for subject, parts in by_subject.items() for part in parts]
        chosen = _IN_WINDOWS.format(
            subject=_subject(table),
            time=sql.Identifier(table.time),
            kept=_NOT_KEPT if name == MESSAGE else sql.SQL(""),
        )
        values = (
            [window[0] for window in windows],
            [to_datetime(window[1]) for window in windows],
            [to_datetime(window[2]) for window in windows],
        )
        older += await _take_out(connection, name, chosen, values, before, done)
    await connection.execute("DELETE FROM kept_message")
    await _fill(connection, plan.apart())
    return older + await _take_out(connection, MESSAGE, _NAMED, (), before, done)


async def _fill(connection: Connection, keys: Iterable[tuple[int, int, int]]) -> None:
    keys = list(keys)
    await connection.execute(
        "INSERT INTO kept_message SELECT * FROM unnest(%s::timestamptz[], %s::int8[], %s::int4[])",
        (
            [to_datetime(received_us) for received_us, _, _ in keys],
            [position for _, position, _ in keys],
            [item for _, _, item in keys],
        ),
    )


async def _take_out(
    connection: Connection,
    name: str,
    chosen: sql.Composable,
    values: tuple[object, ...],
    before: int,
    done: Erased,
) -> int:
    """Delete chosen rows of a table, and count what is left of them: how many were older than the log."""
    names = {"table": sql.Identifier(name), "chosen": chosen}
    cursor = await connection.execute(_GONE.format(**names), (*values, before))
    row = await cursor.fetchone()
    assert row is not None, "counting always answers"
    if row[0]:
        done.rows[name] = done.rows.get(name, 0) + int(row[0])
    cursor = await connection.execute(_LEFT.format(**names), values)
    left = await cursor.fetchone()
    assert left is not None, "counting always answers"
    done.unsealed += int(left[0])
    return int(row[1])


_GONE = sql.SQL(
    "WITH gone AS (DELETE FROM evidence.{table} t USING {chosen} "
    "AND (stored_in < %s OR stored_in IS NULL) RETURNING stored_in) "
    "SELECT count(*), count(*) - count(stored_in) FROM gone"
)
_LEFT = sql.SQL("SELECT count(*) FROM evidence.{table} t, {chosen}")
_IN_WINDOWS = sql.SQL(
    "unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS w (subject, begins, ends) "
    "WHERE {subject} = w.subject AND {time} >= w.begins AND {time} < w.ends {kept}"
)
_NAMED = sql.SQL(
    "kept_message k WHERE (k.received_at, k.journal_position, k.item) "
    "= (t.received_at, t.journal_position, t.item)"
)
_NOT_KEPT = sql.SQL("AND NOT EXISTS (SELECT FROM {})").format(_NAMED)


async def _destroy_keys(connection: Connection, chains: Mapping[bytes, Touched]) -> int:
    named = [(chain, day) for chain, touched in chains.items() for day in touched.days]
    cursor = await connection.execute(
        "DELETE FROM evidence.seal_key k USING unnest(%s::bytea[], %s::int4[]) AS w (chain, day) "
        "WHERE (k.chain, k.day) = (w.chain, w.day)",
        ([chain for chain, _ in named], [day for _, day in named]),
    )
    return cursor.rowcount


async def _record(
    connection: Connection, done: Erased, order: Order, older: int, now_us: int
) -> None:
    leaves, digest = await digest_of(connection, done.erasure_id)
    assert leaves == done.leaves, "as many as were kept"
    await connection.execute(
        "INSERT INTO evidence.erasure VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            done.erasure_id,
            to_datetime(now_us),
            order.kind,
            clean(order.asked_by),
            clean(order.approved_by),
            clean(order.subject),
            to_datetime(order.from_us),
            to_datetime(order.to_us),
            clean(order.reason),
            leaves,
            older,
            digest,
        ),
    )
