"""Disks that are full or fail, under load.

Devices keep their fixes, alerts go on as far as they can, staff are told, and everything goes on by
itself afterwards, with nothing lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from benchmarks.pipeline.disks import (
    NoSmallDiskError,
    failing_writes,
    full,
    libfiu_missing,
    small_disk,
)
from console.views import Health, PartView
from cordon.backend import ServiceBackend
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.broker import BrokerLimits, EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.ledger import Ledger
from cordon.picture import Heard
from cordon.sections import Broker
from cordon.servers import ROOM_BYTES, Servers
from cordon.service import Service
from cordon.settings import Settings
from simulators.device import Observer, SimulatedDevice
from simulators.outbox import Item
from simulators.score import Key
from tests.cordon.running import HOME, load, one_pair, running, settings_for_tests, until
from tests.simulators.service import address

pytestmark = pytest.mark.timeout(300)

NAMES = ("tag-1", "phone-1", *(f"more-{number}" for number in range(6)))
"""Those of the pair, and some that are in no caseload: what they send is stored as well."""

EVERY_S = 0.1
STORE_BYTES = 1024**3
BROKER_DISK_BYTES = 3 * ROOM_BYTES
DATABASE_DISK_BYTES = 256 * 1024 * 1024
LONG_S = 90.0


class Books(Observer):
    """Which fixes were published, and whether the broker has acknowledged them."""

    def __init__(self) -> None:
        self.fixes: dict[Key, bool] = {}

    def on_published(self, device: str, item: Item, at_s: float) -> None:  # noqa: ARG002
        self.fixes[Key(device, item.time_us, item.seq)] = False

    def on_acknowledged(self, device: str, item: Item, at_s: float) -> None:  # noqa: ARG002
        self.fixes[Key(device, item.time_us, item.seq)] = True


@dataclass
class Site:
    """Servers that are kept alive, a service over them, and devices that report all the time."""

    broker: EmbeddedBroker
    postgres: EmbeddedPostgres
    service: Service
    ledger: Ledger
    books: Books
    devices: dict[str, SimulatedDevice] = field(default_factory=dict)
    reporting: bool = True

    async def report(self) -> None:
        """Everybody reports ten times a second, until told to stop."""
        while self.reporting:
            for number, device in enumerate(self.devices.values()):
                device.fix(wall_clock_us(), HOME[0] + 0.3 * number, HOME[1])
            await asyncio.sleep(EVERY_S)

    @property
    def waiting(self) -> int:
        """What devices hold that was not acknowledged."""
        return sum(len(device.outbox) for device in self.devices.values())

    def panics(self) -> int:
        """Open alerts of a panic."""
        alerts = self.service.parts.worker.partition.desk.open_alerts()
        return sum(alert.condition == "panic" for alert in alerts)

    def _backend(self) -> ServiceBackend:
        return ServiceBackend(
            self.service.parts, Heard(), wall_clock_us, build="test", basemap=None
        )

    def health(self) -> Health:
        """What `/readyz` says."""
        return self._backend().health()

    def database(self) -> PartView:
        """What the console says of the database."""
        return self._backend().service().database

    async def count(self) -> None:
        """Let everything arrive, and hold that acknowledged, journaled and stored are the same."""
        await until(lambda: len(self.books.fixes) > 200, "there is something to count", LONG_S)
        self.reporting = False
        await until(lambda: self.waiting == 0, "devices are rid of everything", LONG_S)
        assert all(self.books.fixes.values())
        tally = await self.ledger.tally(self.books.fixes, limit_s=LONG_S)
        assert (tally.journaled, tally.stored, tally.lost) == (
            len(self.books.fixes),
            len(self.books.fixes),
            0,
        )


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that the database's own user can reach."""
    with tempfile.TemporaryDirectory(prefix="cordon-disks-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextlib.contextmanager
def disk(folder: Path, size_bytes: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(small_disk(folder, size_bytes))
        except NoSmallDiskError as error:
            pytest.skip(str(error))
        yield


@contextlib.asynccontextmanager
async def site(home: Path) -> AsyncIterator[Site]:
    """All of it, running."""
    broker = EmbeddedBroker(home / "broker", BrokerLimits(store_bytes=STORE_BYTES))
    postgres = EmbeddedPostgres(home / "postgres")
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(broker.stop)
        broker.start()
        stack.callback(postgres.stop)
        postgres.start()
        endpoints = Endpoints.embedded(broker, postgres)
        keeping = asyncio.create_task(Servers(endpoints, broker, postgres).keep_alive())
        stack.callback(keeping.cancel)
        settings = Settings(
            engine=settings_for_tests().engine, broker=Broker(store_bytes=STORE_BYTES)
        )
        service = Service(endpoints, settings, wall_clock_us, headless=True)
        await stack.enter_async_context(running(service))
        await service.wait_for_caseload(await load(endpoints.dsn, one_pair()))
        ledger = await Ledger.begin(endpoints)
        stack.push_async_callback(ledger.close)
        found = Site(broker, postgres, service, ledger, Books())
        for name in NAMES:
            device = SimulatedDevice(
                name, address(broker), clock=wall_clock_us, observer=found.books
            )
            found.devices[name] = device
            living = asyncio.create_task(device.run(), name=name)
            stack.callback(living.cancel)
        for device in found.devices.values():
            await until(device.online.is_set, "it is connected")
        reporting = asyncio.create_task(found.report(), name="reporting")
        stack.callback(reporting.cancel)
        await until(lambda: sum(found.books.fixes.values()) > 50, "all of it works")
        yield found


async def test_the_brokers_disk_is_full(home: Path) -> None:
    with disk(home / "broker", BROKER_DISK_BYTES):
        async with site(home) as found:
            with full(home / "broker"):
                await until(lambda: found.waiting > 80, "devices keep what they have")
                found.devices["phone-1"].event("panic", wall_clock_us())
                await until(lambda: not found.health().ready, "staff are told")
                assert found.broker.store_failed
                await until(lambda: found.panics() == 1, "the panic is told, past all storing")
            await until(lambda: found.health().ready, "it goes on by itself", LONG_S)
            await found.count()
            assert found.panics() == 1


async def test_the_databases_disk_is_full(home: Path) -> None:
    with disk(home / "postgres", DATABASE_DISK_BYTES):
        async with site(home) as found:
            with full(home / "postgres"):
                await until(lambda: found.database().state == "down", "staff are told", LONG_S)
                assert "alerts go on" in found.database().detail
                found.devices["phone-1"].event("panic", wall_clock_us())
                await until(lambda: found.panics() == 1, "alerts do not wait for it")
                assert found.health().ready
                known = sum(found.books.fixes.values())
                await until(lambda: sum(found.books.fixes.values()) > known + 50, "nor do devices")
            await until(lambda: found.database().state == "up", "it goes on by itself", LONG_S)
            await found.count()


async def test_writes_of_the_database_fail(home: Path) -> None:
    if missing := libfiu_missing():
        pytest.skip(missing)
    async with site(home) as found:
        said = home / "postgres" / "postgres.log"
        with failing_writes(home):
            kill(
                found.postgres
            )  # whoever keeps it alive starts it again, on what is now a bad disk
            await until(lambda: b"Input/output error" in said.read_bytes(), "EIO", LONG_S)
            await until(lambda: found.database().state == "down", "staff are told", LONG_S)
            found.devices["phone-1"].event("panic", wall_clock_us())
            await until(lambda: found.panics() == 1, "alerts do not wait for it")
            known = sum(found.books.fixes.values())
            await until(lambda: sum(found.books.fixes.values()) > known + 50, "nor do devices")
            assert found.health().ready
        kill(found.postgres)  # and again, on a good one
        await until(lambda: found.database().state == "up", "it goes on by itself", LONG_S)
        await found.count()


def kill(postgres: EmbeddedPostgres) -> None:
    """Kill -9, if it lives at this moment."""
    if postgres.pid is not None:
        os.kill(postgres.pid, signal.SIGKILL)
