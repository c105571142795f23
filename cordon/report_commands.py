"""``cordon report``: figures of the past, from the history, to print."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec
import psycopg

from alerts.month import Month, MonthFigures
from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
from cordon.errors import CordonError
from cordon.report_page import report_page
from cordon.settings import Settings
from cordon.zone_option import zone_named
from devices.instants import from_datetime, to_datetime
from evidence import month as history

_MONTH = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


@click.group()
def report() -> None:
    """Figures of the past, from the history, to print."""


@report.command("month")
@click.argument("month")
@click.option(
    "--operators",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="How many shared the alerts at any time; the history does not say.",
)
@click.option("--zone", default="UTC", show_default=True, help="Time zone of the days.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a page here.")
@click.pass_obj
def month_command(
    settings: Settings, month: str, operators: int, zone: str, *, as_json: bool, out: Path | None
) -> None:
    """Report a MONTH (2026-11): load, floods, times, deliveries and outcomes of alerts.

    Each figure stands beside what EEMUA 191 and ISA-18.2 ask for. A month that is not over yet is
    reported up to now.
    """
    place = zone_named(zone)
    since_us, end_us = _span(month, place)
    now_us = wall_clock_us()
    until_us = min(end_us, now_us)
    if since_us >= now_us:
        raise CordonError(f"{month} has not begun: there is nothing to report yet.")
    dsn = dsn_of(settings)
    found = run_on_database(settings, _figures(dsn, since_us, until_us, operators, place))
    if as_json or out is None:
        click.echo(msgspec.json.encode(found).decode())
    if out is not None:
        title = to_datetime(since_us).astimezone(place).strftime("%B %Y")
        if until_us < end_us:
            title += " (not over yet)"
        made_at = to_datetime(now_us).strftime("%Y-%m-%d %H:%M UTC")
        try:
            out.write_text(report_page(found, title, zone, made_at), encoding="utf-8")
        except OSError as error:
            raise CordonError(f"{out} cannot be written: {error.strerror}.") from error
        click.echo(f"Written: {out}", err=as_json)


async def _figures(
    dsn: str, since_us: int, until_us: int, operators: int, zone: ZoneInfo
) -> MonthFigures:
    def date_of(at_us: int) -> str:
        return to_datetime(at_us).astimezone(zone).date().isoformat()

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("SET default_transaction_read_only = on")
        open_before = await history.open_at(connection, since_us)
        month = Month(since_us, until_us, operators, date_of, open_before)
        await history.take_in(connection, month, since_us, until_us)
    return month.figures()


def _span(month: str, zone: ZoneInfo) -> tuple[int, int]:
    """From the month's first midnight to that of the next one, in its time zone.

    Raises:
        CordonError: It is not a month.
    """
    match = _MONTH.fullmatch(month)
    if match is None or int(match[1]) < 1970:
        raise CordonError(f"{month!r} is not a month. Write it as 2026-11.")
    year, number = int(match[1]), int(match[2])
    first = datetime(year, number, 1, tzinfo=zone)
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=zone)
    return from_datetime(first), from_datetime(following)
