"""The service tries itself over the whole way, and says by another one when that way has failed."""

from __future__ import annotations

import asyncio
import base64
import json
import socket

import msgspec

from alerts.channels.webhook import WebhookChannel
from alerts.contacts import Contact, Contacts
from alerts.ranking import Ranking
from alerts.self_test import WAYS
from cordon.embedded.broker import EmbeddedBroker
from cordon.probe import Probe
from ingest.mqtt import MqttBroker
from tests.alerts.builders import NOW_US, SECOND_US
from tests.alerts.receivers import http_receiver
from tests.conftest import Database
from tests.cordon.running import one_pair, settings_for_tests, until, world

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


async def test_the_pair_walks_the_whole_way_and_nobody_is_bothered(
    broker: EmbeddedBroker, database: Database
) -> None:
    settings = settings_for_tests()
    alerts = msgspec.structs.replace(settings.alerts, probe=True)
    settings = msgspec.structs.replace(settings, alerts=alerts)
    async with world(broker, database.dsn, one_pair(), settings=settings) as seen:
        parts = seen.service.parts
        assert parts.probe is not None
        judge = parts.probe.judge
        await until(lambda: judge.heard_by() == set(WAYS), "both ways brought the alert", 60)
        assert judge.latency_s is not None
        desk = parts.worker.partition.desk
        assert [alert.synthetic for alert in desk.open_alerts()] == [True]
        assert parts.outgoing.burden.figures(NOW_US, Ranking(), 1).raised_day == 0
        assert len(parts.hub._ring) == 0 or all(b"synthetic" not in f for _, f in parts.hub._ring)


async def test_a_way_that_has_failed_is_told_by_another() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    now_us = NOW_US
    async with http_receiver() as receiver:
        contacts = Contacts(
            [Contact(name="Ada", role="supervisor", webhook=f"{receiver.origin}/x")], ["webhook"]
        )
        channels = {"webhook": WebhookChannel(contacts, SECRET, lambda: now_us)}
        probe = Probe(
            MqttBroker("127.0.0.1", port),
            contacts,
            channels,  # type: ignore[arg-type]
            lambda: now_us,
        )
        task = asyncio.create_task(probe.run())
        try:
            now_us += 200 * SECOND_US
            await until(lambda: probe.asked, "a supervisor is asked")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    event = json.loads(receiver.requests[0].body)
    assert event["data"]["tier"] == 1
    assert "cannot walk" in event["data"]["text"]
    assert probe.asked == 1


async def test_only_an_alert_of_the_pair_itself_counts() -> None:
    probe = Probe(MqttBroker("127.0.0.1", 9), Contacts(), {}, lambda: NOW_US)
    near = {"level": "alert", "fix_times": {"cordon-synthetic-tag": "2026-11-23T18:04:05Z"}}
    change = json.dumps({"data": near}).encode()
    probe.hear("cordon/v1/agency/centre/alert", change)
    probe.hear("cordon/v1/agency/cordon-synthetic-agency/alert", b"nonsense")
    probe.hear(
        "cordon/v1/agency/cordon-synthetic-agency/alert",
        json.dumps({"data": near | {"level": "clear"}}).encode(),
    )
    assert probe.judge.latency_s is None
    probe.hear("cordon/v1/agency/cordon-synthetic-agency/alert", change)
    assert probe.judge.heard_by() == {"agency"}
