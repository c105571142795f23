"""Native partitions: each day a writer needs is made before its transaction begins.

A DEFAULT partition would catch stray days without any of this, but a day it has caught can no
longer be given a partition of its own without moving rows under an exclusive lock. So a missing
partition is created on demand, and on its own:

* ``CREATE TABLE .. PARTITION OF`` would lock the whole table against readers and writers. A table
  of the same shape that is then attached takes a lock that neither of them notices.
* Two writers that want the same day meet at an advisory lock; the second finds it there.
* It is committed before the rows are written. If they never come, an empty partition is left,
  which harms nothing.

With TimescaleDB there is nothing to do: it makes its chunks itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import psycopg

DAY_US = 86_400_000_000
PARTITIONS_PER_TRANSACTION = 32
"""Each holds some locks until its transaction ends, and the server's lock table is finite."""

AHEAD_PIECES = 1
"""Pieces made ahead of the newest that is needed, so that midnight costs nothing."""

_LOCK_KEY = 0x436F72646F6E  # "Cordon": the advisory lock under which partitions are made
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A table cut by time.

    Attributes:
        native: It has native partitions, which are ours to make.
    """

    name: str
    width_days: int
    native: bool

    def piece_starts(self, days: Iterable[int]) -> list[int]:
        """First days of the pieces that hold these days, and of those made ahead of them."""
        starts = {day // self.width_days * self.width_days for day in days}
        if starts:
            newest = max(starts)
            starts |= {newest + k * self.width_days for k in range(1, AHEAD_PIECES + 1)}
        return sorted(starts)


async def read_timelines(connection: psycopg.AsyncConnection) -> dict[str, Timeline]:
    """The tables that are cut by time, by name."""
    cursor = await connection.execute(
        """
        SELECT t.name, t.width_days, c.relkind = 'p'
        FROM evidence.timeline t
        JOIN pg_class c ON c.relname = t.name AND c.relnamespace = 'evidence'::regnamespace
        """
    )
    return {row[0]: Timeline(*row) for row in await cursor.fetchall()}


def day_of(instant_us: int) -> int:
    """Days since 1970-01-01 (UTC) of an instant."""
    return instant_us // DAY_US


Piece = tuple[Timeline, int]
"""A partition: of which table, and its first day."""


async def ensure(
    connection: psycopg.AsyncConnection, wanted: Iterable[tuple[Timeline, Iterable[int]]]
) -> int:
    """Make the partitions that rows of these days need. To be called outside a transaction.

    Args:
        connection: In autocommit mode.
        wanted: Tables, each with days since 1970-01-01, UTC.

    Returns:
        How many were missing.
    """
    pieces = [
        (timeline, start)
        for timeline, days in wanted
        if timeline.native
        for start in timeline.piece_starts(days)
    ]
    missing = await _missing(connection, pieces) if pieces else []
    for first in range(0, len(missing), PARTITIONS_PER_TRANSACTION):
        part = missing[first : first + PARTITIONS_PER_TRANSACTION]
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
            for timeline, start in await _missing(connection, part):
                await _create(connection, timeline, start)
    return len(missing)


async def _missing(connection: psycopg.AsyncConnection, pieces: Sequence[Piece]) -> list[Piece]:
    # to_regclass would answer from a cache that waiting for an advisory lock does not refresh.
    cursor = await connection.execute(
        """
        SELECT place FROM unnest(%s::text[]) WITH ORDINALITY AS wanted (name, place)
        WHERE NOT EXISTS (
            SELECT FROM pg_class
            WHERE relnamespace = 'evidence'::regnamespace AND relname = wanted.name
        )
        ORDER BY place
        """,
        ([_partition_name(*piece) for piece in pieces],),
    )
    return [pieces[row[0] - 1] for row in await cursor.fetchall()]


def _partition_name(timeline: Timeline, start: int) -> str:
    first = _EPOCH + timedelta(days=start)
    return f"{timeline.name}_{first.isoformat().replace('-', '')}"


async def _create(connection: psycopg.AsyncConnection, timeline: Timeline, start: int) -> None:
    """By a function of the owner's: writers need not own what they write to."""
    await connection.execute(
        "SELECT evidence.make_piece(%s, %s, %s)",
        (timeline.name, start, _partition_name(timeline, start)),
    )
