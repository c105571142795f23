"""``cordon replay``: decide again, from the database, what was decided."""

from __future__ import annotations

import asyncio
import sys
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import psycopg

from alerts.looks import EVERYBODY
from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import asks
from cordon.instant_option import instant
from cordon.settings import Settings
from devices.caseload import Caseload, Proximity
from devices.instants import LATEST_US, to_iso
from evidence.access import AccessDeniedError
from evidence.readings import Claim, Extent, open_reading, people_of_case

if TYPE_CHECKING:  # the engine takes a second to load: only when asked for
    from cordon.replaying.replay import Told
    from cordon.replaying.way import Change

Connection = psycopg.AsyncConnection

SHOWN = 20
"""Lines of each kind for people; --json has all."""

TELL_EVERY_S = 1.0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay.

    Attributes:
        exact: Everything stored was decided again, to the bit, and nothing else.
        replayed_from: From when on it was replayed, to have the state at the beginning.
        runs, builds, rules: Of the service, in this time.
        stored, equal, unrecorded: See `cordon.replaying.comparing.Comparison`.
        differences: In order of time; the first is the one to look at.
        gaps: What is missing of what the service was told.
        unkept: Batches that were decided on, and that the journal never had.
        findings: Of the evidential timeline.
        changes: What other parameters would have changed.
    """

    timeline: str
    window: tuple[str, str]
    replayed_from: str
    runs: int
    builds: list[str]
    rules: list[str]
    batches: int = 0
    fixes: int = 0
    seconds: float = 0.0
    exact: bool | None = None
    stored: int = 0
    equal: int = 0
    unrecorded: int = 0
    differences: list[Any] = []
    gaps: list[str] = []
    unkept: int = 0
    findings: list[Any] = []
    changes: list[Any] | None = None


@click.command()
@asks
@click.option(
    "--subject",
    type=click.Choice([EVERYBODY]),
    help="All orders, in any case of yours; without it: the one order that the case is.",
)
@click.option("--from", "from_us", metavar="INSTANT", callback=instant, help="First instant.")
@click.option("--to", "to_us", metavar="INSTANT", callback=instant, help="Excluded.")
@click.option(
    "--rules",
    metavar="FILE|VERSION",
    help='Other parameters: a TOML file with [rules] and [sensitivity.PROFILE] ("*": every '
    "profile), or a version that was in force once.",
)
@click.option(
    "--timeline",
    type=click.Choice(["live", "evidential"]),
    default="live",
    show_default=True,
    help="As it was decided then, or as it can be decided now that everything has come.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def replay(
    settings: Settings,
    claim: Claim,
    subject: str | None,
    from_us: int | None,
    to_us: int | None,
    rules: str | None,
    timeline: str,
    *,
    as_json: bool,
) -> None:
    """Decide again what was decided in a time that is past, from what is stored of it.

    Live: the engine takes in what was stored, in the order in which the service took it in, with its
    restarts and its caseloads of then. Every decision has to come out as it is stored, to the bit;
    what does not is named, and the command ends with 1. With --rules it says which decisions would
    have come, gone, or come at another time.

    Evidential: in order of fix time, late fixes in their places. Alarms that nobody could be told
    of then are named.

    It takes a grant of everybody whom the order is about, or one of an investigator with the subject *.

    \b
    Examples:
      cordon replay --case order-1 --timeline evidential --actor "DC Roe" --purpose investigation
      cordon replay --case 26/4711 --subject "*" --from 2026-11-23T18:00:00Z --to 2026-11-24T00:00:00Z \\
        --actor "Sgt Kim" --purpose investigation --note "every decision comes out again"
    """  # noqa: D301
    order = None if subject == EVERYBODY else claim.case

    async def act(connection: Connection) -> Report:
        people = await people_of_case(connection, order) if order else [EVERYBODY]
        extent = Extent("replay", people or [EVERYBODY], from_us or 0, to_us or wall_clock_us())
        await open_reading(connection, claim, extent)
        return await _report(connection, order, from_us, to_us, rules, timeline, _progress())

    report = run_on_connection(settings, act, AccessDeniedError)
    click.echo(msgspec.json.encode(report).decode() if as_json else _text(report))
    sys.exit(report.exact is False)


async def _report(
    connection: Connection,
    order: str | None,
    from_us: int | None,
    to_us: int | None,
    rules: str | None,
    timeline: str,
    tell: Callable[[str], None],
) -> Report:
    from cordon.replaying.partition import WayError  # noqa: PLC0415 - see above
    from cordon.replaying.replay import (  # noqa: PLC0415
        ReplayError,
        earliest_us,
        read_told,
        reading,
    )
    from evidence.batches import TornBatchError  # noqa: PLC0415

    try:
        async with reading(connection):
            first_us = await earliest_us(connection) if from_us is None else from_us
            known = await read_told(connection, first_us, LATEST_US if to_us is None else to_us)
            if order is not None:
                _see_known(order, known)
            change = await _change_of(connection, rules)
            job = _Job(connection, known, order, change, tell)
            began_s = time.monotonic()
            report = await (_live if timeline == "live" else _evidential)(job)
            return msgspec.structs.replace(report, seconds=time.monotonic() - began_s)
    except (ReplayError, WayError, TornBatchError) as error:
        raise CordonError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be replayed: `order` None for all, `change` None for the parameters of then."""

    connection: Connection
    known: Told
    order: str | None
    change: Change | None
    tell: Callable[[str], None]

    @property
    def orders(self) -> list[str]:
        """Empty: all."""
        return [self.order] if self.order else []

    def report(self, timeline: str) -> Report:
        """What is known before anything is replayed."""
        known = self.known
        return Report(
            timeline=timeline,
            window=(to_iso(known.from_us), to_iso(known.to_us)),
            replayed_from=to_iso(known.base.at_us),
            runs=len(known.runs),
            builds=known.builds,
            rules=known.versions,
            gaps=known.gaps,
        )


