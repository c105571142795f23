"""The whole service and devices that sign: registered at the terminal, verified in the history."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cordon.cli import cordon
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.broker import EmbeddedBroker
from cordon.service import Service
from devices.credential_store import CredentialStore
from devices.instants import to_iso
from devices.reports import Signature
from ingest.allowance import BULK_BYTES
from simulators import wire
from simulators.device import SimulatedDevice
from tests.conftest import Database
from tests.cordon.running import HOME, load, one_pair, running, settings_for_tests, until
from tests.cordon.test_service_identity import asker, rows  # noqa: F401 - a fixture
from tests.ingest.reports import fix, payload
from tests.ingest.waiting import running as alongside

pytestmark = pytest.mark.timeout(240)

Give = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
def give(database: Database, tmp_path: Path) -> Give:
    """Gives a command about devices; returns what it printed as JSON."""
    environment = {
        "CORDON_DATABASE_URL": database.dsn,
        "CORDON_STATE_DIRECTORY": str(tmp_path / "state"),
        "CORDON_BROKER_MQTT_TLS": "false",
    }

    async def given(*arguments: str) -> dict[str, Any]:
        command = ["device", *arguments]
        found = await asyncio.to_thread(CliRunner().invoke, cordon, command, env=environment)
        assert found.exit_code == 0, (found.output, found.exception)
        # The service runs in this process, so what it logs meanwhile stands beside it.
        printed = re.search(r"^\{", found.output, re.MULTILINE)
        if printed is None:
            return {}
        return dict(json.JSONDecoder().raw_decode(found.output, printed.start())[0])

    return given


@contextlib.asynccontextmanager
async def serving(
    broker: EmbeddedBroker, dsn: str, *, backroom: bool = False
) -> AsyncIterator[Service]:
    endpoints = dataclasses.replace(Endpoints.embedded(broker, None), dsn=dsn)
    service = Service(
        endpoints, settings_for_tests(), wall_clock_us, headless=True, backroom=backroom
    )
    async with running(service):
        await service.wait_for_caseload(await load(dsn, one_pair()))
        yield service


async def in_force(service: Service, dsn: str) -> None:
    """Returns when the service knows all that the database does."""
    async with CredentialStore(dsn).open() as database:
        version = await database.version()
    await service.parts.identity.registry.wait_for(version)


def tag_of(broker: EmbeddedBroker, given: dict[str, Any], **more: Any) -> SimulatedDevice:
    secrets = wire.Secrets(**(given["tag-1"] | more))
    known = wire.Broker(
        host=broker.mqtt_host,
        port=broker.mqtt_port,
        passwords={"tag-1": secrets.password},
        keys={"tag-1": secrets.signing()},
    )
    return SimulatedDevice("tag-1", known, clock=wall_clock_us)


def signatures(dsn: str, kind: str) -> list[Signature]:
    """What became of the messages of the tag, in order."""
    found = rows(
        dsn,
        f"select signature from evidence.message where topic = 'cordon/v1/tag-1/{kind}'"
        " order by received_at",
    )
    return [Signature(int(str(one))) for (one,) in found]


async def report(tag: SimulatedDevice) -> None:
    """Have it report where it is; returns when the broker has it."""
    await until(tag.online.is_set, "it is connected")
    tag.fix(wall_clock_us(), *HOME)
    await until(lambda: len(tag.outbox) == 0, "all of it is acknowledged")


@pytest.mark.parametrize("algorithm", ["hmac", "ed25519"])
async def test_what_a_registered_device_signs_is_verified_in_the_history(
    asker: EmbeddedBroker,  # noqa: F811 - the fixture
    database: Database,
    give: Give,
    algorithm: str,
) -> None:
    async with serving(asker, database.dsn) as service:
        given = await give("provision", "tag-1", "--sign", algorithm, "--json")
        await in_force(service, database.dsn)
        tag = tag_of(asker, given)
        async with alongside(tag.run()):
            await report(tag)
            await until(
                lambda: signatures(database.dsn, "fix") == [Signature.VALID],
                "its fix is stored as verified",
            )
            assert set(signatures(database.dsn, "status")) == {Signature.VALID}
            tag.event("panic", wall_clock_us())
            lane = service.parts.worker.express.counts
            await until(lambda: lane.taken == 1, "its panic is told before it is journaled")

            # Another key beside the first one: both hold, until the first is revoked.
            again = await give(
                "provision", "tag-1", "--sign", algorithm, "--key-only", "--keep", "--json"
            )
            await in_force(service, database.dsn)
            await report(tag)
            await give("revoke", "tag-1", "--key", "0", "--reason", "replaced")
            await in_force(service, database.dsn)
            await report(tag)
            await until(
                lambda: (
                    signatures(database.dsn, "fix")
                    == [Signature.VALID] * 2 + [Signature.UNKNOWN_KEY]
                ),
                "the third is signed with a key that was taken away",
            )
        assert again["tag-1"]["key_number"] == 1
        fresh = tag_of(asker, again, password=given["tag-1"]["password"])
        async with alongside(fresh.run()):
            await report(fresh)
            await until(
                lambda: signatures(database.dsn, "fix")[3:] == [Signature.VALID],
                "the new key holds",
            )
    assert rows(database.dsn, "select count(*) from evidence.fix") == [(3,)]
    refused = "select code from evidence.refusal where device = 'tag-1'"
    assert rows(database.dsn, refused)[0] == ("not_signed",)


async def test_a_large_buffer_is_verified_by_the_back_room_too(
    asker: EmbeddedBroker,  # noqa: F811 - the fixture
    database: Database,
    give: Give,
) -> None:
    async with serving(asker, database.dsn, backroom=True) as service:
        history = service.parts.writer
        await until(lambda: history.counts.database_up, "the back room has made its tables")
        given = await give("provision", "tag-1", "--sign", "ed25519", "--json")
        await in_force(service, database.dsn)
        tag = tag_of(asker, given)
        key = wire.Secrets(**given["tag-1"]).signing()
        now_us = wall_clock_us()
        many = payload([fix(seq=None, time=to_iso(now_us - n)) for n in range(400)])
        assert len(many) > BULK_BYTES
        topic = wire.topic("tag-1", "fix")
        client = tag._client()
        async with client:
            await client.publish(topic, wire.seal(key, topic, 5, many), qos=1)
            await client.publish(topic, many, qos=1)
        await until(
            lambda: set(signatures(database.dsn, "fix")) == {Signature.VALID, Signature.UNSIGNED},
            "both are kept",
        )
    assert rows(database.dsn, "select count(*) from evidence.fix") == [(400,)]
    assert rows(database.dsn, "select code from evidence.refusal") == [("not_signed",)]


async def test_a_device_that_has_to_sign_and_does_not_is_refused_but_its_panic_is_told(
    asker: EmbeddedBroker,  # noqa: F811 - the fixture
    database: Database,
    give: Give,
) -> None:
    async with serving(asker, database.dsn) as service:
        given = await give("provision", "tag-1", "--sign", "ed25519", "--json")
        await in_force(service, database.dsn)
        forger = tag_of(asker, given, key="11" * 32)
        async with alongside(forger.run()):
            await report(forger)
            forger.event("panic", wall_clock_us())
            desk = service.parts.worker.partition.desk
            await until(
                lambda: (
                    [a.level for a in desk.open_alerts() if a.condition == "panic"] == ["panic"]
                ),
                "the panic is told",
            )
            await until(
                lambda: signatures(database.dsn, "fix") == [Signature.INVALID], "its fix is kept"
            )
            await until(
                lambda: rows(database.dsn, "select 1 from evidence.event where time_doubted"),
                "its panic is kept as doubted",
            )
            await until(
                lambda: (
                    [
                        (a.level, a.device, a.tier)
                        for a in desk.open_alerts()
                        if a.condition == "device"
                    ]
                    == [("badly_signed", "tag-1", 2)]
                ),
                "staff are told, once",
            )
            assert service.parts.worker.express.counts.taken == 0  # nobody vouches for its time
    assert rows(database.dsn, "select count(*) from evidence.fix") == [(0,)]
    assert service.parts.gateway.counts.refusals["bad_signature"] >= 2
