"""``cordon bench faults``: one thing after another is broken under load, and everything is counted.

Each fault has servers, a service and devices of its own. The broker and the database are started
again by the same code that does it in ``cordon serve``; the service by this run, as the system's
own supervisor would.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.pipeline import books, disks, scene, stage
from benchmarks.pipeline.run import Tell
from benchmarks.pipeline.spec import LoadResult, LoadSpec
from benchmarks.printed import Result, shown
from cordon.connections import connect_nats
from cordon.embedded.broker import BrokerLimits
from cordon.errors import CordonError
from cordon.servers import ROOM_BYTES, Servers
from ingest.streams import JOURNAL

PAIRS = 60
MESSAGES_PER_S = 120.0
LEAPS_PER_S, PANICS_PER_S = 3.0, 2.0
LOAD_S = 24.0
INJECT_AT_S = 9.0
"""After the start of the load, when alerts come at their steady rate."""

WARM_S = 5.0
"""What a service that stands by is given to load the engine."""

FROZEN_S = 4.0
DOWN_S = 4.0
STORED_LIMIT_S = 60.0
SENT_LIMIT_S = 60.0
DISK_BYTES = 4 * ROOM_BYTES
STORE_BYTES = 1024**3


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


async def _service(company: Company) -> None:
    company.kill_service()
    await company.start_service()


async def _service_for_good(company: Company) -> None:
    company.kill_service()


async def _broker(company: Company) -> None:
    company.kill_broker()


async def _database(company: Company) -> None:
    company.kill_database()


async def _each(company: Company) -> None:
    company.kill_database()
    await asyncio.sleep(2.0)
    company.kill_broker()
    await asyncio.sleep(3.0)
    await _service(company)


async def _together(company: Company) -> None:
    company.kill_service()
    company.kill_broker()
    company.kill_database()
    await company.start_service()


async def _broker_frozen(company: Company) -> None:
    await _frozen(company.servers.broker.pid)


async def _service_frozen(company: Company) -> None:
    await _frozen(company.service.pid)


async def _frozen(pid: int | None) -> None:
    assert pid is not None, "it runs until it is killed"
    os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(FROZEN_S)
    os.kill(pid, signal.SIGCONT)


async def _database_down(company: Company) -> None:
    company.servers.postgres.stop()
    await asyncio.sleep(DOWN_S)
    company.servers.postgres.start()


async def _journal_full(company: Company) -> None:
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


async def _disk_full(company: Company) -> None:
    """The broker's disk has no byte left; then somebody makes room."""
    with disks.full(company.servers.home / "broker"):
        await asyncio.sleep(DOWN_S)


async def _database_disk_full(company: Company) -> None:
    """The same of the database's."""
    with disks.full(company.servers.home / "postgres"):
        await asyncio.sleep(DOWN_S)


async def _database_writes_fail(company: Company) -> None:
    """It is started again on a disk that fails, and again on one that does not."""
    with disks.failing_writes(company.servers.home):
        company.kill_database()
        await asyncio.sleep(DOWN_S)
    if company.servers.postgres.pid is not None:  # else it is dead already
        company.kill_database()


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the chain.

    Attributes:
        injected: What is done, in words.
        with_standby: Another service stands by.
        small_disk: The server that gets a disk of its own, of `DISK_BYTES`: its folder.
        needs_libfiu: It is left out where that is not installed.
        quick: It belongs to the short form.
    """

    name: str
    injected: str
    inject: Callable[[Company], Awaitable[None]]
    with_standby: bool = False
    small_disk: str = ""
    needs_libfiu: bool = False
    quick: bool = False


FAULTS = (
    Fault("service killed", "kill -9, started again at once", _service),
    Fault(
        "service killed, one stands by",
        "kill -9, not started again",
        _service_for_good,
        with_standby=True,
        quick=True,
    ),
    Fault("broker killed", "kill -9 of nats-server", _broker),
    Fault("database killed", "kill -9 of PostgreSQL", _database),
    Fault("one after another", "database, broker and service, 2 and 3 s apart", _each),
    Fault("all at once", "kill -9 of all three in one moment", _together, quick=True),
    Fault("service stands still", f"stopped for {FROZEN_S:g} s", _service_frozen),
    Fault("broker stands still", f"stopped for {FROZEN_S:g} s", _broker_frozen),
    Fault("database down", f"stopped in order, away for {DOWN_S:g} s", _database_down),
    Fault("journal full", f"refuses everything for {DOWN_S:g} s", _journal_full, quick=True),
    Fault("disk full", f"not a byte left for {DOWN_S:g} s", _disk_full, small_disk="broker"),
    Fault(
        "database's disk full",
        f"not a byte left for {DOWN_S:g} s",
        _database_disk_full,
        small_disk="postgres",
    ),
    Fault(
        "database's disk fails",
        f"one write in twenty gives EIO for {DOWN_S:g} s",
        _database_writes_fail,
        needs_libfiu=True,
    ),
)


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run with one fault.

    Attributes:
        alerts_due, missing, twice: Alerts that had to be raised, as an agency's system was told.
        stall_s: From the PUBLISH that made it due to the agency: the alert that took longest.
    """

    name: str
    injected: str
    published: int
    acknowledged: int
    stored: int
    lost: int
    duplicate_rows: int
    alerts_due: int
    missing: int
    twice: int
    stall_s: float


