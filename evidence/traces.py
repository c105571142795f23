"""What else holds something of people: parts of batches, states of workers, courses of conduct.

`batch_rest` is covered by the log and goes as all records do, but a row of it is about a gateway, so
what it holds of a device has to be looked for. The others are not evidence but made from it: they are
deleted, and nothing is left of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from devices.instants import to_datetime
from evidence.holds import let_none_be_placed
from evidence.keeping import Interval, MessageKey, union, within
from evidence.partitions import DAY_US
from evidence.rest import Rest
from evidence.selection import FOREVER_US

Connection = psycopg.AsyncConnection

ByDevice = Mapping[str, tuple[Interval, ...]]

REST = "batch_rest"

_rests = msgspec.msgpack.Decoder(Rest)


@dataclass(frozen=True, slots=True)
class Repeats:
    """What repeats something of devices that was stored before.

    Attributes:
        rests: Rows of `batch_rest`: by gateway, one microsecond each.
        messages: The messages that brought it, by device.
    """

    rests: dict[str, tuple[Interval, ...]]
    messages: dict[str, set[MessageKey]]


async def repeats_of(
    connection: Connection, fixes: ByDevice, events: ByDevice, received: Interval
) -> Repeats:
    """What was received in a window and repeats something of devices.

    Where it is not known what a batch repeats (the rest of it, or its own row, is gone), all messages
    of these devices in it.

    Args:
        connection: In a transaction, or in autocommit mode.
        fixes: Of which devices and times.
        events: The same of events.
        received: When rests and messages were received.
    """
    values: dict[str, Any] = {
        "names": sorted(fixes.keys() | events.keys()),
        "start": to_datetime(received[0]),
        "end": to_datetime(received[1]),
        "longest": LONGEST_BATCH_US,
        "closed": to_datetime(min(received[1] + LONGEST_BATCH_US, FOREVER_US)),
    }
    rests: dict[str, list[Interval]] = {}
    places: set[tuple[int, int, int]] = set()
    async for position, gateway, received_us, content in await connection.execute(_RESTS, values):
        found = _repeated(_rests.decode(content), fixes, events)
        places |= {(position, item, received_us) for item in found}
        if found and received_us < received[1]:
            rests.setdefault(gateway, []).append((received_us, received_us + 1))
    for index, name in enumerate(("positions", "items", "batches")):
        values[name] = [place[index] for place in places]
    messages: dict[str, set[MessageKey]] = {}
    async for device, *key in await connection.execute(_MESSAGES, values):
        messages.setdefault(device, set()).add((key[0], key[1], key[2]))
    return Repeats({gateway: union(instants) for gateway, instants in rests.items()}, messages)


LONGEST_BATCH_US = 3_600_000_000
"""A batch is closed after its messages came, within seconds; this is never reached."""

_RESTS = """
    SELECT journal_position, gateway, evidence.us(received_at), content FROM evidence.batch_rest
    WHERE received_at >= %(start)s AND received_at < %(closed)s AND EXISTS (
        SELECT FROM unnest(%(names)s::text[]) n WHERE position(convert_to(n, 'UTF8') IN content) > 0)
"""
_MESSAGES = """
    SELECT m.device, evidence.us(m.received_at), m.journal_position, m.item
    FROM evidence.message m LEFT JOIN evidence.batch b ON b.journal_position = m.journal_position
        AND b.received_at >= m.received_at AND evidence.us(b.received_at) - evidence.us(m.received_at) < %(longest)s
    WHERE m.device = ANY(%(names)s) AND m.received_at >= %(start)s AND m.received_at < %(end)s
        AND ((m.journal_position, m.item, evidence.us(b.received_at)) IN (
                SELECT * FROM unnest(%(positions)s::int8[], %(items)s::int4[], %(batches)s::int8[]))
            OR b.number IS NULL OR (b.duplicate_fixes > 0 OR b.duplicate_events > 0) AND NOT EXISTS (
                SELECT FROM evidence.batch_rest r
                WHERE (r.received_at, r.gateway, r.number) = (b.received_at, b.gateway, b.number)))
"""
"""A position is given away again when a journal is set up anew, so that it does not name a batch alone."""


def _repeated(rest: Rest, fixes: ByDevice, events: ByDevice) -> set[int]:
    """Which messages of a batch brought something of it."""

    def wanted(of: ByDevice, device: str, time_us: int) -> bool:
        return bool(within(of.get(device, ()), (time_us, time_us + 1)))

    found = {
        int(fix["message"])
        for fix in rest.table
        if wanted(fixes, rest.devices[fix["device"]], int(fix["time_us"]))
    }
    return found | {
        event.message for event in rest.events or () if wanted(events, event.device, event.time_us)
    }


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
        async with connection.transaction():
            if not dry_run:
                await let_none_be_placed(connection)
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
