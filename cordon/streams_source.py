"""Hands evidence the streams it asks for: it may not know who keeps them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from nats.js import JetStreamContext

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
        lost_from: int | None = None,
    ) -> None:
        self._lost_from = lost_from
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
        if self._lost_from is not None:
            raise PositionsGoneError("replaced", self._lost_from)
        try:
            return await self._reader.read(wait_s)
        except JournalGap as gap:
            kind: Literal["expired", "replaced"] = "expired" if gap.found else "replaced"
            raise PositionsGoneError(kind, gap.resume_after) from gap

    async def close(self) -> None:
        """Give the consumer back."""
        await self._reader.close()


def source_factory(
    js: JetStreamContext, ends: Mapping[Stream, int] | None = None
) -> Callable[[Stream, int, int], Source]:
    """Makes sources over this JetStream.

    Args:
        js: JetStream of the service's account.
        ends: Where each stream ended before anything of this run was written to it. Stored
            positions beyond that are of a stream that has lost its end since (in a power cut), or
            was another one; new entries get the same positions and must not be taken for stored.
            None, or a stream that is left out: not known.
    """
    sound: set[tuple[Stream, int]] = set()
    trails: defaultdict[tuple[Stream, int], Trail] = defaultdict(Trail)

    def open_source(stream: Stream, partition: int, after: int) -> Source:
        end = None if ends is None else ends.get(stream)
        if end is None or after <= end:
            sound.add((stream, partition))
        lost_from = None if (stream, partition) in sound else end
        trail = trails[stream, partition]
        return StreamSource(js, stream, partition, after, trail=trail, lost_from=lost_from)

    return open_source
