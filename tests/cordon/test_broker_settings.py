"""What is wrong with a broker is found, and named with what to do."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy

from cordon.checks.broker_settings import QUESTIONS
from cordon.checks.findings import Finding
from cordon.embedded.broker import EmbeddedBroker
from ingest.gateway import Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import MqttBroker
from ingest.streams import ALERTS, JOURNAL, ensure_streams
from tests.ingest.waiting import running, until


@pytest.fixture
async def js(broker: EmbeddedBroker) -> AsyncIterator[JetStreamContext]:
    connection = await nats.connect(broker.nats_url, error_cb=_quiet)
    yield connection.jetstream(timeout=1)
    with contextlib.suppress(OSError):  # of a broker that was killed
        await connection.close()


async def _quiet(_: Exception) -> None: ...


async def wrong(js: JetStreamContext) -> dict[str, Finding]:
    found = [await asked(js) for asked in QUESTIONS]
    assert all(one.meaning and (one.state == "ok" or one.advice) for one in found)
    return {one.name: one for one in found if one.state != "ok"}


async def test_a_broker_that_nobody_has_used_lacks_sessions_store_and_streams(
    js: JetStreamContext,
) -> None:
    assert set(await wrong(js)) == {"sessions", "message store", "streams"}


async def test_one_that_the_service_has_used_is_well(
    broker: EmbeddedBroker, js: JetStreamContext
) -> None:
    await ensure_streams(js, max_bytes=10**9)
    nc = await nats.connect(broker.nats_url)
    service = MqttBroker(
        broker.host, broker.mqtt_port, broker.service_user, broker.service_password
    )
    gateway = Gateway(service, JournalWriter(nc), lambda: 0)
    async with running(gateway.run()):
        await until(gateway.ready.is_set, "the gateway is ready")
    await nc.close()
    assert await wrong(js) == {}


async def test_streams_that_forget_are_named(js: JetStreamContext) -> None:
    await ensure_streams(js, max_bytes=10**9)
    for name, change in ((JOURNAL, {"discard": DiscardPolicy.OLD}), (ALERTS, {"max_age": 600.0})):
        config = (await js.stream_info(name)).config
        await js.update_stream(config.evolve(**change))
    found = await wrong(js)
    assert "JOURNAL forgets its oldest" in found["streams"].meaning
    assert "ALERTS forgets after 600 s" in found["streams"].meaning
