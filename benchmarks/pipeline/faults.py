"""``cordon bench faults``: one thing after another is broken under load, and everything is counted.

Each fault has servers, a service and devices of its own. The broker and the database are started
again by the same code that does it in ``cordon serve``; the service by this run, as the system's
own supervisor would.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.pipeline import books, breaking, disks, scene, stage, steps
from benchmarks.pipeline.run import Tell
from benchmarks.pipeline.spec import LoadResult, LoadSpec
from benchmarks.printed import Result, shown
from cordon.embedded.broker import BrokerLimits
from cordon.errors import CordonError
from cordon.servers import ROOM_BYTES, Servers

PAIRS = 60
MESSAGES_PER_S = 120.0
LEAPS_PER_S, PANICS_PER_S = 3.0, 2.0
LOAD_S = 24.0
INJECT_AT_S = 9.0
"""After the start of the load, when alerts come at their steady rate."""

WARM_S = 5.0
"""What a service that stands by is given to load the engine."""

LONG_PAIRS = 600
LONG_RATE_PER_S = 0.9
"""Of approaches, and of panics: each pair has one of each while the database is away."""

CATCH_UP_LIMIT_S = 300.0
"""After a long outage the history is given so long to have everything."""

STORED_LIMIT_S = 60.0
SENT_LIMIT_S = 60.0
DISK_BYTES = 4 * ROOM_BYTES
STORE_BYTES = 1024**3


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break the chain.

    Attributes:
        injected: What is done, in words.
        with_standby: Another service stands by.
        small_disk: The server that gets a disk of its own, of `DISK_BYTES`: its folder.
        needs_libfiu: It is left out where that is not installed.
        quick: It belongs to the short form.
        lasts_s: It lasts so much longer than the others, and is played only when it is named.
    """

    name: str
    injected: str
    inject: Callable[[breaking.Company], Awaitable[None]]
    with_standby: bool = False
    small_disk: str = ""
    needs_libfiu: bool = False
    quick: bool = False
    lasts_s: float = 0.0

    @property
    def load_s(self) -> float:
        """How long the load lasts."""
        return LOAD_S + self.lasts_s


FAULTS = (
    Fault("service killed", "kill -9, started again at once", breaking.service_killed),
    Fault(
        "service killed, one stands by",
        "kill -9, not started again",
        breaking.service_gone,
        with_standby=True,
        quick=True,
    ),
    Fault("broker killed", "kill -9 of nats-server", breaking.broker_killed),
    Fault("database killed", "kill -9 of PostgreSQL", breaking.database_killed),
    Fault(
        "one after another",
        "database, broker and service, 2 and 3 s apart",
        breaking.one_after_another,
    ),
    Fault("all at once", "kill -9 of all three in one moment", breaking.all_at_once, quick=True),
    Fault("service stands still", f"stopped for {breaking.FROZEN_S:g} s", breaking.service_frozen),
    Fault("broker stands still", f"stopped for {breaking.FROZEN_S:g} s", breaking.broker_frozen),
    Fault(
        "database down", f"stopped in order, away for {breaking.DOWN_S:g} s", breaking.database_down
    ),
    Fault(
        "journal full",
        f"refuses everything for {breaking.DOWN_S:g} s",
        breaking.journal_full,
        quick=True,
    ),
    Fault(
        "disk full",
        f"not a byte left for {breaking.DOWN_S:g} s",
        breaking.disk_full,
        small_disk="broker",
    ),
    Fault(
        "database's disk full",
        f"not a byte left for {breaking.DOWN_S:g} s",
        breaking.database_disk_full,
        small_disk="postgres",
    ),
    Fault(
        "database's disk fails",
        f"one write in twenty gives EIO for {breaking.DOWN_S:g} s",
        breaking.database_writes_fail,
        needs_libfiu=True,
    ),
    Fault(
        "database down for ten minutes",
        f"stopped in order, away for {breaking.LONG_DOWN_S:g} s",
        breaking.database_away,
        lasts_s=breaking.LONG_DOWN_S,
    ),
)


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run with one fault.

    Attributes:
        alerts_due, missing, twice: Alerts that had to be raised, as an agency's system was told.
        stall_s: From the PUBLISH that made it due to the agency: the alert that took longest.
        steps, steps_missing: Changes of alerts and records of deliveries; those of them that the
            history lacks.
        sent_twice: Deliveries that were sent more than once.
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
    steps: int
    steps_missing: int
    sent_twice: int


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
    chosen = [f for f in FAULTS if (f.quick or not quick) and _is_meant(f, only)]
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


