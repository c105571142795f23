"""Thousands of messages over TLS: the gateway's own reading misses nothing of what was decrypted.

What TLS has decrypted and nobody has read wakes no event loop. So the load mixes many small messages
in one record with large ones over several records, on both lanes, faster than they are taken.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import nats
import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import BrokerAccess, EmbeddedBroker, ListenerTls
from cordon.identity.certificates import Authority
from devices.reports import Batch
from ingest.gateway import Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import MqttBroker
from ingest.streams import ensure_streams
from ingest.tls import client_context
from tests.ingest.reports import fix, payload
from tests.ingest.test_gateway import clock, journaled, serving
from tests.ingest.waiting import until

pytestmark = pytest.mark.timeout(240)

DEVICES = 6
FIXES = 500
EVENTS = 100
LARGE_EVERY = 50
AT_ONCE = 50
TIME = "2026-11-23T18:04:05Z"
RECORD_BYTES = 16 * 1024
"""The most that one record of TLS holds."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca", "Ours", wall_clock_us())


@pytest.fixture
def tls_broker(tmp_path: Path, authority: Authority) -> Iterator[EmbeddedBroker]:
    authority.server(["127.0.0.1"], wall_clock_us(), 1).write(
        tmp_path / "b.crt", tmp_path / "b.key"
    )
    files = ListenerTls(tmp_path / "b.crt", tmp_path / "b.key", authority.certificate_file, False)
    server = EmbeddedBroker(tmp_path / "broker", access=BrokerAccess("open", files))
    server.start()
    yield server
    server.stop()


def messages_of(device: str) -> list[tuple[str, bytes]]:
    """Topics and payloads, events between the fixes; each payload is like no other."""
    made: list[tuple[str, bytes]] = []
    for seq in range(FIXES):
        many = 200 if seq % LARGE_EVERY == 0 else 1
        body = [fix(seq=seq * 1_000 + n) for n in range(many)] if many > 1 else fix(seq=seq * 1_000)
        made.append((f"cordon/v1/{device}/fix", payload(body)))
        if seq % (FIXES // EVENTS) == 0:
            event = {"seq": seq, "time": TIME, "type": "beacon_lost", "peer": device}
            made.append((f"cordon/v1/{device}/event", payload(event)))
    return made


async def publish(broker: EmbeddedBroker, tls: ssl.SSLContext, device: str) -> None:
    """Everything a device has, many at once; returns when all of it is acknowledged."""
    client = aiomqtt.Client(
        broker.host,
        broker.mqtt_port,
        identifier=device,
        tls_context=tls,
        max_inflight_messages=AT_ONCE,
        timeout=60,
    )
    client.pending_calls_threshold = AT_ONCE + 1
    made = messages_of(device)
    async with client:
        for start in range(0, len(made), AT_ONCE):
            several = made[start : start + AT_ONCE]
            await asyncio.gather(*(client.publish(*one, qos=1) for one in several))


def contents(batches: list[Batch]) -> Counter[tuple[str, bytes]]:
    """Topic and payload of every message in the journal, and how often it is there."""
    return Counter((one.topic, one.payload) for batch in batches for one in batch.messages)


def by_lane(batches: list[Batch]) -> dict[str, set[bytes]]:
    """The messages by the lane they came on."""
    found: dict[str, set[bytes]] = {}
    for batch in batches:
        lane = batch.gateway.rpartition(".")[2]
        found.setdefault(lane, set()).update(
            one.topic.encode() + one.payload for one in batch.messages
        )
    return found


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_thousands_of_messages_over_tls_are_journaled_once_each(
    tls_broker: EmbeddedBroker, authority: Authority, version: ssl.TLSVersion
) -> None:
    trusting = client_context(str(authority.certificate_file))
    ours = client_context(str(authority.certificate_file))
    ours.minimum_version = ours.maximum_version = version
    names = [f"tag-{number}" for number in range(DEVICES)]
    sent = Counter(one for name in names for one in messages_of(name))
    total = sum(sent.values())
    assert total == DEVICES * (FIXES + EVENTS)
    assert max(len(body) for _, body in sent) > RECORD_BYTES
    nc = await nats.connect(tls_broker.nats_url)
    try:
        js = nc.jetstream()
        await ensure_streams(js)
        service = MqttBroker(
            tls_broker.host,
            tls_broker.mqtt_port,
            tls_broker.service_user,
            tls_broker.service_password,
            tls=ours,
        )
        async with serving(Gateway(service, JournalWriter(nc), clock)) as gateway:
            await asyncio.gather(*(publish(tls_broker, trusting, name) for name in names))
            await until(lambda: gateway.counts.acked >= total, "all are acknowledged", 120)
            batches = await journaled(js, lambda got: contents(got).keys() >= sent.keys())
            await until(lambda: gateway.unacked == 0, "nothing is left over")
            taken = gateway.counts.acked
        batches = await journaled(js, lambda got: sum(contents(got).values()) >= taken)
    finally:
        await nc.close()
    kept = contents(batches)
    assert kept.keys() == sent.keys()
    # The broker may send again what it thinks was lost: each arrival is in the journal once.
    assert sum(kept.values()) == taken
    assert {lane: len(found) for lane, found in by_lane(batches).items()} == {
        "fixes": DEVICES * FIXES,
        "events": DEVICES * EVENTS,
    }
    assert not gateway.counts.refusals
    assert gateway.counts.reconnects == 0
