"""Hands evidence the streams it asks for: it may not know who keeps them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Literal

import nats.errors
from nats.js import JetStreamContext

from cordon.stream_ends import HistoryEnds
from evidence.sources import PositionsGoneError, Source, Stream
from ingest.reader import Entry, JournalGap, StreamReader
from ingest.streams import alert_subject, decision_subject, journal_subject
from ingest.trail import Trail

_SUBJECTS: dict[Stream, Callable[[int], str]] = {
    Stream.JOURNAL: journal_subject,
    Stream.DECISIONS: decision_subject,
    Stream.ALERTS: alert_subject,
}
MAX_GROUP = 256


class StreamSource:
    """A `StreamReader` in evidence's terms."""

    def __init__(
        self,
        js: JetStreamContext,
        stream: Stream,
        partition: int,
        after: int,
        *,
        trail: Trail,
        ends: HistoryEnds | None = None,
    ) -> None:
        self._stream = stream
        self._after = after
        self._ends = ends
        subject = _SUBJECTS[stream](partition)
        self._reader = StreamReader(
            js, stream.value, subject, after, max_group=MAX_GROUP, trail=trail
        )

    @property
    def caught_up(self) -> bool:
        """Whether nothing was waiting behind what was read last."""
        return self._reader.caught_up

    async def read(self, wait_s: float) -> Sequence[Entry]:
        """The next entries, or none within `wait_s`.

        Raises:
            PositionsGoneError: Entries are missing.
        """
        if not await self._look(wait_s):
            return []
        try:
            return await self._reader.read(wait_s)
        except JournalGap as gap:
            kind: Literal["expired", "replaced"] = "expired" if gap.found else "replaced"
            raise PositionsGoneError(kind, gap.resume_after) from gap

    async def close(self) -> None:
        """Give the consumer back."""
        await self._reader.close()

    async def _look(self, wait_s: float) -> bool:
        """Whether the position is known to be of this stream, which is looked at once."""
        if self._ends is None:
            return True
        try:
            end = await self._ends.of(self._stream)
            if end is not None and self._after > end:
                raise PositionsGoneError("replaced", end)
            await self._ends.forget(self._stream)
        except (nats.errors.Error, OSError):  # the broker is away: tried again
            await asyncio.sleep(wait_s)
            return False
        self._ends = None
        return True


def source_factory(
    js: JetStreamContext, ends: HistoryEnds | None = None
) -> Callable[[Stream, int, int], Source]:
    """Makes sources over this JetStream.

    Args:
        js: JetStream of the service's account.
        ends: Where each stream ended before anything of this run was written to it. Stored
            positions beyond that are of a stream that has lost its end since (in a power cut), or
            was another one; new entries get the same positions and must not be taken for stored.
            None: not known.
    """
    trails: defaultdict[tuple[Stream, int], Trail] = defaultdict(Trail)

    def open_source(stream: Stream, partition: int, after: int) -> Source:
        trail = trails[stream, partition]
        return StreamSource(js, stream, partition, after, trail=trail, ends=ends)

    return open_source
