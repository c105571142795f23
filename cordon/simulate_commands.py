"""``cordon simulate``: devices that are not there, over real MQTT."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.errors import CordonError
from cordon.logs import configure_logs
from cordon.settings import Settings
from cordon.signals import stopping_on_signals
from ingest.tls import TlsFilesError
from simulators.casting import tracks_caseload
from simulators.csv_tracks import parse_columns
from simulators.run import TownOptions, TracksOptions, run_town, run_tracks
from simulators.stage import Progress, Report, SimulationError
from simulators.tracks import read_tracks
from simulators.wire import Broker, Secrets

CommandT = TypeVar("CommandT", bound=Callable[..., object])
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def simulate() -> None:
    """Play people with tags and handsets to a running service, over MQTT QoS 1.

    The broker is the one the settings name (CORDON_BROKER_MQTT_HOST, CORDON_BROKER_MQTT_PORT), or
    --host and --port. The devices must be in the caseload for their fixes to count: `simulate
    tracks --caseload` writes one that fits, and `cordon demo` has the town's.
    """


def _to_a_broker(command: CommandT) -> CommandT:
    """The options every simulation has."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON."),
        click.option("--for", "for_s", type=click.FloatRange(min=1), help="Seconds to run."),
        click.option("--port", type=click.IntRange(1, 65_535), help="Port of the MQTT broker."),
        click.option("--host", help="Host of the MQTT broker."),
        click.option(
            "--passwords",
            type=FILE,
            help="JSON of the devices' passwords: cordon device provision --all --json > FILE.",
        ),
        click.option(
            "--ca", type=FILE, help="PEM of the CA of the broker: with it they speak TLS."
        ),
        click.option(
            "--certificates",
            type=click.Path(path_type=Path, exists=True, file_okay=False),
            help="Folder of `cordon device provision --certificate`, for those that show one.",
        ),
    ):
        command = option(command)
    return command


@simulate.command()
@click.argument("files", type=FILE, nargs=-1, required=True)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=100),
    default=1.0,
    show_default=True,
    help="Seconds of recording per second.",
)
@click.option(
    "--start-together",
    is_flag=True,
    help="All recordings begin now; otherwise they keep their distance in time.",
)
@click.option(
    "--columns",
    metavar="NAME=COLUMN,...",
    help="For other CSV files: id=...,time=...,lat=...,lon=...[,accuracy=...].",
)
@click.option("--time-zone", help="Of CSV times without an offset, for example America/Chicago.")
@click.option(
    "--caseload",
    "write_caseload",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Only write the caseload that fits these tracks to this file.",
)
@_to_a_broker
@click.pass_obj
def tracks(
    settings: Settings,
    files: tuple[Path, ...],
    speed: float,
    columns: str | None,
    time_zone: str | None,
    write_caseload: Path | None,
    for_s: float | None,
    host: str | None,
    port: int | None,
    passwords: Path | None,
    ca: Path | None,
    certificates: Path | None,
    *,
    start_together: bool,
    as_json: bool,
) -> None:
    """Play recorded tracks (CSV or GPX) as devices, shifted in time to now.

    Two by two, in the order of the files: the first is a wearer with a tag, the second the person
    protected from him, with a handset.

    \b
    Examples:
      cordon simulate tracks walks.csv --caseload walks.json && cordon caseload load walks.json
      cordon simulate tracks walks.csv --start-together
      cordon simulate tracks bus.csv --columns id=vehicle,time=stamp,lat=latitude,lon=longitude
    """  # noqa: D301
    try:
        named = parse_columns(columns) if columns else None
        if write_caseload is not None:
            found = read_tracks(list(files), columns=named, time_zone=time_zone)
            document = msgspec.json.encode(tracks_caseload(found, speed=speed))
            _write(write_caseload, msgspec.json.format(document, indent=2))
            click.echo(f"{write_caseload} has the caseload for {len(found)} tracks.")
            return
    except ValueError as error:
        raise CordonError(str(error)) from error
    options = TracksOptions(
        files=tuple(str(file) for file in files),
        columns=named,
        time_zone=time_zone,
        speed=speed,
        start_together=start_together,
        for_s=for_s,
    )
    broker = _broker(settings, host, port, passwords, ca, certificates)
    _run(options, settings, broker, as_json=as_json)


@simulate.command()
@click.option("--seed", default=1, show_default=True, help="Another seed, other lives.")
@_to_a_broker
@click.pass_obj
def town(
    settings: Settings,
    seed: int,
    for_s: float | None,
    host: str | None,
    port: int | None,
    passwords: Path | None,
    ca: Path | None,
    certificates: Path | None,
    *,
    as_json: bool,
) -> None:
    """Let the people of a made-up town walk and drive about."""
    broker = _broker(settings, host, port, passwords, ca, certificates)
    _run(TownOptions(seed=seed, for_s=for_s), settings, broker, as_json=as_json)


def _broker(
    settings: Settings,
    host: str | None,
    port: int | None,
    passwords: Path | None,
    ca: Path | None,
    certificates: Path | None,
) -> Broker:
    """Where the devices connect, and with what.

    Raises:
        CordonError: The passwords cannot be read.
    """
    try:
        given = (
            msgspec.json.decode(passwords.read_bytes(), type=dict[str, str | Secrets])
            if passwords
            else {}
        )
        keys = {d: one.signing() for d, one in given.items() if isinstance(one, Secrets)}
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise CordonError(
            f"{passwords} does not hold passwords by device as JSON; "
            "`cordon device provision --all --json` prints them so."
        ) from error
    words = {d: one if isinstance(one, str) else one.password for d, one in given.items()}
    return Broker(
        host=host or settings.broker.mqtt_host,
        port=port or settings.broker.mqtt_port,
        passwords={device: word for device, word in words.items() if word},
        keys=keys,
        ca_file=str(ca or ""),
        certificates=str(certificates or ""),
    )


def _write(file: Path, data: bytes) -> None:
    try:
        file.write_bytes(data)
    except OSError as error:
        raise CordonError(f"{file} cannot be written: {error.strerror}.") from error


def _run(
    options: TownOptions | TracksOptions,
    settings: Settings,
    broker: Broker,
    *,
    as_json: bool,
) -> None:
    # Devices that lose their connection say so; reports alone belong on standard output.
    configure_logs(msgspec.structs.replace(settings.logs, level="warning", format="text"))
    try:
        report = asyncio.run(_play(options, broker))
    except (SimulationError, TlsFilesError) as error:
        raise CordonError(str(error)) from error
    report = msgspec.structs.replace(report, published_keys=set())
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        click.echo(
            f"{report.published} fixes published, {report.acknowledged} acknowledged, "
            f"{report.alerts_seen} alerts on handsets, {report.returned_seen} of them cleared."
        )


async def _play(options: TownOptions | TracksOptions, broker: Broker) -> Report:
    async with stopping_on_signals() as stop:
        if isinstance(options, TownOptions):
            return await run_town(
                options, broker=broker, clock=wall_clock_us, progress=_show, stop=stop
            )
        return await run_tracks(
            options, broker=broker, clock=wall_clock_us, progress=_show, stop=stop
        )


def _show(progress: Progress) -> None:
    """One line that is written over, on a terminal; only notices elsewhere."""
    if progress.notice:
        click.echo(f"\n  {progress.notice}", err=True)
    if sys.stderr.isatty():
        click.echo(
            f"\r  {progress.connected} of {progress.devices} devices connected, "
            f"{progress.published} fixes published, {progress.acknowledged} acknowledged ",
            nl=False,
            err=True,
        )
