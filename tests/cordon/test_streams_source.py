"""Positions in the database that the stream cannot have given."""

from __future__ import annotations

import pytest
from nats.errors import NoRespondersError

from cordon.stream_ends import HistoryEnds
from cordon.streams_source import source_factory
from evidence.sources import PositionsGoneError, Stream
from tests.cordon.conftest import StreamsPlace


async def test_a_position_beyond_the_end_at_the_start_was_given_by_another_stream(
    place: StreamsPlace,
) -> None:
    js, keep = place
    await HistoryEnds(keep).note(Stream.JOURNAL, 2)
    for number in range(9):  # written by this run, before evidence looks
        await js.publish("core.journal.0", str(number).encode())
    open_source = source_factory(js, HistoryEnds(keep))
    for _ in range(2):  # until the break is stored
        with pytest.raises(PositionsGoneError) as gone:
            await open_source(Stream.JOURNAL, 0, 5).read(1)
        assert (gone.value.kind, gone.value.resume_after) == ("replaced", 2)
    source = open_source(Stream.JOURNAL, 0, 2)
    assert [entry.position for entry in await source.read(1)] == list(range(3, 10))
    await source.close()
    for ends in (None, HistoryEnds(keep)):  # later, and in a process that begins after a kill
        again = open_source if ends is None else source_factory(js, ends)
        later = again(Stream.JOURNAL, 0, 9)  # stored by this run
        assert not await later.read(0.2)
        await later.close()


async def test_nothing_is_handed_out_until_the_broker_says_whether_it_was_looked_at(
    place: StreamsPlace,
) -> None:
    js, keep = place
    await HistoryEnds(keep).note(Stream.JOURNAL, 0)
    await js.publish("core.journal.0", b"one")
    ends = Unwilling(keep)
    source = source_factory(js, ends)(Stream.JOURNAL, 0, 0)
    assert not await source.read(0.1)
    ends.willing = True
    assert [entry.position for entry in await source.read(1)] == [1]
    assert await HistoryEnds(keep).of(Stream.JOURNAL) is None
    await source.close()


class Unwilling(HistoryEnds):
    """Its broker keeps nothing at first."""

    willing = False

    async def forget(self, stream: Stream) -> None:
        if not self.willing:
            raise NoRespondersError
        await super().forget(stream)
