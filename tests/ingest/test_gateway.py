"""The gateway on the real broker: acknowledged means journaled, whatever dies."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import aiomqtt
import msgspec
import pytest
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.js import JetStreamContext

from cordon.embedded.broker import MAX_UNACKNOWLEDGED, EmbeddedBroker
from devices.reports import Batch, decode_batch
from ingest import gateway as gateway_module
from ingest import session as session_module
from ingest.ack_client import AckClient
from ingest.formats.registry import EVENT_FILTERS, POSITION_FILTERS
from ingest.gateway import Gateway
from ingest.journal import MAX_PART_BYTES, JournalUnavailableError, JournalWriter
from ingest.mqtt import MqttBroker
from ingest.parts import Part, parts
from ingest.reader import StreamReader
from ingest.streams import JOURNAL, journal_subject
from tests.ingest.reports import NOW_US, fix, payload
from tests.ingest.test_owntracks import LOCATION
from tests.ingest.waiting import running, until

TIME = "2026-11-23T18:04:05Z"


def clock() -> int:
    return NOW_US


class SlowJournal:
    """Keeps nothing until it is told to; holds what it was asked to keep."""

    def __init__(self) -> None:
        self.asked: list[Batch] = []
        self.lost: list[Batch] = []
        self.verdict = asyncio.Event()
        self.error: Exception | None = None

    def announce(self, batch: Batch) -> list[Part]:
        return parts(batch, MAX_PART_BYTES)

    async def append(self, batch: Batch) -> int:
        return await self.keep(self.announce(batch))

    async def keep(self, announced: list[Part]) -> int:
        self.asked += [part.batch for part in announced]
        await self.verdict.wait()
        if self.error is not None:
            raise self.error
        announced.clear()
        return len(self.asked)

    def lose(self, announced: list[Part]) -> None:
        self.lost += [part.batch for part in announced]

    @property
    def payloads(self) -> Counter[bytes]:
        return Counter(message.payload for batch in self.asked for message in batch.messages)


def device(broker: EmbeddedBroker) -> aiomqtt.Client:
    return aiomqtt.Client(broker.host, broker.mqtt_port)


async def send(broker: EmbeddedBroker, *bodies: bytes, topic: str = "cordon/v1/tag-1/fix") -> None:
    async with device(broker) as client:
        for body in bodies:
            await client.publish(topic, body, qos=1, timeout=3)


@asynccontextmanager
async def serving(gateway: Gateway) -> AsyncIterator[Gateway]:
    async with running(gateway.run()):
        await until(gateway.ready.is_set, "the gateway is ready")
        yield gateway


async def journaled(js: JetStreamContext, done: Callable[[list[Batch]], bool]) -> list[Batch]:
    """The journal's batches, once they satisfy the condition."""
    reader = StreamReader(js, JOURNAL, journal_subject(0), 0)
    batches: list[Batch] = []
    async with asyncio.timeout(30):
        while not done(batches):
            batches += [decode_batch(entry.data) for entry in await reader.read(0.2)]
    await reader.close()
    return batches


def seqs(batches: list[Batch]) -> Counter[int]:
    return Counter(int(seq) for batch in batches for seq in batch.fixes["seq"])


