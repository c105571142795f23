"""Checks a whole database against its log, and the log against what others hold of it.

Everything is derived anew: leaves from the rows, roots from the leaves, the tree from the headers.
What stands in the log's own tables is believed nowhere; only signatures of others are.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from evidence import seal_reader, seal_store
from evidence.covered import DamagedRowsError, covered_tables
from evidence.erasures import check_erasures
from evidence.log.headers import Header, HeaderFormatError
from evidence.log.leaves import Head, KeyDestroyedError, seal
from evidence.log.merkle import Levels, leaf_hash, range_hash, root_of
from evidence.log.notes import Checkpoint, NoteFormatError, parse_note
from evidence.log.signing import SignatureError, VerifierKey, open_checkpoint
from evidence.seal_store import Connection, LogState, StoredBatch
from evidence.sealed_rows import Reread, reread

BATCHES_AT_ONCE = 500


@dataclass(slots=True)
class Audit:
    """What a check came to.

    Attributes:
        batches, rows: Found to be as they were sealed.
        erased: Of these rows those that were erased, by records that the log covers.
        waiting: Rows that are stored and not sealed yet.
        uncovered: Rows that were stored before there was a log.
        findings: What is wrong, one sentence each.
    """

    batches: int = 0
    rows: int = 0
    erased: int = 0
    waiting: int = 0
    uncovered: int = 0
    findings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Log:
    """A log as it is derived anew."""

    state: LogState
    leaves: list[bytes] = field(default_factory=list)
    tree: Levels = field(default_factory=lambda: Levels([]))

    def root_at(self, size: int) -> bytes:
        return range_hash((0, size), self.tree.node)


async def audit(
    connection: Connection, keys: Sequence[VerifierKey], heads: Sequence[tuple[str, Checkpoint]]
) -> Audit:
    """Check everything.

    Args:
        connection: In autocommit mode; what is read is one state of the database.
        keys: Public keys of the log, under each name that it has had.
        heads: Who holds which head: what witnesses have signed, or what was noted down.

    Raises:
        psycopg.Error: The database does not answer.
    """
    found = Audit()
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        logs: list[_Log] = []
        chains: dict[bytes, Head] = {}
        for state in await seal_reader.all_logs(connection):
            log = _Log(state)
            await _derive(connection, log, chains, found)
            await _check_tree(connection, log, tuple(keys), found)
            logs.append(log)
        await _check_chains(connection, chains, found)
        found.erased, wrong = await check_erasures(connection)
        found.findings += wrong
        _check_order(logs, found)
        await _count_others(connection, logs, found)
    for holder, head in heads:
        _check_head(logs, holder, head, found)
    return found


async def _derive(
    connection: Connection, log: _Log, chains: dict[bytes, Head], found: Audit
) -> None:
    """Derive every batch of a log from the rows, and compare."""
    before: Header | None = None
    end = None
    for first in range(0, log.state.size, BATCHES_AT_ONCE):
        last = min(first + BATCHES_AT_ONCE, log.state.size) - 1
        stored = await seal_store.batches_between(connection, log.state.log, first, last)
        if [batch.number for batch in stored] != list(range(first, last + 1)):
            found.findings.append(
                f"{log.state.origin}: batches are missing between {first} and {last}"
            )
        async for one in reread(connection, stored):
            where = f"{log.state.origin}, batch {one.batch.number}"
            header = _header_of(one.batch, before, end, where, found)
            log.leaves.append(leaf_hash(one.batch.header))
            if header is not None:
                await _check_rows(one, header, chains, where, found)
            before, end = header, one.batch.span[1]
    if end is not None and end != log.state.next_transaction:
        found.findings.append(f"{log.state.origin}: rows behind the last batch are skipped")


def _header_of(
    batch: StoredBatch, before: Header | None, end: int | None, where: str, found: Audit
) -> Header | None:
    try:
        header = Header.decode(batch.header)
    except HeaderFormatError as error:
        found.findings.append(f"{where}: {error}")
        return None
    if (header.log, header.number) != (batch.log, batch.number):
        found.findings.append(f"{where}: its header is of another batch")
    if before is not None and header.opened_us != before.closed_us:
        found.findings.append(f"{where}: it does not begin where the one before ended")
    if batch.span[0] > batch.span[1]:
        found.findings.append(f"{where}: its transactions run backwards")
    if end is not None and batch.span[0] != end:
        found.findings.append(f"{where}: transactions between it and the one before are skipped")
    if hashlib.sha256(batch.program.encode()).digest() != header.program:
        found.findings.append(
            f"{where}: the program that sealed it is named otherwise in its header"
        )
    return header


async def _check_rows(
    one: Reread, header: Header, chains: dict[bytes, Head], where: str, found: Audit
) -> None:
    try:
        if one.damage is not None:
            raise one.damage
        leaves = await asyncio.to_thread(seal, one.rows, chains, one.keys, one.gone)
    except (DamagedRowsError, KeyDestroyedError) as error:
        found.findings.append(f"{where}: {error}")
        return
    if len(leaves) != header.rows:
        found.findings.append(f"{where}: {header.rows} rows were sealed, {len(leaves)} are stored")
    elif root_of(leaves) != header.root:
        found.findings.append(f"{where}: its rows are not those that were sealed")
    else:
        found.batches += 1
        found.rows += len(leaves)


async def _check_tree(
    connection: Connection, log: _Log, keys: tuple[VerifierKey, ...], found: Audit
) -> None:
    """See that every signed head is one of this log, and that stored nodes are its nodes."""
    log.tree = tree = Levels(log.leaves)
    notes = await seal_reader.all_checkpoints(connection, log.state.log)
    if log.state.size and not notes:
        found.findings.append(f"{log.state.origin}: no head was ever signed")
    for size, text in notes:
        where = f"{log.state.origin}, head {size}"
        try:
            head = open_checkpoint(parse_note(text.encode()), keys)
        except (NoteFormatError, SignatureError) as error:
            found.findings.append(f"{where}: {error}")
            continue
        if (head.origin, head.size) != (log.state.origin, size):
            found.findings.append(f"{where}: the signed head is another one")
        elif size > len(log.leaves) or head.root != log.root_at(size):
            found.findings.append(f"{where}: the batches do not lead to the root that was signed")
    async for at, node in seal_reader.all_nodes(connection, log.state.log):
        if (at[1] + 1) << at[0] > tree.size or tree.node(at) != node:
            found.findings.append(f"{log.state.origin}: a stored node of its tree is false")
            break


async def _check_chains(connection: Connection, chains: dict[bytes, Head], found: Audit) -> None:
    if await seal_reader.all_heads(connection) != chains:
        found.findings.append("the chains end elsewhere than their rows lead to")


def _check_order(logs: Sequence[_Log], found: Audit) -> None:
    numbers = [log.state.log for log in logs]
    if numbers != list(range(1, len(logs) + 1)):
        found.findings.append(f"logs are missing: there are {numbers}")


async def _count_others(connection: Connection, logs: Sequence[_Log], found: Audit) -> None:
    """Rows that are not in a batch: not yet, or from before there was a log."""
    start = logs[-1].state.next_transaction if logs else 0
    for table in covered_tables():
        waiting, uncovered = await seal_reader.count_unsealed(connection, table.name, start)
        found.waiting += waiting
        found.uncovered += uncovered


def _check_head(logs: Sequence[_Log], holder: str, head: Checkpoint, found: Audit) -> None:
    """Compare with a head that somebody else holds."""
    log = next((log for log in logs if log.state.origin == head.origin), None)
    if log is None:
        found.findings.append(f"{holder} holds a head of {head.origin}, which is not here")
    elif head.size > len(log.leaves):
        found.findings.append(
            f"{holder} holds a head of size {head.size} of {head.origin}; {len(log.leaves)} batches "
            "are here: the end was cut off, or an older state was restored"
        )
    elif log.root_at(head.size) != head.root:
        found.findings.append(
            f"{holder} holds another root for the first {head.size} batches of {head.origin}: the "
            "history was rewritten after it was signed"
        )
