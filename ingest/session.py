"""One MQTT session of the gateway: takes messages and acknowledges them once they are kept.

One connection is one scope: its client, the messages it brought that are not yet acknowledged, and
the tasks that keep them begin and end together, since a packet id means nothing on any other
connection. Whatever was not acknowledged comes again on the next one. So a message may be kept
twice, and is never lost; whoever reads the journal tells repetitions by device and sequence number.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import aiomqtt
import structlog

from devices.ending import end_if_told
from devices.instants import Clock
from devices.reports import Batch, Message
from ingest.ack_client import AckClient, Incoming
from ingest.decoder import Decoder
from ingest.journal import JournalUnavailableError
from ingest.mqtt import BACKOFF_FIRST_S, BACKOFF_MOST_S, MqttBroker
from ingest.parts import Part
from ingest.tls import explained

MAX_BATCH_MESSAGES = 200
MAX_BATCH_BYTES = 64 * 1024
"""Payloads of one batch. Decoding so much takes some milliseconds, in which nothing else is done."""

BULK_AT_ONCE_BYTES = 384 * 1024
BULKS_AT_ONCE = 2
"""Payloads that are kept for later in one piece, and how many pieces are on their way at once. What a
thousand devices flush is hundreds of megabytes: the broker repeats, and sends all of it again, what is
not acknowledged within two seconds."""

BATCHES_ON_THEIR_WAY = 2
PACE_S = 0.02
FULL_PACE_S = 0.004
"""While so many batches are on their way into the journal the next one waits, this long at most (the
second, when more has arrived than one batch takes): so a batch is what has arrived meanwhile, one fix
when it is quiet and many when it is not, and a journal that stalls delays no alert by more than this.
Without any pace a backlog is published faster than the broker stores it."""

LEAVE_AFTER_S = 30.0
"""How long a session goes on with subscriptions of an earlier version: what waits in them would be
lost with them."""

FINISH_LIMIT_S = 2.0
"""How long a session that is told to stop waits for the journal to confirm what is on its way."""

log = structlog.get_logger("ingest")


class Journal(Protocol):
    """Where batches are kept: `ingest.journal.JournalWriter`."""

    def announce(self, batch: Batch) -> list[Part]:
        """Tells at once whoever decides on it, and returns it ready to be kept."""

    async def keep(self, announced: list[Part]) -> int:
        """Returns the position once the batch is kept; raises if it is not known to be."""

    def lose(self, announced: list[Part]) -> None:
        """Tells whoever decided on it that what is left of these is not known to be kept."""

    async def append(self, batch: Batch) -> int:
        """All three."""


@dataclass
class GatewayCounts:
    """What a gateway has done since it was made.

    `messages` counts arrivals; fixes, events, receipts, statuses and refusals count what has been
    journaled at once. `repeated` are arrivals of a message that has not been acknowledged yet,
    `retained` those that the broker kept and sent because of a subscription, `floods` the times
    that a device began to send more than it may.
    """

    messages: int = 0
    repeated: int = 0
    retained: int = 0
    batches: int = 0
    fixes: int = 0
    events: int = 0
    receipts: int = 0
    statuses: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    acked: int = 0
    reconnects: int = 0
    floods: int = 0


@dataclass(frozen=True)
class Lane:
    """What one session carries, and how.

    Attributes:
        name: Ends the name of its batches and its identifier at the broker.
        filters: Topics it subscribes to.
        others: Topics that a session of this name had in an earlier version; to be given up.
        is_urgent: By topic, whether a message goes before others that have arrived.
        is_bulk: By topic and bytes of the payload, whether it is to wait, however few there are.
        sort: Which of the messages may be taken in now; the others are to wait.
        defer: Keeps those; returns when they are on file.
    """

    name: str
    filters: tuple[str, ...]
    others: tuple[str, ...]
    is_urgent: Callable[[str], bool]
    is_bulk: Callable[[str, int], bool]
    sort: Callable[[Sequence[Incoming]], tuple[list[Incoming], list[Incoming]]]
    defer: Callable[[Sequence[Message]], Awaitable[None]]


@dataclass
class _Connection:
    """A connection with its running tasks."""

    client: AckClient
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Session:
    """Carries the reports of one lane from the broker into the journal.

    Args:
        lane: See `Lane`.
        identifier: Of the session at the broker.
        gateway: Name of the gateway; batches are named by it and the lane.
        counts, decoder: Shared by the sessions of a gateway.
        on_readiness: Called whenever `ready` may have changed.

    Attributes:
        ready: Set while the subscriptions stand.
    """

    def __init__(
        self,
        lane: Lane,
        broker: MqttBroker,
        journal: Journal,
        clock: Clock,
        *,
        identifier: str,
        gateway: str,
        counts: GatewayCounts,
        decoder: Decoder,
        on_readiness: Callable[[], None],
    ) -> None:
        self.ready = asyncio.Event()
        self._lane = lane
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._identifier = identifier
        self._name = f"{gateway}.{lane.name}"
        self._counts = counts
        self._on_readiness = on_readiness
        self._decoder = decoder
        self._number = 0
        self._backoff_s = BACKOFF_FIRST_S
        self._client: AckClient | None = None

    @property
    def unacked(self) -> int:
        """Messages that came from the broker and are not yet acknowledged."""
        return self._client.unacked if self._client else 0

    async def run(self) -> None:
        """Serves connection after connection until it is cancelled.

        When cancelled it stops taking messages, waits up to `FINISH_LIMIT_S` for the journal to
        confirm what is on its way, acknowledges that, and leaves the rest with the broker.
        """
        while True:
            try:
                await self._serve()
            except* (aiomqtt.MqttError, JournalUnavailableError) as group:
                reasons = [explained(error) for error in group.exceptions]
                lane, retry_s = self._lane.name, self._backoff_s
                log.warning("gateway_disconnected", lane=lane, reasons=reasons, retry_s=retry_s)
            finally:
                self.ready.clear()
                self._on_readiness()
            end_if_told()
            self._counts.reconnects += 1
            await asyncio.sleep(self._backoff_s)
            self._backoff_s = min(2 * self._backoff_s, BACKOFF_MOST_S)

    async def _serve(self) -> None:
        """One connection from beginning to end; always ends by an exception."""
        client = AckClient(
            self._broker,
            identifier=self._identifier,
            clock=self._clock,
            is_urgent=self._lane.is_urgent,
            is_bulk=self._lane.is_bulk,
            on_repeated=self._note_repeated,
        )
        async with client:
            await client.listen(self._lane.filters)
            self.ready.set()
            self._on_readiness()
            self._backoff_s = BACKOFF_FIRST_S
            log.info("gateway_ready", session=self._name)
            connection = _Connection(client)
            self._client = client
            async with asyncio.TaskGroup() as group:
                if self._lane.others:
                    group.create_task(self._leave_others(client), name="leave-others")
                bulks = [
                    group.create_task(self._defer_bulk(group, connection), name="bulk")
                    for _ in range(BULKS_AT_ONCE)
                ]
                try:
                    while True:
                        arrived = await client.take(MAX_BATCH_MESSAGES, MAX_BATCH_BYTES)
                        pace_s = FULL_PACE_S if client.waiting else PACE_S
                        self._start(group, connection, arrived)
                        if len(connection.tasks) >= BATCHES_ON_THEIR_WAY:
                            await asyncio.wait(
                                connection.tasks,
                                timeout=pace_s,
                                return_when=asyncio.FIRST_COMPLETED,
                            )
                        else:
                            await asyncio.sleep(0)  # `take` does not wait while something is there
                except asyncio.CancelledError:
                    for bulk in bulks:
                        bulk.cancel()
                    await _finish(connection.tasks)
                    raise

    async def _leave_others(self, client: AckClient) -> None:
        """Gives up what an earlier version subscribed to, once what waited there has come."""
        await asyncio.sleep(LEAVE_AFTER_S)
        await client.leave(self._lane.others)

    def _start(
        self, group: asyncio.TaskGroup, connection: _Connection, arrived: Sequence[Incoming]
    ) -> set[asyncio.Task[None]]:
        """Decodes what arrived, has it decided on and sets tasks on keeping it; does not wait."""
        self._note_arrived(arrived)
        now, later = self._lane.sort(arrived)
        tasks = set()
        if now:
            batch = self._decoded(now)
            # Here and not in the task, which has its turn after all that has arrived meanwhile.
            announced = self._journal.announce(batch)
            keeping = group.create_task(self._keep(connection, now, batch, announced))
            # However it ends, and even if it never begins: the connection may be lost before.
            keeping.add_done_callback(lambda _: self._journal.lose(announced))
            tasks.add(keeping)
        if later:
            tasks.add(group.create_task(self._defer(connection, later)))
        for task in tasks:
            _track(connection, task)
        return tasks

    async def _defer_bulk(self, group: asyncio.TaskGroup, connection: _Connection) -> None:
        """Has kept for later what is to wait in any case, so that nothing else waits for it."""
        while True:
            arrived = await connection.client.take_bulk(BULK_AT_ONCE_BYTES)
            self._note_arrived(arrived)
            deferring = group.create_task(self._defer(connection, arrived))
            _track(connection, deferring)
            await asyncio.wait({deferring})

    def _note_arrived(self, arrived: Sequence[Incoming]) -> None:
        self._counts.messages += len(arrived)
        self._counts.retained += sum(message.retained for message in arrived)

    def _note_repeated(self) -> None:
        self._counts.messages += 1
        self._counts.repeated += 1

    def _decoded(self, messages: Sequence[Incoming]) -> Batch:
        self._number += 1
        return self._decoder.decode(
            [as_received(message) for message in messages],
            gateway=self._name,
            number=self._number,
            # A clock may step back; a batch is never closed before what is in it arrived.
            received_us=max(self._clock(), *(message.received_us for message in messages)),
        )

    async def _keep(
        self,
        connection: _Connection,
        messages: Sequence[Incoming],
        batch: Batch,
        announced: list[Part],
    ) -> None:
        """Journals a batch; only then acknowledges its messages, on their own connection."""
        await self._journal.keep(announced)
        self._count(batch)
        self._acknowledge(connection, messages)

    async def _defer(self, connection: _Connection, messages: Sequence[Incoming]) -> None:
        """Has messages kept for later; only then acknowledges them."""
        await self._lane.defer([as_received(message) for message in messages])
        self._acknowledge(connection, messages)

    def _acknowledge(self, connection: _Connection, messages: Sequence[Incoming]) -> None:
        self._counts.acked += connection.client.ack(messages)

    def _count(self, batch: Batch) -> None:
        counts = self._counts
        counts.batches += 1
        counts.fixes += len(batch.fixes)
        counts.events += len(batch.events)
        counts.receipts += len(batch.receipts)
        counts.statuses += len(batch.statuses)
        counts.refusals.update(refusal.code for refusal in batch.refusals)


def as_received(message: Incoming) -> Message:
    """What is journaled of a message."""
    return Message(message.received_us, message.topic, message.payload)


def _track(connection: _Connection, task: asyncio.Task[None]) -> None:
    connection.tasks.add(task)
    task.add_done_callback(connection.tasks.discard)


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """Gives running tasks a limited time. What is left is cancelled by the group."""
    if tasks:
        await asyncio.wait(set(tasks), timeout=FINISH_LIMIT_S)
