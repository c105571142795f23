"""Positions in the database that the stream cannot have given."""

from __future__ import annotations

import pytest

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.streams_source import source_factory
from evidence.sources import PositionsGoneError, Stream
from ingest.streams import ensure_streams


async def test_a_position_beyond_the_end_at_the_start_was_given_by_another_stream(
    broker: EmbeddedBroker,
) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js)
    for number in range(9):  # written by this run, before evidence looks
        await js.publish("core.journal.0", str(number).encode())
    open_source = source_factory(js, dict.fromkeys(Stream, 2))
    for _ in range(2):  # until the break is stored
        with pytest.raises(PositionsGoneError) as gone:
            await open_source(Stream.JOURNAL, 0, 5).read(1)
        assert (gone.value.kind, gone.value.resume_after) == ("replaced", 2)
    source = open_source(Stream.JOURNAL, 0, 2)
    assert [entry.position for entry in await source.read(1)] == list(range(3, 10))
    await source.close()
    later = open_source(Stream.JOURNAL, 0, 9)  # stored by this run
    assert not await later.read(0.2)
    await later.close()
    await nc.close()
