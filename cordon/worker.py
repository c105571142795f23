"""The worker of one partition: journal in, decisions and alerts out.

It reads the journal twice. The *live* path is a plain subscription to the subject the gateway
publishes on: it gives each batch at once, before the disk has it, and has no memory. The
*durable* path reads the stream in order: it comes a little later, brings every batch, and says
how far the state has come. Whichever path brings a batch first has it applied; the other only
moves the position. So a stalled disk delays no alert, and neither a lost subscription nor a
crash loses one: after a restart the worker goes back to its checkpoint and reads on from there,
and derived ids make what is decided a second time the same as the first. Urgent events come to it
a third time, before both: see `cordon.express`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon import express
from cordon.checkpoint import CHECKPOINT, decode_checkpoint, read_recorded
from cordon.express import Express
from cordon.keep import CASELOAD, CASELOAD_SUBJECT, Keep
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from devices.instants import Clock
from devices.reports import BatchFormatError, decode_batch
from ingest.ending import end_if_told
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
DURABLE_PAUSE_S = 0.05
"""Rest between two readings of the durable path once the worker has caught up: it then finds only
what the live path has missed, and each reading costs as much as a batch. A batch that only it
brings is decided so much later."""

DURABLE_GROUP = 256

MAX_STRIKES = 2
"""So often a batch may end the worker; then it is passed over, or nobody would be watched any more.
Its messages are in the journal and in the history."""

CASELOAD_POLL_S = 5.0


@dataclass(slots=True)
class WorkerCounts:
    """Counted since the start of the process.

    Attributes:
        batches_live, batches_durable: Applied from the one path or the other.
        damaged: Entries that could not be read.
        gaps: Breaks in the journal that were passed.
        given_up: Batches passed over after `MAX_STRIKES`.
        caseloads_refused: Versions that cannot be watched; the one before stayed in force.
    """

    batches_live: int = 0
    batches_durable: int = 0
    damaged: int = 0
    gaps: int = 0
    given_up: int = 0
    caseloads_refused: int = 0
    checkpoints: int = 0
    checkpoints_failed: int = 0


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
        journal_end: Where the journal ended before anything of this run was written to it.
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
        journal_end: int,
        number: int = 0,
    ) -> None:
        self.partition = partition
        self.counts = WorkerCounts()
        self.express = Express(partition, clock)
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
        self._journal_end: int | None = journal_end
        self._names: OrderedDict[str, None] = OrderedDict()
        self._strikes: Counter[str] = Counter()
        self._caseload_changed = asyncio.Event()
        self._live_failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Restore, catch up, then follow the journal until cancelled."""
        self._live_failure = asyncio.get_running_loop().create_future()
        try:
            await self._restore()
            async with self._listening(), asyncio.TaskGroup() as group:
                group.create_task(self._follow_journal(), name="journal")
                group.create_task(self._fail_with_live(), name="live")
                group.create_task(self._follow_caseload(), name="caseload")
                group.create_task(self._keep_ticking(), name="ticks")
                group.create_task(self._keep_checkpoints(), name="checkpoints")
        finally:
            self.caught_up.clear()

    async def _restore(self) -> None:
        self._names.clear()
        # After a failure within the process: what was handed over last must be read back, too.
        await self._outgoing.drained()
        kept = await self._keep.get_caseload()
        data = await self._keep.get(CHECKPOINT)
        checkpoint = decode_checkpoint(data) if data else None
        if data and checkpoint is None:
            self.partition.counts.unreadable_parts += 1
        loaded = self.partition.load(kept, checkpoint, self._clock())
        after = checkpoint.alerts_position if checkpoint and loaded else 0
        recorded = await read_recorded(self._nc, self._alert_subject, after=after)
        self.counts.damaged += recorded.damaged
        self.partition.recall(recorded)
        self._stay_within_the_journal()
        log.info(
            "worker_restored", position=self.partition.position, recorded=len(recorded.entries)
        )

    def _stay_within_the_journal(self) -> None:
        """A journal that lost its end gives its positions away again, to what comes now."""
        end, self._journal_end = self._journal_end, None
        if end is not None and self.partition.position > end:
            self.counts.gaps += 1
            log.error("journal_lost_its_end", applied=self.partition.position, end=end)
            self.partition.position = end

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        live = await self._nc.subscribe(self._subject, cb=self._on_live)
        plans = await self._nc.subscribe(CASELOAD_SUBJECT, cb=self._on_caseload)
        urgent = await self._nc.subscribe(express.SUBJECT, cb=self._on_urgent)
        try:
            yield
        finally:
            if not self._nc.is_closed:
                for subscription in (live, plans, urgent):
                    await subscription.unsubscribe()

    # -- the caseload -----------------------------------------------------------------------

    async def _on_caseload(self, _message: Msg) -> None:
        self._caseload_changed.set()

    async def _follow_caseload(self) -> None:
        """Put in force what is kept: when told, and by looking, as what is told may be lost."""
        await self.caught_up.wait()
        seen = ""
        while True:
            end_if_told()
            self._caseload_changed.clear()
            try:
                seen = await self._bring_caseload(seen)
            except (nats.errors.Error, OSError, TimeoutError) as error:
                log.warning("caseload_not_read", reason=type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CASELOAD_POLL_S):
                    await self._caseload_changed.wait()

    async def _bring_caseload(self, seen: str) -> str:
        mark = await self._keep.mark(CASELOAD)
        if mark == seen:
            return seen
        kept = await self._keep.get_caseload()
        if kept:
            try:
                self.partition.put_in_force(kept, self._clock())
            except ValueError:
                self.counts.caseloads_refused += 1
                log.exception("caseload_refused", version=kept.version)
        return mark

    # -- the two paths ----------------------------------------------------------------------

    async def _on_live(self, message: Msg) -> None:
        # Until the journal has been read to its end, newer batches must wait for older ones.
        if not self.caught_up.is_set():
            return
        name = (message.headers or {}).get(BATCH_HEADER, "")
        try:
            if name not in self._names and self._apply(message.data):
                self.counts.batches_live += 1
        except Exception as error:  # noqa: BLE001 - nats-py would log it and go on with half a batch
            if not self._live_failure.done():
                self._live_failure.set_exception(error)

    async def _on_urgent(self, message: Msg) -> None:
        # Until then the desk is not what it was; the journal brings the event.
        if not self.caught_up.is_set():
            return
        try:
            self.express.take(message)
        except Exception as error:  # noqa: BLE001 - as above
            if not self._live_failure.done():
                self._live_failure.set_exception(error)

    async def _fail_with_live(self) -> None:
        """A batch applied by half is not applied: begin again from the checkpoint."""
        await self._live_failure

    async def _follow_journal(self) -> None:
        js = self._nc.jetstream()
        while True:
            after = self.partition.position
            reader = StreamReader(js, JOURNAL, self._subject, after=after, max_group=DURABLE_GROUP)
            try:
                while True:
                    for entry in await reader.read(READ_WAIT_S):
                        self._take(entry)
                    if self.caught_up.is_set():
                        await asyncio.sleep(DURABLE_PAUSE_S)
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
        after, upto = self.partition.position, max(gap.found - 1, 0)
        self.partition.course.note("gap", self._clock(), position=after, upto=upto)
        log.error("journal_gap", wanted=gap.wanted, found=gap.found)
        if gap.found:
            self.partition.position = gap.found - 1
        else:
            state = (await self._nc.jetstream().stream_info(JOURNAL)).state
            self.partition.position = state.last_seq

    def _apply(self, data: bytes) -> bool:
        try:
            batch = decode_batch(data)
        except BatchFormatError:
            # Evidence keeps the bytes; here nothing can be decided from them.
            self.counts.damaged += 1
            log.exception("journal_entry_damaged", position=self.partition.position + 1)
            return False
        if self._strikes[batch.name] >= MAX_STRIKES:
            self.counts.given_up += 1
            self.partition.course.note("given_up", batch.received_us, batch=batch.name)
            log.error("batch_given_up", batch=batch.name)
            return False
        try:
            self.partition.apply(batch)
        except Exception:
            self._strikes[batch.name] += 1
            raise
        self._names[batch.name] = None
        if len(self._names) > REMEMBERED_NAMES:
            self._names.popitem(last=False)
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
            end_if_told()
            await asyncio.sleep(self._checkpoint_s)
            state = (self.partition.position, self.partition.ticked_us)
            if state != written_for and await self._write_checkpoint():
                written_for = state

    async def _write_checkpoint(self) -> bool:
        """Keep the present state; False when that failed, or it rests on what is not on disk."""
        checkpoint = self.partition.checkpoint()
        if not await self._outgoing.drained():
            return False
        try:
            await self._keep.put(CHECKPOINT, msgspec.msgpack.encode(checkpoint))
        except (nats.errors.Error, OSError) as error:
            self.counts.checkpoints_failed += 1
            log.warning("checkpoint_not_kept", reason=type(error).__name__)
            return False
        self.counts.checkpoints += 1
        return True
