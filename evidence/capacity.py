"""How full the database is, when it will be, and what of the record waits for people."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import psycopg

from devices.instants import to_datetime

Connection = psycopg.AsyncConnection

DAYS_WARN = 30.0
DAYS_FAIL = 7.0
"""Days left from which the doctor warns, and says that something has failed: time to order a disk,
and hardly enough to make room."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """Sizes of the database.

    Attributes:
        used_bytes: All of it.
        growth_bytes_per_day: Over the last week, from the sizes of its daily pieces.
        free_bytes: What is left for it; None: not known.
    """

    used_bytes: int
    growth_bytes_per_day: float
    free_bytes: int | None

    @property
    def days_left(self) -> float | None:
        """Until it is full if it goes on so; infinity if it does not grow; None: not known."""
        if self.free_bytes is None:
            return None
        if self.growth_bytes_per_day <= 0:
            return float("inf")
        return max(0, self.free_bytes) / self.growth_bytes_per_day


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for people.

    Attributes:
        glass: Ids of what was broken and is not reviewed.
        glass_overdue: Of these, for more than a day.
        holds: In force.
        holds_due: Of these, to be looked at again.
    """

    glass: frozenset[UUID]
    glass_overdue: int
    holds: int
    holds_due: int


def free_bytes(disk_free_bytes: int | None, limit_bytes: int, used_bytes: int) -> int | None:
    """What is left of the disk, if it is seen, and of the limit, if there is one (not 0)."""
    left = [disk_free_bytes] if disk_free_bytes is not None else []
    left += [limit_bytes - used_bytes] if limit_bytes else []
    return min(left) if left else None


async def read_capacity(
    connection: Connection, now_us: int, disk_free_bytes: int | None, limit_bytes: int
) -> Capacity:
    """Ask the server.

    Raises:
        psycopg.Error: It does not answer, or has not been set up.
    """
    cursor = await connection.execute(
        "SELECT used_bytes, growth_bytes_per_day FROM evidence.capacity(%s)", (to_datetime(now_us),)
    )
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return Capacity(row[0], row[1], free_bytes(disk_free_bytes, limit_bytes, row[0]))


async def read_waiting(connection: Connection, now_us: int) -> Waiting:
    """Ask the server.

    Raises:
        psycopg.Error: It does not answer, or has not been set up.
    """
    now = to_datetime(now_us)
    cursor = await connection.execute(
        "SELECT ARRAY(SELECT glass_id FROM evidence.break_glass_waiting), "
        "(SELECT count(*) FROM evidence.break_glass_waiting WHERE review_due < %s), "
        "(SELECT count(*) FROM evidence.hold_in_force), "
        "(SELECT count(*) FROM evidence.hold_in_force WHERE review_at < %s)",
        (now, now),
    )
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return Waiting(frozenset(row[0]), *row[1:])
