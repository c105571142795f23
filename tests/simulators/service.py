"""The other end of the wire: listens to devices as the service would, and sends commands."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiomqtt

from cordon.embedded.broker import EmbeddedBroker
from devices.commands import HandsetCommand, encode_for_handset
from simulators.wire import Broker
from tests.ingest.waiting import running, until


def address(broker: EmbeddedBroker) -> Broker:
    return Broker(host=broker.host, port=broker.mqtt_port)


class Listener:
    """Everything devices have published, and a way to send them commands."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self.messages: list[tuple[str, Any]] = []
        self.client: aiomqtt.Client | None = None

    def reports(self, kind: str) -> list[dict[str, Any]]:
        """Payloads of one kind in order of arrival, arrays taken apart."""
        found = [payload for topic, payload in self.messages if topic.endswith(f"/{kind}")]
        return [one for many in found for one in (many if isinstance(many, list) else [many])]

    async def send(self, device: str, command: HandsetCommand | bytes) -> None:
        assert self.client is not None
        payload = command if isinstance(command, bytes) else encode_for_handset(command)
        await self.client.publish(f"cordon/v1/{device}/command", payload, qos=1)

    async def run(self) -> None:
        """A persistent session, taken up again whenever the broker is back."""
        while True:
            try:
                async with self._connection() as client:
                    for kind in ("fix", "event", "status", "receipt"):
                        await client.subscribe(f"cordon/v1/+/{kind}", qos=1)
                    self.client = client
                    async for message in client.messages:
                        self.messages.append((str(message.topic), json.loads(message.payload)))
            except aiomqtt.MqttError:
                self.client = None
                await asyncio.sleep(0.05)

    def _connection(self) -> aiomqtt.Client:
        return aiomqtt.Client(
            self._broker.host,
            self._broker.mqtt_port,
            username=self._broker.service_user,
            password=self._broker.service_password,
            identifier="listener",
            clean_session=False,
        )


@asynccontextmanager
async def listening(broker: EmbeddedBroker) -> AsyncIterator[Listener]:
    listener = Listener(broker)
    async with running(listener.run()):
        await until(lambda: listener.client is not None, "the listener is connected")
        yield listener
