"""Devices that were heard and that the caseload does not know: for staff to adopt, or to shut out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

from devices.instants import to_datetime

LOOKED_BACK_US = 30 * 86_400_000_000
STRANGERS_LIMIT = 500
CONNECT_LIMIT_S = 5
READ_LIMIT_S = 20


@dataclass(frozen=True, slots=True)
class Stranger:
    """A device that is in no caseload.

    Attributes:
        refused: Times it was not let in or something of it was refused, as far as that was kept.
        reports: Fixes of it that were stored.
        first_us: When it was heard first within the time looked at, `last_us` when last.
    """

    device: str
    refused: int
    reports: int
    first_us: int
    last_us: int


_STRANGERS = """
    SELECT device, sum(refused)::bigint AS refused, sum(reports)::bigint AS reports,
        evidence.us(min(first)) AS first_us, evidence.us(max(last)) AS last_us
    FROM (
        SELECT device, count(*) AS refused, 0 AS reports, min(received_at) AS first,
            max(received_at) AS last
        FROM evidence.refusal WHERE received_at >= %(since)s GROUP BY device
        UNION ALL
        SELECT device, 0, count(*), min(received_at), max(received_at)
        FROM evidence.fix WHERE received_at >= %(since)s GROUP BY device
    ) heard
    WHERE device <> '' AND NOT device = ANY(%(known)s)
    GROUP BY device ORDER BY max(last) DESC, device LIMIT %(limit)s
"""


async def strangers(dsn: str, known: Sequence[str], now_us: int) -> list[Stranger]:
    """Devices heard within `LOOKED_BACK_US` that are not known, those heard last first.

    Raises:
        psycopg.Error: The history cannot be read.
    """
    values = {
        "since": to_datetime(now_us - LOOKED_BACK_US),
        "known": list(known),
        "limit": STRANGERS_LIMIT,
    }
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
    ) as connection:
        await connection.execute(f"SET statement_timeout = '{READ_LIMIT_S}s'".encode())
        async with connection.cursor(row_factory=class_row(Stranger)) as cursor:
            await cursor.execute(_STRANGERS.encode(), values)
            return await cursor.fetchall()
