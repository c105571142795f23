"""Reading a stream: order, no gap, restarts of the server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from cordon.embedded.broker import EmbeddedBroker
from ingest.reader import Entry, JournalGap, StreamReader
from ingest.streams import ALERTS, JOURNAL, journal_subject
from tests.ingest.waiting import until

SUBJECT = journal_subject(0)


async def fill(js: JetStreamContext, first: int, last: int) -> None:
    for number in range(first, last + 1):
        await js.publish(SUBJECT, str(number).encode(), headers={"Cordon-Batch": f"b/{number}"})


async def read(reader: StreamReader, count: int) -> list[Entry]:
    entries: list[Entry] = []
    async with asyncio.timeout(30):
        async for group in reader:
            entries += group
            if len(entries) >= count:
                break
    return entries


async def test_reads_everything_in_order_and_then_waits(js: JetStreamContext) -> None:
    await fill(js, 1, 25)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, max_group=10)
    groups = [await reader.read(1.0) for _ in range(3)]
    assert [len(group) for group in groups] == [10, 10, 5]
    entries = [entry for group in groups for entry in group]
    assert [entry.position for entry in entries] == list(range(1, 26))
    assert [int(entry.data) for entry in entries] == list(range(1, 26))
    assert entries[0].headers["Cordon-Batch"] == "b/1"
    assert entries[0].subject == SUBJECT
    assert await reader.read(0.1) == []
    await fill(js, 26, 26)
    assert [entry.position for entry in await reader.read(5.0)] == [26]
    await reader.close()


async def test_caught_up_tells_whether_more_is_waiting(js: JetStreamContext) -> None:
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, max_group=2)
    assert not reader.caught_up
    assert await reader.read(0.1) == []
    assert reader.caught_up
    await fill(js, 1, 4)
    await reader.close()
    seen = [(len(await reader.read(1.0)), reader.caught_up) for _ in range(2)]
    assert seen == [(2, False), (2, True)]
    await reader.close()


async def test_begins_after_the_given_position(js: JetStreamContext) -> None:
    await fill(js, 1, 5)
    reader = StreamReader(js, JOURNAL, SUBJECT, 3)
    assert [entry.position for entry in await read(reader, 2)] == [4, 5]
    assert reader.position == 5
    await reader.close()


async def test_skips_other_subjects_without_alarm(js: JetStreamContext) -> None:
    for number in range(6):
        await js.publish(f"core.alert.{number % 2}", str(number).encode())
    reader = StreamReader(js, ALERTS, "core.alert.1", 0)
    assert [entry.data for entry in await read(reader, 3)] == [b"1", b"3", b"5"]
    assert reader.caught_up
    await reader.close()


async def test_goes_on_after_the_server_was_killed(
    js: JetStreamContext, broker: EmbeddedBroker
) -> None:
    await fill(js, 1, 10)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, max_group=4)
    before = await read(reader, 4)
    broker.kill()
    assert await reader.read(0.3) == []
    broker.start()
    after = await read(reader, 6)
    assert [int(entry.data) for entry in before + after] == list(range(1, 11))
    await reader.close()


async def test_goes_on_when_the_server_forgot_the_consumer(js: JetStreamContext) -> None:
    await fill(js, 1, 4)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, max_group=2)
    before = await reader.read(1.0)
    for consumer in await js.consumers_info(JOURNAL):
        await js.delete_consumer(JOURNAL, consumer.name)
    after = await read(reader, 2)
    assert [entry.position for entry in before + after] == [1, 2, 3, 4]
    await reader.close()


async def test_what_aged_out_before_it_was_read_is_a_gap(js: JetStreamContext) -> None:
    await fill(js, 1, 10)
    await js.purge_stream(JOURNAL, seq=6)
    reader = StreamReader(js, JOURNAL, SUBJECT, 2)
    with pytest.raises(JournalGap, match="position 3") as caught:
        await reader.read(1.0)
    assert (caught.value.wanted, caught.value.found) == (3, 6)
    resumed = StreamReader(js, JOURNAL, SUBJECT, caught.value.found - 1)
    assert [entry.position for entry in await read(resumed, 5)] == [6, 7, 8, 9, 10]
    await resumed.close()


async def test_what_disappears_while_reading_is_a_gap(js: JetStreamContext) -> None:
    await fill(js, 1, 10)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, max_group=2)
    await reader.read(1.0)
    await js.purge_stream(JOURNAL, seq=6)
    with pytest.raises(JournalGap, match="position 3"):
        await read(reader, 10)
    assert reader.position == 2
    await reader.close()


async def test_a_hole_is_a_gap_that_names_where_to_go_on(js: JetStreamContext) -> None:
    await fill(js, 1, 9)
    for position in (4, 5, 7):
        await js.delete_msg(JOURNAL, position)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0)
    assert [entry.position for entry in await read(reader, 3)] == [1, 2, 3]
    with pytest.raises(JournalGap, match="deleted or damaged") as caught:
        await reader.read(1.0)
    assert (caught.value.wanted, caught.value.found) == (4, 6)
    assert reader.position == 3
    await reader.close()
    behind = StreamReader(js, JOURNAL, SUBJECT, caught.value.found - 1)
    assert [entry.position for entry in await read(behind, 1)] == [6]
    with pytest.raises(JournalGap) as again:
        await behind.read(1.0)
    assert (again.value.wanted, again.value.found) == (7, 8)
    await behind.close()


async def test_a_hole_that_lies_behind_the_reader_does_not_matter(js: JetStreamContext) -> None:
    for number in range(12):
        await js.publish(f"core.alert.{number % 2}", str(number).encode())
    await js.delete_msg(ALERTS, 2)
    reader = StreamReader(js, ALERTS, "core.alert.1", 2)  # jumps over every other position
    assert [entry.position for entry in await read(reader, 5)] == [4, 6, 8, 10, 12]
    await reader.close()


async def test_a_hole_at_the_end_is_a_gap_once_something_follows(js: JetStreamContext) -> None:
    await fill(js, 1, 5)
    reader = StreamReader(js, JOURNAL, SUBJECT, 4)
    await js.delete_msg(JOURNAL, 5)
    assert await reader.read(0.3) == []
    await fill(js, 6, 6)
    with pytest.raises(JournalGap) as caught:
        await read(reader, 1)
    assert (caught.value.wanted, caught.value.found) == (5, 6)
    await reader.close()


async def test_a_stream_that_lost_its_end_is_a_gap(js: JetStreamContext) -> None:
    await fill(js, 1, 3)
    reader = StreamReader(js, JOURNAL, SUBJECT, 7)
    with pytest.raises(JournalGap, match="ends at position 3"):
        await reader.read(1.0)


async def test_entries_lost_on_the_way_are_read_again(js: JetStreamContext) -> None:
    await fill(js, 1, 6)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0, max_group=3)
    first = await reader.read(1.0)
    (consumer,) = await js.consumers_info(JOURNAL)
    request = f"$JS.API.CONSUMER.MSG.NEXT.{JOURNAL}.{consumer.name}"
    thief = await js._nc.subscribe("thief")
    await js._nc.publish(request, b'{"batch": 2}', reply="thief")
    await until(lambda: thief.pending_msgs == 2, "two entries went elsewhere")
    assert [entry.position for entry in first + await read(reader, 3)] == [1, 2, 3, 4, 5, 6]
    await reader.close()


async def test_ends_when_told_though_the_client_swallowed_it(
    js: JetStreamContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(js, 1, 1)
    reader = StreamReader(js, JOURNAL, SUBJECT, 0)
    await read(reader, 1)
    waiting = asyncio.Event()

    async def fetch(_count: int, timeout: float) -> list[Msg]:  # noqa: ASYNC109 - as in nats-py
        waiting.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(timeout)
        raise TimeoutError

    monkeypatch.setattr(reader._pull, "fetch", fetch)
    reading = asyncio.create_task(read(reader, 1))
    await waiting.wait()
    reading.cancel()
    await asyncio.wait({reading}, timeout=10)
    assert reading.cancelled()
    await reader.close()
