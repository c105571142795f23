"""Where streams ended, from start to start."""

from __future__ import annotations

import pytest

from cordon.stream_ends import NAME, Ends, HistoryEnds, stream_ends
from evidence.sources import Stream
from tests.cordon.conftest import StreamsPlace


async def ends(place: StreamsPlace) -> tuple[Ends, list[int | None]]:
    """What a start finds: for the worker, and for evidence."""
    found = await stream_ends(place.js, place.keep)
    return found, [await HistoryEnds(place.keep).of(stream) for stream in Stream]


async def fill(place: StreamsPlace) -> None:
    """One entry more in each stream."""
    for stream in Stream:
        [subject] = (await place.js.stream_info(stream.value)).config.subjects or []
        await place.js.publish(subject.replace("*", "0").replace(">", "0"), b"one")


@pytest.mark.parametrize(
    "kept", [b"", b"not JSON", b'{"streams":{"OF_ANOTHER_VERSION":3},"journal":1}']
)
async def test_what_cannot_be_read_keeps_nobody_from_starting(
    place: StreamsPlace, kept: bytes
) -> None:
    await place.keep.put(NAME, kept)
    for stream in Stream:
        await place.keep.put(f"{NAME}-{stream}", kept)
    assert await ends(place) == (Ends(0, 0), [0, 0, 0])


async def test_the_first_end_counts_until_it_is_forgotten(place: StreamsPlace) -> None:
    none = (Ends(0, 0), [0, 0, 0])
    assert await ends(place) == none
    await fill(place)
    assert await ends(place) == none
    await place.keep.put(NAME, b"{}")
    assert await ends(place) == (Ends(1, 1), [0, 0, 0])
    await HistoryEnds(place.keep).forget(Stream.ALERTS)
    assert await HistoryEnds(place.keep).of(Stream.ALERTS) is None
    _, of_history = await ends(place)
    assert dict(zip(Stream, of_history, strict=True)) == {
        Stream.JOURNAL: 0,
        Stream.DECISIONS: 0,
        Stream.ALERTS: 1,
    }


async def test_what_an_earlier_version_kept_for_the_history_counts(place: StreamsPlace) -> None:
    await fill(place)
    await fill(place)
    await place.keep.put(NAME, b'{"streams":{"ALERTS":1},"journal":0,"alerts":null}')
    found, of_history = await ends(place)
    assert found == Ends(0, 2)
    assert sorted(end or 0 for end in of_history) == [1, 2, 2]
