"""``cordon evidence timeline``: all that is recorded of a case, as one record."""

from __future__ import annotations

import click
import msgspec
import psycopg

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
from cordon.errors import CordonError
from cordon.settings import Settings
from devices.caseload import Caseload, Inclusion
from devices.instants import from_datetime, from_iso
from devices.store import CaseloadStore
from evidence.inquiries import About, Inquiry, InquiryError, note_inquiry
from evidence.timeline import Line, TooMuchError, read_timeline


@click.command("timeline")
@click.option("--order", required=True, help="The case: an order.")
@click.option("--from", "from_text", required=True, metavar="INSTANT", help="First instant.")
@click.option("--to", "to_text", required=True, metavar="INSTANT", help="Instant behind the last.")
@click.option("--actor", required=True, help="Who asks.")
@click.option("--purpose", required=True, help="Why, for the record.")
@click.option("--case", required=True, help="In which case of theirs.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def timeline_command(
    settings: Settings,
    order: str,
    from_text: str,
    to_text: str,
    actor: str,
    purpose: str,
    case: str,
    *,
    as_json: bool,
) -> None:
    """Everything recorded of an order's people in a time, in order of what happened.

    Decisions, anomalies and troubles of devices, what devices reported, alerts, and each attempt to
    tell someone. A line says when something happened and, where that is another time, when it was
    known here. No line holds a place.
    """
    try:
        span_us = from_iso(from_text), from_iso(to_text)
    except ValueError as error:
        raise CordonError(f"That is no instant: {error}. 2026-11-23T18:00:00Z is one.") from error
    inquiry = Inquiry(actor, purpose, case)
    for line in run_on_database(settings, _ask(dsn_of(settings), inquiry, order, *span_us)):
        click.echo(msgspec.json.encode(line).decode() if as_json else str(line))


async def _ask(dsn: str, inquiry: Inquiry, order: str, from_us: int, to_us: int) -> list[Line]:
    store = CaseloadStore(dsn)
    try:
        caseload = (await store.load()).caseload
    finally:
        await store.close()
    people = _people(caseload, order)
    devices = _devices(caseload, people, from_us, to_us)
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        try:
            about = About("timeline", sorted(people), from_us, to_us)
            await note_inquiry(connection, inquiry, about, wall_clock_us())
            return await read_timeline(connection, order, people, devices, from_us, to_us)
        except (InquiryError, TooMuchError) as error:
            raise CordonError(str(error)) from error


def _people(caseload: Caseload, order: str) -> set[str]:
    """Whom an order is about."""
    found = next((one for one in caseload.orders if one.id == order), None)
    if found is None:
        raise CordonError(f"There is no order {order} in the caseload.")
    return {found.wearer} | {
        one.protected
        for one in found.conditions
        if not isinstance(one, Inclusion) and one.protected is not None
    }


def _devices(caseload: Caseload, people: set[str], from_us: int, to_us: int) -> set[str]:
    """What people carried in a time."""
    return {
        one.device
        for one in caseload.assignments
        if one.person in people
        and from_datetime(one.from_) < to_us
        and (one.to is None or from_datetime(one.to) > from_us)
    }
