"""``cordon evidence close-days``: lays the fixes of past days together by device."""

from __future__ import annotations

from datetime import UTC, timedelta

import click

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.settings import Settings
from devices.instants import to_datetime
from evidence.closing import CLOSED_AFTER_DAYS, close_days


@click.command("close-days")
@click.option(
    "--older-than",
    "days",
    type=click.IntRange(1),
    default=CLOSED_AFTER_DAYS,
    show_default=True,
    help="Days since the end of a day.",
)
@click.pass_obj
def close_command(settings: Settings, days: int) -> None:
    """Lay the fixes of past days together by device; run it every night.

    A day of one device is then read several times faster, and on TimescaleDB takes a fraction of the
    room. Nothing is changed in what is stored. Without TimescaleDB each day is locked for some seconds
    while it is rewritten.
    """
    before = to_datetime(wall_clock_us()).astimezone(UTC) - timedelta(days=days)

    def tell(step: str) -> None:
        click.echo(step, err=True)

    closed = run_on_connection(settings, lambda connection: close_days(connection, before, tell))
    click.echo(f"{closed} days closed.")
