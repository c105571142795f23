"""``cordon bench pipeline``: the whole way under load, beside bare relays over the same broker."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from benchmarks.pipeline import books, scene, stage
from benchmarks.pipeline.spec import LoadResult, LoadSpec
from benchmarks.printed import Result, shown
from cordon.embedded.broker import BrokerLimits
from devices.instants import MICROSECONDS

MAX_DEVICES = 1_000
LEAST_DEVICES = 40
RELAY_S = 10.0
LEAPS_PER_S, PANICS_PER_S = 10.0, 10.0
FLUSHING = 1_000
STORED_LIMIT_S = 400.0
SENT_LIMIT_S = 60.0
"""Above the duration of the load, for a generator that cannot keep its pace."""

STORE_BYTES = 8 * 1024**3

Tell = Callable[[str], None]


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds; None where nothing was measured."""

    p50: float | None
    p99: float | None


class PipelineReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cordon bench pipeline`` prints.

    Attributes:
        rate: Fixes a second that were asked for; `batch` in each message.
        devices: Connections, each a device.
        published, acknowledged, journaled, stored, lost, duplicate_rows: See `books.Books`.
        alerts_due, alerts_missing, alerts_twice: Alerts that had to be raised, and of these those
            that no handset was told of, and those told under a second id.
        latency_ms: From the PUBLISH of the fix that makes an alert due to the command at a
            connected handset.
        latency_halves_ms: The medians of the first and of the second half of the alerts: a backlog
            that grows shows here.
        relay_ms: From a PUBLISH to the same handset through a relay that carries every fix, written
            with the client library that the service is built on.
        latency_ratio: Of the two medians.
        lean_relay_ms, lean_ratio: The same with a relay that writes its packets by hand.
        fixes_per_s: Fixes published until the last was in the journal, by the time that took.
        behind: Messages without PUBACK when the last one was sent.
        cpu_ms_per_1000: Processor time of service, broker and database for 1,000 fixes.
        cpu_cores: By process, cores in use on average; the generator's too.
        latency_flood_ms: As `latency_ms`, of the alerts that fell due while the flood went on: how long
            positions wait behind it.
        panic_p99_ms: From a panic's PUBLISH to the handset while the flood went on; None without.
        panic_quiet_p99_ms: The same, before the flood.
        malformed, repeated: Messages of the flood that nothing can be made of, and sent twice.
    """

    rate: float
    batch: int
    seconds: float
    devices: int
    published: int
    acknowledged: int
    journaled: int
    stored: int
    lost: int
    duplicate_rows: int
    alerts_due: int
    alerts_missing: int
    alerts_twice: int
    latency_ms: Spread
    latency_halves_ms: tuple[float | None, float | None]
    relay_ms: Spread
    latency_ratio: float | None
    lean_relay_ms: Spread
    lean_ratio: float | None
    fixes_per_s: float
    behind: int
    cpu_ms_per_1000: float
    cpu_cores: dict[str, float]
    latency_flood_ms: Spread
    panic_p99_ms: float | None
    panic_quiet_p99_ms: float | None
    malformed: int
    repeated: int


class Relays(NamedTuple):
    """What was measured beforehand."""

    ordinary: Spread
    lean: Spread


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for."""

    rate: float
    seconds: float
    batch: int = 1
    flood: bool = False


