"""The whole service with a broker that tells devices apart: what is kept, shown and told."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiomqtt
import psycopg
import pytest

from cordon.backend import ServiceBackend
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.doctor_command import examine
from cordon.embedded.broker import EmbeddedBroker
from cordon.identity.provisioning import give_passwords
from cordon.metrics import Metrics
from cordon.sections import Broker
from cordon.service import Service
from cordon.settings import Settings
from devices.credential_store import CredentialStore
from devices.instants import to_iso
from tests.conftest import Database
from tests.cordon.doors import asking
from tests.cordon.running import HOME, load, one_pair, running, settings_for_tests, until

FIX = b'{"time": "%s", "lat": %f, "lon": %f, "accuracy_m": 5}'


@contextlib.asynccontextmanager
async def service_at(
    broker: EmbeddedBroker, dsn: str, home: Path
) -> AsyncIterator[tuple[Service, Endpoints, dict[str, str]]]:
    """A service with a caseload and passwords for its devices in force."""
    endpoints = dataclasses.replace(Endpoints.embedded(broker, None), dsn=dsn)
    settings = at_home(settings_for_tests(), home)
    service = Service(endpoints, settings, wall_clock_us, headless=True)
    async with running(service):
        await service.wait_for_caseload(await load(dsn, one_pair()))
        async with CredentialStore(dsn).open() as database:
            passwords, version = await give_passwords(
                database, ["tag-1", "phone-1"], by="test", now_us=wall_clock_us()
            )
        await service.wait_for_credentials(version)
        yield service, endpoints, passwords


def at_home(settings: Settings, home: Path) -> Settings:
    return Settings(state_directory=str(home), engine=settings.engine)


def fix() -> bytes:
    return FIX % (to_iso(wall_clock_us()).encode(), *HOME)


@pytest.fixture
def asker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    server = EmbeddedBroker(tmp_path / "broker", access=asking())
    server.start()
    yield server
    server.stop()


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


async def test_an_attempt_to_speak_for_another_is_evidence_and_moves_nobody(
    asker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    async with service_at(asker, database.dsn, tmp_path) as (service, endpoints, passwords):
        async with aiomqtt.Client(
            asker.mqtt_host,
            asker.mqtt_port,
            username="tag-1",
            password=passwords["tag-1"],
            identifier="tag-1",
        ) as tag:
            await tag.publish("cordon/v1/phone-1/fix", fix(), qos=1)
            await tag.publish("cordon/v1/tag-1/fix", fix(), qos=1)
            await until(
                lambda: rows(database.dsn, "select 1 from evidence.fix where device = 'tag-1'"),
                "its own fix is stored",
            )
            await until(
                lambda: rows(
                    database.dsn,
                    "select 1 from evidence.refusal where (device, code) = ('tag-1', 'not_its_topic')",
                ),
                "its attempt is stored",
            )
        assert not rows(database.dsn, "select 1 from evidence.fix where device = 'phone-1'")
        metrics = Metrics(service.parts).text().decode()
        assert 'cordon_refused_messages_total{reason="not_its_topic"} 1.0' in metrics
        assert 'cordon_logins_total{answer="admitted"} 1.0' in metrics
        assert "cordon_devices_open 0.0" in metrics
        settings = Settings(state_directory=str(tmp_path), broker=Broker(mqtt_tls=False))
        found = {f.name: f for f in await examine(settings, endpoints)}
        assert {name: f.state for name, f in found.items() if f.state == "fail"} == {}
        assert found["authorization"].state == "ok", found
        assert found["tls"].state == "warn"


def told(service: Service) -> list[tuple[str, str | None, str]]:
    """Alerts of the condition device: what, of which, in which state."""
    alerts = service.parts.worker.partition.desk.open_alerts()
    return sorted((a.level, a.device, a.state) for a in alerts if a.condition == "device")


async def test_what_is_tried_at_the_door_is_an_alert_and_in_the_history(
    asker: EmbeddedBroker, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.allowance.TOLD_EVERY_US", 0)  # a flood is one when it is told twice
    async with service_at(asker, database.dsn, tmp_path) as (service, _, passwords):

        def client(name: str, password: str) -> aiomqtt.Client:
            return aiomqtt.Client(
                asker.mqtt_host,
                asker.mqtt_port,
                username=name,
                password=password,
                identifier=name,
            )

        async with client("tag-1", passwords["tag-1"]) as tag:
            for _ in range(5):
                await tag.publish("cordon/v1/phone-1/fix", fix(), qos=1)
            await asyncio.gather(
                *(tag.publish("cordon/v1/tag-1/fix", fix(), qos=1) for _ in range(300))
            )
        for attempt in range(12):
            names = ["phone-1", f"made-up-{attempt}"]
            for name in names:
                with contextlib.suppress(aiomqtt.MqttError):
                    async with client(name, "guess"):
                        raise AssertionError("it was let in")
        wanted = [
            ("beyond_rights", "tag-1", "active"),
            ("flood", "tag-1", "active"),
            ("strangers", "", "active"),
            ("turned_away", "phone-1", "active"),
        ]
        await until(lambda: told(service) == wanted, "each is one alert")
        kept = "select kind, device, cause from evidence.device_health where began order by 1"
        await until(
            lambda: (
                rows(database.dsn, kept)
                == [
                    ("beyond_rights", "tag-1", "not_its_topic"),
                    ("flood", "tag-1", "flood"),
                    ("strangers", "", "unknown_device"),
                    ("turned_away", "phone-1", "wrong_password"),
                ]
            ),
            "and in the history",
        )
        before = {a.alert_id for a in service.parts.worker.partition.desk.open_alerts()}
    endpoints = dataclasses.replace(Endpoints.embedded(asker, None), dsn=database.dsn)
    settings = at_home(settings_for_tests(), tmp_path)
    again = Service(endpoints, settings, wall_clock_us, headless=True)
    async with running(again):  # it reads the journal from its checkpoint
        await until(lambda: told(again) == wanted, "they go on over a restart")
        after = {a.alert_id for a in again.parts.worker.partition.desk.open_alerts()}
    assert after == before


async def test_a_service_with_an_open_broker_says_so(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    endpoints = dataclasses.replace(Endpoints.embedded(broker, None), dsn=database.dsn)
    settings = at_home(settings_for_tests(), tmp_path)
    service = Service(endpoints, settings, wall_clock_us, headless=True)
    async with running(service):
        backend: ServiceBackend = service._backend
        view = backend.service().broker
        assert view.state == "degraded"
        assert "any device" in view.detail
        assert "cordon_devices_open 1.0" in Metrics(service.parts).text().decode()
        found = {f.name: f for f in await examine(settings, endpoints)}
        assert found["devices"].state == "fail"


async def test_an_authorizer_of_its_own_lets_devices_in_while_the_service_is_away(
    asker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    async with service_at(asker, database.dsn, tmp_path) as (_, _, passwords):
        pass
    environment = os.environ | {
        "CORDON_STATE_DIRECTORY": str(tmp_path / "elsewhere"),
        "CORDON_BROKER_NATS_URL": asker.nats_url,
        "CORDON_BROKER_AUTHORIZATION_URL": asker.authorization_url,
        "CORDON_BROKER_ISSUER_SEED": asker.issuer_seed,
        "CORDON_BROKER_MQTT_TLS": "false",
        "CORDON_DATABASE_URL": "postgresql://nowhere.invalid/none",
    }
    beside = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cordon.cli", "authorize", env=environment,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:

        async def let_in() -> bool:
            try:
                async with aiomqtt.Client(
                    asker.mqtt_host,
                    asker.mqtt_port,
                    username="phone-1",
                    password=passwords["phone-1"],
                    identifier="phone-1",
                ):
                    return True
            except aiomqtt.MqttError:
                return False

        async with asyncio.timeout(60):
            while not await let_in():
                assert beside.returncode is None
    finally:
        beside.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(beside.wait(), 20) == 0
