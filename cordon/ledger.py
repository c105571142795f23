"""Counts a run from outside: what was published against what the journal and the database have.

It reads the journal itself, not the service's counters, and asks the database for each fix by
its key, so that a count cannot be right by accident.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from nats.aio.client import Client as NatsClient

from cordon.connections import Endpoints, connect_nats
from cordon.errors import CordonError
from devices.instants import to_datetime
from devices.reports import decode_batch
from ingest.reader import StreamReader
from ingest.streams import JOURNAL, journal_subject
from simulators.score import Key

POLL_S = 0.2
QUERY_LEAST_S = 5.0
"""Each question to the database is given this long, also at the end of the waiting."""

READ_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Tally:
    """Of the fixes published: how many are in the journal, in the database, and lost.

    Attributes:
        lost: Acknowledged to the device, and not in the database.
    """

    journaled: int
    stored: int
    lost: int


class Ledger:
    """Opened before a run; counts after it."""

    def __init__(self, nc: NatsClient, dsn: str, start: int) -> None:
        self._nc = nc
        self._dsn = dsn
        self._start = start

    @classmethod
    async def begin(cls, endpoints: Endpoints) -> Ledger:
        """Remember where the journal ends now."""
        nc = await connect_nats(endpoints.nats_url, "ledger")
        info = await nc.jetstream().stream_info(JOURNAL)
        return cls(nc, endpoints.dsn, info.state.last_seq)

    async def close(self) -> None:
        """Give the connection back."""
        await self._nc.close()

    async def tally(self, published: Mapping[Key, bool], *, limit_s: float) -> Tally:
        """Count, waiting up to `limit_s` for the database to have everything acknowledged.

        Args:
            published: Fixes, and whether each was acknowledged.
            limit_s: Limit on the waiting, seconds.

        Raises:
            CordonError: The database did not answer within the limit.
        """
        journaled = await self._journaled()
        acknowledged = {key for key, was in published.items() if was}
        loop = asyncio.get_running_loop()
        end_s = loop.time() + limit_s
        while True:
            stored = await self._stored_by(end_s, published)
            missing = acknowledged - stored
            if not missing or loop.time() > end_s:
                return Tally(len(journaled & published.keys()), len(stored), len(missing))
            await asyncio.sleep(POLL_S)

    async def _journaled(self) -> set[Key]:
        keys: set[Key] = set()
        reader = StreamReader(self._nc.jetstream(), JOURNAL, journal_subject(0), after=self._start)
        while True:
            for entry in await reader.read(READ_WAIT_S):
                batch = decode_batch(entry.data)
                keys.update(
                    Key(batch.devices[row["device"]], int(row["time_us"]), int(row["seq"]))
                    for row in batch.fixes
                )
            if reader.caught_up:
                await reader.close()
                return keys

    async def _stored_by(self, end_s: float, published: Mapping[Key, bool]) -> set[Key]:
        """As `_stored`, waiting until `end_s` of the loop's clock for a database that is away."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout_at(max(end_s, loop.time() + QUERY_LEAST_S)):
                    return await self._stored(published)
            except (psycopg.OperationalError, TimeoutError) as error:
                if loop.time() > end_s:
                    raise CordonError(
                        "The database did not answer in time, so what it holds cannot be counted. "
                        "What it has not stored yet waits in the journal. Look at the database's log."
                    ) from error
            await asyncio.sleep(POLL_S)

    async def _stored(self, published: Mapping[Key, bool]) -> set[Key]:
        """The published fixes that are in the database."""
        if not published:
            return set()
        times = [key.time_us for key in published]
        connection = await psycopg.AsyncConnection.connect(self._dsn)
        async with connection:
            cursor = await connection.execute(
                "select device, evidence.us(time), seq from evidence.fix"
                " where time between %s and %s",
                (to_datetime(min(times)), to_datetime(max(times))),
            )
            rows = {Key(*row) async for row in cursor}
        return rows & published.keys()
