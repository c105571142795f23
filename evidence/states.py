"""States of workers that hold where devices were at times that are erased: they go.

They are not evidence but made from it, and not covered by the log. Which hold something is read from
the states themselves, so that it counts what they hold and not when they were taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import psycopg

from devices.instants import to_datetime
from evidence.keeping import Interval
from geofence.forgetting import Times, held, without_measures
from geofence.snapshot import SnapshotError, decode_snapshot

Connection = psycopg.AsyncConnection

EVERY = "SELECT device, evidence.us(from_at), evidence.us(to_at) FROM caseload.erased_place"


async def note_erased(connection: Connection, erasure_id: UUID, times: Times) -> None:
    """Have those who keep states know which places are erased."""
    parts = [(device, *part) for device, some in times.items() for part in some]
    await connection.execute(
        "INSERT INTO caseload.erased_place SELECT %s, * "
        "FROM unnest(%s::text[], %s::timestamptz[], %s::timestamptz[])",
        (
            erasure_id,
            [part[0] for part in parts],
            [to_datetime(part[1]) for part in parts],
            [to_datetime(part[2]) for part in parts],
        ),
    )


async def erased_places(connection: Connection) -> dict[str, tuple[Interval, ...]]:
    """All times of which places were erased, by device.

    Until the transaction ends no erasure goes on, so that a state that is stored in it holds none.
    """
    await connection.execute("LOCK TABLE caseload.erased_place IN SHARE MODE")
    found: dict[str, tuple[Interval, ...]] = {}
    async for device, from_us, to_us in await connection.execute(EVERY):
        found[device] = (*found.get(device, ()), (from_us, to_us))
    return found


async def drop_states(connection: Connection, times: Times, since_us: int) -> int:
    """Delete the states that hold a place of these times, and those that nobody can read.

    Those that stay hold no place without a time any more, whoever wrote them.

    Args:
        connection: In a transaction, behind `note_erased`.
        times: By device.
        since_us: Before this nothing of them had been received.

    Returns:
        How many were deleted.
    """
    cursor = await connection.execute(
        "SELECT ticked_at, run_at, steps FROM evidence.worker_state WHERE ticked_at >= %s",
        (to_datetime(since_us),),
    )
    deleted = 0
    for key in await cursor.fetchall():
        row = await (await connection.execute(f"SELECT content {_ONE}".encode(), key)).fetchone()
        if row is None:
            continue
        content = _kept(row[0], times)
        if content is None:
            await connection.execute(f"DELETE {_ONE}".encode(), key)
            deleted += 1
        elif content != row[0]:
            await connection.execute(_CHANGE, (content, *key))
    return deleted


_ONE = "FROM evidence.worker_state WHERE (ticked_at, run_at, steps) = (%s, %s, %s)"
_CHANGE = (
    "UPDATE evidence.worker_state SET content = %s WHERE (ticked_at, run_at, steps) = (%s, %s, %s)"
)


def _kept(content: bytes, times: Times) -> bytes | None:
    """A state as it may be kept; None: it may not."""
    try:
        state: Mapping[str, Any] = msgspec.msgpack.decode(content, type=dict[str, Any])
        engine = state["engine"]
        if held(decode_snapshot(engine), times):
            return None
        return msgspec.msgpack.encode({**state, "engine": without_measures(engine)})
    except (msgspec.MsgspecError, SnapshotError, KeyError, TypeError):
        return None
