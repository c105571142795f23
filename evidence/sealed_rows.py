"""Reads the rows of sealed batches again, many batches at a time.

Each look for rows searches every piece of every table, so it must not be done batch by batch.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evidence import seal_store
from evidence.covered import DamagedRowsError, stored_rows
from evidence.erasures import gone_from
from evidence.log.headers import Header, HeaderFormatError
from evidence.log.leaves import NOTHING_GONE, Gone, Row
from evidence.seal_store import Connection, StoredBatch

GROUP_ROWS = 50_000
"""Rows read at once, as far as the headers say how many there are; but always one batch."""


@dataclass(frozen=True, slots=True)
class Reread:
    """A batch with its rows as they are stored now.

    Attributes:
        gone: What erasures left of it.
        damage: Why they cannot be read; then there are none.
    """

    batch: StoredBatch
    rows: list[Row]
    keys: Mapping[tuple[bytes, int], bytes]
    gone: Gone = NOTHING_GONE
    damage: DamagedRowsError | None = None


async def reread(connection: Connection, batches: Sequence[StoredBatch]) -> AsyncIterator[Reread]:
    """The rows of these batches, in order."""
    for group in _groups(batches):
        try:
            found = await _read(connection, group)
        except DamagedRowsError as error:
            found = await _one_by_one(connection, group, error)
        for one in found:
            yield one


def _groups(batches: Sequence[StoredBatch]) -> Iterator[list[StoredBatch]]:
    """Batches that follow each other, of one segment and one layout."""
    group: list[StoredBatch] = []
    rows = 0
    for batch in batches:
        size = _rows_of(batch)
        if group and (not _continues(group[-1], batch) or rows + size > GROUP_ROWS):
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += size
    if group:
        yield group


def _rows_of(batch: StoredBatch) -> int:
    try:
        return Header.decode(batch.header).rows
    except HeaderFormatError:
        return GROUP_ROWS


def _continues(before: StoredBatch, batch: StoredBatch) -> bool:
    return (before.log, before.segment, before.layout, before.span[1]) == (
        batch.log,
        batch.segment,
        batch.layout,
        batch.span[0],
    ) and batch.span[0] <= batch.span[1]


async def _read(connection: Connection, group: Sequence[StoredBatch]) -> list[Reread]:
    span = (group[0].span[0], group[-1].span[1])
    starts = [batch.span[0] for batch in group]
    rows: list[list[Row]] = [[] for _ in group]
    for transaction, row in await stored_rows(connection, span, group[0].layout):
        rows[bisect_right(starts, transaction) - 1].append(row)
    wanted = {(chain, day) for part in rows for chain, _, day in part}
    keys = await seal_store.keys_of(connection, wanted)
    numbers = [batch.number for batch in group]
    log, segment, chains = group[0].log, group[0].segment, {chain for chain, _ in wanted}
    gone = await gone_from(connection, log, segment, numbers, chains)
    return [
        Reread(batch, part, keys, left) for batch, part, left in zip(group, rows, gone, strict=True)
    ]


async def _one_by_one(
    connection: Connection, group: Sequence[StoredBatch], error: DamagedRowsError
) -> list[Reread]:
    """Find out which of the batches it is that cannot be read."""
    if len(group) == 1:
        return [Reread(group[0], [], {}, damage=error)]
    found: list[Reread] = []
    for batch in group:
        try:
            found += await _read(connection, [batch])
        except DamagedRowsError as own:
            found.append(Reread(batch, [], {}, damage=own))
    return found
