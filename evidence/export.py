"""Writes a part of the record into a folder that proves itself.

The folder holds the sealed bytes and their proofs, and a verifier of one file that needs Python
and nothing of ours. docs/evidence.md describes the files. Per chain a run of places is shown
without holes; records of the run that were not asked for are withheld: their commitments stand
there, so that nothing can be left out unseen, and their content does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from devices.instants import to_datetime
from evidence import seal_reader, seal_store
from evidence.case_records import record_disclosure
from evidence.covered import Span
from evidence.custody_chains import add_custody
from evidence.erasures import erased_between, erasure_text
from evidence.export_erased import erasures_for
from evidence.export_folder import MANIFEST, LeftOverError, whole_or_gone, write_folder
from evidence.log.headers import Header
from evidence.log.leaves import Head, Leaf, chain_of, open_rows, seal
from evidence.log.merkle import Levels, hidden_ranges, range_hash
from evidence.log.notes import Note, parse_note, parse_signature_line
from evidence.log.signing import VerifierKey
from evidence.pack import Bundle, Pack, Place
from evidence.pack_custody import check_approved
from evidence.pack_overlays import others_of
from evidence.records import read_record
from evidence.seal_store import Connection, LogState
from evidence.sealed_rows import Reread, reread
from evidence.selection import TABLES, Asked, Chosen, ExportError, Selection, by_kind, select
from evidence.sides import OF_CONTROL, OF_DEVICE, Messages, hears_the_other

SPAN_DAYS_LIMIT = 366
RECORDS_LIMIT = 200_000
"""Records of one pack, which are held in memory: about 6 kB each. More is asked for in parts."""


@dataclass(frozen=True, slots=True)
class Signers:
    """Whose signatures an export comes with.

    Attributes:
        log_keys: Public keys of the log, under each name that it has had.
        witness_keys: Public keys of its witnesses.
        quorum: Witnesses that have to have signed.
    """

    log_keys: Sequence[VerifierKey]
    witness_keys: Sequence[VerifierKey]
    quorum: int


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
    signers: Signers,
    clock_us: Callable[[], int],
) -> Exported:
    """Write what concerns a case in a window, with proofs, and record who was given it.

    Args:
        connection: In autocommit mode; what is read is one state of the database.
        asked: What is to be shown, and who takes it out for whom.
        folder: Made; must not exist or be empty.
        signers: Of the log.
        clock_us: The time.

    Raises:
        ExportError: Nothing is there, it is not sealed or signed yet, or the folder is not empty. What was
            written is gone again; where it cannot be removed, it is a `LeftOverError`.
        psycopg.Error: The database does not answer.
    """
    opened_us = await _begin(connection, asked, clock_us)
    try:
        pack = await _read(connection, asked, signers, opened_us)
        places = pack.places()
        shown = sum(place.shown for place in places)
        counts = (shown, len(places) - shown)
        with whole_or_gone(folder):
            write_folder(folder, asked, pack)
            manifest = hashlib.sha256((folder / MANIFEST).read_bytes()).digest()
            await record_disclosure(
                connection, asked.custody, "written", clock_us(), counts, manifest
            )
    except LeftOverError:
        raise  # it did not come to nothing
    except BaseException:
        await record_disclosure(connection, asked.custody, "failed", clock_us())
        raise
    batches = sum(len(bundle.batches) for bundle in pack.bundles)
    witnessed = all(log["witnessed"] for log in pack.logs)
    return Exported(*counts, batches, pack.older, witnessed)


async def _begin(connection: Connection, asked: Asked, clock_us: Callable[[], int]) -> int:
    """Record that it is opened, and when; where it is not even that, an approval stays good."""
    opened_us = clock_us()
    try:
        _check(asked)
        await record_disclosure(connection, asked.custody, "opened", opened_us)
    except BaseException:
        if asked.approval is not None:
            await record_disclosure(connection, asked.custody, "failed", opened_us)
        raise
    return opened_us


def _check(asked: Asked) -> None:
    start, end = asked.window
    if not 0 < end - start <= SPAN_DAYS_LIMIT * 86_400_000_000:
        raise ExportError("The window has to begin before it ends, and may span 366 days.")
    if asked.device and asked.side != "court":
        raise ExportError(
            "What a side may see follows from the case: name the case, not a device alone."
        )
    for name in ("actor", "purpose", "recipient"):
        if not getattr(asked.custody, name).strip():
            raise ExportError(f"Who, what for and for whom is part of the record: name the {name}.")


async def _read(connection: Connection, asked: Asked, signers: Signers, opened_us: int) -> Pack:
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        selection = await select(connection, asked, opened_us)
        add_custody(selection, asked)
        wanted = await _transactions(connection, selection, signers.quorum)
        wanted.erased = await erased_between(connection, wanted)
        erased = await erasures_for(connection, selection.chosen, wanted.erased)
        if all(one.kind in OF_CONTROL for one in wanted.chosen.values()):
            text = f"Nothing of {asked.device or asked.custody.case} is stored for this window."
            raise ExportError(" ".join([text, *(erasure_text(one) for one in erased)]))
        if wanted.rows > RECORDS_LIMIT:
            raise ExportError(
                f"{wanted.rows} records are more than one pack holds ({RECORDS_LIMIT}). Ask for "
                "shorter windows, one after the other: their runs of places join."
            )
        bundles = []
        for state in await seal_reader.all_logs(connection):
            bundle = await _bundle(connection, state, wanted)
            if bundle.places:
                bundles.append(bundle)
        places = [place for bundle in bundles for place in bundle.places]
        _check_sealed(places, wanted)
        logs = [await _log_part(connection, bundle, signers) for bundle in bundles]
        _decide(places, asked, selection)
        check_approved(asked, places)
        others = await others_of(connection, asked, places)
    return Pack(selection, bundles, logs, wanted.older, erased, opened_us, others)


def _check_sealed(places: Sequence[Place], wanted: _Wanted) -> None:
    sealed = sum(place.in_window for place in places)
    if sealed < wanted.rows:
        raise ExportError(
            f"{wanted.rows - sealed} of {wanted.rows} records are not sealed yet. Try again in a "
            "moment; `cordon evidence check` says what waits."
        )


def _decide(places: Sequence[Place], asked: Asked, selection: Selection) -> None:
    """Say of each record whether its content is shown; messages last, by what was made of them."""
    messages = Messages(selection.partly_outside, strict=asked.strict)
    for place in places:
        record = place.record
        if record is None:
            continue
        chosen = place.chosen
        heard = chosen.careful and hears_the_other(record)
        hidden = heard or (chosen.kind not in OF_CONTROL and asked.hides(record.time_us))
        shows = chosen.shows(record.time_us) and chosen.is_of_case(record)
        place.shown = shows and not hidden
        messages.note(record, shown=place.shown)
    for place in places:
        if place.record is not None and place.chosen.kind == "message":
            place.shown = place.shown and messages.shows(place.record)


class _Wanted(dict[bytes, tuple[int, int]]):
    """By chain: the first and the last transaction that stored what was asked for.

    Attributes:
        rows: How many records that is.
        older: Records that were stored before there was a log, so nothing can prove them.
        chosen: What is wanted of each chain.
        spans: Transactions whose batches are to be opened.
        erased: Batches, by log and number, that lost leaves in between; and by which erasures.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0
        self.older = 0
        self.chosen: dict[bytes, Chosen] = {}
        self.spans: list[Span] = []
        self.erased: dict[tuple[int, int], set[UUID]] = {}


