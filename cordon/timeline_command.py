"""``cordon evidence timeline``: all that is recorded of a case, as one record."""

from __future__ import annotations

import click
import msgspec
import psycopg

from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import JSON_LINES, asks
from cordon.instant_option import FROM, TO
from cordon.settings import Settings
from evidence.access import AccessDeniedError
from evidence.holds import people_of
from evidence.readings import Claim, Extent, open_reading, people_of_case
from evidence.timeline import Line, TooMuchError, read_timeline


@click.command("timeline")
@click.option("--order", help="Of this order; without it, of the one that the case is.")
@FROM
@TO
@asks
@JSON_LINES
@click.pass_obj
def timeline_command(
    settings: Settings,
    order: str | None,
    from_us: int,
    to_us: int,
    claim: Claim,
    *,
    as_json: bool,
) -> None:
    """Everything recorded of an order's people in a time, in order of what happened.

    Decisions, anomalies and troubles of devices, what devices reported while these people carried
    them, alerts, and each attempt to tell someone. A line says when something happened and, where
    that is another time, when it was known here. No line holds a place. It takes a grant of everybody
    whom it is about.
    """
    named = order or claim.case

    async def act(connection: psycopg.AsyncConnection) -> list[Line]:
        everybody = await people_of_case(connection, named)
        if not everybody:
            raise CordonError(f"There is no order {named} in the caseload.")
        await open_reading(connection, claim, Extent("timeline", everybody, from_us, to_us, named))
        people = await people_of(connection, named)
        return await read_timeline(connection, named, people, from_us, to_us)

    for line in run_on_connection(settings, act, AccessDeniedError, TooMuchError):
        click.echo(msgspec.json.encode(line).decode() if as_json else str(line))
