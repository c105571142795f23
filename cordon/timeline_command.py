"""``cordon evidence timeline``: all that is recorded of a case, as one record."""

from __future__ import annotations

import click
import msgspec
import psycopg

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import JSON_LINES, asks
from cordon.instant_option import FROM, TO
from cordon.settings import Settings
from evidence.holds import people_of
from evidence.inquiries import About, Inquiry, InquiryError, note_inquiry
from evidence.timeline import Line, TooMuchError, read_timeline


@click.command("timeline")
@click.option("--order", required=True, help="The case: an order.")
@FROM
@TO
@asks
@JSON_LINES
@click.pass_obj
def timeline_command(
    settings: Settings, order: str, from_us: int, to_us: int, inquiry: Inquiry, *, as_json: bool
) -> None:
    """Everything recorded of an order's people in a time, in order of what happened.

    Decisions, anomalies and troubles of devices, what devices reported while these people carried
    them, alerts, and each attempt to tell someone. A line says when something happened and, where
    that is another time, when it was known here. No line holds a place.
    """

    async def act(connection: psycopg.AsyncConnection) -> list[Line]:
        people = await people_of(connection, order)
        if not people:
            raise CordonError(f"There is no order {order} in the caseload.")
        about = About("timeline", people, from_us, to_us)
        await note_inquiry(connection, inquiry, about, wall_clock_us())
        return await read_timeline(connection, order, people, from_us, to_us)

    for line in run_on_connection(settings, act, InquiryError, TooMuchError):
        click.echo(msgspec.json.encode(line).decode() if as_json else str(line))
