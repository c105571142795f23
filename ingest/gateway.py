"""The gateway: takes what devices report from the broker and acknowledges it once it is journaled.

One connection is one scope: its client, the messages it brought that are not yet acknowledged, and
the tasks that journal them begin and end together, since a packet id means nothing on any other
connection. Whatever was not acknowledged comes again on the next one. So a message may be journaled
twice, and is never lost; whoever reads the journal tells repetitions by device and sequence number.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import aiomqtt
import structlog

from devices.instants import Clock
from devices.reports import Batch, Message
from ingest.decoder import Decoder
from ingest.ending import end_if_told
from ingest.journal import JournalUnavailableError
from ingest.mqtt import BACKOFF_FIRST_S, BACKOFF_MOST_S, AckClient, Incoming, MqttBroker
from ingest.native import TOPIC_FILTERS

MAX_BATCH_MESSAGES = 500
MAX_BATCH_BYTES = 512 * 1024
"""Payloads of one batch. With rows and reasons it nearly always fits one journal entry."""

PACE_S = 0.005
"""A batch goes when the one before is in the journal, and after this at the latest: so a batch is
what has arrived meanwhile, one fix when it is quiet and many when it is not, and a journal that
stalls delays no alert by more than this."""

FINISH_LIMIT_S = 2.0
"""How long a gateway that is told to stop waits for the journal to confirm what is on its way."""

IDENTIFIER = "cordon-gateway-0"
"""The session at the broker. A standby that connects with the same one takes it over."""

log = structlog.get_logger("ingest")


class Journal(Protocol):
    """Where batches are kept: `ingest.journal.JournalWriter`."""

    async def append(self, batch: Batch) -> int:
        """Returns the position once the batch is kept; raises if it is not known to be."""


@dataclass
class GatewayCounts:
    """What a gateway has done since it was made.

    `messages` counts arrivals; fixes, events, receipts, statuses and refusals count what has been
    journaled. `repeated` are arrivals of a message that is being journaled at that moment,
    `retained` those that the broker kept and sent because of a subscription.
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


@dataclass
class _Connection:
    """A connection with its unacknowledged messages, by packet id, and its running tasks."""

    client: AckClient
    unacked: dict[int, Incoming] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


class Gateway:
    """Carries reports from the broker into the journal.

    Attributes:
        name: Names this gateway and its start; no two starts share it.
        ready: Set while the subscriptions stand.
        counts: See `GatewayCounts`.
    """

    def __init__(
        self,
        broker: MqttBroker,
        journal: Journal,
        clock: Clock,
        *,
        identifier: str = IDENTIFIER,
    ) -> None:
        self.name = f"{identifier}-{secrets.token_hex(4)}"
        self.ready = asyncio.Event()
        self.counts = GatewayCounts()
        self._broker = broker
        self._journal = journal
        self._clock = clock
        self._identifier = identifier
        self._decoder = Decoder()
        self._number = 0
        self._backoff_s = BACKOFF_FIRST_S
        self._unacked: dict[int, Incoming] = {}

    @property
    def unacked(self) -> int:
        """Messages taken from the broker and not yet acknowledged."""
        return len(self._unacked)

    async def run(self) -> None:
        """Serves connection after connection until it is cancelled.

        When cancelled it stops taking messages, waits up to `FINISH_LIMIT_S` for the journal to
        confirm what is on its way, acknowledges that, and leaves the rest with the broker.
        """
        while True:
            try:
                await self._serve()
            except* (aiomqtt.MqttError, JournalUnavailableError) as group:
                reasons = [str(error) for error in group.exceptions]
                log.warning("gateway_disconnected", reasons=reasons, retry_s=self._backoff_s)
            finally:
                self.ready.clear()
            end_if_told()
            self.counts.reconnects += 1
            await asyncio.sleep(self._backoff_s)
            self._backoff_s = min(2 * self._backoff_s, BACKOFF_MOST_S)

    async def _serve(self) -> None:
        """One connection from beginning to end; always ends by an exception."""
        client = AckClient(self._broker, identifier=self._identifier, clock=self._clock)
        async with client:
            await client.listen(TOPIC_FILTERS)
            self.ready.set()
            self._backoff_s = BACKOFF_FIRST_S
            log.info("gateway_ready", gateway=self.name)
            connection = _Connection(client)
            self._unacked = connection.unacked
            async with asyncio.TaskGroup() as group:
                try:
                    while True:
                        arrived = await client.take(MAX_BATCH_MESSAGES, MAX_BATCH_BYTES)
                        if keeping := self._start(group, connection, arrived):
                            await asyncio.wait({keeping}, timeout=PACE_S)
                except asyncio.CancelledError:
                    await _finish(connection.tasks)
                    raise

    def _start(
        self, group: asyncio.TaskGroup, connection: _Connection, arrived: Sequence[Incoming]
    ) -> asyncio.Task[None] | None:
        """Decodes what arrived and sets a task on journaling it; does not wait for that."""
        self.counts.messages += len(arrived)
        self.counts.retained += sum(message.retained for message in arrived)
        fresh = [message for message in arrived if not _is_repeated(connection, message)]
        self.counts.repeated += len(arrived) - len(fresh)
        if not fresh:
            return None
        connection.unacked.update((message.mid, message) for message in fresh if message.qos)
        self._number += 1
        batch = self._decoder.decode(
            [Message(message.received_us, message.topic, message.payload) for message in fresh],
            gateway=self.name,
            number=self._number,
            # A clock may step back; a batch is never closed before what is in it arrived.
            received_us=max(self._clock(), *(message.received_us for message in fresh)),
        )
        task = group.create_task(self._keep(connection, fresh, batch), name=f"keep-{self._number}")
        connection.tasks.add(task)
        task.add_done_callback(connection.tasks.discard)
        return task

    async def _keep(
        self, connection: _Connection, messages: Sequence[Incoming], batch: Batch
    ) -> None:
        """Journals a batch; only then acknowledges its messages, on their own connection."""
        await self._journal.append(batch)
        self._count(batch)
        for message in messages:
            connection.unacked.pop(message.mid, None)
        self.counts.acked += connection.client.ack(messages)

    def _count(self, batch: Batch) -> None:
        self.counts.batches += 1
        self.counts.fixes += len(batch.fixes)
        self.counts.events += len(batch.events)
        self.counts.receipts += len(batch.receipts)
        self.counts.statuses += len(batch.statuses)
        self.counts.refusals.update(refusal.code for refusal in batch.refusals)


def _is_repeated(connection: _Connection, message: Incoming) -> bool:
    """Whether it is already on its way into the journal.

    A broker repeats what stays unacknowledged for long, under the same packet id. Taking it again
    would pile up copies for as long as the journal stalls.
    """
    known = connection.unacked.get(message.mid) if message.qos else None
    return known is not None and known[1:3] == message[1:3]


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """Gives running tasks a limited time. What is left is cancelled by the group."""
    if tasks:
        await asyncio.wait(set(tasks), timeout=FINISH_LIMIT_S)
