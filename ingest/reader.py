"""Reading a stream in order and without a gap, across lost connections and server restarts.

The consumer on the server is thrown away whenever anything is doubtful, and made anew one position
after the last entry handed out. So the server need not remember how far a reader is: the reader's
own durable state does, in the same transaction as what it made of the entries.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamState
from nats.js.errors import NotFoundError

from devices.ending import end_if_told
from ingest.trail import Trail, name_of

FETCH_WAIT_S = 1.0
"""How long one request waits on the server for something new."""

MAX_GROUP = 64
"""Entries handed out at once unless told otherwise; an entry may have 1 MiB."""

IDLE_CONSUMER_S = 60.0
"""After this without a request the server drops the consumer; the reader then makes another."""

CLOSE_LIMIT_S = 1.0
RETRY_FIRST_S = 0.1
RETRY_MOST_S = 2.0

log = structlog.get_logger("ingest")


class Entry(NamedTuple):
    """One message of a stream.

    Attributes:
        position: Its sequence number in the stream, from 1.
    """

    position: int
    subject: str
    headers: Mapping[str, str]
    data: bytes


class JournalGap(RuntimeError):  # noqa: N818 -- it names what was found
    """Entries that should be there are not.

    Attributes:
        stream: Which stream.
        wanted: The position the reader was to go on with.
        found: The next position that is there, to go on with instead; 0 if the stream lost its end,
            whether it has grown again since or not.
        resume_after: Position to go on after. Behind it stands nothing that was handed out; of a
            stream that lost its end it may be one that was passed before.
    """

    def __init__(self, stream: str, wanted: int, found: int, resume_after: int, text: str) -> None:
        super().__init__(text)
        self.stream = stream
        self.wanted = wanted
        self.found = found
        self.resume_after = resume_after


class _Doubt(Exception):  # noqa: N818 -- never leaves this module
    """The consumer can no longer be relied on."""


class StreamReader:
    """Entries of one subject, in order, from a position on.

    Iterate over it for groups of entries, or call `read` where waiting needs a limit. One reader
    serves one task.
    """

    def __init__(
        self,
        js: JetStreamContext,
        stream: str,
        subject: str,
        after: int,
        *,
        max_group: int = MAX_GROUP,
        pause_s: float = 0.0,
        trail: Trail | None = None,
    ) -> None:
        """Prepares a reader; it connects on first use.

        Args:
            js: JetStream of the service's account.
            stream: Name of the stream.
            subject: The subject to read, without wildcards.
            after: Position of the last entry already dealt with; 0 to begin at the beginning.
            max_group: The most entries to hand out at once, at least 2.
            pause_s: Rest before each request, which makes groups larger and the reader cheaper.
            trail: What is known to have stood in the stream, of readers before this one. None:
                nothing is.
        """
        if max_group < 2:
            raise ValueError("max_group must be at least 2")
        self._js = js
        self._stream = stream
        self._subject = subject
        self._position = after
        self._max_group = max_group
        self._pause_s = pause_s
        self._trail = trail or Trail()
        self._pull: JetStreamContext.PullSubscription | None = None
        self._consumer = ""
        self._delivered = 0
        self._caught_up = False

    @property
    def position(self) -> int:
        """Position of the last entry handed out."""
        return self._position

    @property
    def caught_up(self) -> bool:
        """Whether nothing was waiting in the stream behind what was last handed out."""
        return self._caught_up

    async def __aiter__(self) -> AsyncIterator[list[Entry]]:
        """Yields groups of at least one entry, for ever.

        Raises:
            JournalGap: See `read`.
        """
        while True:
            if group := await self.read(FETCH_WAIT_S):
                yield group

    async def read(self, wait_s: float) -> list[Entry]:
        """The next entries; empty if none came within about `wait_s`.

        A lost connection is not an error: it is waited out, for `wait_s` and at most one time
        limit of a JetStream request more.

        Raises:
            JournalGap: The stream has lost entries that were not yet read.
        """
        loop = asyncio.get_running_loop()
        end_s = loop.time() + wait_s
        backoff_s = RETRY_FIRST_S
        await asyncio.sleep(self._pause_s)
        while True:
            end_if_told()
            try:
                return await self._fetch(max(0.05, end_s - loop.time()))
            except (_Doubt, nats.errors.Error, OSError, IndexError) as error:
                if self._pull is not None:
                    # nats-py gives an empty answer now and then while nothing is wrong.
                    say = log.debug if isinstance(error, _Doubt) else log.info
                    say("reader_reopens", stream=self._stream, reason=str(error))
                await self._drop()
            if loop.time() + backoff_s > end_s:
                await asyncio.sleep(max(0.0, end_s - loop.time()))
                return []
            await asyncio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, RETRY_MOST_S)

    async def close(self) -> None:
        """Gives the consumer back. The reader may be used again."""
        had_consumer = self._pull is not None
        await self._drop()
        if had_consumer:
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(CLOSE_LIMIT_S):
                    await self._js.delete_consumer(self._stream, self._consumer)

    async def _fetch(self, wait_s: float) -> list[Entry]:
        self._heed_breaks()
        pull = self._pull or await self._open()
        try:
            messages = await pull.fetch(self._max_group, timeout=wait_s)
        except TimeoutError:
            return []
        if not messages:
            raise _Doubt("an empty answer")
        return await self._accept(messages)

    async def _accept(self, messages: list[Msg]) -> list[Entry]:
        """Checks that nothing is missing before anything is handed out."""
        self._heed_breaks()
        entries: list[Entry] = []
        jumps, again = False, 0
        position = self._position
        for message in messages:
            sequence = message.metadata.sequence
            self._delivered += 1
            if sequence.consumer != self._delivered:
                raise _Doubt("entries were lost on the way")
            jumps = jumps or sequence.stream != position + 1
            position = sequence.stream
            entries.append(Entry(position, message.subject, message.headers or {}, message.data))
            if self._trail.contradicts(position, name_of(message.headers, message.data)):
                again = again or position
        if again > entries[0].position:
            return await self._stop_at(again, entries)
        if again:
            raise self._given_again(self._position, self._position)
        if jumps and (hole := await self._first_hole(position)):
            return await self._stop_at(hole, entries)
        self._follow(entries)
        self._position = position
        self._caught_up = messages[-1].metadata.num_pending == 0
        return entries

    async def _stop_at(self, hole: int, entries: list[Entry]) -> list[Entry]:
        """Hands out what stands before a hole; the next read then begins at it and reports it."""
        before = [entry for entry in entries if entry.position < hole]
        if not before:
            raise self._gap(
                entries[0].position,
                f"it goes on with position {entries[0].position}: what stood between was deleted "
                "or damaged",
            )
        self._follow(before)
        self._position = before[-1].position
        await self._drop()  # the consumer has gone further than we have
        return before

    async def _open(self) -> JetStreamContext.PullSubscription:
        await self._check_stream()
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._position + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=IDLE_CONSUMER_S,
            mem_storage=True,
            num_replicas=1,
        )
        self._delivered = 0
        self._pull = await self._js.pull_subscribe(
            self._subject, stream=self._stream, config=config
        )
        info = await self._pull.consumer_info()
        self._consumer = info.name
        self._caught_up = info.num_pending == 0
        return self._pull

    async def _check_stream(self) -> int:
        """Compares what the stream still has with what is to be read next.

        Returns:
            How many positions inside the stream are empty.

        Raises:
            JournalGap: Its end was lost, or it begins behind the position to be read.
        """
        state = (await self._js.stream_info(self._stream)).state
        if state.last_seq < self._position or await self._stands(self._position) is False:
            raise self._given_again(await self._last_standing(state), state.last_seq)
        if state.first_seq > self._position + 1:
            raise self._gap(
                state.first_seq,
                f"it now begins at position {state.first_seq}. The reader was away for longer than "
                "the stream keeps entries",
            )
        return state.num_deleted or 0

    async def _first_hole(self, before: int) -> int:
        """The first empty position between the one handed out last and `before`; 0 for none.

        Positions are shared by all subjects of a stream, so one that was jumped over may simply
        belong to another subject. Which subject an empty one had, nobody knows any more: it is
        taken to have been ours.

        Raises:
            JournalGap: See `_check_stream`.
        """
        if not await self._check_stream():
            return 0
        # nats-py asks for the number of empty positions only, not for which they are.
        answer = await self._js._api_request(  # noqa: SLF001
            f"{self._js._prefix}.STREAM.INFO.{self._stream}",  # noqa: SLF001
            b'{"deleted_details": true}',
        )
        empty: list[int] = answer["state"].get("deleted") or []
        return min((hole for hole in empty if self._position < hole < before), default=0)

    def _heed_breaks(self) -> None:
        broken_after = self._trail.take_break()
        if broken_after is not None and broken_after < self._position:
            raise self._given_again(broken_after, self._position)

    async def _stands(self, position: int) -> bool | None:
        """Whether the entry that is known to have stood there still does; None: nobody knows."""
        if not self._trail.knows(position):
            return None
        try:
            found = await self._js.get_msg(self._stream, position)
        except NotFoundError:
            return None
        return not self._trail.contradicts(position, name_of(found.headers, found.data or b""))

    async def _last_standing(self, state: StreamState) -> int:
        """The newest position whose entry is still the one that was known there."""
        kept = range(state.first_seq, state.last_seq + 1)
        known = [one for one in self._trail.positions() if one in kept]
        low, high = 0, len(known)  # what stands lies before what was given away again
        while low < high:
            middle = (low + high) // 2
            if await self._stands(known[middle]):
                low = middle + 1
            else:
                high = middle
        return known[low - 1] if low else max(0, state.first_seq - 1)

    def _given_again(self, last: int, end: int) -> JournalGap:
        self._trail.forget_after(last)
        return self._gap(
            0,
            f"it ends at position {end}. It was deleted, or lost its end in a power cut; new entries "
            "would be mistaken for old ones"
            if end < self._position
            else f"behind position {last} stands something else than before. It lost its end in a power "
            "cut, and gave its positions away again",
            last,
        )

    def _follow(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._trail.note(entry.position, name_of(entry.headers, entry.data))

    def _gap(self, found: int, what: str, resume_after: int | None = None) -> JournalGap:
        wanted = self._position + 1
        return JournalGap(
            self._stream,
            wanted,
            found,
            found - 1 if resume_after is None else resume_after,
            f"The stream {self._stream} should go on with position {wanted}, but {what}. What is "
            "missing cannot be recovered from here. Decide knowingly: restore the stream from a "
            "backup, or set the reader's stored position to where it is to go on, and record why.",
        )

    async def _drop(self) -> None:
        """Forgets the consumer; the server drops it after `IDLE_CONSUMER_S`."""
        pull, self._pull = self._pull, None
        self._caught_up = False
        if pull is not None:
            with contextlib.suppress(nats.errors.Error, OSError):
                await pull.unsubscribe()
