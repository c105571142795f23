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
from cordon.evidence_options import AS_JSON, BY
from cordon.instant_option import instant, intervals
from cordon.seal import guard_of, witnesses_of
from cordon.settings import Settings
from devices.instants import to_iso
from evidence import approvals, seal_reader
from evidence.approvals import ApprovalError, NewRequest, PackRequest
from evidence.case_records import Custody
from evidence.export import Exported, Signers, export
from evidence.looks import record_export
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
    """Options that say what a pack is about; needed, or in place of a request."""
    options = (
        click.option("--case", help="Order whose case it is: everything that concerns it."),
        click.option("--device", help="Instead of a case: the records of one device."),
        click.option("--from", "from_us", required=needed, metavar="INSTANT", callback=instant),
        click.option(
            "--to", "to_us", required=needed, metavar="INSTANT", callback=instant, help="Excluded."
        ),
        click.option("--purpose", required=needed, help="What for, and under what authority."),
        click.option("--recipient", required=needed, help="Who is given it."),
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
@_terms(needed=True)
@click.option("--actor", default="", help="Who asks. Default: the login of the database.")
@click.pass_obj
def request_command(settings: Settings, /, actor: str, **given: Any) -> None:
    """Ask for a pack, and print the id by which somebody else approves it.

    What is approved is exactly this: case, window, side, purpose, recipient and what is withheld.

    \b
    Example:
      cordon evidence request --case order-1 --from 2026-11-23T18:00:00Z --to 2026-11-24T00:00:00Z \\
        --actor "Sgt Kim" --purpose "trial 26/118, production order" --recipient "Crown Court"
    """  # noqa: D301
    new = NewRequest(
        actor,
        _case_of(given),
        given["side"],
        given["recipient"],
        given["purpose"],
        (given["from_us"], given["to_us"]),
        given["withhold"],
        frozenset(given["charged"]),
    )

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
    "--request", "request_id", type=click.UUID, help="What was approved: all else follows from it."
)
@_terms(needed=False)
@click.option(
    "--actor", default="", help="Who takes it out. Default with --request: who asked for it."
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_obj
def export_command(
    settings: Settings, /, folder: Path, request_id: UUID | None, actor: str, **given: Any
) -> None:
    """Write what concerns a case into FOLDER, with proofs, a report and a verifier.

    Whoever gets the folder needs nothing of ours to check it. Within it no record can have been
    left out or altered unseen. What is not of this window and stands between is withheld: its
    place shows, its content does not. Who takes it out, what for and for whom is itself recorded
    and sealed, before anything is read.

    \b
    Example:
      cordon evidence export --request REQUEST out
    """  # noqa: D301
    alone = None if request_id else _asked(settings, given, actor)
    if request_id and (any(given[name] for name in _ASKED) or given["side"] != "court"):
        raise CordonError(
            "With --request everything else follows from what was approved: name it alone."
        )
    guard, witnesses = guard_of(settings), witnesses_of(settings)
    witness_keys = [key for witness in witnesses for key in witness.keys]

    async def act(connection: Connection) -> Exported:
        logs = await seal_reader.all_logs(connection)
        log_keys = [key for state in logs for key in guard.pair(state.origin).keys]
        signers = Signers(log_keys, witness_keys, settings.evidence.quorum)
        asked = alone
        if asked is None:
            assert request_id is not None, "one of both is named"
            asked = await approvals.use(connection, request_id, actor, str(uuid.uuid4()))
        await record_export(connection, asked.custody, asked.device, wall_clock_us())
        return await export(connection, asked, folder, signers, wall_clock_us)

    _tell(folder, run_on_connection(settings, act, ExportError, ApprovalError), alone=bool(alone))


_ASKED = ("case", "device", "from_us", "to_us", "purpose", "recipient", "charged", "withhold")


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


def _case_of(given: Mapping[str, Any]) -> str:
    case, device = given["case"], given["device"]
    if bool(case) == bool(device):
        raise CordonError("Name a case with --case, or one device with --device.")
    return str(case or f"device/{device}")


def _asked(settings: Settings, given: Mapping[str, Any], actor: str) -> Asked:
    """What the options of `export` ask for, where no second person has to approve it."""
    if settings.evidence.second_person:
        raise CordonError(ASK_FIRST)
    case = _case_of(given)
    if given["from_us"] is None or given["to_us"] is None:
        raise CordonError("Name the window with --from and --to.")
    custody = Custody(
        disclosure=str(uuid.uuid4()),
        case=case,
        actor=actor,
        purpose=given["purpose"] or "",
        recipient=given["recipient"] or "",
        side=given["side"],
        from_us=given["from_us"],
        to_us=given["to_us"],
    )
    return Asked(custody, given["device"] or "", given["withhold"], frozenset(given["charged"]))


def _line(one: PackRequest) -> str:
    """A request in one line, as whoever decides about it has to see it."""
    text = (
        f"{one.request_id}  {one.state(wall_clock_us()):8}  {one.case}, {to_iso(one.from_us)} to {to_iso(one.to_us)}, "
        f"for the side {one.side}: to {one.recipient} for {one.purpose!r}; asked for by {one.requested_by} at "
        f"{to_iso(one.requested_us)}"
    )
    if one.withheld:
        text += f"; withheld: {one.withheld}"
    if one.charged:
        text += f"; charged: {one.charged}"
    if one.decided_us is not None:
        text += f"; decided by {one.decided_by} at {to_iso(one.decided_us)}"
    return f"{text}: {one.note}" if one.note else text


COMMANDS = (request_command, requests_command, approve_command, export_command)