def _is_meant(fault: Fault, only: Sequence[str]) -> bool:
    return fault.name in only if only else not fault.lasts_s


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
    spec = _spec(servers, fault)
    await servers.load_caseload(scene.caseload(spec.pairs))
    async with _kept_alive(servers), _company(servers, fault) as company:
        load = await stage.start_load(servers, spec)
        await load.say("go")
        await asyncio.sleep(INJECT_AT_S)
        await fault.inject(company)
        await load.wait_for(b"done", limit_s=fault.load_s + 2 * SENT_LIMIT_S)
        await load.end()
        result = stage.read_result(spec)
        limit_s = CATCH_UP_LIMIT_S if fault.lasts_s else STORED_LIMIT_S
        found = await books.count(result, servers.endpoints, limit_s=limit_s)
        taken = await steps.count(servers.endpoints, limit_s=limit_s)
    return _row(fault, result, found, taken)


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
async def _company(servers: stage.Stage, fault: Fault) -> AsyncIterator[breaking.Company]:
    company = breaking.Company(servers, await stage.start_service(servers), None)
    try:
        if fault.with_standby:
            company.standby = await stage.start_service(servers, "standby", standby=True)
            await asyncio.sleep(WARM_S)
        yield company
    finally:
        await company.service.end()
        if company.standby is not None:
            await company.standby.end()


def _spec(servers: stage.Stage, fault: Fault) -> LoadSpec:
    leaps_per_s, panics_per_s = LEAPS_PER_S, PANICS_PER_S
    if fault.lasts_s:
        leaps_per_s = panics_per_s = LONG_RATE_PER_S
    return LoadSpec(
        host=servers.endpoints.mqtt_host,
        port=servers.endpoints.mqtt_port,
        pairs=LONG_PAIRS if fault.lasts_s else PAIRS,
        messages_per_s=MESSAGES_PER_S,
        batch=1,
        steady_s=fault.load_s,
        flood_s=0.0,
        leaps_per_s=leaps_per_s,
        panics_per_s=panics_per_s,
        flushing=0,
        relayed=False,
        acknowledge_limit_s=60.0,
        result=str(servers.home / "load.result"),
        user=servers.endpoints.mqtt_user,
        password=servers.endpoints.mqtt_password,
    )


def _row(fault: Fault, result: LoadResult, found: books.Books, taken: steps.Steps) -> FaultRow:
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
        steps=taken.recorded,
        steps_missing=taken.missing,
        sent_twice=taken.sent_twice,
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
    line = (
        f"{len(rows)} faults; {lost} reports lost, {missing} alerts missing or raised twice; of "
        f"{sum(row.steps for row in report.faults)} steps of alerts "
        f"{sum(row.steps_missing for row in report.faults)} are not in the history, "
        f"{sum(row.sent_twice for row in report.faults)} deliveries were sent twice"
    )
    return Result(report, line, [(["", *COLUMNS.values()], rows)])


def markdown(report: FaultReport) -> str:
    """The table for docs/reliability.md."""
    header = ["fault", "injected", *COLUMNS.values()]
    lines = [f"| {' | '.join(header)} |", f"|{'|'.join('---' for _ in header)}|"]
    for row in report.faults:
        cells = [row.name, row.injected, *(shown(getattr(row, name)) for name in COLUMNS)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
