"""Each degraded state is caused: it is named at the console, told over another way, and ends by itself."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from alerts import degraded
from console.access import sha256_hex
from cordon import trouble_watch
from cordon.backend import LATE_MS
from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.sections import Operator
from cordon.settings import Settings
from devices.caseload import Assignment, Caseload, Device
from devices.instants import MICROSECONDS
from devices.reports import Batch
from ingest.journal import JournalWriter
from tests.alerts.receivers import HttpReceiver, http_receiver
from tests.conftest import Database
from tests.cordon.running import SINCE, World, one_pair, settings_for_tests, until, world

pytestmark = pytest.mark.timeout(240)

TOKEN = "of-this-test-alone"
OTHERS = 14
SILENT_S = 130
LATE_US = int(1.25 * LATE_MS * 1_000)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told after seconds is told after tenths here; the rule is the same."""
    monkeypatch.setattr(degraded, "TOLD_AFTER_S", 0.5)
    monkeypatch.setattr(degraded, "OVER_AFTER_S", 0.5)
    monkeypatch.setattr(trouble_watch, "CHECK_S", 0.1)


class Clock:
    """The wall clock, which can be set on."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def __call__(self) -> int:
        return wall_clock_us() + self.ahead_us


class Site:
    """A running service, somebody at the console, and a technical contact."""

    def __init__(self, seen: World, receiver: HttpReceiver, client: httpx.AsyncClient) -> None:
        self.seen = seen
        self._receiver = receiver
        self._client = client

    async def states(self) -> dict[str, dict[str, Any]]:
        """What the console says is degraded."""
        answer = (await self._client.get("/api/v1/status")).json()
        return {one["name"]: one for one in answer["degraded"]}

    def told(self, kind: str, state: dict[str, Any]) -> list[str]:
        """What the technical contact was sent of a state: not of another one, as a start may bring."""
        data = [json.loads(request.body)["data"] for request in self._receiver.requests]
        texts = [one["text"] for one in data if one["kind"] == f"degraded_{kind}"]
        return [text for text in texts if state["since"] in text]

    async def named(self, name: str) -> dict[str, Any]:
        """Wait until the console names a state."""
        async with asyncio.timeout(30):
            while name not in (found := await self.states()):  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
        return found[name]

    async def calm(self) -> None:
        """Wait until the console names none: what a start brings is over."""
        async with asyncio.timeout(30):
            while await self.states():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)

    async def over(self, state: dict[str, Any]) -> None:
        """Wait until it is over, for the console and for the technical contact."""
        async with asyncio.timeout(60):
            while state["name"] in await self.states():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
        texts = await until(lambda: self.told("over", state), "its end is told")
        assert all(text.startswith("It is over") for text in texts)  # sent twice on a busy machine


@contextlib.asynccontextmanager
async def site(
    broker: EmbeddedBroker, dsn: str, folder: Path, caseload: Caseload, clock: Clock
) -> AsyncIterator[Site]:
    async with http_receiver() as receiver:
        settings = settings_of(folder, receiver)
        async with world(
            broker, dsn, caseload, headless=False, settings=settings, clock=clock
        ) as seen:
            address = seen.service.console_address
            async with httpx.AsyncClient(base_url=address) as client:
                await client.get("/enter", params={"token": TOKEN})
                yield Site(seen, receiver, client)


def settings_of(folder: Path, receiver: HttpReceiver) -> Settings:
    contacts = folder / "contacts.toml"
    people = (("technical", "Tess"), ("supervisor", "Sue"))
    contacts.write_text(
        "\n".join(
            f'[[contact]]\nname = "{name}"\nrole = "{role}"\nwebhook = "{receiver.origin}/{role}"'
            for role, name in people
        )
    )
    settings = settings_for_tests()
    secret = "whsec_" + base64.b64encode(b"k" * 32).decode()
    return msgspec.structs.replace(
        settings,
        alerts=msgspec.structs.replace(
            settings.alerts, contacts=str(contacts), webhook_secret=secret
        ),
        console=msgspec.structs.replace(
            settings.console, operators=(Operator(name="Kim", token_sha256=sha256_hex(TOKEN)),)
        ),
    )


async def test_no_database(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with site(broker, postgres.dsn, tmp_path, one_pair(), Clock()) as at:
        await at.seen.fix("phone-1", 0)
        await until(at.seen.stored, "the history works")
        await at.calm()
        postgres.stop()
        await at.seen.fix("phone-1", 1)
        state = await at.named("database")
        assert "history waits" in state["detail"]
        [text] = await until(lambda: at.told("begins", state), "the technical contact is told")
        assert "Alerts go on" in text
        postgres.start()
        await at.over(state)
        assert {request.path for request in at._receiver.requests} == {"/technical"}


async def test_no_broker(broker: EmbeddedBroker, database: Database, tmp_path: Path) -> None:
    async with site(broker, database.dsn, tmp_path, one_pair(), Clock()) as at:
        heartbeat = at.seen.service.parts.heartbeat
        await until(lambda: not heartbeat.silent, "the broker answers")
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGSTOP)
        try:
            state = await at.named("broker")
            assert "devices keep their fixes" in state["detail"]
            await until(lambda: at.told("begins", state), "the technical contact is told")
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        await at.over(state)


async def test_an_open_broker_that_keeps_nothing(
    broker: EmbeddedBroker,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with site(broker, database.dsn, tmp_path, one_pair(), Clock()) as at:
        assert at.seen.service.parts.identity.devices_open
        await at.calm()  # that it is open is nobody's news
        with monkeypatch.context() as full:
            full.setattr(JournalWriter, "refusing", property(lambda _: True))
            state = await at.named("broker")
            assert "disk full" in state["detail"]
            await until(lambda: at.told("begins", state), "the technical contact is told")
        await at.over(state)


async def test_a_late_engine(broker: EmbeddedBroker, database: Database, tmp_path: Path) -> None:
    clock = Clock()
    async with site(broker, database.dsn, tmp_path, one_pair(), clock) as at:
        await at.calm()  # while it reads the journal, alerts may be late as well
        partition = at.seen.service.parts.worker.partition
        apply = partition.apply

        def slowly(batch: Batch) -> None:
            clock.ahead_us += LATE_US  # it takes so long, as with too much work
            apply(batch)

        partition.apply = slowly  # type: ignore[method-assign]
        for second in range(3):
            await at.seen.fix("phone-1", second)
        state = await at.named("engine")
        assert "alerts are late" in state["detail"]
        await until(lambda: at.told("begins", state), "the technical contact is told")
        partition.apply = apply  # type: ignore[method-assign]
        await at.over(state)


async def test_a_fleet_that_is_silent(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    clock = Clock()
    names = [f"more-{number:03}" for number in range(OTHERS)]
    pair = one_pair()
    caseload = msgspec.structs.replace(
        pair,
        devices=(*pair.devices, *(Device(id=name, kind="handset") for name in names)),
        assignments=(
            *pair.assignments,
            *(Assignment(device=name, person="she", from_=SINCE) for name in names),
        ),
    )
    async with site(broker, database.dsn, tmp_path, caseload, clock) as at:
        for name in ("phone-1", "tag-1", *names):
            await at.seen.fix(name, 0 if name != "tag-1" else 5_000)
        partition = at.seen.service.parts.worker.partition
        await until(lambda: partition.counts.fixes >= OTHERS + 2, "all are heard")
        clock.ahead_us = SILENT_S * MICROSECONDS
        state = await at.named("fleet")
        assert "fell silent at once" in state["detail"]
        await until(lambda: at.told("begins", state), "the technical contact is told")
        for name in ("phone-1", "tag-1", *names):
            await at.seen.fix(name, 0 if name != "tag-1" else 5_000)
        await at.over(state)
