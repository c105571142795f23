"""The ways to break the chain: each lays hands on a part of a running company."""

from __future__ import annotations

import asyncio
import os
import signal

from benchmarks.pipeline import disks, stage
from cordon.connections import connect_nats
from ingest.streams import JOURNAL

FROZEN_S = 4.0
DOWN_S = 4.0
LONG_DOWN_S = 600.0


class Company:
    """What a fault can lay hands on."""

    def __init__(
        self, servers: stage.Stage, service: stage.Process, standby: stage.Process | None
    ) -> None:
        self.servers = servers
        self.service = service
        self.standby = standby

    def kill_service(self) -> None:
        """Kill -9."""
        self.service.kill()

    def kill_broker(self) -> None:
        """Kill -9."""
        _kill(self.servers.broker.pid)

    def kill_database(self) -> None:
        """Kill -9."""
        _kill(self.servers.postgres.pid)

    async def start_service(self) -> None:
        """Start the service again, as a supervisor does."""
        await self.service.end()
        self.service = await stage.start_service(self.servers)


def _kill(pid: int | None) -> None:
    assert pid is not None, "it runs until it is killed"
    os.kill(pid, signal.SIGKILL)


async def service_killed(company: Company) -> None:
    """Kill -9, and started again as a supervisor does."""
    company.kill_service()
    await company.start_service()


async def service_gone(company: Company) -> None:
    """Kill -9, for good."""
    company.kill_service()


async def broker_killed(company: Company) -> None:
    """Kill -9."""
    company.kill_broker()


async def database_killed(company: Company) -> None:
    """Kill -9."""
    company.kill_database()


async def one_after_another(company: Company) -> None:
    """Database, broker and service."""
    company.kill_database()
    await asyncio.sleep(2.0)
    company.kill_broker()
    await asyncio.sleep(3.0)
    await service_killed(company)


async def all_at_once(company: Company) -> None:
    """Service, broker and database in one moment."""
    company.kill_service()
    company.kill_broker()
    company.kill_database()
    await company.start_service()


async def broker_frozen(company: Company) -> None:
    """It stands still for a while."""
    await _frozen(company.servers.broker.pid)


async def service_frozen(company: Company) -> None:
    """It stands still for a while."""
    await _frozen(company.service.pid)


async def _frozen(pid: int | None) -> None:
    assert pid is not None, "it runs until it is killed"
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_S)
    os.kill(pid, signal.SIGCONT)


async def database_down(company: Company) -> None:
    """Stopped in order, away for a while."""
    await _database_away_for(company, DOWN_S)


async def database_away(company: Company) -> None:
    """Stopped in order, away for a long time."""
    await _database_away_for(company, LONG_DOWN_S)


async def _database_away_for(company: Company, seconds: float) -> None:
    company.servers.postgres.stop()
    await asyncio.sleep(seconds)
    company.servers.postgres.start()


async def journal_full(company: Company) -> None:
    """The journal refuses for a while, as it does when it has reached its limit."""
    nc = await connect_nats(company.servers.endpoints.nats_url, "faults")
    try:
        js = nc.jetstream()
        config = (await js.stream_info(JOURNAL)).config
        limit = config.max_bytes
        config.max_bytes = 1
        await js.update_stream(config)
        await asyncio.sleep(DOWN_S)
        config.max_bytes = limit
        await js.update_stream(config)
    finally:
        await nc.close()


async def disk_full(company: Company) -> None:
    """The broker's disk has no byte left; then somebody makes room."""
    with disks.full(company.servers.home / "broker"):
        await asyncio.sleep(DOWN_S)


async def database_disk_full(company: Company) -> None:
    """The same of the database's."""
    with disks.full(company.servers.home / "postgres"):
        await asyncio.sleep(DOWN_S)


async def database_writes_fail(company: Company) -> None:
    """It is started again on a disk that fails, and again on one that does not."""
    with disks.failing_writes(company.servers.home):
        company.kill_database()
        await asyncio.sleep(DOWN_S)
    if company.servers.postgres.pid is not None:  # else it is dead already
        company.kill_database()
