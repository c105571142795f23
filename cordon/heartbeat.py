"""Whether the broker still answers: a connection that stands says little about it.

The service asks where nobody answers, and the broker says so to an inbox of the same connection. So
the whole way is tried, to the broker and back into this program, over a connection that does not hear
itself, too. nats-py's own question and answer (`flush`) must not be used for it: an answer that comes
after its time limit ends the task that reads the connection, which then stays deaf and looks sound.
"""

from __future__ import annotations

import asyncio

import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from devices.ending import end_if_told

log = structlog.get_logger("heartbeat")

SUBJECT = "core.heartbeat"
"""Nobody may subscribe to it."""

BEAT_S = 2.0
SILENT_AFTER_S = 6.0
"""Without an answer for so long the broker counts as away. A server that hangs keeps its
connections open, and what is published to it seems to go well."""

RECONNECT_AFTER_S = 15.0
"""A connection that stands and has brought nothing for so long is made anew: it may be deaf."""


class Heartbeat:
    """Asks the broker every `BEAT_S`, over each of the service's connections."""

    def __init__(self, *connections: NatsClient) -> None:
        self._beats = [_Beat(nc) for nc in connections]

    @property
    def silent(self) -> bool:
        """Whether a connection has brought nothing back for `SILENT_AFTER_S`, or never yet."""
        now_s = asyncio.get_running_loop().time()
        return any(
            beat.heard_s is None or now_s - beat.heard_s > SILENT_AFTER_S for beat in self._beats
        )

    async def run(self) -> None:
        """Ask and listen until cancelled."""
        async with asyncio.TaskGroup() as group:
            for beat in self._beats:
                group.create_task(beat.run(), name="beat")


class _Beat:
    """One connection, and when it last brought something back, by the loop's clock."""

    def __init__(self, nc: NatsClient) -> None:
        self._nc = nc
        self.heard_s: float | None = None

    async def run(self) -> None:
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox, cb=self._hear)
        patience_from_s = asyncio.get_running_loop().time()
        try:
            while True:
                end_if_told()
                patience_from_s = await self._beat(inbox, patience_from_s)
                await asyncio.sleep(BEAT_S)
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()

    async def _beat(self, inbox: str, patience_from_s: float) -> float:
        """Ask once; returns since when a standing connection has been given time to answer."""
        now_s = asyncio.get_running_loop().time()
        if not self._nc.is_connected:
            return now_s
        try:
            if now_s - max(patience_from_s, self.heard_s or 0.0) > RECONNECT_AFTER_S:
                log.warning("connection_made_anew", silent_s=now_s - patience_from_s)
                await self._nc.force_reconnect()
                return now_s
            await self._nc.publish(SUBJECT, b"", reply=inbox)
        except (nats.errors.Error, OSError):
            pass  # it shows in `silent`
        return patience_from_s

    async def _hear(self, _message: Msg) -> None:
        self.heard_s = asyncio.get_running_loop().time()
