"""Counts the steps of alerts: what the alerts stream holds, and what the history has of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import psycopg

from alerts.deliveries import DeliveryRecord
from cordon.checkpoint import read_recorded
from cordon.connections import Endpoints, connect_nats
from ingest.streams import alert_subject

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Steps:
    """What became of the steps of alerts.

    Attributes:
        recorded: Changes of alerts and records of deliveries in the stream, each once.
        missing: Of these, not in the database.
        sent_twice: Deliveries that were sent more than once.
    """

    recorded: int
    missing: int
    sent_twice: int


async def count(endpoints: Endpoints, *, limit_s: float) -> Steps:
    """Compare, waiting up to `limit_s` for the database to have every step."""
    nc = await connect_nats(endpoints.nats_url, "steps")
    try:
        recorded = await read_recorded(nc, alert_subject(0), after=0)
    finally:
        await nc.close()
    ids = {entry.id for entry in recorded.entries}
    sent = Counter(
        entry.delivery_id
        for entry in recorded.entries
        if isinstance(entry, DeliveryRecord) and entry.state == "sent"
    )
    end_s = asyncio.get_running_loop().time() + limit_s
    while missing := ids - await _stored(endpoints.dsn):
        if asyncio.get_running_loop().time() > end_s:
            break
        await asyncio.sleep(POLL_S)
    return Steps(
        recorded=len(ids),
        missing=len(missing),
        sent_twice=sum(times > 1 for times in sent.values()),
    )


async def _stored(dsn: str) -> set[str]:
    """Ids of all steps in the history."""
    connection = await psycopg.AsyncConnection.connect(dsn)
    async with connection:
        cursor = await connection.execute(
            "select id from evidence.alert_change union all select id from evidence.delivery"
        )
        return {row[0] for row in await cursor.fetchall()}
