"""Writes a part of the record into a folder that proves itself.

The folder holds the sealed bytes and their proofs, and a verifier of one file that needs Python
and nothing of ours. docs/evidence.md describes the files. Per chain a run of places is shown
without holes; records of the run that were not asked for are withheld: their commitments stand
there, so that nothing can be left out unseen, and their content does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devices.instants import to_datetime
from evidence import seal_reader, seal_store
from evidence.covered import Covered, covered_tables
from evidence.erasures import erasures_of
from evidence.export_folder import (
    KINDS,
    Asked,
    Bundle,
    ExportError,
    Place,
    erasure_text,
    time_of,
    write_folder,
)
from evidence.log.headers import Header
from evidence.log.leaves import Head, Leaf, chain_of, open_rows, seal
from evidence.log.merkle import Levels, hidden_ranges, range_hash
from evidence.log.notes import Note, parse_note, parse_signature_line
from evidence.log.signing import VerifierKey
from evidence.seal_store import Connection, LogState
from evidence.sealed_rows import Reread, reread

SPAN_DAYS_LIMIT = 366


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        older: Records of the window from before there was a log: not in it.
    """

    shown: int
    withheld: int
    batches: int
    older: int
    witnessed: bool


async def export(
    connection: Connection,
    asked: Asked,
    folder: Path,
    log_keys: Sequence[VerifierKey],
    witness_keys: Sequence[VerifierKey],
    quorum: int,
) -> Exported:
    """Write the records of a device in a window, with their proofs.

    Args:
        connection: In autocommit mode; what is read is one state of the database.
        asked: What is to be shown.
        folder: Made; must not exist or be empty.
        log_keys: Public keys of the log, under each name that it has had.
        witness_keys: Public keys of its witnesses.
        quorum: Witnesses that have to have signed.

    Raises:
        ExportError: Nothing is there, it is not sealed or signed yet, or the folder is not empty.
        psycopg.Error: The database does not answer.
    """
    if (
        asked.to_us <= asked.from_us
        or asked.to_us - asked.from_us > SPAN_DAYS_LIMIT * 86_400_000_000
    ):
        raise ExportError("The window has to begin before it ends, and may span 366 days.")
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        wanted = await _transactions(connection, asked)
        chains = [chain_of(table.name, asked.device) for table in _tables()]
        erased = [
            one
            for one in await erasures_of(connection, chains)
            if one.from_us < asked.to_us and one.to_us > asked.from_us
        ]
        if not wanted:
            text = f"Nothing of {asked.device} is stored for this window."
            raise ExportError(" ".join([text, *(erasure_text(one) for one in erased)]))
        bundles = []
        for state in await seal_reader.all_logs(connection):
            bundle = await _bundle(connection, state, asked, wanted)
            if bundle.places:
                bundles.append(bundle)
        logs = [
            await _log_part(connection, bundle, log_keys, witness_keys, quorum)
            for bundle in bundles
        ]
    shown = sum(place.shown for bundle in bundles for place in bundle.places)
    sealed = sum(place.in_window for bundle in bundles for place in bundle.places)
    if sealed < wanted.rows:
        raise ExportError(
            f"{wanted.rows - sealed} of {wanted.rows} records are not sealed yet. Try again in a "
            "moment; `cordon evidence check` says what waits."
        )
    write_folder(folder, asked, bundles, logs, wanted.older, erased)
    total = sum(len(bundle.places) for bundle in bundles)
    batches = sum(len(bundle.batches) for bundle in bundles)
    witnessed = all(log["witnessed"] for log in logs)
    return Exported(shown, total - shown, batches, wanted.older, witnessed)


class _Wanted(dict[bytes, tuple[int, int]]):
    """By chain: the first and the last transaction that stored what was asked for.

    Attributes:
        rows: How many records that is.
        older: Records that were stored before there was a log, so nothing can prove them.
    """

    rows = 0
    older = 0


async def _transactions(connection: Connection, asked: Asked) -> _Wanted:
    wanted = _Wanted()
    for table in _tables():
        found = await seal_reader.transactions_of(
            connection,
            table.name,
            table.time,
            asked.device,
            (to_datetime(asked.from_us), to_datetime(asked.to_us)),
        )
        first, last, rows, older = found
        wanted.older += older
        if first is not None and last is not None:
            wanted[chain_of(table.name, asked.device)] = (first, last)
            wanted.rows += rows
    return wanted


def _tables() -> list[Covered]:
    return [table for table in covered_tables() if table.name in KINDS]


