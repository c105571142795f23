"""A month of alerts from the history, as `alerts.month` takes it in."""

from __future__ import annotations

import psycopg

from alerts.deliveries import DeliveryRecord, decode_entry
from alerts.model import Alert, AlertChange
from alerts.month import OPEN_KEPT, Month
from devices.instants import to_datetime

OPEN_FOR_DAYS = 90
"""Alerts raised so long before the month are looked for, if they were still open then."""

READ_AT_ONCE = 2_000
_DAY_US = 86_400_000_000

_OPEN = """
    SELECT document::text FROM (
        SELECT DISTINCT ON (alert_id) type, document FROM evidence.alert_change
        WHERE time >= %(from)s AND time < %(to)s ORDER BY alert_id, version DESC
    ) newest
    WHERE type <> 'cordon.alert.resolved' LIMIT %(limit)s
"""
_ENTRIES = """
    SELECT document::text FROM (
        SELECT time, stream_position, document FROM evidence.alert_change
        WHERE time >= %(from)s AND time < %(to)s
        UNION ALL
        SELECT time, stream_position, document FROM evidence.delivery
        WHERE time >= %(from)s AND time < %(to)s
    ) entries
    ORDER BY time, stream_position
"""


async def open_at(connection: psycopg.AsyncConnection, at_us: int) -> list[Alert]:
    """The alerts that were open at an instant, as they stood then."""
    values = {
        "from": to_datetime(at_us - OPEN_FOR_DAYS * _DAY_US),
        "to": to_datetime(at_us),
        "limit": OPEN_KEPT,
    }
    found = []
    async for (document,) in await connection.execute(_OPEN, values):
        entry = decode_entry(document.encode())
        if isinstance(entry, AlertChange) and not entry.data.synthetic:
            found.append(entry.data)
    return found


async def take_in(
    connection: psycopg.AsyncConnection, month: Month, since_us: int, until_us: int
) -> None:
    """Tell a month all that the history holds of it, in order. Read piece by piece.

    Raises:
        EntryFormatError: An entry cannot be read.
        psycopg.Error: The database is away.
    """
    values = {"from": to_datetime(since_us), "to": to_datetime(until_us)}
    async with connection.transaction(), connection.cursor("month") as cursor:
        cursor.itersize = READ_AT_ONCE
        await cursor.execute(_ENTRIES, values)
        async for (document,) in cursor:
            entry = decode_entry(document.encode())
            if isinstance(entry, AlertChange):
                month.take(entry)
            elif isinstance(entry, DeliveryRecord):
                month.delivered(entry)
