"""What stays of a day because it belongs to something that is under hold, though it is of no device.

Parts of batches and messages that repeat what is held, messages that brought it, and the heads of the
batches that held rows name.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from devices.instants import to_datetime
from evidence.keeping import Interval, MessageKey, Windows, union, within
from evidence.traces import LONGEST_BATCH_US, REST, Connection, repeats_of

HEAD = "batch"
HEADS_US = 3_600_000_000
"""A head says how much came, and nothing of anybody: it stays with all of its hour, so that the windows of a
day are few. 14,000 of them, each of one head, took the database longer than ten minutes."""

_BROUGHT = (
    ("fix", "time", "message"),
    ("event", "time", "message"),
    ("status", "received_at", "message"),
    ("receipt", "received_at", "message"),
    ("refusal", "received_at", "message"),
    ("message", "received_at", "item"),
)
"""Tables whose rows name a batch: their time, and which message of the batch brought them."""


@dataclass(frozen=True, slots=True)
class Staying:
    """What stays of a window.

    Attributes:
        windows: Of `REST`, one microsecond each, and of `HEAD`, by gateway.
        messages: That brought or repeat what is held.
    """

    windows: Windows
    messages: frozenset[MessageKey]


async def staying(connection: Connection, received: Interval, kept: Windows) -> Staying:
    """What stays of what was received in a window.

    Args:
        connection: In a transaction, or in autocommit mode.
        received: The window.
        kept: What is under hold, of devices.
    """
    repeats = await repeats_of(connection, kept.get("fix", {}), kept.get("event", {}), received)
    messages = set[MessageKey]().union(*repeats.messages.values())
    positions = {key[1] for key in messages}
    for table, time, item in _BROUGHT:
        by_device = kept.get(table, {})
        cursor = await connection.execute(
            sql.SQL(
                "SELECT device, evidence.us({}), evidence.us(received_at), journal_position, {} "
                "FROM evidence.{} WHERE device = ANY(%s) AND received_at >= %s AND received_at < %s"
            ).format(sql.Identifier(time), sql.Identifier(item), sql.Identifier(table)),
            (
                list(by_device),
                to_datetime(received[0] - LONGEST_BATCH_US),
                to_datetime(received[1]),
            ),
        )
        async for device, time_us, *key in cursor:
            if within(by_device[device], (time_us, time_us + 1)):
                positions.add(key[1])
                if item == "message" and key[0] >= received[0]:
                    messages.add((key[0], key[1], key[2]))
    heads = await _heads(connection, received, positions)
    return Staying({REST: repeats.rests, HEAD: heads}, frozenset(messages))


async def _heads(
    connection: Connection, received: Interval, positions: set[int]
) -> dict[str, tuple[Interval, ...]]:
    cursor = await connection.execute(
        "SELECT gateway, evidence.us(received_at) FROM evidence.batch "
        "WHERE received_at >= %s AND received_at < %s AND journal_position = ANY(%s)",
        (to_datetime(received[0]), to_datetime(received[1]), list(positions)),
    )
    found: dict[str, list[Interval]] = {}
    async for gateway, received_us in cursor:
        begins_us = received_us // HEADS_US * HEADS_US
        found.setdefault(gateway, []).append((begins_us, begins_us + HEADS_US))
    return {gateway: union(hours) for gateway, hours in found.items()}