async def test_what_devices_publish_is_journaled_once_and_exactly(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    async with serving(Gateway(service, JournalWriter(nc), clock)) as gateway:
        bodies = [payload(fix(seq=seq)) for seq in range(200)]
        await asyncio.gather(*(send(broker, *bodies[part::4]) for part in range(4)))
        event = payload({"seq": 1, "time": TIME, "type": "panic"})
        await send(broker, event, topic="cordon/v1/tag-1/event")
        receipt = payload({"id": "c", "state": "shown", "time": TIME})
        await send(broker, receipt, topic="cordon/v1/handset-1/receipt")
        await until(lambda: gateway.counts.acked == 202, "all are acknowledged")
    batches = await journaled(js, lambda got: sum(len(b.messages) for b in got) >= 202)
    assert seqs(batches) == Counter(range(200))
    payloads = [message.payload for batch in batches for message in batch.messages]
    assert Counter(payloads) == Counter([*bodies, event, receipt])
    assert [e.type for batch in batches for e in batch.events] == ["panic"]
    assert [r.command_id for batch in batches for r in batch.receipts] == ["c"]
    counts = gateway.counts
    assert (counts.messages, counts.fixes, counts.events, counts.receipts) == (202, 200, 1, 1)
    assert counts.batches == len(batches)
    assert len({batch.name for batch in batches}) == len(batches)
    assert not counts.refusals


async def test_each_format_comes_through_the_broker(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    arrivals = {
        "cordon/v1/tag-1/fix": msgspec.msgpack.encode([fix(seq=1), fix(seq=2)]),
        "owntracks/jane/my.phone": payload(LOCATION),
        "owntracks/jane/my.phone/event": payload(LOCATION | {"_type": "transition"}),
    }
    async with serving(Gateway(service, JournalWriter(nc), clock)) as gateway:
        for topic, body in arrivals.items():
            await send(broker, body, topic=topic)
        await until(lambda: gateway.counts.acked == 3, "all are acknowledged")
    batches = await journaled(js, lambda got: sum(len(b.messages) for b in got) >= 3)
    messages = {m.topic: m.payload for batch in batches for m in batch.messages}
    assert messages == arrivals
    assert [name for batch in batches for name in batch.devices] == ["tag-1", "jane__my_2Ephone"]
    assert seqs(batches).total() == 3
    assert gateway.counts.refusals == Counter(["not_a_position"])


async def test_nonsense_hurts_nobody_and_is_kept_with_its_reason(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    nonsense = {
        b"hello": "not_json",
        payload(fix(lat="x")): "wrong_type",
        payload(fix(lat=91)): "out_of_range",
        payload(fix(lat=float("nan"))): "not_a_number",
        payload(fix(time="1970-01-01T00:00:00Z")): "bad_time",
        payload(fix(time="2099-01-01T00:00:00Z")): "bad_time",
        bytes(500_000): "too_large",
    }
    async with serving(Gateway(service, JournalWriter(nc), clock)) as gateway:
        async with device(broker) as other:
            await send(broker, *nonsense)
            with pytest.raises(aiomqtt.MqttError):
                await send(broker, bytes(10_000_000))
            await other.publish("cordon/v1/tag-3/fix", payload(fix(seq=1)), qos=1)
        await until(lambda: gateway.counts.acked == 8, "all that got in is acknowledged")
        assert gateway.counts.refusals == Counter(nonsense.values())
        assert gateway.counts.reconnects == 0
    batches = await journaled(js, lambda got: sum(len(b.messages) for b in got) >= 8)
    assert seqs(batches) == Counter([1])
    refused = {
        batch.messages[r.message].payload[:1000]: r.code
        for batch in batches
        for r in batch.refusals
    }
    assert refused == {body[:1000]: code for body, code in nonsense.items()}


async def test_nothing_is_acknowledged_before_the_journal_has_it(
    broker: EmbeddedBroker, service: MqttBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "FINISH_LIMIT_S", 0.05)
    first = SlowJournal()
    async with serving(Gateway(service, first, clock)) as gateway:
        await send(broker, b"1", b"2", b"3")
        await until(lambda: len(first.payloads) == 3, "the journal is asked")
        assert gateway.counts.acked == 0
        assert gateway.unacked == 3
        assert first.lost == []
    # Who has decided on them learns that they may not be kept.
    assert {batch.name for batch in first.lost} == {batch.name for batch in first.asked}
    second = SlowJournal()
    second.verdict.set()
    async with serving(Gateway(service, second, clock)) as gateway:
        await until(lambda: gateway.counts.acked == 3, "what was not acknowledged came again")
    assert set(second.payloads) == {b"1", b"2", b"3"}
    third = SlowJournal()
    third.verdict.set()
    async with serving(Gateway(service, third, clock)) as gateway:
        await send(broker, b"4")
        await until(lambda: gateway.counts.acked == 1, "the newest message")
    assert set(third.payloads) == {b"4"}  # what was acknowledged does not come again


async def test_a_journal_that_fails_brings_everything_again(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    failing = SlowJournal()
    failing.error = JournalUnavailableError("not now")
    async with serving(Gateway(service, failing, clock)) as gateway:
        await send(broker, b"1", b"2")
        await until(lambda: len(failing.payloads) == 2, "the journal is asked")
        failing.verdict.set()
        await until(lambda: gateway.counts.reconnects > 0, "the gateway connects anew")
        assert gateway.counts.acked == 0
        assert failing.lost
        failing.error = None
        await until(lambda: gateway.counts.acked >= 2, "both came again")


async def test_a_stalled_journal_is_not_asked_twice_for_the_same_message(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    stalled = SlowJournal()
    async with serving(Gateway(service, stalled, clock)) as gateway:
        await send(broker, b"1")
        await until(lambda: gateway.counts.repeated > 0, "the broker repeats it")  # ack_wait 3 s
        assert stalled.payloads == Counter([b"1"])
        stalled.verdict.set()
        await until(lambda: gateway.counts.acked == 1, "it is acknowledged once it is kept")


async def test_stopping_finishes_what_is_on_its_way(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    journal = SlowJournal()
    gateway = Gateway(service, journal, clock)
    run = asyncio.create_task(gateway.run())
    await until(gateway.ready.is_set, "the gateway is ready")
    await send(broker, b"1")
    await until(lambda: len(journal.asked) == 1, "the journal is asked")
    run.cancel()
    asyncio.get_running_loop().call_later(0.1, journal.verdict.set)
    with pytest.raises(asyncio.CancelledError):
        await run
    assert gateway.counts.acked == 1
    assert not gateway.ready.is_set()


async def test_a_killed_broker_loses_nothing_it_acknowledged(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    acknowledged: set[int] = set()

    async def publish_some(first: int) -> None:
        with suppress(aiomqtt.MqttError):
            async with device(broker) as client:
                for seq in range(first, first + 1_000):
                    body = payload(fix(seq=seq))
                    await client.publish("cordon/v1/tag-1/fix", body, qos=1, timeout=1)
                    acknowledged.add(seq)

    async with serving(Gateway(service, JournalWriter(nc), clock)) as gateway:
        senders = [asyncio.create_task(publish_some(n * 1_000)) for n in range(4)]
        await until(lambda: len(acknowledged) > 400, "publishing is under way")
        broker.kill()
        await asyncio.gather(*senders)
        assert len(acknowledged) < 4_000
        broker.start()
        await until(gateway.ready.is_set, "the gateway is back")
        await send(broker, payload(fix(seq=9_999)))
        batches = await journaled(js, lambda got: seqs(got).keys() >= acknowledged | {9_999})
    assert acknowledged <= set(seqs(batches))
    assert gateway.counts.reconnects > 0


async def test_retained_statuses_arrive_and_are_told_apart(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    online = payload({"online": True, "time": TIME})
    async with device(broker) as client:
        await client.publish("cordon/v1/tag-1/status", online, qos=1, retain=True)
    journal = SlowJournal()
    journal.verdict.set()
    async with serving(Gateway(service, journal, clock)) as gateway:
        await until(lambda: gateway.counts.statuses == 1, "the retained status")
        assert gateway.counts.retained == 1
        await send(broker, online, topic="cordon/v1/tag-2/status")
        await until(lambda: gateway.counts.statuses == 2, "a live status")
        assert gateway.counts.retained == 1


async def test_the_gateway_waits_for_a_broker_that_is_not_there_yet(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    broker.stop()
    gateway = Gateway(service, SlowJournal(), clock)
    async with running(gateway.run()):
        await until(lambda: gateway.counts.reconnects >= 2, "it keeps trying")
        assert not gateway.ready.is_set()
        broker.start()
        await until(gateway.ready.is_set, "it connects")


async def test_ends_when_told_though_the_farewell_fails(
    service: MqttBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = Gateway(service, SlowJournal(), clock)
    serving = asyncio.Event()

    async def serve() -> None:
        serving.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise aiomqtt.MqttError("Operation timed out") from None

    for session in gateway._sessions:
        monkeypatch.setattr(session, "_serve", serve)
    running_task = asyncio.create_task(gateway.run())
    await serving.wait()
    running_task.cancel()
    await asyncio.wait({running_task}, timeout=10)
    assert running_task.cancelled()


EARLIER = tuple(f"cordon/v1/+/{kind}" for kind in ("fix", "event", "status", "receipt"))


def test_no_session_asks_for_more_than_it_has_packet_ids() -> None:
    # nats-server adds up what the subscriptions of a session may hold unacknowledged.
    for filters in (EVENT_FILTERS, {*POSITION_FILTERS, *EARLIER}):
        assert len(filters) * MAX_UNACKNOWLEDGED <= 65_535


async def test_what_waits_in_the_session_of_an_earlier_version_is_taken_in(
    broker: EmbeddedBroker,
    service: MqttBroker,
    nc: NATS,
    js: JetStreamContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with AckClient(service, identifier=gateway_module.IDENTIFIER, clock=clock) as earlier:
        await earlier.listen(EARLIER)
    event = payload({"seq": 1, "time": TIME, "type": "panic"})
    await send(broker, event, topic="cordon/v1/tag-1/event")
    await send(broker, payload(fix(seq=2)))

    left: list[tuple[str, ...]] = []

    async def leave(_client: AckClient, given: tuple[str, ...]) -> None:
        left.append(given)

    monkeypatch.setattr(AckClient, "leave", leave)
    monkeypatch.setattr(session_module, "LEAVE_AFTER_S", 0.5)
    async with serving(Gateway(service, JournalWriter(nc), clock)) as gateway:
        await until(lambda: gateway.counts.acked == 2, "both are taken in")
        assert (gateway.counts.events, gateway.counts.fixes) == (1, 1)
        await until(lambda: left == [EVENT_FILTERS], "then it gives them up")
    await journaled(js, lambda got: sum(len(b.messages) for b in got) == 2)
