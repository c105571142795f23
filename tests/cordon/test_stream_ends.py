"""Where streams ended, from start to start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from nats.js import JetStreamContext

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import Keep
from cordon.stream_ends import NAME, Ends, HistoryEnds, stream_ends
from evidence.sources import Stream
from ingest.streams import ensure_streams

MAX_BYTES = 64 * 1024 * 1024


class Place(NamedTuple):
    """Streams, and what is kept beside them."""

    js: JetStreamContext
    keep: Keep

    async def ends(self) -> tuple[Ends, list[int | None]]:
        """What a start finds: for the worker, and for evidence."""
        found = await stream_ends(self.js, self.keep)
        return found, [await HistoryEnds(self.keep).of(stream) for stream in Stream]

    async def fill(self) -> None:
        """One entry more in each stream."""
        for stream in Stream:
            [subject] = (await self.js.stream_info(stream.value)).config.subjects or []
            await self.js.publish(subject.replace("*", "0").replace(">", "0"), b"one")


@pytest.fixture
async def place(broker: EmbeddedBroker) -> AsyncIterator[Place]:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js, max_bytes=MAX_BYTES)
    yield Place(js, await Keep.open(js, max_bytes=MAX_BYTES))
    await nc.close()


@pytest.mark.parametrize(
    "kept", [b"", b"not JSON", b'{"streams":{"OF_ANOTHER_VERSION":3},"journal":1}']
)
async def test_what_cannot_be_read_keeps_nobody_from_starting(place: Place, kept: bytes) -> None:
    await place.keep.put(NAME, kept)
    for stream in Stream:
        await place.keep.put(f"{NAME}-{stream}", kept)
    assert await place.ends() == (Ends(0, 0), [0, 0, 0])


async def test_the_first_end_counts_until_it_is_forgotten(place: Place) -> None:
    none = (Ends(0, 0), [0, 0, 0])
    assert await place.ends() == none
    await place.fill()
    assert await place.ends() == none
    await place.keep.put(NAME, b"{}")
    assert await place.ends() == (Ends(1, 1), [0, 0, 0])
    await HistoryEnds(place.keep).forget(Stream.ALERTS)
    assert await HistoryEnds(place.keep).of(Stream.ALERTS) is None
    _, of_history = await place.ends()
    assert dict(zip(Stream, of_history, strict=True)) == {
        Stream.JOURNAL: 0,
        Stream.DECISIONS: 0,
        Stream.ALERTS: 1,
    }


async def test_what_an_earlier_version_kept_for_the_history_counts(place: Place) -> None:
    await place.fill()
    await place.fill()
    await place.keep.put(NAME, b'{"streams":{"ALERTS":1},"journal":0,"alerts":null}')
    found, of_history = await place.ends()
    assert found == Ends(0, 2)
    assert sorted(end or 0 for end in of_history) == [1, 2, 2]
