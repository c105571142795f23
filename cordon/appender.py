"""Append to a JetStream stream in order, without making the caller wait.

The worker must not wait for the disk: it hands a record over and goes on. Whoever needs to know
that everything handed over is on disk (the checkpoint does) waits for `drained`.
"""

from __future__ import annotations

import asyncio
from collections import deque

import nats.errors
import structlog
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError

from devices.ending import end_if_told

log = structlog.get_logger("appender")

MAX_WAITING = 100_000
"""Records kept in memory while the broker does not take them. Beyond it the oldest is let go:
the checkpoint then stays behind it, so a restart makes it again from the journal."""

ACK_TIMEOUT_S = 2.0
RETRY_S = 0.5


class Appender:
    """Appends to one subject of a stream.

    Attributes:
        let_go: Records given up at `MAX_WAITING`; while it is not 0 `drained` stays False.
        last_position: Stream position of the record acknowledged last, 0 before the first.
    """

    def __init__(self, js: JetStreamContext, subject: str) -> None:
        self._js = js
        self._subject = subject
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.let_go = 0
        self.appended = 0
        self.retries = 0
        self.last_position = 0

    @property
    def waiting(self) -> int:
        """Records not yet on disk."""
        return len(self._waiting)

    def append(self, name: str, data: bytes) -> None:
        """Hand a record over. `name` lets the broker drop a repetition within its window."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.let_go += 1
        self._waiting.append((name, data))
        self._empty.clear()
        self._more.set()

    async def drained(self) -> bool:
        """Wait until nothing is waiting; False when a record had to be let go."""
        await self._empty.wait()
        return self.let_go == 0

    async def run(self) -> None:
        """Append what is handed over, each record until it is acknowledged."""
        while True:
            # First what an earlier run left behind, then what is to come.
            while self._waiting:
                end_if_told()
                name, data = self._waiting[0]
                position = await self._until_acknowledged(name, data)
                # The head may have been let go meanwhile; then it is acknowledged all the same.
                if self._waiting and self._waiting[0] == (name, data):
                    self._waiting.popleft()
                self.last_position = position
                self.appended += 1
            self._empty.set()
            self._more.clear()
            end_if_told()  # it may have been lost in the last publish
            await self._more.wait()

    async def _until_acknowledged(self, name: str, data: bytes) -> int:
        while True:
            end_if_told()
            try:
                acknowledgement = await self._js.publish(
                    self._subject, data, timeout=ACK_TIMEOUT_S, headers={"Nats-Msg-Id": name}
                )
            except (nats.errors.Error, JetStreamError, TimeoutError) as error:
                self.retries += 1
                log.warning("append_retried", subject=self._subject, reason=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            else:
                return acknowledgement.seq
