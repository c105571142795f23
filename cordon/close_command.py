"""``cordon evidence close-days``: lays the fixes of past days together by device."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import psycopg

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
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
    closed = run_on_database(settings, _close(dsn_of(settings), before))
    click.echo(f"{closed} days closed.")


async def _close(dsn: str, before: datetime) -> int:
    def tell(step: str) -> None:
        click.echo(step, err=True)

    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, options="-c timezone=UTC"
    ) as connection:
        return await close_days(connection, before, tell)
