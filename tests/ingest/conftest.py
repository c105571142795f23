"""The service's connections to the broker of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import nats
import pytest
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.js import JetStreamContext

from cordon.embedded.broker import EmbeddedBroker
from ingest.mqtt import MqttBroker
from ingest.streams import ensure_streams


async def _quiet(_: Exception) -> None:
    """Connections are lost on purpose here; nats-py would print each."""


@pytest.fixture
async def nc(broker: EmbeddedBroker) -> AsyncIterator[NATS]:
    """A connection of the service that comes back after the broker does."""
    connection = await nats.connect(
        broker.nats_url, error_cb=_quiet, reconnect_time_wait=0.1, max_reconnect_attempts=-1
    )
    yield connection
    await connection.close()


@pytest.fixture
async def js(nc: NATS) -> JetStreamContext:
    """JetStream with the streams in place."""
    context = nc.jetstream()
    await ensure_streams(context)
    return context


@pytest.fixture
def service(broker: EmbeddedBroker) -> MqttBroker:
    """The service's MQTT address."""
    return MqttBroker(broker.host, broker.mqtt_port, broker.service_user, broker.service_password)
