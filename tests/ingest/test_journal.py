"""Writing the journal: confirmed means stored, and nothing is dropped on the way."""

from __future__ import annotations

import asyncio

import nats
import pytest
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.aio.msg import Msg
from nats.js import JetStreamContext

from cordon.embedded.broker import EmbeddedBroker
from devices.reports import Batch, Message, decode_batch, encode_batch
from ingest import journal, native
from ingest.decoder import Decoder
from ingest.journal import BATCH_HEADER, JournalUnavailableError, JournalWriter
from ingest.streams import JOURNAL, STREAMS, ensure_streams, journal_subject
from tests.ingest.reports import NOW_US, fix, message, payload
from tests.ingest.waiting import freeze, until

SUBJECT = journal_subject(0)


def batch(number: int, *messages: Message) -> Batch:
    some = messages or (message(fix(seq=number)),)
    return Decoder().decode(some, gateway="gw-test", number=number, received_us=NOW_US)


async def stored(js: JetStreamContext) -> list[Batch]:
    count = (await js.stream_info(JOURNAL)).state.last_seq
    entries = [await js.get_msg(JOURNAL, position) for position in range(1, count + 1)]
    return [decode_batch(entry.data or b"") for entry in entries]


async def test_append_returns_the_position_under_which_it_is_stored(
    nc: NATS, js: JetStreamContext
) -> None:
    writer = JournalWriter(nc)
    one, two = batch(1), batch(2)
    assert await writer.append(one) == 1
    assert await writer.append(two) == 2
    entry = await js.get_msg(JOURNAL, 2)
    assert entry.data == encode_batch(two)
    assert (entry.headers or {})[BATCH_HEADER] == two.name
    assert (writer.counts.batches, writer.counts.parts, writer.counts.retries) == (2, 2, 0)
    await writer.close()


async def test_many_at_once_are_all_stored(nc: NATS, js: JetStreamContext) -> None:
    writer = JournalWriter(nc)
    positions = await asyncio.gather(*(writer.append(batch(n)) for n in range(1, 301)))
    assert sorted(positions) == list(range(1, 301))
    assert {entry.number for entry in await stored(js)} == set(range(1, 301))
    assert writer.unconfirmed == 0


async def test_live_subscribers_hear_the_same_bytes(nc: NATS, js: JetStreamContext) -> None:
    live = await nc.subscribe(SUBJECT)
    await JournalWriter(nc).append(batch(1))
    assert (await live.next_msg(5)).data == (await js.get_msg(JOURNAL, 1)).data


async def test_the_same_batch_again_is_stored_once(nc: NATS, js: JetStreamContext) -> None:
    writer = JournalWriter(nc)
    assert [await writer.append(batch(1)), await writer.append(batch(1))] == [1, 1]
    assert len(await stored(js)) == 1


async def test_a_large_batch_goes_in_parts(nc: NATS, js: JetStreamContext) -> None:
    body = payload([fix()] * 500).ljust(native.MAX_PAYLOAD_BYTES)
    arrived = [message(body, device=f"tag-{n}") for n in range(9)]
    writer = JournalWriter(nc)
    position = await writer.append(batch(1, *arrived))
    pieces = await stored(js)
    assert position == len(pieces) == writer.counts.parts > 1
    assert [m for piece in pieces for m in piece.messages] == arrived
    assert sum(len(piece.fixes) for piece in pieces) == 4_500


async def test_a_full_journal_is_retried_until_it_has_room(nc: NATS, js: JetStreamContext) -> None:
    await ensure_streams(js, max_bytes=10_000)
    live = await nc.subscribe(SUBJECT)
    writer = JournalWriter(nc)
    appends = [asyncio.create_task(writer.append(batch(n))) for n in range(1, 41)]
    await until(lambda: writer.counts.retries > 0, "the journal refuses")
    await until(lambda: live.pending_msgs >= 40, "live subscribers hear all of them")
    assert not all(task.done() for task in appends)
    await ensure_streams(js)
    positions = await asyncio.gather(*appends)
    assert sorted(positions) == list(range(1, 41))
    assert {entry.number for entry in await stored(js)} == set(range(1, 41))


