"""The worker of one partition: journal in, decisions and alerts out.

It reads the journal twice. The *live* path is a plain subscription to the subject the gateway
publishes on: it gives each batch at once, before the disk has it, and has no memory. The
*durable* path reads the stream in order: it comes a little later, brings every batch, and says
how far the state has come. Whichever path brings a batch first has it applied; the other only
moves the position. So a stalled disk delays no alert, and neither a lost subscription nor a
crash loses one: after a restart the worker goes back to its checkpoint and reads on from there,
and derived ids make what is decided a second time the same as the first.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from alerts.model import AlertChange
from cordon.checkpoint import CHECKPOINT, Checkpoint, read_recorded
from cordon.keep import CASELOAD_SUBJECT, Keep
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from devices.instants import Clock
from devices.reports import BatchFormatError, decode_batch
from ingest.journal import BATCH_HEADER
from ingest.reader import Entry, JournalGap, StreamReader
from ingest.streams import JOURNAL, alert_subject, journal_subject

log = structlog.get_logger("worker")

REMEMBERED_NAMES = 20_000
"""Names of batches applied lately. One that is forgotten and comes again is applied again, which
changes nothing (see `docs/decisions/0003-journal-read-twice.md`)."""

TICK_LAG_US = 200_000
"""A tick waits so long for batches received before it, so that a replay, which has them in order,
ticks at the same place."""

READ_WAIT_S = 1.0


@dataclass(slots=True)
class WorkerCounts:
    """Counted since the start of the process.

    Attributes:
        batches_live, batches_durable: Applied from the one path or the other.
        damaged: Entries that could not be read.
        gaps: Breaks in the journal that were passed.
    """

    batches_live: int = 0
    batches_durable: int = 0
    damaged: int = 0
    gaps: int = 0
    checkpoints: int = 0


class Worker:
    """Keeps a partition up with the journal.

    Args:
        nc: Connection for the live path and for reading the journal.
        keep: Where caseload and checkpoint lie.
        partition: The state.
        outgoing: Where the partition's results go.
        clock: The time.
        tick_s: Interval of the sweeps.
        checkpoint_s: Least time between two checkpoints.
    """

    def __init__(
        self,
        nc: NatsClient,
        keep: Keep,
        partition: Partition,
        outgoing: Outgoing,
        clock: Clock,
        *,
        tick_s: float,
        checkpoint_s: float,
        number: int = 0,
    ) -> None:
        self.partition = partition
        self.counts = WorkerCounts()
        self.caught_up = asyncio.Event()
        self.last_applied_us = 0
        self.lag_ms: float | None = None
        self._nc = nc
        self._keep = keep
        self._outgoing = outgoing
        self._clock = clock
        self._tick_s = tick_s
        self._checkpoint_s = checkpoint_s
        self._subject = journal_subject(number)
        self._alert_subject = alert_subject(number)
        self._names: OrderedDict[str, None] = OrderedDict()

    async def run(self) -> None:
        """Restore, catch up, then follow the journal until cancelled."""
        self.caught_up.clear()
        await self._restore()
        async with self._listening(), asyncio.TaskGroup() as group:
            group.create_task(self._follow_journal(), name="journal")
            group.create_task(self._keep_ticking(), name="ticks")
            group.create_task(self._keep_checkpoints(), name="checkpoints")

    async def _restore(self) -> None:
        self._names.clear()
        kept = await self._keep.get_caseload()
        data = await self._keep.get(CHECKPOINT)
        checkpoint = msgspec.msgpack.decode(data, type=Checkpoint) if data else None
        after = checkpoint.alerts_position if checkpoint else 0
        recorded = await read_recorded(self._nc, self._alert_subject, after=after)
        self.counts.damaged += recorded.damaged
        changes = [entry for entry in recorded.entries if isinstance(entry, AlertChange)]
        self.partition.restore(kept, checkpoint, changes, self._clock())
        self._outgoing.restore(checkpoint.outgoing if checkpoint else None, recorded)
        log.info("worker_restored", position=self.partition.position, recorded=len(changes))

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        live = await self._nc.subscribe(self._subject, cb=self._on_live)
        plans = await self._nc.subscribe(CASELOAD_SUBJECT, cb=self._on_caseload)
        try:
            yield
        finally:
            if not self._nc.is_closed:
                await live.unsubscribe()
                await plans.unsubscribe()

    async def _on_caseload(self, _message: Msg) -> None:
        kept = await self._keep.get_caseload()
        if kept:
            self.partition.put_in_force(kept, self._clock())

    # -- the two paths ----------------------------------------------------------------------

    async def _on_live(self, message: Msg) -> None:
        # Until the journal has been read to its end, newer batches must wait for older ones.
        if not self.caught_up.is_set():
            return
        name = (message.headers or {}).get(BATCH_HEADER, "")
        if name not in self._names and self._apply(message.data):
            self.counts.batches_live += 1

    async def _follow_journal(self) -> None:
        js = self._nc.jetstream()
        while True:
            reader = StreamReader(js, JOURNAL, self._subject, after=self.partition.position)
            try:
                while True:
                    for entry in await reader.read(READ_WAIT_S):
                        self._take(entry)
                    if reader.caught_up and not self.caught_up.is_set():
                        self.partition.go_live(self._clock())
                        self.caught_up.set()
                        log.info("worker_caught_up", position=self.partition.position)
            except JournalGap as gap:
                await self._pass_gap(gap)
            finally:
                await reader.close()

    def _take(self, entry: Entry) -> None:
        known = entry.headers.get(BATCH_HEADER, "") in self._names
        if not known and self._apply(entry.data):
            self.counts.batches_durable += 1
        self.partition.position = entry.position

    async def _pass_gap(self, gap: JournalGap) -> None:
        """What is gone is gone: go on with what is there, and say so. Alerts must not stop."""
        self.counts.gaps += 1
        log.error("journal_gap", wanted=gap.wanted, found=gap.found)
        state = (await self._nc.jetstream().stream_info(JOURNAL)).state
        self.partition.position = gap.found - 1 if gap.found else state.last_seq
        self.caught_up.set()
        await asyncio.sleep(READ_WAIT_S)

    def _apply(self, data: bytes) -> bool:
        try:
            batch = decode_batch(data)
        except BatchFormatError:
            # Evidence keeps the bytes; here nothing can be decided from them.
            self.counts.damaged += 1
            log.exception("journal_entry_damaged", position=self.partition.position + 1)
            return False
        self._names[batch.name] = None
        if len(self._names) > REMEMBERED_NAMES:
            self._names.popitem(last=False)
        self.partition.apply(batch)
        self.last_applied_us = batch.received_us
        self.lag_ms = (self._clock() - batch.received_us) / 1000
        return True

    # -- time -------------------------------------------------------------------------------

    async def _keep_ticking(self) -> None:
        await self.caught_up.wait()
        while True:
            await asyncio.sleep(self._tick_s)
            self.partition.tick_until(self._clock() - TICK_LAG_US)

    async def _keep_checkpoints(self) -> None:
        await self.caught_up.wait()
        written_for: tuple[int, int] | None = None
        while True:
            await asyncio.sleep(self._checkpoint_s)
            state = (self.partition.position, self.partition.ticked_us)
            if state != written_for and await self._write_checkpoint():
                written_for = state

    async def _write_checkpoint(self) -> bool:
        """Keep the present state; False when what it rests on is not on disk yet."""
        checkpoint = self.partition.checkpoint()
        if not await self._outgoing.drained():
            return False
        await self._keep.put(CHECKPOINT, msgspec.msgpack.encode(checkpoint))
        self.counts.checkpoints += 1
        return True
