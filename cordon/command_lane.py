"""Sends what the command desk hands out. It repeats what is not answered, so nothing waits here."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from alerts.channels import MqttPublisher
from alerts.deliveries import BearerOf
from devices.command_desk import Sending
from devices.commands import HandsetAddress, Outgoing, address_of, to_handset, to_tag
from devices.instants import Clock

log = structlog.get_logger("commands")

WAITING_LIMIT = 10_000
"""Commands that may wait to be sent. Beyond it the oldest is let go; the desk hands it out again."""

IN_FLIGHT = 64
"""Commands being sent at a time."""


@dataclass(slots=True)
class LaneCounts:
    """Counted since the start of the process.

    Attributes:
        sent: The broker has taken charge of it.
        failed: The broker did not confirm it.
        expired: Too old to be sent: decided while the journal was read again, say.
        unaddressed: The device is assigned to nobody any more.
        dropped: Let go at `WAITING_LIMIT`.
    """

    sent: int = 0
    failed: int = 0
    expired: int = 0
    unaddressed: int = 0
    dropped: int = 0


class CommandLane:
    """The way of commands to devices.

    Args:
        publisher: MQTT connection.
        bearer_of: The assignment of a device now: what may be sent to it depends on who has it.
        clock: The time.
    """

    def __init__(self, publisher: MqttPublisher, bearer_of: BearerOf, clock: Clock) -> None:
        self.counts = LaneCounts()
        self._publisher = publisher
        self._bearer_of = bearer_of
        self._clock = clock
        self._waiting: deque[Sending] = deque()
        self._wake = asyncio.Event()

    def put(self, sendings: Sequence[Sending]) -> None:
        """Have commands sent. Returns at once."""
        for sending in sendings:
            if len(self._waiting) >= WAITING_LIMIT:
                self._waiting.popleft()
                self.counts.dropped += 1
            self._waiting.append(sending)
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        free = asyncio.Semaphore(IN_FLIGHT)
        async with asyncio.TaskGroup() as group:
            while True:
                while not self._waiting:
                    self._wake.clear()
                    await self._wake.wait()
                await free.acquire()
                task = group.create_task(self._send(self._waiting.popleft()))
                task.add_done_callback(lambda _task: free.release())

    async def _send(self, sending: Sending) -> None:
        if self._clock() >= sending.expires_us:
            self.counts.expired += 1
            return
        outgoing = self._addressed(sending)
        if outgoing is None:
            self.counts.unaddressed += 1
            return
        try:
            await self._publisher.publish(outgoing.topic, outgoing.payload)
        except Exception as error:  # noqa: BLE001 - it may fail in any way; the desk repeats it
            self.counts.failed += 1
            log.warning("command_not_sent", device=sending.device, reason=type(error).__name__)
        else:
            self.counts.sent += 1

    def _addressed(self, sending: Sending) -> Outgoing | None:
        bearer = self._bearer_of(sending.device)
        if bearer is None or bearer.person is None:
            return None
        address = address_of(bearer)
        if isinstance(address, HandsetAddress):
            return to_handset(address, sending.command)
        return to_tag(address, sending.command)
