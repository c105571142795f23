"""``cordon device health``: how each device is, from the service's last checkpoint."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import msgspec
import nats.errors

from cordon.checkpoint import CHECKPOINT, Checkpoint, decode_checkpoint
from cordon.connections import connect_nats
from cordon.device_figures import DeviceFigures, NoFiguresError, figures_of
from cordon.embedded.broker import url_of_running
from cordon.errors import CordonError
from cordon.keep import Keep
from cordon.settings import Settings

_START_FIRST = (
    "Start the service first: `cordon serve`, or `cordon demo`, whose state is in .cordon/demo "
    "(cordon --state .cordon/demo device health)."
)


@click.command()
@click.argument("device", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON array, with every figure.")
@click.pass_obj
def health(settings: Settings, device: str | None, *, as_json: bool) -> None:
    """How DEVICE is, or every device: troubles, battery, gaps, repetitions, lateness, clock.

    The figures are those of the service's last checkpoint, seconds old while it runs. Only devices
    of people whom an order concerns are watched.
    """
    found = figures_of_service(settings)
    if device is not None:
        found = [one for one in found if one.device == device]
        if not found:
            raise CordonError(
                f"{device} is not watched. Is it in the caseload, assigned to somebody, and is an "
                "order in force that concerns this person? (cordon caseload show)"
            )
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    elif device is not None:
        click.echo(_all_of(found[0]))
    else:
        click.echo(_table(found))


def figures_of_service(settings: Settings) -> list[DeviceFigures]:
    """The figures of the service that works, or worked last, with these settings.

    Raises:
        CordonError: There are none, or the broker cannot be reached.
    """
    url = settings.broker.nats_url or url_of_running(
        Path(settings.state_directory).resolve() / "broker"
    )
    if url is None:
        raise CordonError(f"No broker has run in {settings.state_directory}. {_START_FIRST}")
    try:
        checkpoint = asyncio.run(_checkpoint(url))
    except (nats.errors.Error, OSError) as error:
        raise CordonError(f"The broker does not answer: {error}. {_START_FIRST}") from error
    if checkpoint is None:
        raise CordonError(f"The service has written no checkpoint yet. {_START_FIRST}")
    try:
        return figures_of(checkpoint)
    except NoFiguresError as error:
        raise CordonError(
            f"The last checkpoint is of another version: {error}. It is written anew within "
            "seconds once the service of this version runs."
        ) from error


async def _checkpoint(url: str) -> Checkpoint | None:
    nc = await connect_nats(url, "device-health", once=True)
    try:
        keep = await Keep.look(nc.jetstream())
        data = None if keep is None else await keep.get(CHECKPOINT)
        return decode_checkpoint(data) if data else None
    finally:
        await nc.close()


_COLUMNS = (
    "device",
    "person",
    "heard",
    "battery",
    "missing",
    "repeated",
    "late",
    "clock",
    "trouble",
)


def _row(one: DeviceFigures) -> tuple[str, ...]:
    clock = "" if one.clock_ahead_s is None else f"{one.clock_ahead_s:+.1f} s {one.clock}".strip()
    return (
        one.device,
        one.person,
        one.heard[:19] + "Z" if one.heard else "never",
        "" if one.battery_pct is None else f"{one.battery_pct} %",
        str(one.missing + one.merged_missing),
        str(one.duplicates),
        str(one.late),
        clock,
        ", ".join(one.troubles),
    )


def _table(found: list[DeviceFigures]) -> str:
    if not found:
        return "No device is watched: nobody has both a device and an order in force."
    rows = [_COLUMNS, *map(_row, found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines)


def _all_of(one: DeviceFigures) -> str:
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    width = max(map(len, values))
    return "\n".join(f"{name.ljust(width)}  {_plain(value)}" for name, value in values.items())


def _plain(value: object) -> str:
    if value is None:
        return "not known"
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
