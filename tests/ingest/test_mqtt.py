"""The MQTT clients against the real broker."""

from __future__ import annotations

import asyncio
import time

import aiomqtt
import pytest

from cordon.embedded.broker import EmbeddedBroker
from ingest import mqtt
from ingest.ack_client import AckClient, Incoming
from ingest.mqtt import ClosingClient, MqttBroker, Publisher, PublishError
from tests.ingest.waiting import freeze, running, until

FILTERS = ("cordon/v1/+/fix",)


def clock() -> int:
    return 42


def ack_client(service: MqttBroker) -> AckClient:
    return AckClient(service, identifier="t", clock=clock)


async def send(broker: EmbeddedBroker, count: int) -> None:
    async with aiomqtt.Client(broker.host, broker.mqtt_port) as device:
        for number in range(count):
            await device.publish("cordon/v1/tag-1/fix", str(number).encode(), qos=1)


async def take(client: AckClient, count: int) -> list[Incoming]:
    taken: list[Incoming] = []
    async with asyncio.timeout(10):
        while len(taken) < count:
            taken += await client.take(100, 10_000)
    return taken


async def test_what_is_not_acknowledged_comes_again(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    async with ack_client(service) as client:
        await client.listen(FILTERS)
        await send(broker, 10)
        first = await take(client, 10)
        assert [message.payload for message in first] == [str(n).encode() for n in range(10)]
        assert {message.received_us for message in first} == {42}
        assert client.ack(first[:4]) == 4
    assert client.ack(first[4:5]) == 0  # its connection is gone
    async with ack_client(service) as client:
        again = await take(client, 6)
        assert {message.payload for message in again} == {str(n).encode() for n in range(4, 10)}


async def test_much_is_read_in_few_turns_of_a_busy_loop(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    async with ack_client(service) as client:
        await client.listen(FILTERS)
    await send(broker, 400)
    turns = 0

    async def other_work() -> None:
        nonlocal turns
        while True:
            turns += 1
            time.sleep(0.005)  # noqa: ASYNC251 - it is to hold up the loop
            await asyncio.sleep(0)

    busy = asyncio.create_task(other_work())
    async with ack_client(service) as client:
        turns = 0
        assert len(await take(client, 400)) == 400
        assert turns < 200
    busy.cancel()


async def test_taking_stops_at_its_limits(broker: EmbeddedBroker, service: MqttBroker) -> None:
    async with ack_client(service) as client:
        await client.listen(FILTERS)
        await send(broker, 9)
        await until(lambda: len(client._arrived) == 9, "all have arrived")
        assert len(await client.take(3, 1_000)) == 3
        assert len(await client.take(100, 2)) == 2
        assert len(await client.take(100, 1_000)) == 4


async def test_taking_ends_with_the_connection(broker: EmbeddedBroker, service: MqttBroker) -> None:
    async def wait_for_messages() -> None:
        async with ack_client(service) as client:
            await client.listen(FILTERS)
            listening.set()
            await client.take(1, 1)

    listening = asyncio.Event()
    waiting = asyncio.create_task(wait_for_messages())
    await asyncio.wait_for(listening.wait(), 10)
    broker.kill()
    with pytest.raises(aiomqtt.MqttError):
        await asyncio.wait_for(waiting, 10)


async def test_an_end_that_comes_with_the_brokers_answer_is_heard(service: MqttBroker) -> None:
    client = ack_client(service)

    async def stay() -> None:
        async with client:
            await client.listen(FILTERS)
            await asyncio.Event().wait()

    staying = asyncio.create_task(stay())
    client._connected.add_done_callback(lambda _: staying.cancel())
    done, _ = await asyncio.wait({staying}, timeout=10)
    assert done
    assert staying.cancelled()


async def test_a_refused_subscription_is_an_error(broker: EmbeddedBroker) -> None:
    as_device = MqttBroker(broker.host, broker.mqtt_port)
    with pytest.raises(aiomqtt.MqttError, match="not QoS 1"):
        async with ack_client(as_device) as client:
            await client.listen(FILTERS)


async def test_a_wrong_password_is_an_error(broker: EmbeddedBroker) -> None:
    wrong = MqttBroker(broker.host, broker.mqtt_port, broker.service_user, "wrong")
    with pytest.raises(aiomqtt.MqttError):
        async with ack_client(wrong):
            pass


def test_the_password_is_not_shown() -> None:
    assert "secret" not in repr(MqttBroker("host", 1883, "user", "secret"))


async def test_a_topic_that_is_not_text_does_not_break_the_connection() -> None:
    client = ack_client(MqttBroker("127.0.0.1", 1))
    topic = b"cordon/v1/\xff\0/fix"
    client._take_in(bytes((0x30, len(topic) + 3, 0, len(topic))) + topic + b"x")
    assert client._arrived[0].topic == "cordon/v1/\\xff\\x00/fix"


async def test_publish_returns_when_the_broker_has_it(service: MqttBroker) -> None:
    publisher = Publisher(service, identifier="p")
    async with ack_client(service) as client, running(publisher.run()):
        await client.listen(("cordon/v1/agency/a/alert",))
        await asyncio.gather(
            *(publisher.publish("cordon/v1/agency/a/alert", str(n).encode()) for n in range(200))
        )
        assert publisher.connected
        got = await take(client, 200)
        assert {message.payload for message in got} == {str(n).encode() for n in range(200)}
    assert not publisher.connected
    assert publisher.pending == 0


async def test_publishing_survives_a_killed_broker(
    broker: EmbeddedBroker, service: MqttBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "ANSWER_LIMIT_S", 1_000.0)  # only the lost connection ends the wait
    publisher = Publisher(service, identifier="p")
    async with running(publisher.run()):
        await publisher.publish("cordon/v1/tag-1/command", b"before")
        await freeze(broker.pid)
        during = asyncio.create_task(publisher.publish("cordon/v1/tag-1/command", b"during"))
        await until(lambda: publisher.pending == 1, "it is on the wire")
        broker.kill()
        await until(lambda: not publisher.connected, "the loss is noticed")
        assert not during.done()
        broker.start()
        await during


async def test_what_is_written_at_once_is_confirmed_or_known_to_be_lost(
    broker: EmbeddedBroker, service: MqttBroker
) -> None:
    publisher = Publisher(service, identifier="p")
    assert publisher.begin("cordon/v1/tag-1/command", b"1") is None  # there is no connection yet
    async with running(publisher.run()):
        await asyncio.wait_for(publisher.ready.wait(), 10)
        confirmed = publisher.begin("cordon/v1/tag-1/command", b"2")
        assert confirmed is not None
        assert await asyncio.wait_for(confirmed, 10)
        await freeze(broker.pid)
        lost = publisher.begin("cordon/v1/tag-1/command", b"3")
        broker.kill()
        assert lost is not None
        assert not await asyncio.wait_for(lost, 10)


async def test_without_a_broker_publishing_fails_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "PUBLISH_LIMIT_S", 0.3)
    monkeypatch.setattr(mqtt, "PENDING_PUBLISHES", 2)
    publisher = Publisher(MqttBroker("127.0.0.1", 1), identifier="p")
    async with running(publisher.run()):
        waiting = [asyncio.create_task(publisher.publish("a", b"")) for _ in range(2)]
        await until(lambda: publisher.pending == 2, "both wait")
        with pytest.raises(PublishError, match="already wait"):
            await publisher.publish("a", b"")
        for task in waiting:
            with pytest.raises(PublishError, match="not connected"):
                await task
    assert publisher.pending == 0


async def test_a_topic_with_a_wildcard_is_the_callers_mistake(service: MqttBroker) -> None:
    publisher = Publisher(service, identifier="p")
    async with running(publisher.run()):
        with pytest.raises(ValueError, match="wildcard"):
            await publisher.publish("cordon/+/x", b"")


async def test_an_attempt_that_is_given_up_leaves_no_socket_open() -> None:
    begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        begun.set_result(None)
        while await reader.read(1_000):
            pass
        writer.close()
        closed.set_result(None)

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, asyncio.timeout(30):
        client = ClosingClient(*server.sockets[0].getsockname())
        attempt = asyncio.create_task(client.__aenter__())
        await begun
        attempt.cancel()
        await asyncio.wait([attempt])
        assert attempt.cancelled()
        await closed
