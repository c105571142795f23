"""Keeps states of the worker in the history, for a replay to begin from.

The newest checkpoint lies beside the journal and takes the place of the one before. One of every few
hours goes into the database, without what concerns alerts, deliveries and commands, and none that
holds a place whose record was erased.
"""

from __future__ import annotations

import asyncio

import msgspec
import nats.errors
import psycopg
import structlog
from nats.aio.client import Client as NatsClient

from cordon import erased_places
from cordon.checkpoint import CHECKPOINT, Checkpoint, decode_checkpoint
from cordon.keep import Keep
from devices.command_desk import CommandDesk
from devices.ending import end_if_told
from devices.instants import MICROSECONDS
from evidence import states, told
from evidence.database import SESSION, describe
from geofence import forgetting
from geofence.snapshot import SnapshotError, decode_snapshot

STATE_EVERY_S = 6 * 3600
"""A replay has to go through this much before its window, at the most. A state of 100,000 devices
takes some 20 MB."""

LOOK_EVERY_S = 5.0
"""While none is kept, and at the least."""

LOOKS_BETWEEN = 36
"""Looks between two states: each fetches and decodes the whole checkpoint."""

RETRY_S = 5.0
CONNECT_LIMIT_S = 5

log = structlog.get_logger("states")


class StateKeeper:
    """Copies the worker's checkpoint into the database now and then.

    Args:
        dsn: Of the database.
        keep: Where the checkpoint lies.
        nc: Where the worker is told what it has to let go of.
        build: Version of the code.
        every_s: Least time between two states.
    """

    def __init__(
        self,
        dsn: str,
        keep: Keep,
        nc: NatsClient,
        *,
        build: str,
        every_s: float = STATE_EVERY_S,
    ) -> None:
        self.kept = 0
        self._dsn = dsn
        self._keep = keep
        self._nc = nc
        self._build = build
        self._every_us = int(every_s * MICROSECONDS)
        self._wait_s = max(LOOK_EVERY_S, every_s / LOOKS_BETWEEN)

    async def run(self) -> None:
        """Look until cancelled; wait out the absence of the database."""
        newest_us = -1
        while True:
            try:
                newest_us = await self._turn(newest_us)
                wait_s = LOOK_EVERY_S if newest_us < 0 else self._wait_s
            except (psycopg.Error, OSError, TimeoutError, nats.errors.Error) as error:
                log.warning("worker_state_not_kept", reason=describe(error))
                wait_s = RETRY_S
            end_if_told()  # before a wait that may be long
            await asyncio.sleep(wait_s)

    async def _turn(self, newest_us: int) -> int:
        """Keep a state if it is time. Returns when the newest was taken."""
        data = await self._keep.get(CHECKPOINT)
        checkpoint = decode_checkpoint(data) if data else None
        # What a version wrote that noted no course is no state to begin from.
        if checkpoint is None or not checkpoint.mark.run_us or not checkpoint.ticked_us:
            return newest_us
        async with await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
        ) as connection:
            await connection.execute(SESSION)
            async with connection.transaction():
                if not await self._is_free(connection, checkpoint):
                    return newest_us
                if 0 <= checkpoint.ticked_us - newest_us < self._every_us and newest_us >= 0:
                    return newest_us
                newest_us = await told.newest_state_us(connection)
                if checkpoint.ticked_us - newest_us >= self._every_us:
                    await self._add(connection, checkpoint)
                    newest_us = checkpoint.ticked_us
        return newest_us

    async def _is_free(self, connection: psycopg.AsyncConnection, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint holds no place that was erased; the worker is told of those it does."""
        times = await states.erased_places(connection)
        try:
            held = forgetting.held(decode_snapshot(checkpoint.engine), times)
        except SnapshotError:
            return False  # of another version, which this one's worker will not leave as it is
        if held:
            found = {name: times[name] for name in sorted(held)}
            await self._nc.publish(erased_places.SUBJECT, msgspec.json.encode(found))
            log.info("erased_places_told", devices=len(held))
        return not held

    async def _add(self, connection: psycopg.AsyncConnection, checkpoint: Checkpoint) -> None:
        # The commands' secret would tell when tags report next.
        state = msgspec.structs.replace(
            checkpoint,
            engine=forgetting.without_measures(checkpoint.engine),
            desk=b"",
            outgoing=b"",
            commands=CommandDesk(b"", checkpoint.ticked_us).snapshot(),
        )
        content = msgspec.msgpack.encode(state)
        await told.add_state(connection, checkpoint.mark, self._build, content)
        self.kept += 1
        log.info("worker_state_kept", bytes=len(content))
