"""Whether the broker still answers: a connection that stands says little about it."""

from __future__ import annotations

import asyncio

import nats.errors
from nats.aio.client import Client as NatsClient

BEAT_S = 2.0
ANSWER_LIMIT_S = 2
SILENT_AFTER_S = 6.0
"""Without an answer for so long the broker counts as away. A server that hangs keeps its
connections open, and what is published to it seems to go well."""


class Heartbeat:
    """Asks the broker for an answer every `BEAT_S`."""

    def __init__(self, nc: NatsClient) -> None:
        self._nc = nc
        self._answered_s: float | None = None

    @property
    def silent(self) -> bool:
        """Whether the broker has not answered for `SILENT_AFTER_S`, or never yet."""
        if self._answered_s is None:
            return True
        return asyncio.get_running_loop().time() - self._answered_s > SILENT_AFTER_S

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            try:
                await self._nc.flush(ANSWER_LIMIT_S)
                self._answered_s = asyncio.get_running_loop().time()
            except (nats.errors.Error, OSError, TimeoutError):
                pass  # it shows in `silent`
            await asyncio.sleep(BEAT_S)
