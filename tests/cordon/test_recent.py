"""What a service that stands by remembers, and hands over when it takes charge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import aiomqtt
import pytest

from cordon import recent as recent_module
from cordon.clock import wall_clock_us
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.recent import HELD_STREAM, Recent
from devices.instants import to_iso
from devices.reports import Batch, Message
from ingest.ack_client import AckClient
from ingest.decoder import Decoder
from ingest.journal import JournalUnavailableError, JournalWriter
from ingest.mqtt import MqttBroker
from ingest.session import MAX_BATCH_MESSAGES
from tests.conftest import Database
from tests.cordon.running import LIMIT_S, one_pair, until, world
from tests.ingest.reports import NOW_US, fix, payload


class _Counting(Decoder):
    """Counts what it has decoded."""

    decoded = 0

    def decode(self, messages: Sequence[Message], **more: Any) -> Batch:
        self.decoded += len(messages)
        return super().decode(messages, **more)


async def test_what_is_handed_over_is_decoded_piece_by_piece(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    heard = 0

    def clock() -> int:
        nonlocal heard
        heard += 1
        return NOW_US

    recent, decoder, count = Recent(nc, clock), _Counting(), 2 * MAX_BATCH_MESSAGES + 50
    async with recent.listening():
        for seq in range(count):
            await nc.publish("cordon.v1.tag-1.fix", payload(fix(seq=seq)))
        await until(lambda: heard >= 2 * count, "all of them are heard")
    batches = recent.batches("gw", decoder)
    first = next(batches)
    assert decoder.decoded == len(first.messages) == MAX_BATCH_MESSAGES, "others have a turn now"
    everything = [first, *batches]
    assert [int(seq) for one in everything for seq in one.fixes["seq"]] == list(range(count))
    assert len({one.name for one in everything}) == 3
    await nc.close()


async def test_what_was_on_its_way_to_who_died_is_read_from_the_broker(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    mqtt = MqttBroker(broker.host, broker.mqtt_port, broker.service_user, broker.service_password)
    nc = await connect_nats(broker.nats_url, "test")
    async with AckClient(mqtt, identifier="died", clock=lambda: NOW_US) as died:
        await died.listen(("cordon/v1/+/fix", "cordon/v1/+/event"))
        async with aiomqtt.Client(broker.host, broker.mqtt_port) as device:
            for seq in range(30):
                await device.publish("cordon/v1/tag-1/fix", payload(fix(seq=seq)), qos=1)
            panic = json.dumps({"seq": 30, "time": to_iso(NOW_US), "type": "panic"}).encode()
            await device.publish("cordon/v1/phone-1/event", panic, qos=1)
            await device.publish("cordon/v1/phone-1/command", b"is not theirs", qos=1)
        taken = await died.take(10, 10**6)
        assert died.ack(taken) == len(taken)
    # The broker works acknowledgements off one by one, after they were sent.
    async with asyncio.timeout(LIMIT_S):
        while (await nc.jetstream().stream_info(HELD_STREAM)).state.messages > 31 - len(taken):
            pass
    recent = Recent(nc, wall_clock_us)
    await recent.read_held()
    [batch] = recent.batches("gw", Decoder())
    assert [int(seq) for seq in batch.fixes["seq"]] == list(range(len(taken), 30))
    assert [event.type for event in batch.events] == ["panic"]
    assert len(batch.messages) == 31 - len(taken)
    monkeypatch.setattr(recent_module, "MOST_HELD", 3)
    few = Recent(nc, wall_clock_us)
    await few.read_held()
    [batch] = few.batches("gw", Decoder())
    assert [int(seq) for seq in batch.fixes["seq"]] == list(range(len(taken), len(taken) + 3))
    await nc.close()


async def test_a_journal_that_does_not_take_it_does_not_end_the_service(
    broker: EmbeddedBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    mqtt = MqttBroker(broker.host, broker.mqtt_port, broker.service_user, broker.service_password)
    async with AckClient(mqtt, identifier="died", clock=lambda: NOW_US) as died:
        await died.listen(("cordon/v1/+/fix",))
        async with aiomqtt.Client(broker.host, broker.mqtt_port) as device:
            await device.publish("cordon/v1/tag-1/fix", payload(fix(seq=1)), qos=1)
    append, refused = JournalWriter.append, []

    async def refuse(writer: JournalWriter, batch: Batch) -> int:
        if batch.gateway.endswith(".recent"):
            refused.append(batch)
            raise JournalUnavailableError("It is full.")
        return await append(writer, batch)

    monkeypatch.setattr(JournalWriter, "append", refuse)
    async with world(broker, database.dsn, one_pair()) as seen:
        await until(lambda: refused, "what was on its way is offered to the journal")
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 5_000)
        await until(lambda: seen.stored() >= set(seen.sent), "the service goes on")


async def test_a_broker_that_holds_nothing_for_us_is_no_trouble(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    recent = Recent(nc, wall_clock_us)
    await recent.read_held()
    assert list(recent.batches("gw", Decoder())) == []
    await nc.close()
