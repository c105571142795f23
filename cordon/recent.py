"""What devices sent lately: remembered by a service that stands by, or read from what the broker holds.

What was on its way to a service that died comes again only when the broker's patience ends
(`ack_wait`). So whoever stands by listens to the broker's subjects as well, and when he takes over he
puts the last moments into the journal at once. Nearly all of it is there already: repetitions are
told by device and sequence number, as always.

Who starts alone has heard nothing. But nats-server keeps each message until it is acknowledged
everywhere, in a stream that can be read: what lies there first was on its way to the one that died.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from operator import itemgetter

import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.js.errors import Error as JetStreamError
from nats.js.errors import NotFoundError

from cordon.lease import LEASE_S
from devices.ending import end_if_told
from devices.instants import MICROSECONDS, Clock, from_datetime
from devices.reports import Batch, Message
from ingest.decoder import Decoder
from ingest.native import KINDS
from ingest.session import MAX_BATCH_MESSAGES

HOLD_S = 2 * LEASE_S
"""How long a message is remembered: longer than it takes to notice that nobody is in charge."""

MAX_MESSAGES = 20_000
"""Remembered at most; beyond it the oldest is let go, and comes by the broker's patience."""


HELD_STREAM = "$MQTT_msgs"
HELD_SUBJECT = "$MQTT.msgs."
"""Where nats-server keeps what devices publish, and what it puts before the subject."""

MOST_HELD = 1_000
HELD_READ_S = 0.5
"""The most that is read of each kind there, and how long: what died had a few dozens in its hands. The
rest comes by the session."""

log = structlog.get_logger("service")


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
        self._held: list[tuple[int, Message]] = []

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

    async def read_held(self) -> None:
        """Take in what the broker holds unacknowledged, the oldest first.

        Another broker than nats-server, or one that does not let us read it, hands it over itself
        when its patience ends.
        """
        try:
            async with asyncio.timeout(HELD_READ_S):
                for kind in KINDS:
                    await self._read_held(f"{HELD_SUBJECT}cordon.v1.*.{kind}")
        except TimeoutError:
            log.info("held_messages_left_to_the_session", read=len(self._held))
        except (nats.errors.Error, JetStreamError) as error:
            log.info("held_messages_unread", reason=str(error) or type(error).__name__)

    async def _read_held(self, subject: str) -> None:
        js, after = self._nc.jetstream(), 0
        for _ in range(MOST_HELD):
            end_if_told()  # also when the time is up
            try:
                found = await js.get_msg(HELD_STREAM, after + 1, subject=subject, next=True)
            except NotFoundError:
                return
            after = found.seq or 0
            topic = (found.subject or "").removeprefix(HELD_SUBJECT).replace(".", "/")
            came_us = self._clock() if found.time is None else from_datetime(found.time)
            message = Message(min(came_us, self._clock()), topic, found.data or b"")
            self._held.append((after, message))

    def batches(self, gateway: str, decoder: Decoder) -> Iterator[Batch]:
        """What was heard within `HOLD_S` or read, ready for the journal.

        Each is decoded when it is taken: in between others have their turn.
        """
        self._forget()
        held = [message for _, message in sorted(self._held, key=itemgetter(0))]
        messages = [*held, *self._messages]
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
