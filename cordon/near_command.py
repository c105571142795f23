"""``cordon evidence near``: who was near a place at a time, and who was not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click
import msgspec
import psycopg

from alerts.looks import EVERYBODY
from cordon.database_access import dsn_of, run_on_connection
from cordon.evidence_options import JSON_LINES, asks
from cordon.instant_option import instant
from cordon.settings import Settings
from devices.caseload import Assignment, Caseload
from devices.instants import MICROSECONDS, from_datetime, to_iso
from devices.store import CaseloadStore
from evidence.access import AccessDeniedError
from evidence.readings import Claim, Extent, open_reading

if TYPE_CHECKING:  # compiles: only when asked for
    from evidence.nearby import Answer, Question
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
@click.option("--at", "from_us", metavar="INSTANT", required=True, callback=instant)
@click.option(
    "--for", "for_s", type=click.FloatRange(0, 86_400), default=0.0, help="Seconds from then."
)
@asks
@JSON_LINES
@click.pass_obj
def near_command(
    settings: Settings,
    lat: float,
    lon: float,
    within_m: float,
    from_us: int,
    for_s: float,
    claim: Claim,
    *,
    as_json: bool,
) -> None:
    """Which wearers were within a distance of a place at a time, and which were not.

    For each wearer the probability by the fix that speaks most for it, and the least distance at
    which he can have been, at any speed of a car, whatever his fixes' errors: who cannot have been
    there is named as such. It takes a grant of an investigator with the subject *. Devices' accuracies are believed; look at `cordon replay` and at anomalies
    of a device before relying on one.

    \b
    Example:
      cordon evidence near --lat 54.0 --lon 4.0 --within 100 --at 2026-11-23T18:00:00Z --for 600 \\
        --actor "DC Roe" --purpose investigation --case 26/4711 --note "burglary, who was there"
    """  # noqa: D301
    from evidence.nearby import Question  # noqa: PLC0415

    question = Question(lat, lon, within_m, from_us, from_us + int(for_s * MICROSECONDS))

    async def act(connection: psycopg.AsyncConnection) -> list[Answer]:
        extent = Extent("near", [EVERYBODY], question.from_us, question.to_us + 1)
        await open_reading(connection, claim, extent)
        return await _ask(connection, dsn_of(settings), question)

    for one in run_on_connection(settings, act, AccessDeniedError):
        click.echo(msgspec.json.encode(one).decode() if as_json else _line(one))


async def _ask(connection: psycopg.AsyncConnection, dsn: str, question: Question) -> list[Answer]:
    from evidence.nearby import LOOK_S, answers  # noqa: PLC0415
    from evidence.transitions import read_device_fixes  # noqa: PLC0415

    store = CaseloadStore(dsn)
    try:
        carried = _carried((await store.load()).caseload, question.from_us, question.to_us)
    finally:
        await store.close()
    look_us = LOOK_S * MICROSECONDS
    fixes = await read_device_fixes(
        connection,
        {one.device for one in carried},
        question.from_us - look_us,
        question.to_us + look_us,
    )
    return answers(question, [(a.device, a.person, _while_carried(a, fixes)) for a in carried])


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


def _line(one: Answer) -> str:
    parts = [f"{one.person} ({one.device}): {WORDS[one.verdict]}"]
    if one.probability is not None:
        parts.append(f"probability {one.probability:.3f} by {one.fixes} fixes")
    if one.distance_m is not None and one.fix_us is not None:
        parts.append(f"{one.distance_m:.0f} m away at {to_iso(one.fix_us)}")
    if one.least_m is not None:
        parts.append(f"not nearer than {one.least_m:.0f} m")
    return ", ".join(parts)
