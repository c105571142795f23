"""Which raw messages may hold something of which the row is erased: nothing is left to judge that by.

Retention takes records by their own time, so bytes that came later than what they hold outlive the rows of
it. A message and what was made of it are stored by one transaction, so sealed in one batch of the log: there
a place of what was erased is left.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

from devices.instants import to_datetime
from evidence.erasures import erased_between
from evidence.keeping import Interval
from evidence.log.leaves import chain_of
from evidence.sides import MessageKey
from evidence.text import clean

Connection = psycopg.AsyncConnection

BY_THEIR_OWN_TIME = ("fix", "event")
"""Kinds that can be older than the message that brought them; others go by when it was received."""


async def outlived(
    connection: Connection, received: Interval, devices: Iterable[str]
) -> set[MessageKey]:
    """Messages beside which, in the batch of the log, a fix or an event of the same device was erased.

    Args:
        connection: In a transaction.
        received: When the messages were.
        devices: Whose.
    """
    window = [to_datetime(instant) for instant in received]
    cursor = await connection.execute(_SPANS, ([clean(name) for name in devices], *window))
    found: set[MessageKey] = set()
    for device, *span in await cursor.fetchall():
        chains = {chain_of(kind, device): (span[0], span[1]) for kind in BY_THEIR_OWN_TIME}
        batches = list(await erased_between(connection, chains))
        logs, numbers = [log for log, _ in batches], [number for _, number in batches]
        messages = await connection.execute(_BESIDE, (logs, numbers, device, *window))
        found.update([(row[0], row[1], row[2]) async for row in messages])
    return found


_SPANS = """
    SELECT device, min(stored_in), max(stored_in) FROM evidence.message
    WHERE device = ANY(%s) AND received_at >= %s AND received_at < %s AND stored_in IS NOT NULL GROUP BY 1
"""
_BESIDE = """
    SELECT m.device, m.journal_position, m.item FROM unnest(%s::int4[], %s::int8[]) AS n (log, number)
    JOIN evidence.seal_batch b USING (log, number)
    JOIN evidence.message m ON m.stored_in >= b.from_transaction AND m.stored_in < b.to_transaction
    WHERE m.device = %s AND m.received_at >= %s AND m.received_at < %s
"""