async def _bundle(connection: Connection, state: LogState, asked: Asked, wanted: _Wanted) -> Bundle:
    """Open the batches that hold what is wanted; derive those before them in their segments."""
    bundle = Bundle(state)
    first, last = min(w[0] for w in wanted.values()), max(w[1] for w in wanted.values())
    batches = await seal_reader.batches_of_transactions(connection, state.log, first, last)
    if batches:
        earlier = await seal_store.batches_between(
            connection, state.log, batches[0].segment, batches[0].number - 1
        )
        batches = [*earlier, *batches]
    segment, heads = -1, dict[bytes, Head]()
    async for one in reread(connection, batches):
        if one.damage is not None:
            raise ExportError(f"Stored rows are damaged: {one.damage}") from one.damage
        if one.batch.segment != segment:
            segment, heads = one.batch.segment, {}
        new = {chain for chain, _, _ in one.rows} - heads.keys()
        heads.update(await seal_store.heads_at(connection, state.log, segment, new))
        await _open(connection, one, heads, asked, wanted, bundle)
    bundle.places.sort(key=lambda place: (place.leaf.chain, place.leaf.place))
    return bundle


async def _open(
    connection: Connection,
    one: Reread,
    heads: dict[bytes, Head],
    asked: Asked,
    wanted: _Wanted,
    bundle: Bundle,
) -> None:
    """Follow the chains through a batch; if it holds what is wanted, add it to the bundle."""
    batch, rows, keys, gone = one.batch, one.rows, one.keys, one.gone
    chains = {
        chain
        for chain, (first, last) in wanted.items()
        if batch.span[0] <= last and first < batch.span[1]
    }
    if not any(row[0] in chains for row in rows) and not chains & gone.commitments.keys():
        seal(rows, heads, keys, gone)
        return
    leaves = open_rows(rows, heads, keys, gone)
    tree = Levels([leaf.hash for leaf in leaves])
    header = Header.decode(batch.header)
    if tree.root != header.root:
        raise ExportError(
            f"Batch {batch.number} of {bundle.state.origin} holds other rows than were sealed. "
            "`cordon evidence check` says more."
        )
    indices = [index for index, leaf in enumerate(leaves) if leaf.chain in chains]
    hidden = hidden_ranges(indices, tree.size)
    for index in indices:
        bundle.places.append(_place(leaves[index], len(bundle.batches), index, asked))
    bundle.numbers.append(batch.number)
    bundle.batches.append(
        {
            "header": batch.header.hex(),
            "program": batch.program,
            "anchor": None if bundle.batches else await _anchor(connection, header),
            "hashes": [range_hash(part, tree.node).hex() for part in hidden],
        }
    )


async def _anchor(connection: Connection, header: Header) -> str | None:
    """What shows that the first batch, and so all of them, are not older than it says."""
    return await seal_reader.anchor_text(connection, header.log, header.number, header.anchor)


def _place(leaf: Leaf, batch: int, index: int, asked: Asked) -> Place:
    if leaf.payload is None:  # erased: its place shows, as that of a withheld one
        return Place(leaf, batch, index, in_window=False, shown=False)
    time_us = time_of(leaf.payload)
    return Place(leaf, batch, index, asked.from_us <= time_us < asked.to_us, asked.shows(time_us))


async def _log_part(
    connection: Connection,
    bundle: Bundle,
    log_keys: Sequence[VerifierKey],
    witness_keys: Sequence[VerifierKey],
    quorum: int,
) -> dict[str, Any]:
    """Head, signatures and the proof that the batches stand in the log."""
    state = bundle.state
    found = await seal_reader.head_over(connection, state.log, bundle.numbers[-1] + 1, quorum)
    if found is None:
        raise ExportError("The batches that hold these records are not signed yet: try again.")
    size, text, lines = found
    note = parse_note(text.encode())
    signed = [parse_signature_line(line) for line in "".join(lines).splitlines()]
    ranges = hidden_ranges(bundle.numbers, size)
    hashes = await seal_store.range_hashes(connection, state.log, ranges)
    return {
        "origin": state.origin,
        "keys": [key.text for key in log_keys if key.name == state.origin],
        "witness_keys": [key.text for key in witness_keys],
        "quorum": quorum,
        "witnessed": 0 < quorum <= len(lines),
        "checkpoint": Note(note.text, (*note.signatures, *signed)).encode(),
        "hashes": [node.hex() for node in hashes],
        "stamps": [
            {"authority": authority, "response": response.hex()}
            for authority, response in await seal_reader.stamps_of(connection, state.log, size)
        ],
        "batches": bundle.batches,
    }
