"""The way to a handset and back over a real broker."""

from __future__ import annotations

import asyncio
import socket

import aiomqtt
import msgspec

from alerts.channels.agency import AgencyChannel
from alerts.channels.handset import HandsetChannel
from alerts.deliveries import DeliveryRecord, decode_entry
from alerts.dispatcher import Dispatcher
from alerts.model import AlertChange
from alerts.outbox import Outbox
from cordon.embedded.broker import EmbeddedBroker
from devices.commands import Notify, decode_command
from devices.reports import Receipt
from geofence.levels import Level
from tests.alerts.builders import BEARERS, PROFILES, START_US, WATCH, desk, transition
from tests.alerts.test_dispatcher import until

LIMIT_S = 20.0
NO_DELAY = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]


class Publisher:
    """The service's connection, as thin as it can be."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    def begin(self, topic: str, payload: bytes) -> None: ...

    async def publish(self, topic: str, payload: bytes) -> None:
        await self._client.publish(topic, payload, qos=1)


def service(broker: EmbeddedBroker) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host,
        broker.mqtt_port,
        identifier="service",
        username=broker.service_user,
        password=broker.service_password,
        socket_options=NO_DELAY,
    )


def handset(broker: EmbeddedBroker) -> aiomqtt.Client:
    return aiomqtt.Client(
        broker.host, broker.mqtt_port, identifier="phone1", socket_options=NO_DELAY
    )


async def test_a_notice_reaches_the_handset_and_its_receipt_comes_back(
    broker: EmbeddedBroker,
) -> None:
    outbox = Outbox(PROFILES, BEARERS.get)
    records: list[DeliveryRecord] = []
    changes = desk().on_transition(transition(1, Level.CONTACT), WATCH, now_us=START_US)
    async with asyncio.timeout(LIMIT_S), service(broker) as mine, handset(broker) as hers:
        await hers.subscribe("cordon/v1/phone1/command", qos=1)
        await mine.subscribe("cordon/v1/agency/+/alert", qos=1)
        await mine.subscribe("cordon/v1/+/receipt", qos=1)
        publisher = Publisher(mine)
        dispatcher = Dispatcher(
            outbox,
            {
                "handset": HandsetChannel(publisher, BEARERS.get),
                "agency": AgencyChannel(publisher),
            },
            records.append,
            lambda: START_US,
        )
        running = asyncio.create_task(dispatcher.run())
        dispatcher.submit(changes)

        command = decode_command(_bytes(await anext(hers.messages)))
        assert isinstance(command, Notify)
        assert (command.kind, command.tier, command.level) == ("raised", 1, "contact")
        assert command.alert_id == changes[0].subject

        seen = await anext(mine.messages)
        assert str(seen.topic) == "cordon/v1/agency/centre/alert"
        told = decode_entry(_bytes(seen))
        assert isinstance(told, AlertChange)
        assert told == changes[0]
        await until(lambda: [record.state for record in records] == ["sent", "sent"])

        answer = {"id": command.id, "state": "shown", "time": command.time}
        await hers.publish("cordon/v1/phone1/receipt", msgspec.json.encode(answer), qos=1)
        returned = await anext(mine.messages)
        fields = msgspec.json.decode(_bytes(returned), type=dict[str, str])
        device = str(returned.topic).split("/")[2]
        receipt = Receipt(0, device, fields["id"], fields["state"], START_US, None)
        record = outbox.answered(receipt, now_us=START_US)
        assert record is not None
        assert record.state == "shown"

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _bytes(message: aiomqtt.Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload
