"""The worker of one partition: journal in, decisions and alerts out.

It hears of batches twice. The *live* path gives each at once, before the disk has it, and has no
memory: the gateway of the same process by a call, anybody else by a plain subscription. The
*durable* path is the stream in order: it brings every batch, and says how far the state has come.
Of what was heard live it only moves the position, for which the journal's confirmation will do; it
is read for what is missing. So a stalled disk delays no alert, and neither a lost subscription nor
a crash loses one: after a restart the worker goes back to its checkpoint and reads on from there,
and derived ids make what is decided a second time the same as the first. Urgent events come to it
a third time, before both: see `cordon.express`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg

from cordon import express
from cordon.applied import Applied
from cordon.caseload_in_force import CaseloadInForce
from cordon.checkpoint import CHECKPOINT, decode_checkpoint, read_recorded
from cordon.erased_places import ErasedPlaces
from cordon.express import Express
from cordon.keep import Keep
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from cordon.worker_counts import WorkerCounts
from devices.ending import end_if_told
from devices.instants import MICROSECONDS, Clock
from devices.reports import Batch, BatchFormatError, decode_batch
from ingest.decoder import Decoder
from ingest.journal import BATCH_HEADER
from ingest.reader import Entry, JournalGap, StreamReader
from ingest.streams import JOURNAL, alert_subject, journal_subject
from ingest.trail import Trail

log = structlog.get_logger("worker")

TICK_LAG_US = 200_000
"""A tick waits so long for batches received before it, so that a replay, which has them in order,
ticks at the same place."""

READ_WAIT_S = 1.0
LOOK_S = 0.05
"""So often the worker looks, once it has caught up, whether the journal has what it has not heard of:
a hole in what was confirmed, or a batch of somebody else."""

READ_EVERY_S = 1.0
"""The stream is read so often all the same: a subscription may lose what it should bring. What only
the stream brings is decided so much later."""

DURABLE_GROUP = 256

MAX_STRIKES = 2
"""So often a batch may end the worker; then it is passed over, or nobody would be watched any more.
Its messages are in the journal and in the history."""

LATENESS_HOLDS_US = 10 * MICROSECONDS
"""So long after it was decided late, a batch says that alerts are late; then nothing is known of it."""

REST_AFTER_WRITING = 4
"""After a checkpoint that took long (very many alerts are open) the next waits so many times as long."""


class Worker:
    """Keeps a partition up with the journal.

    Args:
        nc: Connection for the live path and for reading the journal.
        others: Connection that hears batches of others, and not those that come by `hear`; None: `nc`.
        keep: Where caseload and checkpoint lie.
        partition: The state.
        outgoing: Where the partition's results go.
        clock: The time.
        tick_s: Interval of the sweeps.
        checkpoint_s: Least time between two checkpoints.
        journal_end: Where the journal ended before anything of this run was written to it.
        alerts_end: The same of what is recorded of the alerts; None: nothing was lost.
        decoder: Reads what goes to the desk before it is journaled. None: a new one.
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
        alerts_end: int | None = None,
        others: NatsClient | None = None,
        number: int = 0,
        decoder: Decoder | None = None,
    ) -> None:
        self.partition = partition
        self.counts = WorkerCounts()
        self.express = Express(partition, clock, decoder or Decoder())
        self.caseload = CaseloadInForce(nc, keep, partition, clock)
        self.caught_up = asyncio.Event()
        self.last_applied_us = 0
        self.lag_ms: float | None = None
        self._nc = nc
        self._others = others or nc
        self._keep = keep
        self._outgoing = outgoing
        self._clock = clock
        self._tick_s = tick_s
        self._checkpoint_s = checkpoint_s
        self._subject = journal_subject(number)
        self._alert_subject = alert_subject(number)
        self._journal_end: int | None = journal_end
        self._alerts_end = alerts_end
        self._applied = Applied()
        self._trail = Trail()
        self._missing = False
        self._strikes: Counter[str] = Counter()
        self._live_failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def lateness_ms(self, now_us: int) -> float:
        """By how much alerts are late now: as the last batch was, or as the next tick is.

        What the last batch was says something for a few seconds only.
        """
        lag_ms = self.lag_ms or 0.0
        said_us = self.last_applied_us + int(lag_ms * 1000)
        of_batches_ms = lag_ms if now_us - said_us < LATENESS_HOLDS_US else 0.0
        due_us = self.partition.ticked_us + int(self._tick_s * MICROSECONDS) + TICK_LAG_US
        of_ticks_ms = (now_us - due_us) / 1000 if self.partition.ticked_us else 0.0
        return max(of_batches_ms, of_ticks_ms)

    async def run(self) -> None:
        """Restore, catch up, then follow the journal until cancelled."""
        self._live_failure = asyncio.get_running_loop().create_future()
        try:
            await self._restore()
            async with self._listening(), asyncio.TaskGroup() as group:
                end_if_told()
                group.create_task(self._follow_journal(), name="journal")
                group.create_task(self._fail_with_live(), name="live")
                group.create_task(self._follow_caseload(), name="caseload")
                group.create_task(self._follow_erasures(), name="erasures")
                group.create_task(self._keep_ticking(), name="ticks")
                group.create_task(self._keep_checkpoints(), name="checkpoints")
        finally:
            self.caught_up.clear()

    async def _restore(self) -> None:
        self._applied = Applied()
        # After a failure within the process: what was handed over last must be read back, too.
        await self._outgoing.drained()
        kept = await self._keep.get_caseload()
        data = await self._keep.get(CHECKPOINT)
        checkpoint = decode_checkpoint(data) if data else None
        if data and checkpoint is None:
            self.partition.counts.unreadable_parts += 1
        loaded = self.partition.load(kept, checkpoint, self._clock())
        after = checkpoint.alerts_position if checkpoint and loaded else 0
        if self._alerts_end is not None and after > self._alerts_end:
            after = 0  # it lost its end: all that is there is read
        recorded = await read_recorded(self._nc, self._alert_subject, after=after)
        self.counts.damaged += recorded.damaged
        self.partition.recall(recorded)
        self._stay_within_the_journal()
        log.info(
            "worker_restored", position=self.partition.position, recorded=len(recorded.entries)
        )

    def _stay_within_the_journal(self) -> None:
        """A journal that lost its end gives its positions away again, to what comes now.

        So until a checkpoint is within it, however often the worker begins again.
        """
        end = self._journal_end
        if end is not None and self.partition.position > end:
            self.counts.gaps += 1
            log.error("journal_lost_its_end", applied=self.partition.position, end=end)
            self.partition.position = end

    def _note_end(self, end: int) -> None:
        self._journal_end = end if self._journal_end is None else min(self._journal_end, end)

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        live = await self._others.subscribe(self._subject, cb=self._on_live)
        urgent = await self._nc.subscribe(express.SUBJECT, cb=self._on_urgent)
        try:
            yield
        finally:
            for nc, subscription in ((self._others, live), (self._nc, urgent)):
                if not nc.is_closed:
                    await subscription.unsubscribe()

    async def _follow_caseload(self) -> None:
        await self.caught_up.wait()
        await self.caseload.run()

    async def _follow_erasures(self) -> None:
        await self.caught_up.wait()
        await ErasedPlaces(self._nc, self.partition, self._clock).run()

    # -- the two paths ----------------------------------------------------------------------

    def hear(self, name: str, batch: Batch) -> None:
        """A batch of this process's own gateway; see `ingest.journal.Listener`."""
        # Until the journal has been read to its end, newer batches must wait for older ones.
        if not self.caught_up.is_set() or name in self._applied or self._live_failure.done():
            return
        try:
            if self._apply(name, batch):
                self.counts.batches_live += 1
        except Exception as error:  # noqa: BLE001 - it must not end the gateway, but the worker
            self._live_failure.set_exception(error)

    def kept(self, name: str, position: int) -> None:
        """The journal has what was heard; the same as reading it there."""
        partition = self.partition
        if position <= partition.position:
            if not self._trail.contradicts(position, name):
                return
            # The journal lost its end and gives positions away again: it is read from there.
            self._trail.break_before(position)
            self._applied.forget_positions()
            partition.position, self._missing = position - 1, True
            self._note_end(position - 1)
        self._trail.note(position, name)
        if name not in self._applied:  # it came before the worker listened
            self._missing = True
            return
        partition.position = self._applied.confirm(position, partition.position)

    def lost(self, name: str, batch: Batch) -> None:
        """What was heard may never be in the journal: a replay must not wait for it."""
        if name in self._applied:
            self.counts.unkept += 1
            self.partition.course.note("unkept", batch.received_us, batch=batch.name)

    async def _on_live(self, message: Msg) -> None:
        self._missing = True
        name = (message.headers or {}).get(BATCH_HEADER, "")
        if self.caught_up.is_set() and name not in self._applied:
            batch = self._read(message.data)
            if batch is not None:
                self.hear(name, batch)

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
        """Read all there is, then again whatever was not heard."""
        js = self._nc.jetstream()
        while True:
            after = self.partition.position
            reader = StreamReader(
                js, JOURNAL, self._subject, after, max_group=DURABLE_GROUP, trail=self._trail
            )
            try:
                # What has been heard meanwhile need not come again: then another reader is cheaper.
                while self.partition.position - reader.position <= DURABLE_GROUP:
                    await self._read_on(reader)
                    await self._until_something_is_missing()
            except JournalGap as gap:
                self._pass_gap(gap)
            finally:
                await reader.close()

    async def _read_on(self, reader: StreamReader) -> None:
        """Take in the stream to its end."""
        self._missing = False
        self.counts.readings += 1
        while True:
            for entry in await reader.read(READ_WAIT_S):
                self._take(entry)
            if reader.caught_up:
                break
        if not self.caught_up.is_set():
            self.partition.go_live(self._clock())
            self.caught_up.set()
            log.info("worker_caught_up", position=self.partition.position)

    async def _until_something_is_missing(self) -> None:
        """Rest until the journal has, or may have, what was not heard."""
        for _ in range(round(READ_EVERY_S / LOOK_S)):
            before = self.partition.position
            await asyncio.sleep(LOOK_S)
            stuck = self._applied.has_hole and self.partition.position == before
            if stuck or self._missing:
                return

    def _take(self, entry: Entry) -> None:
        if entry.position <= self.partition.position:  # heard, and confirmed meanwhile
            return
        name = entry.headers.get(BATCH_HEADER, "")
        batch = None if name in self._applied else self._read(entry.data)
        if batch is not None and self._apply(name, batch):
            self.counts.batches_durable += 1
        self.partition.position = entry.position
        self._applied.passed(entry.position)

    def _pass_gap(self, gap: JournalGap) -> None:
        """What is gone is gone: go on with what is there, and say so. Alerts must not stop."""
        self.counts.gaps += 1
        self._applied.forget_positions()  # the stream has what is behind the gap
        after, upto = self.partition.position, max(gap.found - 1, 0)
        self.partition.course.note("gap", self._clock(), position=after, upto=upto)
        log.error("journal_gap", wanted=gap.wanted, found=gap.found)
        self.partition.position = gap.resume_after
        self._note_end(gap.resume_after)

    def _read(self, data: bytes) -> Batch | None:
        try:
            return decode_batch(data)
        except BatchFormatError:
            # Evidence keeps the bytes; here nothing can be decided from them.
            self.counts.damaged += 1
            log.exception("journal_entry_damaged", position=self.partition.position + 1)
            return None

    def _apply(self, name: str, batch: Batch) -> bool:
        if self._strikes[batch.name] >= MAX_STRIKES:
            self.counts.given_up += 1
            self.partition.course.note("given_up", batch.received_us, batch=batch.name)
            log.error("batch_given_up", batch=batch.name)
            self._applied.remember(name or batch.name)  # it may be heard again
            return False
        try:
            self.partition.apply(batch)
        except Exception:
            self._strikes[batch.name] += 1
            raise
        self._applied.remember(name or batch.name)
        self.last_applied_us = batch.received_us
        self.lag_ms = (self._clock() - batch.received_us) / 1000
        return True

    # -- time -------------------------------------------------------------------------------

    async def _keep_ticking(self) -> None:
        await self.caught_up.wait()
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._tick_s)
            self.partition.tick_until(self._clock() - TICK_LAG_US)
            # However many alerts are due, what arrives meanwhile is taken in between two looks.
            end_s = loop.time() + self._tick_s
            while loop.time() < end_s and self.partition.look_further():  # noqa: ASYNC110 - a turn, not a wait
                await asyncio.sleep(0)

    async def _keep_checkpoints(self) -> None:
        await self.caught_up.wait()
        loop, took_s = asyncio.get_running_loop(), 0.0
        written_for: tuple[int, int] | None = None
        while True:
            end_if_told()
            await asyncio.sleep(max(self._checkpoint_s, REST_AFTER_WRITING * took_s))
            state = (self.partition.position, self.partition.ticked_us)
            start_s = loop.time()
            if state != written_for and await self._write_checkpoint():
                written_for = state
            took_s = loop.time() - start_s

    async def _write_checkpoint(self) -> bool:
        """Keep the present state; False when that failed, or it rests on what is not on disk."""
        ends = (self._journal_end, self._alerts_end)
        checkpoint = await self.partition.freeze().in_turns()
        if not await self._outgoing.drained():
            return False
        try:
            await self._keep.put(CHECKPOINT, msgspec.msgpack.encode(checkpoint))
        except (nats.errors.Error, OSError) as error:
            self.counts.checkpoints_failed += 1
            log.warning("checkpoint_not_kept", reason=type(error).__name__)
            return False
        self.counts.checkpoints += 1
        if ends == (self._journal_end, self._alerts_end):  # no end was lost meanwhile
            self._journal_end = self._alerts_end = None
        return True