class FaultReport(msgspec.Struct, frozen=True):
    """What ``cordon bench faults`` prints."""

    faults: list[FaultRow]


def run_faults(tell: Tell, *, quick: bool = False, only: Sequence[str] = ()) -> FaultReport:
    """Break one thing after another.

    Args:
        tell: Is told what happens next.
        quick: The short form.
        only: Names of faults; empty: all.

    Raises:
        CordonError: A name is not known.
    """
    chosen = [f for f in FAULTS if (f.quick or not quick) and (not only or f.name in only)]
    if unknown := set(only) - {fault.name for fault in FAULTS}:
        known = ", ".join(fault.name for fault in FAULTS)
        raise CordonError(f"no such fault: {', '.join(sorted(unknown))}. There are: {known}")
    rows = []
    for fault in chosen:
        if fault.needs_libfiu and (missing := disks.libfiu_missing()):
            tell(f"Leaving out: {fault.name} ({missing})")
            continue
        tell(f"Breaking: {fault.name}")
        try:
            rows.append(_run_one(fault))
        except disks.NoSmallDiskError as error:
            tell(f"Leaving out: {fault.name} ({error})")
    return FaultReport(rows)


def _run_one(fault: Fault) -> FaultRow:
    with tempfile.TemporaryDirectory(prefix="cordon-faults-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # the database runs as another user
        with ExitStack() as stack:
            if fault.small_disk:
                stack.enter_context(disks.small_disk(home / fault.small_disk, DISK_BYTES))
            limits = BrokerLimits(store_bytes=STORE_BYTES)
            with stage.servers(home, limits) as servers:
                return asyncio.run(_measure(fault, servers))


async def _measure(fault: Fault, servers: stage.Stage) -> FaultRow:
    await servers.load_caseload(scene.caseload(PAIRS))
    spec = _spec(servers)
    async with _kept_alive(servers), _company(servers, fault) as company:
        load = await stage.start_load(servers, spec)
        await load.say("go")
        await asyncio.sleep(INJECT_AT_S)
        await fault.inject(company)
        await load.wait_for(b"done", limit_s=LOAD_S + 2 * SENT_LIMIT_S)
        await load.end()
        result = stage.read_result(spec)
        found = await books.count(result, servers.endpoints, limit_s=STORED_LIMIT_S)
    return _row(fault, result, found)


@asynccontextmanager
async def _kept_alive(servers: stage.Stage) -> AsyncIterator[None]:
    """Broker and database are started again when they have died."""
    watched = Servers(servers.endpoints, servers.broker, servers.postgres)
    keeping = asyncio.create_task(watched.keep_alive(), name="servers")
    try:
        yield
    finally:
        keeping.cancel()


@asynccontextmanager
async def _company(servers: stage.Stage, fault: Fault) -> AsyncIterator[Company]:
    company = Company(servers, await stage.start_service(servers), None)
    try:
        if fault.with_standby:
            company.standby = await stage.start_service(servers, "standby", standby=True)
            await asyncio.sleep(WARM_S)
        yield company
    finally:
        await company.service.end()
        if company.standby is not None:
            await company.standby.end()


def _spec(servers: stage.Stage) -> LoadSpec:
    return LoadSpec(
        host=servers.endpoints.mqtt_host,
        port=servers.endpoints.mqtt_port,
        pairs=PAIRS,
        messages_per_s=MESSAGES_PER_S,
        batch=1,
        steady_s=LOAD_S,
        flood_s=0.0,
        leaps_per_s=LEAPS_PER_S,
        panics_per_s=PANICS_PER_S,
        flushing=0,
        relayed=False,
        acknowledge_limit_s=60.0,
        result=str(servers.home / "load.result"),
        user=servers.endpoints.mqtt_user,
        password=servers.endpoints.mqtt_password,
    )


def _row(fault: Fault, result: LoadResult, found: books.Books) -> FaultRow:
    return FaultRow(
        name=fault.name,
        injected=fault.injected,
        published=found.published,
        acknowledged=found.acknowledged,
        stored=found.stored,
        lost=found.lost,
        duplicate_rows=found.duplicate_rows,
        alerts_due=len(result.due),
        missing=sum(name not in result.told for name in result.due),
        twice=sum(len(ids) > 1 for ids in result.told.values()),
        stall_s=round(max(result.latency_s.get("told", [0.0])), 2),
    )


COLUMNS = {
    "published": "published",
    "acknowledged": "acknowledged",
    "stored": "stored",
    "lost": "lost",
    "duplicate_rows": "twice in the database",
    "alerts_due": "alerts due",
    "missing": "missing",
    "twice": "raised twice",
    "stall_s": "slowest alert, s",
}


def result_of(report: FaultReport) -> Result:
    """The report with what a person reads of it."""
    rows = [[row.name, *(shown(getattr(row, name)) for name in COLUMNS)] for row in report.faults]
    lost = sum(row.lost for row in report.faults)
    missing = sum(row.missing + row.twice for row in report.faults)
    line = f"{len(rows)} faults; {lost} reports lost, {missing} alerts missing or raised twice"
    return Result(report, line, [(["", *COLUMNS.values()], rows)])


def markdown(report: FaultReport) -> str:
    """The table for docs/reliability.md."""
    header = ["fault", "injected", *COLUMNS.values()]
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join('---' for _ in header)}|"]
    for row in report.faults:
        cells = [row.name, row.injected, *(shown(getattr(row, name)) for name in COLUMNS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
