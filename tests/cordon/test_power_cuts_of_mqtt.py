"""What the broker has acknowledged to devices, and nobody has taken yet, is there after a power cut."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.broker_store import LOOKS, StoreDescriptions
from tests.cordon.running import until
from tests.power.fuse import NoLossyDiskError
from tests.power.mounted import LossyDisk, lossy_disk

TOPIC = "cordon/v1/+/fix"
COUNT = 20


@pytest.fixture
def lossy_store(tmp_path: Path) -> Iterator[LossyDisk]:
    folder = tmp_path / "broker" / "jetstream"
    folder.mkdir(parents=True)
    try:
        with lossy_disk(folder, journaling=True) as disk:
            yield disk
    except NoLossyDiskError as error:
        pytest.skip(str(error))


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
