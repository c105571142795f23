"""Flushed buffers at the gateway: they wait apart, and nothing waits for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import aiomqtt
import pytest

from cordon.embedded.broker import EmbeddedBroker
from devices.reports import Message
from ingest.ack_client import AckClient, Incoming
from ingest.allowance import BULK_BYTES
from ingest.gateway import Gateway
from ingest.mqtt import MqttBroker
from ingest.native import MAX_PAYLOAD_BYTES
from ingest.session import BULK_AT_ONCE_BYTES, BULKS_AT_ONCE
from tests.ingest.reports import fix, payload
from tests.ingest.test_gateway import SlowJournal, clock, send, serving
from tests.ingest.waiting import until


class SlowShelf:
    """Keeps for later only when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Message] = []
        self.verdict = asyncio.Event()

    async def keep(self, messages: Sequence[Message]) -> None:
        self.asked += messages
        await self.verdict.wait()

    @property
    def payloads(self) -> Counter[bytes]:
        return Counter(message.payload for message in self.asked)


def bulks(count: int) -> list[bytes]:
    """Different messages that are as large as any may be."""
    return [bytes((number,)) * MAX_PAYLOAD_BYTES for number in range(count)]


def willing() -> SlowJournal:
    journal = SlowJournal()
    journal.verdict.set()
    return journal


async def test_nothing_waits_for_what_is_to_wait(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    shelf, bodies = SlowShelf(), bulks(12)
    async with serving(Gateway(service, willing(), clock, defer=shelf.keep)) as gateway:
        await send(broker, *bodies)
        await until(lambda: gateway.unacked == 12, "all of it has come")
        await send(broker, payload(fix(seq=1)), topic="cordon/v1/tag-2/fix")
        await until(lambda: gateway.counts.acked == 1, "a fix passes it")
        assert gateway.counts.fixes == 1
        pieces = -(-BULK_AT_ONCE_BYTES // MAX_PAYLOAD_BYTES)
        assert len(shelf.asked) <= BULKS_AT_ONCE * pieces, "few are on their way"
        await until(lambda: gateway.counts.repeated >= 12, "the broker repeats what waits long")
        assert gateway.unacked == 12, "and it is held once"
        shelf.verdict.set()
        await until(lambda: gateway.counts.acked == 13, "it is acknowledged once it is kept")
    assert shelf.payloads == Counter(bodies)


async def test_stopping_finishes_what_is_being_kept_and_leaves_the_rest(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    shelf, bodies = SlowShelf(), bulks(12)
    gateway = Gateway(service, willing(), clock, defer=shelf.keep)
    run = asyncio.create_task(gateway.run())
    await until(gateway.ready.is_set, "the gateway is ready")
    await send(broker, *bodies)
    await until(lambda: len(shelf.asked) > 0 and gateway.unacked == 12, "all of it has come")
    run.cancel()
    asyncio.get_running_loop().call_later(0.1, shelf.verdict.set)
    with pytest.raises(asyncio.CancelledError):
        await run
    kept = len(shelf.asked)
    assert gateway.counts.acked == kept < 12
    async with serving(Gateway(service, willing(), clock, defer=shelf.keep)) as again:
        await until(lambda: again.counts.acked == 12 - kept, "the rest comes again")
    assert shelf.payloads == Counter(bodies)


async def test_one_that_fails_to_be_kept_comes_again(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    tries: list[int] = []

    async def keep(messages: Sequence[Message]) -> None:
        tries.append(len(messages))
        if len(tries) == 1:
            raise aiomqtt.MqttError("not now")

    async with serving(Gateway(service, willing(), clock, defer=keep)) as gateway:
        await send(broker, *bulks(1))
        await until(lambda: gateway.counts.acked == 1, "it is kept at the second try")
        assert gateway.counts.reconnects == 1
    assert tries == [1, 1]


async def test_where_nobody_keeps_it_a_large_message_is_taken_in(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    body = payload([fix(seq=number) for number in range(500)])
    assert len(body) > BULK_BYTES
    async with serving(Gateway(service, willing(), clock)) as gateway:
        await send(broker, body)
        await until(lambda: gateway.counts.acked == 1, "it is acknowledged")
        assert gateway.counts.fixes == 500


async def test_what_is_left_apart_ends_with_the_connection(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    client = AckClient(service, identifier="t", clock=clock, is_bulk=lambda _topic, _size: True)
    async with client:
        await client.listen(("cordon/v1/+/fix",))
        waiting = [asyncio.create_task(client.take_bulk(1)) for _ in range(2)]
        await send(broker, b"1")
        done, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert [[one.payload for one in task.result()] for task in done] == [[b"1"]]
        broker.kill()
        await asyncio.wait(left)
        with pytest.raises(aiomqtt.MqttError):
            left.pop().result()
    broker.start()


async def test_a_gateway_that_stands_still_for_a_while_is_not_cut_off(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    """More waits for it in the broker than nats-server allows by itself (64 MB)."""
    count = 70 * 1024 * 1024 // MAX_PAYLOAD_BYTES
    async with AckClient(service, identifier="t", clock=clock) as client:
        await client.listen(("cordon/v1/+/fix",))
        socket = client._client.socket()
        assert socket is not None
        asyncio.get_running_loop().remove_reader(socket.fileno())
        body = bytes(MAX_PAYLOAD_BYTES)
        await asyncio.gather(*(send(broker, *[body] * (count // 4)) for _ in range(4)))
        taken: list[Incoming] = []
        asyncio.get_running_loop().add_reader(socket.fileno(), client._read)
        async with asyncio.timeout(20):
            while len(taken) < count:
                taken += await client.take(count, count * MAX_PAYLOAD_BYTES)
