"""Posted positions: answered when the broker has them, and kept by their sender otherwise."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import nats
import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.ports import free_port
from cordon.errors import CordonError
from cordon.forwarding import Forwarder, forwarder_of
from cordon.sections import Forwarding
from devices.instants import to_iso
from ingest.gateway import Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import MqttBroker
from ingest.native import MAX_PAYLOAD_BYTES
from ingest.streams import ensure_streams
from tests.ingest.reports import payload
from tests.ingest.test_gateway import journaled
from tests.ingest.test_traccar import document
from tests.ingest.waiting import running, until

TOKEN = "a token of Traccar's"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


def settings(**changes: object) -> Forwarding:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    return Forwarding(**({"port": free_port(), "token_sha256": digest} | changes))  # type: ignore[arg-type]


def service(broker: EmbeddedBroker) -> MqttBroker:
    return MqttBroker(broker.host, broker.mqtt_port, broker.service_user, broker.service_password)


@asynccontextmanager
async def forwarding(broker: EmbeddedBroker) -> AsyncIterator[tuple[Forwarder, httpx.AsyncClient]]:
    where = settings()
    forwarder = Forwarder(where, service(broker))
    address = f"http://{where.host}:{where.port}"
    async with running(forwarder.run()), httpx.AsyncClient(base_url=address, timeout=30) as client:
        await until(forwarder.publisher.ready.is_set, "it can publish")
        yield forwarder, client


def now_document() -> bytes:
    time = to_iso(wall_clock_us())
    return payload(document(fixTime=time, deviceTime=time, attributes={"alarm": "sos"}))


async def test_what_is_posted_is_journaled_like_everything_else(broker: EmbeddedBroker) -> None:
    nc = await nats.connect(broker.nats_url)
    js = nc.jetstream()
    await ensure_streams(js)
    gateway = Gateway(service(broker), JournalWriter(nc), wall_clock_us)
    async with running(gateway.run()), forwarding(broker) as (forwarder, client):
        await until(gateway.ready.is_set, "the gateway is ready")
        body = now_document()
        answers = [
            await client.post("/forward/traccar", content=content, headers=RIGHT)
            for content in (body, b"nonsense")
        ]
        assert [answer.status_code for answer in answers] == [200, 200]
        batches = await journaled(js, lambda got: sum(len(b.messages) for b in got) >= 2)
        assert forwarder.counts.taken == 2
    await nc.close()
    messages = [message.payload for batch in batches for message in batch.messages]
    assert messages == [body, b"nonsense"]
    assert [name for batch in batches for name in batch.devices] == ["868487004353181"]
    assert [event.type for batch in batches for event in batch.events] == ["panic"]
    assert [refusal.code for batch in batches for refusal in batch.refusals] == ["not_json"]


async def test_without_the_broker_nobody_is_told_that_it_is_kept(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.mqtt.PUBLISH_LIMIT_S", 1.0)
    async with forwarding(broker) as (forwarder, client):
        broker.kill()
        answer = await client.post("/forward/traccar", content=now_document(), headers=RIGHT)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert "send it again" in answer.json()["what_to_do"]
        assert (forwarder.counts.taken, forwarder.counts.not_taken) == (0, 1)
        broker.start()
        await until(forwarder.publisher.ready.is_set, "it is connected again")
        answer = await client.post("/forward/traccar", content=now_document(), headers=RIGHT)
        assert answer.status_code == 200


async def test_who_may_post_what(broker: EmbeddedBroker) -> None:
    async with forwarding(broker) as (forwarder, client):
        for headers in ({}, {"Authorization": TOKEN}, {"Authorization": "Bearer wrong"}):
            answer = await client.post("/forward/traccar", content=b"{}", headers=headers)
            assert answer.status_code == 401
        assert forwarder.counts.strangers == 3
        assert (await client.get("/forward/traccar", headers=RIGHT)).status_code == 405
        assert (await client.post("/forward/other", headers=RIGHT)).status_code == 404
        body = bytes(MAX_PAYLOAD_BYTES + 1)
        answer = await client.post("/forward/traccar", content=body, headers=RIGHT)
        assert answer.status_code == 413
        assert forwarder.counts.taken == 0


def test_only_where_it_is_asked_for_and_never_without_a_token() -> None:
    broker = MqttBroker("127.0.0.1", 1)
    assert forwarder_of(Forwarding(), broker) is None
    with pytest.raises(CordonError, match="token"):
        forwarder_of(settings(token_sha256=""), broker)