async def _transactions(connection: Connection, selection: Selection, quorum: int) -> _Wanted:
    wanted = _Wanted()
    proven = await seal_reader.proven_until(connection, quorum)
    for (kind, window, waits), chosen in by_kind(selection.chosen).items():
        by_subject = {one.subject: one for one in chosen}
        spans: dict[str, Span] = {}
        found = await seal_reader.transactions_of(
            connection,
            TABLES[kind],
            list(by_subject),
            (to_datetime(window[0]), to_datetime(window[1])),
            proven if waits else None,
        )
        for subject, (first, last, rows, older) in found.items():
            wanted.older += older
            if first is not None and last is not None:
                chain = chain_of(kind, subject)
                wanted[chain] = (first, last)
                wanted.chosen[chain] = by_subject[subject]
                wanted.rows += rows
                spans[subject] = (first, last)
        if kind in OF_DEVICE:
            wanted.spans += spans.values()
        else:
            # Few records over a long time: months between two of them are not derived anew.
            stored = await seal_reader.transactions_between(connection, TABLES[kind], spans)
            wanted.spans += [(transaction, transaction) for transaction in stored]
    return wanted


async def _bundle(connection: Connection, state: LogState, wanted: _Wanted) -> Bundle:
    """Open the batches that hold what is wanted; derive those before them in their segments."""
    bundle = Bundle(state)
    also = [number for log, number in wanted.erased if log == state.log]
    batches = await seal_reader.batches_to_derive(connection, state.log, wanted.spans, also)
    segment, heads = -1, dict[bytes, Head]()
    async for one in reread(connection, batches):
        if one.damage is not None:
            raise ExportError(f"Stored rows are damaged: {one.damage}") from one.damage
        if one.batch.segment != segment:
            segment, heads = one.batch.segment, {}
        new = {chain for chain, _, _ in one.rows} | one.gone.commitments.keys()
        new -= heads.keys()
        heads.update(await seal_store.heads_at(connection, state.log, segment, new))
        await _open(connection, one, heads, wanted, bundle)
    bundle.places.sort(key=lambda place: (place.leaf.chain, place.leaf.place))
    return bundle


async def _open(
    connection: Connection,
    one: Reread,
    heads: dict[bytes, Head],
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
        chosen = wanted.chosen[leaves[index].chain]
        bundle.places.append(_place(leaves[index], len(bundle.batches), index, chosen))
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


def _place(leaf: Leaf, batch: int, index: int, chosen: Chosen) -> Place:
    if leaf.payload is None:  # erased: its place shows, as that of a withheld one
        return Place(leaf, batch, index, chosen, None)
    record = read_record(leaf.payload, chosen.kind, chosen.subject)
    return Place(leaf, batch, index, chosen, record)


async def _log_part(connection: Connection, bundle: Bundle, signers: Signers) -> dict[str, Any]:
    """Head, signatures and the proof that the batches stand in the log."""
    state = bundle.state
    found = await seal_reader.head_over(
        connection, state.log, bundle.numbers[-1] + 1, signers.quorum
    )
    if found is None:
        raise ExportError("The batches that hold these records are not signed yet: try again.")
    size, text, lines = found
    note = parse_note(text.encode())
    signed = [parse_signature_line(line) for line in "".join(lines).splitlines()]
    ranges = hidden_ranges(bundle.numbers, size)
    hashes = await seal_store.range_hashes(connection, state.log, ranges)
    return {
        "origin": state.origin,
        "keys": [key.text for key in signers.log_keys if key.name == state.origin],
        "witness_keys": [key.text for key in signers.witness_keys],
        "quorum": signers.quorum,
        "witnessed": 0 < signers.quorum <= len(lines),
        "checkpoint": Note(note.text, (*note.signatures, *signed)).encode(),
        "hashes": [node.hex() for node in hashes],
        "stamps": [
            {"authority": authority, "response": response.hex()}
            for authority, response in await seal_reader.stamps_of(connection, state.log, size)
        ],
        "batches": bundle.batches,
    }