async def _live(job: _Job) -> Report:
    from cordon.replaying.comparing import compare  # noqa: PLC0415
    from cordon.replaying.replay import replay as run_replay  # noqa: PLC0415
    from cordon.replaying.way import unchanged  # noqa: PLC0415
    from cordon.replaying.whatif import changes  # noqa: PLC0415
    from evidence.transitions import read_transitions  # noqa: PLC0415

    known, order = job.known, job.order
    done = await run_replay(job.connection, known, job.tell, job.change or unchanged)
    report = msgspec.structs.replace(job.report("live"), batches=done.batches, fixes=done.fixes)
    if job.change is not None:
        stored = await read_transitions(job.connection, known.from_us, known.to_us, job.orders)
        made = [d.transition for d in done.made.decisions if not order or d.order_id == order]
        return msgspec.structs.replace(report, changes=changes(stored, made))
    found = await compare(job.connection, done.made, _of_case(order, known) if order else ())
    return msgspec.structs.replace(
        report,
        exact=not found.differences and not known.gaps,
        stored=found.stored,
        equal=found.equal,
        unrecorded=found.unrecorded,
        differences=found.differences,
        unkept=done.unkept,
    )


async def _evidential(job: _Job) -> Report:
    from cordon.replaying.hindsight import hindsight  # noqa: PLC0415
    from cordon.replaying.way import unchanged  # noqa: PLC0415

    change = job.change or unchanged
    findings = await hindsight(job.connection, job.known, job.orders, change, job.tell)
    return msgspec.structs.replace(job.report("evidential"), findings=findings)


# -- what is asked --------------------------------------------------------------------------


async def _change_of(connection: Connection, rules: str | None) -> Change | None:
    """Other parameters, from a file or from what was in force once."""
    from cordon.replaying.way import with_parameters  # noqa: PLC0415
    from evidence.told import rules_of  # noqa: PLC0415
    from geofence.rules import Rules  # noqa: PLC0415

    if rules is None:
        return None
    text = await asyncio.to_thread(_file_text, Path(rules))
    if text is None:
        for told in await rules_of(connection):
            parameters = msgspec.convert(told, Rules)
            if parameters.version == rules:
                return lambda _, sensitivities: (parameters, sensitivities)
        raise CordonError(f"{rules} is no file, and no version of the rules that is stored.")
    try:
        document = tomllib.loads(text)
        change = with_parameters(document.get("rules", {}), document.get("sensitivity", {}))
        change(Rules(), {})
    except (TypeError, ValueError) as error:
        raise CordonError(f"{rules} is no file of parameters: {error}") from error
    return change


def _file_text(path: Path) -> str | None:
    try:
        return path.read_text() if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise CordonError(f"{path} cannot be read: {error}") from error


def _see_known(order: str, known: Told) -> None:
    names = {one.id for caseload in known.caseloads.values() for one in caseload.orders}
    if order not in names:
        raise CordonError(f"There was no order {order} in force in this time.")


def _of_case(order: str, known: Told) -> list[dict[str, set[str]]]:
    """Which rows concern an order: its decisions, and what was found of the devices in it."""
    devices: set[str] = set()
    for caseload in known.caseloads.values():
        people = _people(caseload, order)
        devices |= {one.device for one in caseload.assignments if one.person in people}
    return [{"order_id": {order}}, {"device": devices}]


def _people(caseload: Caseload, order: str) -> set[str]:
    return {
        person
        for one in caseload.orders
        if one.id == order
        for person in (
            one.wearer,
            *(c.protected for c in one.conditions if isinstance(c, Proximity)),
        )
    }


# -- what is told ---------------------------------------------------------------------------


def _progress() -> Callable[[str], None]:
    """A line that is written over, for a person at a terminal."""
    told_s = [0.0]

    def tell(step: str) -> None:
        now_s = time.monotonic()
        if sys.stderr.isatty() and now_s - told_s[0] >= TELL_EVERY_S:
            told_s[0] = now_s
            click.echo(f"\r\x1b[K  {step}", nl=False, err=True)

    return tell


def _text(report: Report) -> str:
    start, end = report.window
    lines = [f"{start} to {end}, {report.runs} runs of {', '.join(report.builds)}"]
    if report.timeline == "evidential":
        lines += [f"{len(report.findings)} alarms that nobody could be told of then"]
        lines += _some(report.findings)
    elif report.changes is not None:
        kinds = [change.kind for change in report.changes]
        lines += [", ".join(f"{kinds.count(kind)} {kind}" for kind in ("added", "gone", "moved"))]
        lines += _some(report.changes)
    else:
        lines += [f"{report.equal} of {report.stored} stored decisions and findings come out equal"]
        if report.unrecorded:
            lines += [f"{report.unrecorded} more may have been made just before the service ended"]
        lines += [f"MISSING: {gap}" for gap in report.gaps]
        if report.unkept:
            lines += [
                f"{report.unkept} batches were decided on and not journaled; they came again later"
            ]
        lines += [f"DIFFERENT: {line}" for line in _some(report.differences)]
    if report.fixes:
        lines += [f"{report.fixes} fixes in {report.batches} batches, {report.seconds:.1f} s"]
    return "\n".join(lines)


def _some(found: list[Any]) -> list[str]:
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return [str(one) for one in found[:SHOWN]] + more
