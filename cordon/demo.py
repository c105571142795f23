"""``cordon demo``: everything on one machine, with simulated people, shown and counted."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import structlog

from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.errors import CordonError
from cordon.identity.provisioning import give_passwords
from cordon.ledger import Ledger, Tally
from cordon.logs import configure_logs
from cordon.serve import announce, with_an_operator
from cordon.servers import Servers, running_servers
from cordon.service import Service
from cordon.settings import Settings
from cordon.signals import ended, stopping_on_signals, unless_stopped
from cordon.simulation import Simulation
from cordon.terminal import Steps
from devices.caseload import Assignment, Caseload, Device, Person
from devices.credential_store import CredentialStore
from devices.store import CaseloadStore
from simulators.casting import tracks_caseload
from simulators.run import Report, TownOptions, TracksOptions
from simulators.story import town_caseload
from simulators.town import build_town
from simulators.tracks import read_tracks

log = structlog.get_logger("demo")

DEMO_DIRECTORY = "demo"
_STEM_CHARS = 24
GUEST_TAG = "tag-guest"
GUEST_IN_TOWN = (54.002, 4.002)
GUEST_NORTH_DEG = 0.001
"""Where Guest is invited to be in recorded tracks: so far north of the place where the first person
protected begins, about 110 m."""

STORED_LIMIT_S = 20.0
"""How long the end waits for the database to have what the journal has."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line asked for."""

    tracks: tuple[Path, ...] = ()
    speed: float = 5.0
    for_s: float | None = None
    headless: bool = False
    as_json: bool = False


