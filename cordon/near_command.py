"""``cordon evidence near``: who was near a place at a time, and who was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import msgspec
import psycopg

from alerts.looks import EVERYBODY
from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
from cordon.errors import CordonError
from cordon.settings import Settings
from devices.caseload import Assignment, Caseload
from devices.instants import MICROSECONDS, from_datetime, from_iso, to_iso
from devices.store import CaseloadStore
from evidence.inquiries import About, Inquiry, InquiryError, note_inquiry

if TYPE_CHECKING:
    from evidence.transitions import DeviceFixes

WORDS = {
    "near": "was probably there",
    "possible": "can have been there",
    "unknown": "nothing is known",
    "was_not": "was not there",
}


@click.command("near")
@click.option("--lat", type=click.FloatRange(-90, 90), required=True, help="Degrees.")
@click.option("--lon", type=click.FloatRange(-180, 180), required=True, help="Degrees.")
@click.option(
    "--within", "within_m", type=click.FloatRange(1, 100_000), required=True, help="Metres."
)
@click.option("--at", "at_text", metavar="INSTANT", required=True, help="First instant.")
@click.option(
    "--for", "for_s", type=click.FloatRange(0, 86_400), default=0.0, help="Seconds from then."
)
@click.option("--actor", required=True, help="Who asks.")
@click.option("--purpose", required=True, help="Why, for the record.")
@click.option("--case", required=True, help="In which case.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.pass_obj
def near_command(
    settings: Settings,
    lat: float,
    lon: float,
    within_m: float,
    at_text: str,
    for_s: float,
    actor: str,
    purpose: str,
    case: str,
    *,
    as_json: bool,
) -> None:
    """Which wearers were within a distance of a place at a time, and which were not.

    For each wearer the probability by the fix that speaks most for it, and the least distance at
    which he can have been, at any speed of a car, whatever his fixes' errors: who cannot have been
    there is named as such. Devices' accuracies are believed; look at `cordon replay` and at anomalies
    of a device before relying on one.

    \b
    Example:
      cordon evidence near --lat 54.0 --lon 4.0 --within 100 --at 2026-11-23T18:00:00Z --for 600 \\
        --actor "DC Roe" --purpose "burglary, who was there" --case 26/4711
    """  # noqa: D301
    from evidence.nearby import Question  # noqa: PLC0415 - compiles: only when asked for

    try:
        from_us = from_iso(at_text)
    except ValueError as error:
        raise CordonError(f"{at_text!r} is not an instant: 2026-11-23T18:00:00Z is one.") from error
    question = Question(lat, lon, within_m, from_us, from_us + int(for_s * MICROSECONDS))
    inquiry = Inquiry(actor, purpose, case)
    for line in run_on_database(settings, _ask(dsn_of(settings), inquiry, question, as_json)):
        click.echo(line)


async def _ask(dsn: str, inquiry: Inquiry, question: object, as_json: bool) -> list[str]:  # noqa: FBT001
    from evidence.nearby import LOOK_S, Question, answers  # noqa: PLC0415
    from evidence.transitions import read_device_fixes  # noqa: PLC0415

    assert isinstance(question, Question)
    store = CaseloadStore(dsn)
    try:
        carried = _carried((await store.load()).caseload, question.from_us, question.to_us)
    finally:
        await store.close()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        try:
            about = About("near", [EVERYBODY], question.from_us, question.to_us)
            await note_inquiry(connection, inquiry, about, wall_clock_us())
        except InquiryError as error:
            raise CordonError(str(error)) from error
        look_us = LOOK_S * MICROSECONDS
        fixes = await read_device_fixes(
            connection,
            {one.device for one in carried},
            question.from_us - look_us,
            question.to_us + look_us,
        )
    found = answers(question, [(a.device, a.person, _while_carried(a, fixes)) for a in carried])
    return [msgspec.json.encode(one).decode() if as_json else _line(one) for one in found]


def _carried(caseload: Caseload, from_us: int, to_us: int) -> list[Assignment]:
    """Tags that wearers carried in the time."""
    wearers = {person.id for person in caseload.people if person.role == "wearer"}
    return [
        one
        for one in caseload.assignments
        if one.person in wearers
        and from_datetime(one.from_) <= to_us
        and (one.to is None or from_datetime(one.to) > from_us)
    ]


def _while_carried(one: Assignment, fixes: Mapping[str, DeviceFixes]) -> DeviceFixes:
    found = fixes[one.device]
    until_us = 2**62 if one.to is None else from_datetime(one.to)
    theirs = (found["time_us"] >= from_datetime(one.from_)) & (found["time_us"] < until_us)
    cut: DeviceFixes = found[theirs]
    return cut


def _line(one: msgspec.Struct) -> str:
    from evidence.nearby import Answer  # noqa: PLC0415

    assert isinstance(one, Answer)
    parts = [f"{one.person} ({one.device}): {WORDS[one.verdict]}"]
    if one.probability is not None:
        parts.append(f"probability {one.probability:.3f} by {one.fixes} fixes")
    if one.distance_m is not None and one.fix_us is not None:
        parts.append(f"{one.distance_m:.0f} m away at {to_iso(one.fix_us)}")
    if one.least_m is not None:
        parts.append(f"not nearer than {one.least_m:.0f} m")
    return ", ".join(parts)
