"""Follows the streams and stores what stands in them, whatever happens to the database.

Each stream has a lane of its own: read where the database stands, open the source behind that,
store group after group. When the server is down, full or slow, the lane waits, reads the position
again and opens a new source: what was in doubt is decided by the position alone. Nothing that
warns anybody runs here, so alerts never wait for it.

An entry that cannot be stored must not hold up those behind it, and must not vanish. Its group is
stored entry by entry, and the one at fault is kept whole in `evidence.damaged_entry`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import psycopg
import structlog

from alerts.decisions import DecisionFormatError
from alerts.decisions import decode_entry as decode_decision_entry
from alerts.errors import EntryFormatError
from devices.ending import end_if_told
from devices.instants import Clock
from devices.migrations import MigrationError
from devices.reports import BatchFormatError, decode_batch
from evidence.database import describe
from evidence.decided import read_alert_entry
from evidence.rows import UnstorableError
from evidence.sources import Entry, PositionsGoneError, Source, SourceFactory, Stream
from evidence.store import Break, Damaged, Store, Written

PAUSE_S = 0.25
BEHIND_PAUSE_S = 0.075
"""Between turns, the second while more is waiting: what arrives meanwhile is stored in one transaction
instead of many."""

READ_WAIT_S = 1.0
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 5.0
"""Waits between tries double from the first to the most."""

GROUP_ENTRIES = 256
GROUP_BYTES = 512 * 1024
"""The most that one transaction stores (but always one entry). It bounds how long preparing rows
keeps the event loop from other work, to some tens of milliseconds."""

BATCH_NAME_HEADER = "Cordon-Batch"

log = structlog.get_logger("evidence")


@dataclass(slots=True)
class LaneCounts:
    """How far one stream is.

    Attributes:
        seen: Position of the newest entry read from the stream.
        stored: Position of the newest entry stored.
        caught_up: Nothing was waiting in the stream when it was last read.
        retries: Times that the lane had to begin again.
        gaps: Breaks found in the stream.
        error: Why the lane is waiting; empty while it goes on.
    """

    seen: int = 0
    stored: int = 0
    caught_up: bool = False
    retries: int = 0
    gaps: int = 0
    error: str = ""

    @property
    def lag(self) -> int:
        """Positions read from the stream and not stored yet."""
        return max(0, self.seen - self.stored)


@dataclass(slots=True)
class WriterCounts:
    """What a writer has done since it was made.

    Attributes:
        written: Everything stored.
        groups: Transactions that stored something.
        database_up: Whether the database does what it is asked, for every stream; None before the
            first answer. One that answers and cannot store (its disk is full) is not up.
        error: Why it was not, in the words of the server; empty while it is up.
        lanes: By stream.
    """

    written: Written = field(default_factory=Written)
    groups: int = 0
    database_up: bool | None = None
    error: str = ""
    lanes: dict[Stream, LaneCounts] = field(
        default_factory=lambda: {stream: LaneCounts() for stream in Stream}
    )


EntryT = TypeVar("EntryT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class _Kind(Generic[EntryT]):
    """What the entries of a stream mean, and which write takes them."""

    read: Callable[[Entry], EntryT]
    write: Callable[[Store, Sequence[EntryT], int], Awaitable[Written]]


_KINDS: Mapping[Stream, _Kind[Any]] = MappingProxyType(
    {
        Stream.JOURNAL: _Kind(
            lambda entry: (entry.position, decode_batch(entry.data)),
            lambda store, entries, partition: store.write_journal(entries, partition=partition),
        ),
        Stream.DECISIONS: _Kind(
            lambda entry: (entry.position, decode_decision_entry(entry.data)),
            lambda store, entries, partition: store.write_decisions(entries, partition=partition),
        ),
        Stream.ALERTS: _Kind(
            lambda entry: read_alert_entry(entry.position, entry.data),
            lambda store, entries, partition: store.write_alerts(entries, partition=partition),
        ),
    }
)
_UNREADABLE = (BatchFormatError, DecisionFormatError, EntryFormatError, UnstorableError)
"""What reading an entry may raise, with a text that quotes nothing from inside it."""

_DATABASE_TROUBLE = (psycopg.Error, MigrationError, TimeoutError, OSError)


class _DatabaseAwayError(Exception):
    """The database did not do what it was asked. Never leaves this module."""


class Writer:
    """Keeps the database up with the streams until it is cancelled.

    Args:
        store: Used by this writer alone.
        open_source: Makes the source of (stream, partition, after position).
        clock: Gives the time at which damage and gaps were found.
        partition: The partition whose streams are followed.
        streams: Which ones.
        pause_s: Rest between groups.
    """

    def __init__(
        self,
        store: Store,
        open_source: SourceFactory,
        clock: Clock,
        *,
        partition: int = 0,
        streams: Sequence[Stream] = tuple(Stream),
        pause_s: float = PAUSE_S,
    ) -> None:
        self.counts = WriterCounts()
        self._store = store
        self._open_source = open_source
        self._clock = clock
        self._partition = partition
        self._streams = tuple(streams)
        self._pause_s = pause_s
        self._failing: set[Stream] = set()  # whose last wish was not done

    async def run(self) -> None:
        """Follow the streams for ever. Ends only by being cancelled, at any moment."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for stream in self._streams:
                    lanes.create_task(self._lane(stream), name=f"evidence-{stream.lower()}")
        finally:
            await self._store.close()

    async def _lane(self, stream: Stream) -> None:
        lane = self.counts.lanes[stream]
        wait_s = RETRY_FIRST_S
        while True:
            stored = lane.stored
            try:
                await self._follow(stream)
            except _DatabaseAwayError:
                lane.error = self.counts.error
            except Exception as error:  # noqa: BLE001 - a lane that ended would lose evidence unseen
                lane.error = describe(error)
                log.warning("evidence_lane_stopped", stream=stream.value, reason=lane.error)
            end_if_told()
            lane.retries += 1
            lane.caught_up = False
            wait_s = RETRY_FIRST_S if lane.stored > stored else min(2 * wait_s, RETRY_MOST_S)
            await asyncio.sleep(wait_s)

    async def _follow(self, stream: Stream) -> None:
        """Store the stream from where the database stands, until something goes wrong."""
        lane = self.counts.lanes[stream]
        await self._ask(stream, self._store.migrate())
        lane.stored = await self._ask(stream, self._store.position(stream, self._partition))
        source = self._open_source(stream, self._partition, lane.stored)
        try:
            while True:
                end_if_told()
                await self._turn(stream, source)
                lane.error = ""
                pause_s = self._pause_s if lane.caught_up else min(self._pause_s, BEHIND_PAUSE_S)
                await asyncio.sleep(pause_s)
        except PositionsGoneError as gone:
            await self._pass_break(stream, gone)
        finally:
            await source.close()

    async def _turn(self, stream: Stream, source: Source) -> None:
        lane = self.counts.lanes[stream]
        entries = await source.read(READ_WAIT_S)
        if entries:
            lane.seen = entries[-1].position
        else:
            await self._ask(stream, self._store.ping())
            self._note_up(stream)
        lane.caught_up = source.caught_up
        for group in groups(entries):
            await self._store_group(stream, group)

    async def _store_group(self, stream: Stream, group: Sequence[Entry]) -> None:
        """Store what can be read together; what cannot, by itself and in its turn."""
        readable: list[tuple[Entry, Any]] = []
        for entry in group:
            try:
                readable.append((entry, _KINDS[stream].read(entry)))
            except Exception as error:  # noqa: BLE001 - the bytes stay what they are: it would fail again
                await self._write(stream, readable)
                readable = []
                reason = str(error) if isinstance(error, _UNREADABLE) else describe(error)
                await self._write_damaged(stream, entry, reason)
        await self._write(stream, readable)

    async def _write(self, stream: Stream, readable: Sequence[tuple[Entry, Any]]) -> None:
        if not readable:
            return
        entries = [meaning for _, meaning in readable]
        try:
            written = await self._ask(
                stream, _KINDS[stream].write(self._store, entries, self._partition)
            )
        except UnstorableError as error:
            if len(readable) == 1:
                await self._write_damaged(stream, readable[0][0], str(error))
                return
            for one in readable:
                await self._write(stream, [one])
            return
        self._count(stream, readable[-1][0], written)

    async def _write_damaged(self, stream: Stream, entry: Entry, reason: str) -> None:
        name = (entry.headers or {}).get(BATCH_NAME_HEADER, "")
        damaged = Damaged(entry.position, name, entry.data, reason, self._clock())
        log.error(
            "entry_damaged",
            stream=stream.value,
            position=entry.position,
            reason=reason,
            kept_in="evidence.damaged_entry",
        )
        written = await self._ask(
            stream, self._store.write_damaged(damaged, stream, self._partition)
        )
        self._count(stream, entry, written)

    async def _pass_break(self, stream: Stream, gone: PositionsGoneError) -> None:
        lane = self.counts.lanes[stream]
        found = Break(gone.kind, lane.stored, gone.resume_after, self._clock())
        if found.kind == "expired" and found.resume_after <= found.after:
            raise RuntimeError("the source reports a gap that ends before it begins")
        if not await self._ask(stream, self._store.write_break(found, stream, self._partition)):
            return
        lane.gaps += 1
        lane.stored = found.resume_after
        log.error(
            "history_has_a_gap",
            stream=stream.value,
            kind=found.kind,
            stored_to=found.after,
            goes_on_after=found.resume_after,
            recorded_in="evidence.gap",
        )

    def _count(self, stream: Stream, last: Entry, written: Written) -> None:
        self.counts.written += written
        self.counts.groups += 1
        self.counts.lanes[stream].stored = last.position
        self._note_up(stream)

    async def _ask(self, stream: Stream, answer: Awaitable[ResultT]) -> ResultT:
        """Await the database's answer to a lane, and note it when there was none."""
        counts = self.counts
        try:
            return await answer
        except _DATABASE_TROUBLE as error:
            counts.error = describe(error)
            self._failing.add(stream)
            if counts.database_up is not False:
                log.warning("database_away", reason=counts.error, meaning=_MEANING)
            counts.database_up = False
            raise _DatabaseAwayError from error

    def _note_up(self, stream: Stream) -> None:
        """A lane's last wish was done: what it had to store, or a question where it had nothing."""
        self._failing.discard(stream)
        if self._failing:
            return
        if not self.counts.database_up:
            log.info("database_up")
        self.counts.database_up, self.counts.error = True, ""


_MEANING = (
    "alerts go on; the streams keep what is to be stored (for days, see their limits) and it is "
    "stored when the database is back"
)


def groups(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Cut what was read into what one transaction may hold."""
    start, size_bytes = 0, 0
    for index, entry in enumerate(entries):
        size_bytes += len(entry.data)
        full = size_bytes > GROUP_BYTES or index - start >= GROUP_ENTRIES
        if full and index > start:
            yield entries[start:index]
            start, size_bytes = index, len(entry.data)
    if start < len(entries):
        yield entries[start:]
