"""The slow lane on the real broker: what floods waits, nothing of it is lost, nobody else waits."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import pytest
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.js import JetStreamContext

from cordon.embedded.broker import EmbeddedBroker
from devices.instants import MICROSECONDS
from devices.reports import Message
from ingest import slow_lane as slow_lane_module
from ingest.allowance import BULK_BYTES, BURST_MESSAGES
from ingest.gateway import FLOOD_CODE, Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import MqttBroker
from ingest.slow_lane import SlowLane
from ingest.streams import DEFERRED
from tests.ingest.reports import NOW_US, fix, payload
from tests.ingest.test_gateway import clock, device, journaled, send, seqs, serving
from tests.ingest.waiting import running, until

pytestmark = pytest.mark.timeout(120)
FLOOD = int(BURST_MESSAGES) + 30


def slow_lane(nc: NATS) -> SlowLane:
    return SlowLane(nc, JournalWriter(nc), clock, gateway="g-1")


async def left(js: JetStreamContext) -> int:
    return (await js.stream_info(DEFERRED)).state.messages


async def test_what_exceeds_the_allowance_is_kept_and_taken_in_later(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    lane = slow_lane(nc)
    gateway = Gateway(service, JournalWriter(nc), clock, defer=lane.keep, name="g-1")
    async with serving(gateway):
        # The clock stands still, so no token comes back: all beyond the burst has to wait.
        await send(broker, *(payload(fix(seq=seq)) for seq in range(FLOOD)))
        await send(broker, payload(fix(seq=0)), topic="cordon/v1/tag-2/fix")
        await until(lambda: gateway.counts.acked == FLOOD + 1, "all are acknowledged")
        assert gateway.counts.fixes == BURST_MESSAGES + 1
        assert lane.counts.deferred == 30
        assert lane.waiting > 0
        assert gateway.flooding == 1
        async with running(lane.run()):
            await until(lambda: lane.counts.taken_in == 30, "what waited is taken in")
            async with asyncio.timeout(10):
                while await left(js):  # noqa: ASYNC110 - what is taken in is let go a moment later
                    await asyncio.sleep(0.02)
        await until(lambda: gateway.counts.refusals[FLOOD_CODE] == 1, "the flood is told, once")
    batches = await journaled(js, lambda got: sum(len(b.fixes) for b in got) > FLOOD)
    assert seqs(batches) == Counter(range(FLOOD)) + Counter([0])
    assert {batch.gateway.partition(".")[0] for batch in batches} == {"g-1"}
    told = [refusal for batch in batches for refusal in batch.refusals]
    assert [(refusal.device, refusal.code) for refusal in told] == [("tag-1", FLOOD_CODE)]


async def test_a_flushed_buffer_waits_behind_single_fixes(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    lane = slow_lane(nc)
    buffer = payload([fix(seq=seq, buffered=True) for seq in range(300)])
    assert len(buffer) > BULK_BYTES
    gateway = Gateway(service, JournalWriter(nc), clock, defer=lane.keep, name="g-1")
    async with serving(gateway):
        await send(broker, buffer)
        await send(broker, payload(fix(seq=1_000)), topic="cordon/v1/tag-2/fix")
        await until(lambda: gateway.counts.acked == 2, "both are acknowledged")
        assert gateway.counts.fixes == 1
        assert gateway.flooding == 0
        async with running(lane.run()):
            await until(lambda: lane.counts.taken_in == 1, "the buffer is taken in")
    batches = await journaled(js, lambda got: sum(len(b.fixes) for b in got) > 300)
    assert seqs(batches) == Counter([*range(300), 1_000])


@pytest.mark.usefixtures("js")
async def test_what_waits_is_left_until_no_more_comes_or_it_has_waited_long(
    nc: NATS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_lane_module, "QUIET_S", 3.0)  # no machine pauses so long
    now_us = NOW_US
    lane = SlowLane(nc, JournalWriter(nc), lambda: now_us, gateway="g-1")

    async def keep_on() -> None:
        for seq in itertools.count():
            body = payload(fix(seq=seq))
            await lane.keep([Message(NOW_US, "cordon/v1/tag-1/fix", body)])
            await asyncio.sleep(0.01)

    async with running(lane.run()):
        async with running(keep_on()):
            await until(lambda: lane.counts.deferred >= 150, "more and more is kept")
            assert lane.counts.taken_in == 0
            now_us += int(slow_lane_module.PATIENCE_S * MICROSECONDS)
            await until(lambda: lane.counts.taken_in > 0, "it goes on though more comes")
            now_us = NOW_US
        await until(lambda: lane.counts.taken_in == lane.counts.deferred, "and when none does")


async def test_what_was_kept_outlives_the_process(nc: NATS, js: JetStreamContext) -> None:
    first = slow_lane(nc)
    sent = [Message(NOW_US, "cordon/v1/tag-1/fix", payload(fix(seq=seq))) for seq in range(5)]
    await first.keep(sent[:3])
    await first.keep(sent[3:])
    second = SlowLane(nc, JournalWriter(nc), clock, gateway="g-2")
    async with running(second.run()):
        await until(lambda: second.counts.taken_in == 5, "the next one takes it in")
        await asyncio.wait_for(_until_empty(js), 20)
    batches = await journaled(js, lambda got: sum(len(b.fixes) for b in got) >= 5)
    assert seqs(batches) == Counter(range(5))
    assert [m for batch in batches for m in batch.messages] == sent


async def _until_empty(js: JetStreamContext) -> None:
    while await left(js):  # noqa: ASYNC110 - the broker announces no such thing
        await asyncio.sleep(0.05)


async def test_a_panic_passes_a_flood_of_its_own_device(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    lane = slow_lane(nc)
    gateway = Gateway(service, JournalWriter(nc), clock, defer=lane.keep, name="g-1")
    event = payload({"seq": 1, "time": "2026-11-23T18:04:05Z", "type": "panic"})
    async with serving(gateway), device(broker) as client:
        for seq in range(FLOOD):
            body = payload(fix(seq=seq))
            await client.publish("cordon/v1/tag-1/fix", body, qos=1, timeout=3)
        await client.publish("cordon/v1/tag-1/event", event, qos=1, timeout=3)
        await until(lambda: gateway.counts.events == 1, "the panic is journaled")
        assert await left(js) > 0


async def test_who_is_near_never_waits(
    broker: EmbeddedBroker, service: MqttBroker, nc: NATS, js: JetStreamContext
) -> None:
    lane = slow_lane(nc)
    gateway = Gateway(service, JournalWriter(nc), clock, defer=lane.keep, name="g-1")
    gateway.put_first(["tag-1"])
    async with serving(gateway):
        await send(broker, *(payload(fix(seq=seq)) for seq in range(FLOOD)))
        await until(lambda: gateway.counts.fixes == FLOOD, "all are taken in at once")
    assert await left(js) == 0
