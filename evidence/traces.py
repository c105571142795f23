"""What else holds something of people: parts of batches, states of workers, courses of conduct.

`batch_rest` is covered by the log and goes as all records do, but a row of it is about a gateway, so
what it holds of a device has to be looked for. The others are not evidence but made from it: they are
deleted, and nothing is left of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from devices.instants import to_datetime
from evidence.keeping import Interval, union, within
from evidence.partitions import DAY_US
from evidence.rest import Rest

Connection = psycopg.AsyncConnection

ByDevice = Mapping[str, tuple[Interval, ...]]

REST = "batch_rest"

_rests = msgspec.msgpack.Decoder(Rest)


async def rests_about(
    connection: Connection, fixes: ByDevice, events: ByDevice, received: Interval
) -> dict[str, tuple[Interval, ...]]:
    """The rows of `batch_rest` that hold something of devices: by gateway, one microsecond each.

    Args:
        connection: In a transaction, or in autocommit mode.
        fixes: Of which devices and times.
        events: The same of events.
        received: When the batches were received.
    """
    names = sorted(fixes.keys() | events.keys())
    cursor = await connection.execute(
        "SELECT gateway, evidence.us(received_at), content FROM evidence.batch_rest "
        "WHERE received_at >= %s AND received_at < %s AND EXISTS (SELECT FROM unnest(%s::text[]) n "
        "WHERE position(convert_to(n, 'UTF8') IN content) > 0)",
        (to_datetime(received[0]), to_datetime(received[1]), names),
    )
    found: dict[str, list[Interval]] = {}
    async for gateway, received_us, content in cursor:
        if _holds(_rests.decode(content), fixes, events):
            found.setdefault(gateway, []).append((received_us, received_us + 1))
    return {gateway: union(instants) for gateway, instants in found.items()}


def _holds(rest: Rest, fixes: ByDevice, events: ByDevice) -> bool:
    def wanted(of: ByDevice, device: str, time_us: int) -> bool:
        return bool(within(of.get(device, ()), (time_us, time_us + 1)))

    return any(
        wanted(fixes, rest.devices[fix["device"]], int(fix["time_us"])) for fix in rest.table
    ) or any(wanted(events, event.device, event.time_us) for event in rest.events or ())


async def drop_states(connection: Connection, carried: ByDevice) -> int:
    """Delete the states of workers that know where devices were: from then to a day after the next fix.

    Returns:
        How many.
    """
    parts = [(device, *part) for device, some in carried.items() for part in some]
    cursor = await connection.execute(
        "DELETE FROM evidence.worker_state s USING "
        "unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS w (device, begins, ends) "
        "WHERE s.ticked_at >= w.begins AND s.ticked_at < coalesce((SELECT min(f.time) "
        "FROM evidence.fix f WHERE f.device = w.device AND f.time >= w.ends), 'infinity') "
        "+ interval '1 day'",
        (
            [part[0] for part in parts],
            [to_datetime(part[1]) for part in parts],
            [to_datetime(part[2]) for part in parts],
        ),
    )
    return cursor.rowcount


async def drop_old(
    connection: Connection, cutoffs: Mapping[str, int], *, dry_run: bool
) -> dict[str, int]:
    """Delete states as old as fixes that go, and findings of conduct as old as such decisions.

    Findings stay that are about people under hold, in its window.

    Args:
        connection: In autocommit mode.
        cutoffs: As of `evidence.retention.Policy.cutoffs`.
        dry_run: Only count.

    Returns:
        By table, how many; none of a table that loses nothing.
    """
    done: dict[str, int] = {}
    for table, like, old in _OLD:
        if like not in cutoffs:
            continue
        query = "SELECT count(*) FROM {} t WHERE {}"
        if not dry_run:
            query = "WITH gone AS (DELETE FROM {} t WHERE {} RETURNING 1) SELECT count(*) FROM gone"
        statement = sql.SQL(query).format(sql.Identifier("evidence", table), old)
        values: dict[str, Any] = {"cutoff": to_datetime(cutoffs[like] * DAY_US)}
        row = await (await connection.execute(statement, values)).fetchone()
        if row and row[0]:
            done[table] = int(row[0])
    return done


_NOT_HELD = (
    " AND NOT EXISTS (SELECT FROM evidence.hold_in_force h WHERE h.people && ARRAY[t.wearer, "
    "t.protected] AND h.from_at <= {} AND h.to_at > t.began_at)"
)
_OLD = (
    ("worker_state", "fix", sql.SQL("t.ticked_at < %(cutoff)s")),
    (
        "conduct_act",
        "decision",
        sql.SQL("t.began_at < %(cutoff)s" + _NOT_HELD.format("t.began_at")),
    ),
    (
        "conduct_pattern",
        "decision",
        sql.SQL(
            "NOT EXISTS (SELECT FROM evidence.conduct_pattern n WHERE n.pattern_id = t.pattern_id "
            "AND n.last_at >= %(cutoff)s)" + _NOT_HELD.format("t.last_at")
        ),
    ),
)
"""Table, the table whose days it goes by, and which rows are old."""