def run_pipeline(asked: Asked, tell: Tell) -> PipelineReport:
    """Measure. Servers are started in a temporary folder and are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="cordon-bench-") as folder:
        home = Path(folder)
        home.chmod(0o755)  # the database runs as another user
        tell("Starting broker and database")
        with stage.servers(home, BrokerLimits(store_bytes=STORE_BYTES)) as servers:
            return asyncio.run(_measure(asked, servers, tell))


async def _measure(asked: Asked, servers: stage.Stage, tell: Tell) -> PipelineReport:
    spec = _spec(asked, servers)
    tell("Measuring the bare relays")
    relays = Relays(await _relay(spec, servers, "aiomqtt"), await _relay(spec, servers, "lean"))
    await servers.load_caseload(scene.caseload(spec.pairs))
    tell("Starting the service")
    async with stage.service(servers) as service:
        tell("Connecting the devices")
        devices = [await stage.start_load(servers, spec)]
        if spec.flushing:
            devices.append(await stage.start_flush(servers, spec))
        tell("Measuring")
        pids = {
            "service": service.pid,
            "broker": servers.broker.pid or 0,
            "database": servers.postgres.pid or 0,
            "generator": devices[0].pid,
        }
        before = {name: stage.cpu_s(pid) for name, pid in pids.items()}
        began_s = stage.wall_s()
        for process in devices:
            await process.say("go")
        seconds = spec.steady_s + spec.flood_s
        await devices[0].wait_for(b"sent", limit_s=seconds + SENT_LIMIT_S)
        took_s = stage.wall_s() - began_s
        used = {name: stage.cpu_s(pid) - before[name] for name, pid in pids.items()}
        tell("Waiting for what is outstanding")
        for process in devices:
            await process.wait_for(b"done", limit_s=spec.acknowledge_limit_s + SENT_LIMIT_S)
            await process.end()
        result = stage.read_result(spec)
        found = await books.count(result, servers.endpoints, limit_s=STORED_LIMIT_S)
    cores = {name: round(spent_s / took_s, 3) for name, spent_s in used.items()}
    return _report(asked, spec, result, found, relays, cores, used)


def _spec(asked: Asked, servers: stage.Stage) -> LoadSpec:
    messages_per_s = asked.rate / asked.batch
    devices = int(min(MAX_DEVICES, max(LEAST_DEVICES, messages_per_s)))
    pairs = devices // 2
    flood_s = asked.seconds if asked.flood else 0.0
    return LoadSpec(
        host=servers.endpoints.mqtt_host,
        port=servers.endpoints.mqtt_port,
        pairs=pairs,
        messages_per_s=messages_per_s,
        batch=asked.batch,
        steady_s=asked.seconds,
        flood_s=flood_s,
        leaps_per_s=min(LEAPS_PER_S, pairs / asked.seconds),
        panics_per_s=min(PANICS_PER_S, pairs / (asked.seconds + flood_s)),
        flushing=FLUSHING if asked.flood else 0,
        relayed=False,
        acknowledge_limit_s=60.0,
        result=str(servers.home / "load.result"),
        flushed=str(servers.home / "flush.result") if asked.flood else "",
    )


async def _relay(spec: LoadSpec, servers: stage.Stage, kind: str) -> Spread:
    """The same devices and the same load through a relay, before the service exists."""
    alone = msgspec.structs.replace(
        spec,
        steady_s=min(RELAY_S, spec.steady_s),
        flood_s=0.0,
        flushing=0,
        leaps_per_s=0.0,
        panics_per_s=0.0,
        relayed=True,
        result=str(servers.home / f"{kind}.result"),
        flushed="",
    )
    async with stage.relay(servers, kind):
        load = await stage.start_load(servers, alone)
        await load.say("go")
        await load.wait_for(b"done", limit_s=alone.steady_s + 2 * SENT_LIMIT_S)
        await load.end()
    return spread(stage.read_result(alone).latency_s.get("echo", []))


def _report(
    asked: Asked,
    spec: LoadSpec,
    result: LoadResult,
    found: books.Books,
    relays: Relays,
    cores: dict[str, float],
    used: dict[str, float],
) -> PipelineReport:
    alerts = result.latency_s.get("alert", [])
    latency = spread(alerts)
    half = len(alerts) // 2
    fixes = found.published - sum(name.startswith("panic-") for name in result.due)
    took_s = max(found.last_us, result.ended_us) - result.began_us
    ours_s = sum(spent for name, spent in used.items() if name != "generator")
    return PipelineReport(
        rate=asked.rate,
        batch=asked.batch,
        seconds=asked.seconds,
        devices=2 * spec.pairs,
        published=found.published,
        acknowledged=found.acknowledged,
        journaled=found.journaled,
        stored=found.stored,
        lost=found.lost,
        duplicate_rows=found.duplicate_rows,
        alerts_due=len(result.due),
        alerts_missing=sum(name not in result.raised for name in result.due),
        alerts_twice=sum(len(ids) > 1 for ids in result.raised.values()),
        latency_ms=latency,
        latency_halves_ms=(spread(alerts[:half]).p50, spread(alerts[half:]).p50),
        relay_ms=relays.ordinary,
        latency_ratio=_ratio(latency, relays.ordinary),
        lean_relay_ms=relays.lean,
        lean_ratio=_ratio(latency, relays.lean),
        fixes_per_s=round(fixes / (took_s / MICROSECONDS), 1),
        behind=result.behind,
        cpu_ms_per_1000=round(ours_s * 1e6 / max(1, fixes), 1),
        cpu_cores=cores,
        latency_flood_ms=spread(result.latency_s.get("alert_flood", [])),
        panic_p99_ms=spread(result.latency_s.get("panic_flood", [])).p99,
        panic_quiet_p99_ms=spread(result.latency_s.get("panic", [])).p99,
        malformed=result.malformed,
        repeated=result.repeated,
    )


def _ratio(ours: Spread, relay: Spread) -> float | None:
    return round(ours.p50 / relay.p50, 2) if ours.p50 and relay.p50 else None


def spread(samples_s: list[float]) -> Spread:
    """Median and 99th percentile of seconds, as milliseconds."""
    if not samples_s:
        return Spread(None, None)
    p50, p99 = statistics.median(samples_s), float(np.percentile(samples_s, 99))
    return Spread(round(p50 * 1e3, 2), round(p99 * 1e3, 2))


def result_of(report: PipelineReport) -> Result:
    """The report with what a person reads of it."""
    line = (
        f"{report.published} reports published, {report.acknowledged} acknowledged, "
        f"{report.stored} in the database, {report.lost} lost, {report.duplicate_rows} twice; "
        f"{report.alerts_due} alerts due, {report.alerts_missing} missing, "
        f"{report.alerts_twice} raised twice"
    )
    rows = [
        ["alert at the handset, ms", shown(report.latency_ms.p50), shown(report.latency_ms.p99)],
        ["bare relay, ms", shown(report.relay_ms.p50), shown(report.relay_ms.p99)],
        ["ratio", shown(report.latency_ratio), ""],
        ["lean relay, ms", shown(report.lean_relay_ms.p50), shown(report.lean_relay_ms.p99)],
        ["ratio", shown(report.lean_ratio), ""],
        [
            "alert in the flood, ms",
            shown(report.latency_flood_ms.p50),
            shown(report.latency_flood_ms.p99),
        ],
        ["panic, ms", "", shown(report.panic_quiet_p99_ms)],
        ["panic in the flood, ms", "", shown(report.panic_p99_ms)],
        ["fixes a second", shown(report.fixes_per_s), ""],
        ["processor ms for 1,000 fixes", shown(report.cpu_ms_per_1000), ""],
    ]
    return Result(report, line, [(["", "p50", "p99"], rows)])
