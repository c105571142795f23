"""What the broker has acknowledged to devices, and nobody has taken yet, is there after a power cut."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.broker_store import LOOKS, StoreDescriptions
from cordon.embedded.consumer_states import is_whole
from tests.cordon.running import until
from tests.power.mounted import LossyDisk

pytestmark = pytest.mark.timeout(300)

TOPIC = "cordon/v1/+/fix"
COUNT = 20


def gateway(broker: EmbeddedBroker) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.mqtt_port,
        username=broker.service_user,
        password=broker.service_password,
        identifier="gateway",
        clean_session=False,
    )


@pytest.mark.parametrize("seed", [None, 1, 2])
async def test_messages_that_wait_survive(
    lossy_store: LossyDisk, tmp_path: Path, seed: int | None
) -> None:
    broker = EmbeddedBroker(tmp_path / "broker")
    broker.start()
    descriptions = StoreDescriptions(broker.store)
    async with gateway(broker) as client:
        await client.subscribe(TOPIC, qos=1)
    assert await asyncio.to_thread(descriptions.force_new) > 1
    async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="device") as device:
        for number in range(COUNT):
            await device.publish("cordon/v1/tag/fix", str(number), qos=1)

    def forced() -> bool:
        return not any(name.endswith(".blk") for name in lossy_store.unforced())

    await until(forced, "sync_interval has passed")
    lossy_store.cut()
    broker.kill()
    lossy_store.bring_back(seed)
    broker.start()
    found = set()
    async with gateway(broker) as client, asyncio.timeout(30):
        await client.subscribe(TOPIC, qos=1)
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            found.add(int(message.payload))
            if len(found) == COUNT:
                break
    assert found == set(range(COUNT))
    broker.stop()


@pytest.mark.parametrize("torn", [None, b"", bytes(8), b"\x16\x02\x05\x05"])
async def test_a_session_whose_state_is_torn_gets_what_waits_and_what_comes(
    broker: EmbeddedBroker, torn: bytes | None
) -> None:
    async def publish(first: int, count: int) -> None:
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="device") as device:
            for number in range(first, first + count):
                await device.publish("cordon/v1/tag/fix", str(number), qos=1)

    async def take(client: aiomqtt.Client, wanted: set[int]) -> None:
        found = set[int]()
        async with asyncio.timeout(30):
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                found.add(int(message.payload))
                if wanted <= found:
                    return

    def states() -> list[Path]:
        return list(broker.store.glob("jetstream/*/streams/$MQTT_msgs/obs/*/o.dat"))

    async with gateway(broker) as client:
        await client.subscribe(TOPIC, qos=1)
        await publish(0, 5)
        await take(client, set(range(5)))
        await until(lambda: states() and states()[0].stat().st_size, "its state is written")
    await publish(5, 5)
    broker.kill()
    [state] = states()
    if torn is None:
        state.unlink()
    else:
        state.write_bytes(torn)
    broker.start()
    async with gateway(broker) as client:
        await client.subscribe(TOPIC, qos=1)
        await publish(10, 5)
        await take(client, set(range(5, 15)))


@given(
    st.integers(1, 2),
    st.lists(st.integers(0, 2**40), min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 9), st.integers(0, 9)), max_size=4),
    st.lists(st.tuples(st.integers(0, 2**40), st.integers(0, 9)), max_size=4),
)
def test_a_state_is_whole_and_no_part_of_it_is(
    version: int,
    counts: list[int],
    waiting: list[tuple[int, int, int]],
    again: list[tuple[int, int]],
) -> None:
    numbers = [*counts, len(waiting), *([7] if waiting else [])]
    numbers += [number for one in waiting for number in one[: version + 1]]
    numbers += [len(again), *(number for one in again for number in one)]
    data = bytes((22, version)) + b"".join(map(_varint, numbers))
    assert is_whole(data)
    assert is_whole(b"")
    for length in range(1, len(data)):
        assert not is_whole(data[:length])
    assert not is_whole(bytes(len(data)))
    assert not is_whole(data + bytes(1))


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


async def test_only_what_is_new_is_forced_and_all_of_that(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    monkeypatch.setattr("cordon.embedded.broker_store.force", lambda path: names.append(str(path)))
    descriptions = StoreDescriptions(broker.store)
    assert descriptions.force_new() == 0
    async with gateway(broker) as client:
        await client.subscribe(TOPIC, qos=1)
        for _ in range(LOOKS):
            assert descriptions.force_new()
        assert descriptions.force_new() == 0
        assert any("$MQTT_msgs/meta.inf" in name for name in names)
        names.clear()
        await client.subscribe("cordon/v1/+/event", qos=1)
        assert descriptions.force_new() >= 1
        assert any("$MQTT_msgs/obs/" in name and name.endswith("meta.inf") for name in names)
