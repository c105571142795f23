"""The whole chain on a real broker and a real database: what goes in, what comes out, what stays."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
from pathlib import Path

import aiomqtt
import httpx
import msgspec
import nats
import pytest
import structlog

from cordon.clock import wall_clock_us
from cordon.embedded.broker import BrokerLimits, EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.keep import Keep
from cordon.logs import configure_logs
from cordon.metrics import Metrics
from cordon.sections import Logs
from cordon.service import Service
from devices.instants import to_iso
from tests.conftest import Database
from tests.cordon.running import (
    HOME,
    LIMIT_S,
    load,
    one_pair,
    running,
    settings_for_tests,
    until,
    world,
)

pytestmark = pytest.mark.timeout(240)


async def test_an_approach_reaches_the_handset_the_agency_and_the_history(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 900)
        await seen.fix("tag-1", 300)
        await until(lambda: seen.notices("raised"), "the handset is told")
        await seen.fix("tag-1", 120)
        await until(lambda: seen.notices("tier"), "the handset is told that it is worse")

        raised, worse = seen.notices("raised")[0], seen.notices("tier")[0]
        assert raised["topic"] == "cordon/v1/phone-1/command"
        assert (raised["tier"], worse["tier"]) == (3, 2)
        assert raised["alert_id"] == worse["alert_id"]
        event = await until(lambda: seen.events("raised"), "the agency is told")
        assert event[0]["subject"] == raised["alert_id"]
        assert event[0]["data"]["wearer"] == "he"
        assert 280 < event[0]["data"]["distance_m"] < 320

        await until(lambda: seen.stored() == set(seen.sent), "the history has every fix")
        await until(
            lambda: len(seen.query("select 1 from evidence.alert_change")) >= 2,
            "the history has the alert",
        )
        watches = {row[0] for row in seen.query("select watch from evidence.decision")}
        assert watches == {"near/tag-1/phone-1"}
    told = {(command["topic"], command["type"]) for command in seen.commands}
    assert ("cordon/v1/phone-1/command", "notify") in told
    assert {kind for topic, kind in told if "phone-1" not in topic} <= {"fix_interval"}


async def test_alerts_go_on_without_the_database_and_the_history_catches_up(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres
) -> None:
    async with world(broker, postgres.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 5_000)
        await until(lambda: len(seen.stored()) == 2, "the database is written to")
        postgres.stop()
        for step in range(20):
            await seen.fix("tag-1", 2_000 - 90 * step)
        await until(lambda: seen.notices("raised"), "the handset is told without the database")
        await until(
            lambda: seen.service.parts.writer.counts.database_up is False, "the loss is seen"
        )
        postgres.start()
        await until(lambda: seen.stored() == set(seen.sent), "every fix is there afterwards")
        rows = seen.query("select count(*), count(distinct (device, seq)) from evidence.fix")
        assert rows == [(len(seen.sent), len(set(seen.sent)))]
        alert = seen.notices("raised")[0]["alert_id"]
        await until(
            lambda: seen.query(f"select 1 from evidence.alert_change where alert_id = '{alert}'"),
            "the alert is in the history",
        )


async def test_a_killed_broker_loses_nothing_that_was_acknowledged(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        for step in range(10):
            await seen.fix("tag-1", 5_000 + step)
        broker.kill()
        broker.start()
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as again:
            seen.device = again
            for step in range(10):
                await seen.fix("tag-1", 4_000 - 430 * step)
            await until(lambda: seen.stored() == set(seen.sent), "every fix is in the history")
            await until(lambda: seen.notices("raised"), "the approach after it is told")


async def test_a_restarted_service_raises_no_alert_twice_and_misses_none(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 300)
        await until(lambda: seen.notices("raised"), "the handset is told")
        alert = seen.notices("raised")[0]["alert_id"]
    # Nobody works, but the broker goes on taking what devices send.
    async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as device:
        for seq in range(1_000, 1_003):  # a leap is believed at the third
            document = {
                "seq": seq,
                "time": to_iso(wall_clock_us() + (seq - 1_000) * 100_000),
                "lat": HOME[0] + 0.001,
                "lon": HOME[1],
                "accuracy_m": 5,
            }
            await device.publish("cordon/v1/tag-1/fix", json.dumps(document), qos=1)
    async with world(broker, database.dsn, one_pair()) as later:
        worse = await until(lambda: later.notices("tier"), "what happened meanwhile is told")
        assert worse[0]["alert_id"] == alert
        for _ in range(60):  # he is far away, and goes on saying so
            await later.fix("tag-1", 5_000)
            if later.notices("returned"):
                break
            await asyncio.sleep(0.5)
        await until(lambda: later.notices("returned"), "the same alert clears")
        assert later.notices("returned")[0]["alert_id"] == alert
        assert not later.notices("raised")


async def test_the_service_starts_and_alerts_without_the_database(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres
) -> None:
    async with world(broker, postgres.dsn, one_pair()) as seen:
        endpoints = seen.endpoints
    postgres.stop()
    service = Service(endpoints, settings_for_tests(), wall_clock_us, headless=True)
    async with running(service), aiomqtt.Client(broker.host, broker.mqtt_port) as device:
        seen.service, seen.device = service, device
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 150)
        desk = service.parts.worker.partition.desk
        await until(desk.open_alerts, "an alert is raised from the kept caseload")
    postgres.start()


async def test_a_changed_caseload_takes_effect_while_running(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair(alert_m=50)) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 900)
        await until(lambda: len(seen.stored()) == 2, "both fixes have been dealt with")
        assert not seen.notices("raised")
        await load(database.dsn, one_pair(alert_m=1_000))
        await until(lambda: seen.notices("raised"), "the wider ring is in force")


async def test_a_caseload_that_cannot_be_watched_is_counted(
    broker: EmbeddedBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        before = seen.service.parts.worker.partition.kept.version
        monkeypatch.setattr("devices.compiler.MAX_WATCHES", 1)
        await load(database.dsn, one_pair(alert_m=300))
        counted = "cordon_worker_caseloads_refused_total 1.0"
        await until(lambda: counted in Metrics(seen.service.parts).text().decode(), "it is counted")
        assert seen.service.parts.worker.partition.kept.version == before


async def test_nonsense_hurts_nobody_and_is_kept_with_its_reason(
    broker: EmbeddedBroker, database: Database
) -> None:
    now = to_iso(wall_clock_us())
    nonsense = {
        "not JSON": b"\xff\xfehello",
        "wrong types": b'{"time": 5, "lat": "north", "lon": []}',
        "latitude 91": json.dumps({"time": now, "lat": 91, "lon": 4}).encode(),
        "NaN": b'{"time": "%b", "lat": NaN, "lon": 4}' % now.encode(),
        "1970": b'{"time": "1970-01-01T00:00:00Z", "lat": 54, "lon": 4}',
        "2099": b'{"time": "2099-01-01T00:00:00Z", "lat": 54, "lon": 4}',
        "half a megabyte": b"[" * 500_000,
    }
    async with world(broker, database.dsn, one_pair()) as seen:
        for payload in nonsense.values():
            await seen.publish("tag-1", "fix", payload)
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(
                broker.host, broker.mqtt_port, identifier="giant", timeout=10
            ) as giant:
                await giant.publish("cordon/v1/tag-1/fix", b"x" * 10_000_000, qos=1)
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 150)
        await until(lambda: seen.notices("raised"), "others go on")

        def codes() -> dict[str, int]:
            rows = seen.query("select code, count(*)::int from evidence.refusal group by code")
            return dict(rows)

        await until(lambda: sum(codes().values()) == len(nonsense) + 1, "all of it is kept")
        assert codes()["broker_closed"] == 1
        metrics = Metrics(seen.service.parts).text().decode()
        for code, count in codes().items():
            assert f'cordon_refused_messages_total{{reason="{code}"}} {count}.0' in metrics
        kept = seen.query("select payload from evidence.message where topic like '%fix'")
        assert nonsense["not JSON"] in {bytes(row[0]) for row in kept}
        reasons = [row[0] for row in seen.query("select reason from evidence.refusal")]
        assert all(reasons)


async def test_a_panic_is_critical_at_once_whoever_sends_it(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        event = {"seq": 1, "time": to_iso(wall_clock_us()), "type": "panic"}
        await seen.publish("phone-1", "event", json.dumps(event).encode())
        told = await until(lambda: seen.events("raised"), "the agency is told")
        assert (told[0]["data"]["condition"], told[0]["data"]["tier"]) == ("panic", 1)
        await seen.publish("stranger", "event", json.dumps(event).encode())
        desk = seen.service.parts.worker.partition.desk
        await until(lambda: len(desk.open_alerts()) == 2, "a stranger's panic is on the desk")


async def test_no_position_in_logs(broker: EmbeddedBroker, database: Database) -> None:
    written = io.StringIO()
    configure_logs(Logs(level="debug"), written)
    try:
        async with world(broker, database.dsn, one_pair()) as seen:
            await seen.fix("phone-1", 12.345)
            await seen.fix("tag-1", 67.891)
            bad = json.dumps({"time": "x", "lat": 54.123456, "lon": 4.654321}).encode()
            await seen.publish("tag-1", "fix", bad)
            await until(lambda: seen.query("select 1 from evidence.refusal"), "it was refused")
            await until(lambda: seen.notices("raised"), "an alert was raised")
    finally:
        structlog.reset_defaults()
    log = re.sub(r"T\d\d:\d\d:\d\d\.\d+Z", "", written.getvalue())  # 54.0 s is no latitude
    assert "caseload_in_force" in log, "nothing was logged: the test would prove nothing"
    for canary in ("54.0", "54.1", "4.65", "67.891", "540001", "541234"):
        assert canary not in log


async def test_the_kept_caseload_survives_and_is_replaced(broker: EmbeddedBroker) -> None:
    nc = await nats.connect(broker.nats_url)
    keep = await Keep.open(nc.jetstream())
    assert await keep.get("thing") is None
    await keep.put("thing", b"one")
    await keep.put("thing", b"two" * 1_000_000)
    again = await Keep.open(nc.jetstream())
    assert await again.get("thing") == b"two" * 1_000_000
    await nc.close()


async def test_the_smallest_store_that_settings_allow_is_enough_to_start(
    tmp_path: Path, database: Database
) -> None:
    small = 64_000_000
    broker = EmbeddedBroker(tmp_path / "small", BrokerLimits(store_bytes=small))
    broker.start()
    defaults = settings_for_tests()
    settings = msgspec.structs.replace(
        defaults, broker=msgspec.structs.replace(defaults.broker, store_bytes=small)
    )
    async with world(broker, database.dsn, one_pair(), settings=settings) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 150)
        await until(lambda: seen.notices("raised"), "the handset is told")
    broker.stop()


async def test_readiness_and_metrics_tell_a_broker_that_hangs(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair(), headless=False) as seen:
        address = seen.service.console_address

        async def ready() -> int:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{address}/readyz")).status_code

        async def becomes(status: int) -> None:
            async with asyncio.timeout(LIMIT_S):
                while await ready() != status:  # noqa: ASYNC110 - nobody announces it
                    await asyncio.sleep(0.1)

        await becomes(200)
        async with httpx.AsyncClient() as client:
            metrics = (await client.get(f"{address}/metrics")).text
        assert "cordon_broker_answers 1.0" in metrics
        assert "cordon_gateway_ready 1.0" in metrics
        # Its connections stay open, and what is sent to it seems to go well.
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            await becomes(503)
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        await becomes(200)


async def test_after_a_broker_that_hung_alerts_go_out_again(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        heartbeat = seen.service.parts.heartbeat
        await until(lambda: not heartbeat.silent, "the broker answers")
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            await until(lambda: heartbeat.silent, "the broker is missed")
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        await until(lambda: not heartbeat.silent, "the broker answers again")
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 150)
        await until(lambda: seen.notices("raised"), "the handset is told")
        await until(lambda: len(seen.stored()) == 2, "the history goes on, too")