class Scene(msgspec.Struct, frozen=True):
    """Who is in the demonstration.

    Attributes:
        guest_at: Latitude and longitude, degrees, that Guest is invited to; None without a guest.
    """

    caseload: Caseload
    guest_at: tuple[float, float] | None = None


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the run came to, as `--json` prints it. Counts are of fixes, but for `alerts`.

    Attributes:
        published: Sent by the simulated devices at least once.
        acknowledged: Of these, acknowledged by the broker.
        journaled, stored: Of those published, found in the journal and in the database.
        lost: Acknowledged, but not found in the database.
        alerts: Distinct alerts that reached a handset's topic; `returned` of them were cleared.
        latency_ms: From the device's PUBLISH to the alert's arrival on the handset's topic.
    """

    published: int
    acknowledged: int
    journaled: int
    stored: int
    lost: int
    alerts: int
    returned: int
    latency_ms: dict[str, float | None]


def run_demo(settings: Settings, options: DemoOptions) -> int:
    """Run the demonstration; returns the exit code: 0, or 1 when anything was lost."""
    settings = for_a_demo(settings, options.tracks)
    configure_logs(settings.logs)
    scene = _scene(options)
    with Steps() as steps, running_servers(settings, steps.tell) as servers:
        settings, token = with_an_operator(settings)
        result = asyncio.run(_demo(settings, options, servers, scene, steps, token))
        steps.say("Stopping")
    if result is None:
        return 1
    if options.as_json:
        click.echo(msgspec.json.encode(result).decode())
    else:
        _say(result)
    return 1 if result.lost else 0


async def _demo(
    settings: Settings,
    options: DemoOptions,
    servers: Servers,
    scene: Scene,
    steps: Steps,
    token: str,
) -> DemoResult | None:
    endpoints = servers.endpoints
    basemap = None if options.tracks else build_town().basemap_geojson()
    service = Service(
        endpoints,
        settings,
        wall_clock_us,
        basemap=basemap,
        headless=options.headless,
        nameless=GUEST_TAG if scene.guest_at else "",
    )
    async with stopping_on_signals() as stop, contextlib.AsyncExitStack() as stack:
        steps.tell("Starting the service (the first start compiles the engine)")
        running = asyncio.create_task(service.run(), name="service")
        stack.push_async_callback(ended, running)
        keeping = asyncio.create_task(servers.keep_alive(), name="servers")
        stack.push_async_callback(ended, keeping)
        if not await unless_stopped(service.wait_ready(), stop, running):
            return None
        steps.tell("Loading the caseload")
        version = await _load(endpoints, scene.caseload)
        await unless_stopped(service.wait_for_caseload(version), stop, running)
        steps.tell("Giving the devices their passwords")
        passwords, registered = await _provision(endpoints, scene.caseload)
        await unless_stopped(service.wait_for_credentials(registered), stop, running)
        ledger = await Ledger.begin(endpoints)
        stack.push_async_callback(ledger.close)
        steps.tell("Starting the simulated devices")
        async with Simulation(_simulation(options), endpoints, passwords) as simulation:
            await unless_stopped(simulation.wait_connected(), stop, running)
            if not options.headless:
                announce(steps, service, endpoints, token)
                _invite(steps, endpoints, scene, passwords)
            await _show_until_the_end(simulation, stop, running, steps, options)
            report = await simulation.finish()
            return await _result(report, ledger, simulation, steps)


async def _show_until_the_end(
    simulation: Simulation,
    stop: asyncio.Event,
    running: asyncio.Task[None],
    steps: Steps,
    options: DemoOptions,
) -> None:
    """Wait for Ctrl-C, the end of the time or of the tracks; say now and then how it goes."""
    if options.for_s:
        steps.say(f"  Running for {options.for_s:.0f} s; Ctrl-C ends it sooner")
    showing = asyncio.create_task(simulation.show(sys.stderr), name="progress")
    try:
        await unless_stopped(simulation.wait_ended(), stop, running)
        if simulation.ended and options.tracks and not options.for_s:
            steps.say("  The tracks have been played to their end; Ctrl-C stops the demo")
            await unless_stopped(asyncio.Event().wait(), stop, running)
    finally:
        showing.cancel()


async def _load(endpoints: Endpoints, caseload: Caseload) -> str:
    store = CaseloadStore(endpoints.dsn)
    try:
        await store.migrate()
        return str((await store.save(caseload)).version)
    finally:
        await store.close()


async def _provision(endpoints: Endpoints, caseload: Caseload) -> tuple[dict[str, str], int]:
    """New passwords for all devices of this run; and the version of the registry that has them.

    None for a broker that lets devices in by its own rules.
    """
    if not endpoints.authorization_url:
        return {}, 0
    devices = [device.id for device in caseload.devices]
    async with CredentialStore(endpoints.dsn).open() as database:
        return await give_passwords(database, devices, by="demo", now_us=wall_clock_us())


async def _result(
    report: Report, ledger: Ledger, simulation: Simulation, steps: Steps
) -> DemoResult:
    steps.tell("Counting what the journal and the database have")
    published = simulation.published()
    tally: Tally = await ledger.tally(published, limit_s=STORED_LIMIT_S)
    steps.done()
    return DemoResult(
        published=report.published,
        acknowledged=report.acknowledged,
        journaled=tally.journaled,
        stored=tally.stored,
        lost=tally.lost,
        alerts=report.alerts_seen,
        returned=report.returned_seen,
        latency_ms={"p50": report.latency_ms.p50, "p99": report.latency_ms.p99},
    )


def for_a_demo(settings: Settings, tracks: Sequence[Path]) -> Settings:
    """The demonstration keeps to a folder of its own, away from any real data.

    Recorded tracks have one each: people of another play would stand about on the map, silent
    since it ended, and be reported as that.
    """
    name = DEMO_DIRECTORY
    if tracks:
        names = "\n".join(str(file.resolve()) for file in tracks)
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", tracks[0].stem)[:_STEM_CHARS]
        name += f"-{stem}-{hashlib.sha256(names.encode()).hexdigest()[:6]}"
    directory = Path(settings.state_directory)
    if directory.name == DEMO_DIRECTORY:
        directory = directory.parent
    logs = msgspec.structs.replace(settings.logs, level="warning", format="text")
    broker = settings.broker
    if not broker.nats_url:
        # In clear, so that any MQTT client at hand can join in; on 127.0.0.1 alone.
        broker = msgspec.structs.replace(
            broker, devices="registered", mqtt_tls=False, mqtt_listen="127.0.0.1:0"
        )
    return msgspec.structs.replace(
        settings, state_directory=str(directory / name), logs=logs, broker=broker
    )


def _scene(options: DemoOptions) -> Scene:
    if not options.tracks:
        return with_a_guest(town_caseload(), GUEST_IN_TOWN)
    try:
        found = read_tracks(list(options.tracks))
        caseload = tracks_caseload(found, speed=options.speed)
    except ValueError as error:
        raise CordonError(str(error)) from error
    if len(found) < 2:
        return Scene(caseload)
    lat_deg, lon_deg = float(found[1].lat_deg[0]), float(found[1].lon_deg[0])
    guest_at = (round(min(lat_deg + GUEST_NORTH_DEG, 90.0), 4), round(lon_deg, 4))
    return with_a_guest(caseload, guest_at)


def with_a_guest(caseload: Caseload, guest_at: tuple[float, float]) -> Scene:
    """With a tag for whoever watches, bound by an order like the first one.

    Args:
        caseload: With at least one order, whose first condition is a proximity.
        guest_at: See `Scene`.
    """
    if any(device.id == GUEST_TAG for device in caseload.devices):
        return Scene(caseload)
    example = caseload.orders[0]
    near = msgspec.structs.replace(example.conditions[0], id="near-guest")
    order = msgspec.structs.replace(example, id="order-guest", wearer="guest", conditions=(near,))
    since = caseload.assignments[0].from_
    with_guest = Caseload(
        agencies=caseload.agencies,
        people=(*caseload.people, Person(id="guest", role="wearer", name="Guest")),
        devices=(*caseload.devices, Device(id=GUEST_TAG, kind="tag")),
        assignments=(
            *caseload.assignments,
            Assignment(device=GUEST_TAG, person="guest", from_=since),
        ),
        orders=(*caseload.orders, order),
    )
    return Scene(with_guest, guest_at)


def _simulation(options: DemoOptions) -> TownOptions | TracksOptions:
    if not options.tracks:
        return TownOptions(for_s=options.for_s)
    return TracksOptions(
        files=tuple(str(file.resolve()) for file in options.tracks),
        speed=options.speed,
        start_together=True,
        for_s=options.for_s,
    )


def _invite(steps: Steps, endpoints: Endpoints, scene: Scene, passwords: Mapping[str, str]) -> None:
    """Show how to be a device oneself."""
    if scene.guest_at is None:
        return
    lat_deg, lon_deg = scene.guest_at
    steps.say("  Be a device yourself: each time you send this, Guest's tag moves on the map.")
    steps.say(
        f"  mosquitto_pub -h {endpoints.mqtt_host} -p {endpoints.mqtt_port} -q 1 "
        '-t cordon/v1/tag-guest/fix -m "{\\"time\\": \\"$(date -u +%FT%TZ)\\", '
        f'\\"lat\\": {lat_deg}, \\"lon\\": {lon_deg}, \\"accuracy_m\\": 8}}"'
    )
    handset = next((d.id for d in scene.caseload.devices if d.kind == "handset"), "")
    if handset in passwords:
        steps.say("  Who gives no name is Guest, here only. Hear what another's handset is told:")
        steps.say(
            f"  mosquitto_sub -h {endpoints.mqtt_host} -p {endpoints.mqtt_port} -u {handset} "
            f"-P '{passwords[handset]}' -t cordon/v1/{handset}/command"
        )
    steps.say()


def _say(result: DemoResult) -> None:
    p50, p99 = result.latency_ms["p50"], result.latency_ms["p99"]
    latency = f"; half of them within {p50:.0f} ms, 99 % within {p99:.0f} ms" if p50 and p99 else ""
    click.echo(
        f"{result.published} fixes published, {result.acknowledged} acknowledged, "
        f"{result.journaled} in the journal, {result.stored} in the database, "
        f"{result.lost} lost. {result.alerts} alerts reached a handset, "
        f"{result.returned} of them cleared{latency}."
    )
