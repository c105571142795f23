"""The caseload that the worker goes by: it follows the kept copy."""

from __future__ import annotations

import asyncio
import contextlib

import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon.keep import CASELOAD, CASELOAD_SUBJECT, Keep
from cordon.partition import Partition
from devices.ending import end_if_told
from devices.instants import Clock

log = structlog.get_logger("worker")

POLL_S = 5.0


class CaseloadInForce:
    """Has a partition go over to each version that is kept.

    Args:
        nc: Connection on which changes are announced.
        keep: Where the caseload lies.
        partition: The state.
        clock: The time.

    Attributes:
        refused: Versions that cannot be watched; the one before stayed in force.
    """

    def __init__(self, nc: NatsClient, keep: Keep, partition: Partition, clock: Clock) -> None:
        self.refused = 0
        self._nc = nc
        self._keep = keep
        self._partition = partition
        self._clock = clock
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Put in force what is kept: when told, and by looking, as what is told may be lost."""
        subscription = await self._nc.subscribe(CASELOAD_SUBJECT, cb=self._on_change)
        try:
            await self._follow()
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()

    async def _follow(self) -> None:
        seen = ""
        while True:
            end_if_told()
            self._changed.clear()
            try:
                seen = await self._bring(seen)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("caseload_not_read", reason=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._changed.wait()

    async def _bring(self, seen: str) -> str:
        mark = await self._keep.mark(CASELOAD)
        if mark == seen:
            return seen
        kept = await self._keep.get_caseload()
        if kept is None:
            return seen  # it could not be read, which the next look may
        try:
            self._partition.put_in_force(kept, self._clock())
        except ValueError:
            self.refused += 1
            log.exception("caseload_refused", version=kept.version)
        return mark

    async def _on_change(self, _message: Msg) -> None:
        self._changed.set()
