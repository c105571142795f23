"""Hands evidence the streams it asks for: it may not know who keeps them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nats.js import JetStreamContext

from evidence.sources import PositionsGoneError, Source, Stream
from ingest.reader import Entry, JournalGap, StreamReader
from ingest.streams import alert_subject, decision_subject, journal_subject

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
        lost_from: int | None = None,
    ) -> None:
        self._js = js
        self._lost_from = lost_from
        self._stream = stream
        self._reader = StreamReader(
            js, stream.value, _SUBJECTS[stream](partition), after=after, max_group=MAX_GROUP
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
            if gap.found > 0:
                raise PositionsGoneError("expired", gap.found - 1) from gap
            state = (await self._js.stream_info(self._stream.value)).state
            if state.last_seq < gap.wanted - 1:
                # It counts from the start again: what it holds is new, from its first entry on.
                raise PositionsGoneError("replaced", max(0, state.first_seq - 1)) from gap
            raise

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
            None: not known.
    """
    sound: set[tuple[Stream, int]] = set()

    def open_source(stream: Stream, partition: int, after: int) -> Source:
        end = None if ends is None else ends[stream]
        if end is None or after <= end:
            sound.add((stream, partition))
        lost_from = None if (stream, partition) in sound else end
        return StreamSource(js, stream, partition, after, lost_from=lost_from)

    return open_source
