"""Which raw messages repeat what was stored before: of that no row of theirs is there to judge them by."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import psycopg

from devices.instants import to_datetime
from evidence.keeping import Interval
from evidence.rest import Rest
from evidence.sides import MessageKey
from evidence.text import clean

Connection = psycopg.AsyncConnection

_rests = msgspec.msgpack.Decoder(Rest)


async def repeating(
    connection: Connection, received: Interval, devices: Iterable[str]
) -> set[MessageKey]:
    """Messages with fixes or events that a device had sent before.

    Where what a batch repeats is not known (the rest of it, or its own row, is not there), all messages
    of the batch.

    Args:
        connection: In a transaction.
        received: When the messages were.
        devices: Whose.
    """
    window = [to_datetime(instant) for instant in received]
    cursor = await connection.execute(
        _MESSAGES,
        {"devices": [clean(name) for name in devices], "start": window[0], "end": window[1]},
    )
    of_batch: dict[int, set[MessageKey]] = {}
    known: dict[int, bool] = {}
    async for device, position, item, is_known in cursor:
        of_batch.setdefault(position, set()).add((device, position, item))
        known[position] = known.get(position, True) and is_known
    found = {key for position, keys in of_batch.items() if not known[position] for key in keys}
    cursor = await connection.execute(
        "SELECT r.journal_position, b.duplicate_events > 0, r.content FROM evidence.batch_rest r "
        "JOIN evidence.batch b USING (received_at, gateway, number) "
        "WHERE r.received_at >= %s AND r.journal_position = ANY(%s)",
        (window[0], [position for position in of_batch if known[position]]),
    )
    async for position, events, content in cursor:
        rest = _rests.decode(content)
        found.update(
            (rest.devices[fix["device"]], position, int(fix["message"])) for fix in rest.table
        )
        if events:  # else all of them have rows, and only their order is told
            found.update((event.device, position, event.message) for event in rest.events or ())
    return found


_MESSAGES = """
    SELECT m.device, m.journal_position, m.item,
        b.number IS NOT NULL AND EXISTS (SELECT FROM evidence.batch_rest r
            WHERE (r.received_at, r.gateway, r.number) = (b.received_at, b.gateway, b.number))
    FROM evidence.message m LEFT JOIN evidence.batch b
        ON b.journal_position = m.journal_position AND b.received_at >= %(start)s
    WHERE m.device = ANY(%(devices)s) AND m.received_at >= %(start)s AND m.received_at < %(end)s
        AND (b.number IS NULL OR b.duplicate_fixes > 0 OR b.duplicate_events > 0)
"""
"""A batch is closed when its last message is there: it is never older than one of them."""
