"""What devices sent lately, remembered by a service that stands by.

What was on its way to a service that died comes again only when the broker's patience ends
(`ack_wait`). So whoever stands by listens to the broker's subjects as well, and when he takes over he
puts the last moments into the journal at once. Nearly all of it is there already: repetitions are
told by device and sequence number, as always.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon.lease import LEASE_S
from devices.instants import MICROSECONDS, Clock
from devices.reports import Batch, Message
from ingest.decoder import Decoder
from ingest.native import KINDS
from ingest.session import MAX_BATCH_MESSAGES

HOLD_S = 2 * LEASE_S
"""How long a message is remembered: longer than it takes to notice that nobody is in charge."""

MAX_MESSAGES = 20_000
"""Remembered at most; beyond it the oldest is let go, and comes by the broker's patience."""


class Recent:
    """The last messages of all devices.

    Args:
        nc: A connection that reads the devices' subjects.
        clock: The time.
    """

    def __init__(self, nc: NatsClient, clock: Clock) -> None:
        self._nc = nc
        self._clock = clock
        self._messages: deque[Message] = deque(maxlen=MAX_MESSAGES)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Remember what comes while inside."""
        subjects = [f"cordon.v1.*.{kind}" for kind in KINDS]
        subscriptions = [await self._nc.subscribe(one, cb=self._hear) for one in subjects]
        try:
            yield
        finally:
            if not self._nc.is_closed:
                for subscription in subscriptions:
                    await subscription.unsubscribe()

    def batches(self, gateway: str, decoder: Decoder) -> Iterator[Batch]:
        """What was heard within `HOLD_S`, ready for the journal.

        Each is decoded when it is taken: in between others have their turn.
        """
        self._forget()
        messages = list(self._messages)
        for number, start in enumerate(range(0, len(messages), MAX_BATCH_MESSAGES), 1):
            yield decoder.decode(
                messages[start : start + MAX_BATCH_MESSAGES],
                gateway=f"{gateway}.recent",
                number=number,
                received_us=self._clock(),
            )

    async def _hear(self, message: Msg) -> None:
        topic = message.subject.replace(".", "/")
        self._messages.append(Message(self._clock(), topic, bytes(message.data)))
        self._forget()

    def _forget(self) -> None:
        oldest_us = self._clock() - int(HOLD_S * MICROSECONDS)
        while self._messages and self._messages[0].received_us < oldest_us:
            self._messages.popleft()
