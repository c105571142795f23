"""A stream in memory that keeps the promises of `evidence.sources`, and can break them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from evidence.sources import PositionsGoneError, Source, Stream


@dataclass(frozen=True, slots=True)
class FakeEntry:
    position: int
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeStreams:
    """Entries by stream. `first` is the oldest position still held."""

    def __init__(self, *, group: int = 3) -> None:
        self.entries: dict[Stream, list[FakeEntry]] = {stream: [] for stream in Stream}
        self.first = 1
        self.group = group
        self.opened = 0
        self.closed = 0
        self.failures: list[Exception] = []

    def add(self, stream: Stream, *data: bytes) -> None:
        entries = self.entries[stream]
        for one in data:
            entries.append(FakeEntry(len(entries) + 1, one, {"Cordon-Batch": f"gw/{len(entries)}"}))

    def open(self, stream: Stream, partition: int, after: int) -> Source:
        assert partition == 0
        self.opened += 1
        return _FakeSource(self, stream, after)


class _FakeSource:
    def __init__(self, streams: FakeStreams, stream: Stream, after: int) -> None:
        self._streams = streams
        self._entries = streams.entries[stream]
        self._after = after
        self._stream = stream

    @property
    def caught_up(self) -> bool:
        return self._after >= len(self._entries)

    async def read(self, wait_s: float) -> Sequence[FakeEntry]:
        await asyncio.sleep(min(wait_s, 0.01))
        if self._streams.failures and self._stream is Stream.JOURNAL:
            raise self._streams.failures.pop()
        if self._after > len(self._entries):
            raise PositionsGoneError("replaced", 0)
        if self._stream is Stream.JOURNAL and self._streams.first > self._after + 1:
            raise PositionsGoneError("expired", self._streams.first - 1)
        found = self._entries[self._after : self._after + self._streams.group]
        self._after += len(found)
        return found

    async def close(self) -> None:
        self._streams.closed += 1


async def until(condition: Callable[[], bool], *, limit_s: float = 30.0) -> None:
    """Wait for a condition, but not for ever."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is waited for cannot tell
            await asyncio.sleep(0.01)
