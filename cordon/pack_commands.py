"""``cordon evidence request|requests|approve|export``: a pack is asked for, approved by another, and made."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON, BY, asks, may_ask
from cordon.instant_option import instant, intervals
from cordon.seal import guard_of, witnesses_of
from cordon.settings import Settings
from devices.instants import to_iso
from evidence import approvals, seal_reader
from evidence.access import AccessDeniedError
from evidence.approvals import ApprovalError, NewRequest, PackRequest
from evidence.case_records import record_disclosure
from evidence.export import Exported, Signers, export
from evidence.overlays import subject_of
from evidence.readings import Claim, Extent, open_reading, people_of_case, people_of_device
from evidence.seal_store import Connection
from evidence.selection import Asked, ExportError
from evidence.sides import Side

ASK_FIRST = (
    "A pack goes out only after a second person has approved it. Ask with the same options, without the folder: "
    "`cordon evidence request ...`; somebody else looks at it and says `cordon evidence approve REQUEST`; then "
    "`cordon evidence export --request REQUEST FOLDER`. With one person on duty set evidence.second_person = "
    "false: each pack then says that nobody approved it."
)


def _terms(*, needed: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Options that say what a pack is about beside the claim; needed, or in place of a request."""
    options = (
        click.option(
            "--device",
            default="",
            help="The records of this device alone, not everything of the order. Where nobody carried it, --case "
            "is one that is no order.",
        ),
        click.option("--from", "from_us", required=needed, metavar="INSTANT", callback=instant),
        click.option(
            "--to", "to_us", required=needed, metavar="INSTANT", callback=instant, help="Excluded."
        ),
        click.option(
            "--recipient", required=needed, default=None if needed else "", help="Who is given it."
        ),
        click.option(
            "--side",
            type=click.Choice(get_args(Side)),
            default="court",
            help="Whose side it is for: the wearer's holds nothing of where she was.",
        ),
        click.option(
            "--charged", multiple=True, metavar="ALERT", help="For the wearer's side: charged."
        ),
        click.option(
            "--withhold",
            multiple=True,
            metavar="FROM/TO",
            callback=intervals,
            help="Show only the places of records between these instants, not their content.",
        ),
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        return functools.reduce(lambda made, option: option(made), reversed(options), command)

    return add


@click.command("request")
@asks
@_terms(needed=True)
@click.pass_obj
def request_command(settings: Settings, /, claim: Claim, **given: Any) -> None:
    """Ask for a pack, and print the id by which somebody else approves it.

    What is approved is exactly this: case, window, side, purpose, recipient and what is withheld. Say in
    --note under what authority. When the pack is made it takes a grant of everybody whom the order is
    about, or who carried the device.

    \b
    Example:
      cordon evidence request --case order-1 --from 2026-11-23T18:00:00Z --to 2026-11-24T00:00:00Z \\
        --actor "Sgt Kim" --purpose disclosure --note "trial 26/118, production order" \\
        --recipient "Crown Court"
    """  # noqa: D301
    new = _new(claim, given)

    async def act(connection: Connection) -> UUID:
        return await approvals.request(connection, new)

    click.echo(str(run_on_connection(settings, act, ApprovalError)))


@click.command("requests")
@AS_JSON
@click.pass_obj
def requests_command(settings: Settings, *, as_json: bool) -> None:
    """List every request for a pack, and how it stands."""
    found = run_on_connection(settings, approvals.requests, ApprovalError)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for one in found:
        click.echo(_line(one))


@click.command("approve")
@click.argument("request_id", type=click.UUID)
@BY
@click.option(
    "--note", default="", help="What you looked at. It stands in the pack, whoever gets it."
)
@click.option("--refuse", is_flag=True, help="It must not go out.")
@click.pass_obj
def approve_command(
    settings: Settings, request_id: UUID, by: str, note: str, *, refuse: bool
) -> None:
    """Approve a pack that somebody else asked for, or refuse it.

    Nobody approves what they asked for themselves. An approval is good for seven days, and for one pack.

    \b
    Example:
      cordon evidence approve REQUEST --by "Insp Okafor" --note "case file seen"
    """  # noqa: D301

    async def act(connection: Connection) -> PackRequest:
        await approvals.decide(connection, request_id, by, note, approved=not refuse)
        return await approvals.find(connection, request_id)

    click.echo(_line(run_on_connection(settings, act, ApprovalError)))


@click.command("export")
@click.option(
    "--request",
    "request_id",
    type=click.UUID,
    help="What was approved: all else follows from it.",
)
@may_ask
@_terms(needed=False)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def export_command(
    settings: Settings, /, folder: Path, request_id: UUID | None, claim: Claim, **given: Any
) -> None:
    """Write what concerns a case into FOLDER, with proofs, a report and a verifier.

    Whoever gets the folder needs nothing of ours to check it. Within it no record can have been
    left out or altered unseen. What is not of this window and stands between is withheld: its
    place shows, its content does not. Who takes it out, what for and for whom is itself recorded
    and sealed, before anything is read. It takes a grant of everybody whom the order is about, or
    who carried the device.

    \b
    Example:
      cordon evidence export --request REQUEST out
    """  # noqa: D301
    alone = None if request_id else _alone(settings, claim, given)
    if request_id and (claim.case or claim.purpose or any(given[name] for name in _ASKED)):
        raise CordonError(
            "With --request everything else follows from what was approved: name it alone."
        )
    guard, witnesses = guard_of(settings), witnesses_of(settings)
    witness_keys = [key for witness in witnesses for key in witness.keys]

    async def act(connection: Connection) -> Exported:
        logs = await seal_reader.all_logs(connection)
        log_keys = [key for state in logs for key in guard.pair(state.origin).keys]
        signers = Signers(log_keys, witness_keys, settings.evidence.quorum)
        disclosure = str(uuid.uuid4())
        if alone is not None:
            asked, claimed = alone.alone(claim.reader(connection), disclosure), claim
        else:
            assert request_id is not None, "one of both is named"
            asked, claimed = await approvals.use(connection, request_id, claim.actor, disclosure)
        await _open(connection, claimed, asked)
        return await export(connection, asked, folder, signers, wall_clock_us)

    done = run_on_connection(settings, act, ExportError, ApprovalError, AccessDeniedError)
    _tell(folder, done, alone=alone is not None)


async def _open(connection: Connection, claim: Claim, asked: Asked) -> None:
    """Record the reading, by a grant; an approval is not used up where that fails or is broken off."""
    try:
        await open_reading(connection, claim, await _extent(connection, claim, asked))
    except BaseException:
        if asked.approval is not None:
            await record_disclosure(connection, asked.custody, "failed", wall_clock_us())
        raise


async def _extent(connection: Connection, claim: Claim, asked: Asked) -> Extent:
    """Whom an export is about; where nobody is known, the device or the case itself."""
    window, detail = asked.window, f"disclosure {asked.custody.disclosure}"
    if asked.device:
        people = await people_of_device(connection, asked.device, *window)
        subjects = people or [f"device:{asked.device}"]
        return Extent("export", subjects, *window, f"device {asked.device}, {detail}")
    case = asked.custody.case
    if claim.case != case:  # of its own people, not of those of the case that the grant is of
        raise AccessDeniedError(
            f"A pack of the order {case} takes a grant of that case, not of {claim.case}: ask for it anew."
        )
    subjects = await people_of_case(connection, case) or [subject_of(case)]
    return Extent("export", subjects, *window, detail)


_ASKED = ("device", "from_us", "to_us", "recipient", "charged", "withhold")


def _tell(folder: Path, done: Exported, *, alone: bool) -> None:
    click.echo(
        f"{folder} holds {done.shown} records and the places of {done.withheld} withheld ones."
    )
    if alone:
        click.echo("No second person approved this pack, and it says so.", err=True)
    if done.older:
        click.echo(
            f"{done.older} records of this window were stored before there was a log. They are not "
            "in it: nothing proves them.",
            err=True,
        )
    if not done.witnessed:
        click.echo(
            "Too few witnesses have signed: this proves what we signed, not that we did not "
            "rewrite it. Name witnesses in evidence.witnesses.",
            err=True,
        )


def _new(claim: Claim, given: Mapping[str, Any]) -> NewRequest:
    return NewRequest(
        claim,
        given["device"],
        given["side"],
        given["recipient"],
        (given["from_us"], given["to_us"]),
        given["withhold"],
        frozenset(given["charged"]),
    )


def _alone(settings: Settings, claim: Claim, given: Mapping[str, Any]) -> NewRequest:
    """What the options of `export` ask for, where no second person has to approve it."""
    if settings.evidence.second_person:
        raise CordonError(ASK_FIRST)
    if not claim.case or not claim.purpose or None in (given["from_us"], given["to_us"]):
        raise CordonError(
            "Name the case, the purpose, and the window: --case --purpose --from --to."
        )
    return _new(claim, given)


def _line(one: PackRequest) -> str:
    """A request in one line, as whoever decides about it has to see it."""
    text = (
        f"{one.request_id}  {one.state(wall_clock_us()):8}  {one.case}, {to_iso(one.from_us)} to {to_iso(one.to_us)}, "
        f"for the side {one.side}: to {one.recipient} for {one.purpose!r}; asked for by {one.requested_by} at "
        f"{to_iso(one.requested_us)}, by a grant of case {one.grant_case} to the {one.role} for {one.grant_purpose!r}"
    )
    if one.withheld:
        text += f"; withheld: {one.withheld}"
    if one.charged:
        text += f"; charged: {one.charged}"
    if one.decided_us is not None:
        text += f"; decided by {one.decided_by} at {to_iso(one.decided_us)}"
    return f"{text}: {one.note}" if one.note else text


COMMANDS = (request_command, requests_command, approve_command, export_command)
