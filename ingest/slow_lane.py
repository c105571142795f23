"""The slow lane: messages that need not be taken in at once, kept as they came until there is time.

They are journaled raw in a stream of their own, and so may be acknowledged. From there they are
decoded one message at a time, with a rest after each, and go into the journal like all others. What
stands in the stream is what is still to be done: nothing else has to be remembered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import nats.errors
import structlog
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError

from devices.ending import end_if_told
from devices.instants import MICROSECONDS, Clock
from devices.reports import Batch, BatchFormatError, Message, decode_batch, no_fixes
from ingest.decoder import Decoder
from ingest.journal import JournalUnavailableError, JournalWriter
from ingest.reader import JournalGap, StreamReader
from ingest.streams import DEFERRED, deferred_subject

READ_WAIT_S = 1.0
GROUP = 16
"""Entries read at once; an entry may have 1 MiB."""

REST_SHARE = 2.0
"""After each message a rest of so many times what it took: where the lane shares an event loop, it
has a third of the loop's time at most."""

QUIET_S = 0.5
PATIENCE_S = 10.0
"""While more is being kept, what is there waits, so long at most: a thousand devices that flush are to be
acknowledged first, and what they sent is old as it is. It is quiet when so long nothing was kept."""

IN_FLIGHT = 4
"""Batches on their way into the journal at once."""

RETRY_S = 1.0

log = structlog.get_logger("ingest")


@dataclass
class SlowCounts:
    """What a lane has done since it was made.

    Attributes:
        deferred: Messages kept for later.
        taken_in: Of these and those of earlier runs, the ones that are in the journal now.
        damaged: Entries of the stream that could not be read, and were let go.
        refusals: Messages and items refused when they were taken in, by code.
    """

    deferred: int = 0
    taken_in: int = 0
    damaged: int = 0
    refusals: dict[str, int] = field(default_factory=dict)


class SlowLane:
    """Keeps messages and takes them in later.

    Args:
        nc: The gateway's connection.
        journal: Where the decoded batches go.
        clock: The time.
        gateway: Name of the gateway this belongs to.
        rest_share: See `REST_SHARE`.
        decoder: Reads the messages. None: a new one.

    Attributes:
        counts: See `SlowCounts`.
        waiting: Entries still to be taken in.
    """

    def __init__(
        self,
        nc: NATS,
        journal: JournalWriter,
        clock: Clock,
        *,
        gateway: str,
        rest_share: float = REST_SHARE,
        decoder: Decoder | None = None,
    ) -> None:
        self.counts = SlowCounts()
        self.waiting = 0
        self._rest_share = rest_share
        self._nc = nc
        self._journal = journal
        self._clock = clock
        self._name = f"{gateway}.slow"
        self._number = 0
        self._kept = 0
        self._newest = 0  # position in the stream, at the last look
        self._keeper = JournalWriter(nc, subject=deferred_subject(0), stream=DEFERRED)
        self._decoder = decoder or Decoder()

    async def keep(self, messages: Sequence[Message]) -> None:
        """Keep messages as they are; returns when they are on file.

        Raises:
            JournalUnavailableError: They are not known to be; they must not be acknowledged.
        """
        self._kept += 1
        raw = Batch(
            gateway=f"{self._name}.raw",
            number=self._kept,
            received_us=max(self._clock(), *(message.received_us for message in messages)),
            messages=tuple(messages),
            fixes=no_fixes(),
        )
        await self._keeper.append(raw)
        self.counts.deferred += len(messages)
        self.waiting += 1

    async def run(self) -> None:
        """Take in what is kept, for ever."""
        while True:
            end_if_told()
            try:
                await self._follow()
            except* (nats.errors.Error, JetStreamError, JournalUnavailableError) as group:
                reasons = {type(error).__name__ for error in group.exceptions}
                log.warning("slow_lane_waits", reason=", ".join(sorted(reasons)))
            except* JournalGap:
                log.exception("slow_lane_gap")
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        js = self._nc.jetstream()
        state = (await js.stream_info(DEFERRED)).state
        reader = StreamReader(
            js, DEFERRED, deferred_subject(0), max(0, state.first_seq - 1), max_group=GROUP
        )
        try:
            while True:
                entries = await reader.read(READ_WAIT_S)
                kept = [batch for entry in entries if (batch := self._read(entry.data))]
                if kept:
                    await self._until_quiet(js, kept[0].received_us)
                await self._take_in(kept)
                if entries:
                    await js.purge_stream(DEFERRED, seq=entries[-1].position + 1)
                    self.waiting = (await js.stream_info(DEFERRED)).state.messages
                elif reader.caught_up:
                    self.waiting = 0
        finally:
            await reader.close()

    async def _until_quiet(self, js: JetStreamContext, kept_us: int) -> None:
        """See `PATIENCE_S`; `kept_us` is when the first of what is there was kept."""
        while self._clock() < kept_us + int(PATIENCE_S * MICROSECONDS):
            before, self._newest = self._newest, (await js.stream_info(DEFERRED)).state.last_seq
            if self._newest == before:
                return
            await asyncio.sleep(QUIET_S)

    async def _take_in(self, kept: Sequence[Batch]) -> None:
        """Decode what was kept and journal it; returns when the journal has all of it."""
        slots = asyncio.Semaphore(IN_FLIGHT)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for message in (message for raw in kept for message in raw.messages):
                await slots.acquire()
                began_s = loop.time()
                batch = self._decoded(message)
                took_s = loop.time() - began_s
                journaling = group.create_task(self._journal_one(batch))
                journaling.add_done_callback(lambda _task: slots.release())
                await asyncio.sleep(self._rest_share * took_s)

    async def _journal_one(self, batch: Batch) -> None:
        await self._journal.append(batch)
        self.counts.taken_in += 1
        for refusal in batch.refusals:
            codes = self.counts.refusals
            codes[refusal.code] = codes.get(refusal.code, 0) + 1

    def _read(self, data: bytes) -> Batch | None:
        try:
            return decode_batch(data)
        except BatchFormatError:
            self.counts.damaged += 1
            log.exception("deferred_entry_damaged")
            return None

    def _decoded(self, message: Message) -> Batch:
        self._number += 1
        return self._decoder.decode(
            [message],
            gateway=self._name,
            number=self._number,
            received_us=max(self._clock(), message.received_us),
        )