async def test_a_missing_stream_is_waited_for(nc: NATS, js: JetStreamContext) -> None:
    for name in STREAMS:
        await js.delete_stream(name)
    writer = JournalWriter(nc)
    append = asyncio.create_task(writer.append(batch(1)))
    await until(lambda: writer.counts.retries > 0, "nobody takes it")
    await ensure_streams(js)
    assert await append == 1


async def test_a_killed_server_costs_nothing(
    nc: NATS, js: JetStreamContext, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "ACK_LIMIT_S", 1_000.0)  # only the lost connection ends the wait
    writer = JournalWriter(nc)
    await asyncio.gather(*(writer.append(batch(n)) for n in range(1, 101)))
    await freeze(broker.pid)
    appends = [asyncio.create_task(writer.append(batch(n))) for n in range(101, 201)]
    await until(lambda: writer.unconfirmed == 100, "all are on the wire")
    broker.kill()
    await until(lambda: writer.unconfirmed == 0, "the lost connection is noticed")
    broker.start()
    await asyncio.gather(*appends)
    assert sorted(entry.number for entry in await stored(js)) == list(range(1, 201))


class Told:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.known_kept: list[str] = []
        self.known_lost: list[str] = []

    def hear(self, name: str, _batch: Batch) -> None:
        self.heard.append(name)

    def kept(self, name: str, _position: int) -> None:
        self.known_kept.append(name)

    def lost(self, name: str, _batch: Batch) -> None:
        self.known_lost.append(name)


@pytest.mark.usefixtures("js")
async def test_what_is_cut_short_is_told_as_lost_and_what_is_kept_is_not(
    nc: NATS, broker: EmbeddedBroker
) -> None:
    told = Told()
    writer = JournalWriter(nc, told)
    await writer.append(batch(1))
    assert (told.heard, told.known_kept) == ([batch(1).name], [batch(1).name])
    assert told.known_lost == []
    await freeze(broker.pid)
    cut = asyncio.create_task(writer.append(batch(2)))
    await until(lambda: writer.unconfirmed == 1, "it is on the wire")
    cut.cancel()
    await asyncio.wait([cut])
    assert told.known_lost == [batch(2).name]
    never_begun = writer.announce(batch(3))
    writer.lose(never_begun)
    assert told.heard[-1] == told.known_lost[-1] == batch(3).name


async def test_another_taker_of_the_subject_does_not_count_as_the_journal(
    nc: NATS, js: JetStreamContext
) -> None:
    for name in STREAMS:
        await js.delete_stream(name)

    async def confirm(msg: Msg) -> None:
        await msg.respond(b'{"stream": "OTHER", "seq": 5}')

    await nc.subscribe(SUBJECT, cb=confirm)
    writer = JournalWriter(nc)
    append = asyncio.create_task(writer.append(batch(1)))
    await until(lambda: writer.counts.retries > 0, "the false confirmation is refused")
    await ensure_streams(js)
    await append
    assert len(await stored(js)) == 1


async def test_silence_ends_in_an_error_that_says_where_to_look(
    nc: NATS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "APPEND_LIMIT_S", 0.4)
    writer = JournalWriter(nc)  # no stream
    with pytest.raises(JournalUnavailableError, match="disk"):
        await writer.append(batch(1))
    assert writer.counts.given_up == 1
    assert writer.unconfirmed == 0


async def test_a_closed_connection_is_not_waited_for(broker: EmbeddedBroker) -> None:
    nc = await nats.connect(broker.nats_url)
    writer = JournalWriter(nc)
    await nc.close()
    with pytest.raises(JournalUnavailableError, match="closed"):
        await writer.append(batch(1))
    await writer.close()


async def test_cancelling_leaves_nothing_waiting(nc: NATS) -> None:
    writer = JournalWriter(nc)
    append = asyncio.create_task(writer.append(batch(1)))  # no stream
    await until(lambda: writer.counts.retries > 0, "it is being retried")
    append.cancel()
    with pytest.raises(asyncio.CancelledError):
        await append
    assert writer.unconfirmed == 0
