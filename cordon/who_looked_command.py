"""``cordon who-looked``: who read where a person is or was."""

from __future__ import annotations

import asyncio

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of
from cordon.errors import CordonError
from cordon.settings import Settings
from devices.instants import to_iso
from evidence.looks import LOOKS_LIMIT, REFUSED, StoredLook
from evidence.reader import HistoryUnavailableError, Reader

_WHAT = {
    "map": "the map with everybody's position",
    "alerts": "the list of alerts, with distances",
    "protection": "how well everybody is protected",
    "export": "an export of records",
    "conduct": "courses of conduct",
    "approaches": "a summary of approaches, with distances",
    "overlay": "records of others that a case has",
    "overlay compare": "positions beside records of others",
    "near": "who was near a place",
    "timeline": "all that is recorded of a case",
    "replay": "decisions, made once more",
}


@click.command("who-looked")
@click.argument("person")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
@click.option("--limit", type=click.IntRange(1, LOOKS_LIMIT), default=100, show_default=True)
@click.pass_obj
def who_looked(settings: Settings, person: str, *, as_json: bool, limit: int) -> None:
    """Who read where PERSON is or was, the newest first: for herself, when she asks.

    Readings that showed everybody, as the map does, are among them.
    """
    try:
        rows = asyncio.run(Reader(dsn_of(settings)).looks(person, 0, wall_clock_us() + 1, limit))
    except HistoryUnavailableError as error:
        raise CordonError(str(error)) from error
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    if not rows:
        click.echo(f"Nobody is recorded as having read where {person} is or was.")
    for row in rows:
        click.echo(line_of(row))


def line_of(row: StoredLook) -> str:
    """One reading in one line."""
    named = row.what.removeprefix(REFUSED)
    what = _WHAT.get(named, named)
    read = "read" if named == row.what else "asked for, and was refused,"
    about = ""
    if row.from_us is not None and row.to_us is not None:
        about = f", of {to_iso(row.from_us)} to {to_iso(row.to_us)}"
    purpose = f" for {row.purpose!r}" if row.purpose else ""
    case = f" in case {row.case}" if row.case else ""
    return f"{to_iso(row.at_us)}  {row.who} ({row.role}) {read} {what}{about}{purpose}{case}"
