"""``cordon evidence grant|revoke|grants|break-glass|review|read``: who may read, and reading."""

from __future__ import annotations

import re
from uuid import UUID

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON, BY, GRANTED, PURPOSES, ROLES
from cordon.instant_option import FROM, TO, instant
from cordon.settings import Settings
from devices.instants import MICROSECONDS, to_iso
from evidence import access
from evidence.access import AccessDeniedError, Asking, Connection, NewGrant
from evidence.readings import Claim, explained

_PERIOD = re.compile(r"([0-9]{1,4})([hd])")


@click.command("grant")
@click.option("--to", "grantee", required=True, help="Who may read.")
@click.option("--agency", is_flag=True, help="--to is the database role of an agency.")
@click.option("--role", type=ROLES, required=True, help="What kinds of records.")
@click.option("--case", required=True, help="Id of the order, or another file of yours.")
@click.option("--subject", required=True, help="Whom it is about; * to ask of everybody at once.")
@click.option("--purpose", type=click.Choice(PURPOSES), required=True)
@click.option("--from", "from_us", metavar="INSTANT", callback=instant, help="Default: now.")
@click.option("--for", "period", required=True, metavar="30d", help="Hours (8h) or days (30d).")
@click.option("--reason", required=True, help="Why, for the record.")
@BY
@click.pass_obj
def grant_command(
    settings: Settings,
    grantee: str,
    role: str,
    case: str,
    subject: str,
    purpose: str,
    from_us: int | None,
    period: str,
    reason: str,
    by: str,
    *,
    agency: bool,
) -> None:
    """Let somebody read of one person in one case, for one purpose, until an end.

    \b
    Example:
      cordon evidence grant --to ana --role investigator --case order-7 --subject wearer-7 \\
        --purpose investigation --for 30d --reason "file 24/113"
    """  # noqa: D301
    starts_us = wall_clock_us() if from_us is None else from_us
    kind = "agency" if agency else "person"
    new = NewGrant(
        by,
        kind,
        grantee,
        role,
        case,
        subject,
        purpose,
        starts_us,
        starts_us + _span_us(period),
        reason,
    )

    async def act(connection: Connection) -> UUID:
        return await access.grant(connection, new)

    grant_id = run_on_connection(settings, act, AccessDeniedError)
    click.echo(f"{grant_id}  {grantee} may read until {to_iso(new.valid_to_us)}.")


@click.command("revoke")
@click.argument("grant_id", type=click.UUID)
@click.option("--reason", required=True)
@BY
@click.pass_obj
def revoke_command(settings: Settings, grant_id: UUID, reason: str, by: str) -> None:
    """End a grant now: `read` stops at once, a command that has begun reading reads to its end."""

    async def act(connection: Connection) -> bool:
        return await access.revoke(connection, grant_id, by, reason)

    if not run_on_connection(settings, act, AccessDeniedError):
        raise CordonError(f"There is no grant {grant_id} in force: see `cordon evidence grants`.")
    click.echo("Revoked.")


@click.command("grants")
@AS_JSON
@click.pass_obj
def grants_command(settings: Settings, *, as_json: bool) -> None:
    """List every grant, and how it stands."""
    found = run_on_connection(settings, access.grants)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for one in found:
        click.echo(
            f"{one.grant_id}  {one.state(wall_clock_us()):8}  {one.grantee} ({one.role}) reads of "
            f"{one.subject} in {one.case} for {one.purpose} until {to_iso(one.valid_to_us)}; "
            f"by {one.granted_by}: {one.reason}"
        )


@click.command("break-glass")
@click.option("--case", required=True)
@click.option("--subject", required=True)
@click.option("--reason", required=True, help="What the emergency is.")
@click.option(
    "--minutes", type=click.IntRange(1, access.BREAK_GLASS_MINUTES), default=30, show_default=True
)
@BY
@click.pass_obj
def break_glass_command(
    settings: Settings, case: str, subject: str, reason: str, minutes: int, by: str
) -> None:
    """Read at once in an emergency, without a grant. Others are told, and have to review it."""

    async def act(connection: Connection) -> UUID:
        return await access.break_glass(connection, by, case, subject, reason, minutes)

    glass_id = run_on_connection(settings, act, AccessDeniedError)
    click.echo(
        f"{glass_id}  open for {minutes} minutes. Read with --role investigator --purpose emergency. "
        "Somebody else has to review it within 24 hours."
    )


@click.command("review")
@click.argument("glass_id", type=click.UUID, required=False)
@click.option("--justified/--not-justified", default=None, help="What you found.")
@click.option("--note", default="", help="What you looked at, for the record.")
@BY
@click.pass_obj
def review_command(
    settings: Settings, glass_id: UUID | None, note: str, by: str, *, justified: bool | None
) -> None:
    """List broken glass that waits for a review, or review one."""
    if glass_id is None:
        for one in run_on_connection(settings, access.waiting_reviews):
            overdue = "OVERDUE" if wall_clock_us() > one.review_due_us else "waits"
            click.echo(
                f"{one.glass_id}  {overdue}  {one.who} read of {one.subject} in {one.case} from "
                f"{to_iso(one.opened_us)}: {one.reason}"
            )
        return
    if justified is None or not note:
        raise CordonError("Say --justified or --not-justified, and --note.")
    found_justified = justified

    async def act(connection: Connection) -> bool:
        return await access.review(connection, glass_id, by, note, justified=found_justified)

    if not run_on_connection(settings, act, AccessDeniedError):
        raise CordonError(f"{glass_id} does not wait for a review.")
    click.echo("Reviewed.")


@click.command("read")
@click.option("--case", required=True, help="Id of the order.")
@GRANTED
@click.option("--subject", required=True, help="Whom the records are about.")
@click.option("--role", type=ROLES, default="investigator", show_default=True)
@click.option("--agency", default="", help="Database role of the agency you read for.")
@click.option("--kind", "kinds", multiple=True, required=True, help="fix, event, decision, ...")
@FROM
@TO
@click.option("--note", default="", help="For the record.")
@click.option("--actor", "--by", "by", default="", help="Who reads. Default: the login.")
@click.pass_obj
def read_command(
    settings: Settings,
    case: str,
    purpose: str,
    subject: str,
    role: str,
    agency: str,
    kinds: tuple[str, ...],
    from_us: int,
    to_us: int,
    note: str,
    by: str,
) -> None:
    """Read records, one JSON object a line. That you did is recorded first, and stays."""
    asking = Asking(role, case, subject, purpose, kinds, from_us, to_us, by, agency, note)
    claim = Claim(by, role, case, purpose, note)

    async def act(connection: Connection) -> None:
        try:
            ticket = await access.open_access(connection, asking)
        except AccessDeniedError as error:
            raise AccessDeniedError(
                explained({subject: str(error)}, claim, claim.reader(connection))
            ) from error
        for kind in kinds:
            async for _, record in access.read_records(connection, ticket, kind):
                line = msgspec.json.encode({"kind": kind, "record": record})
                click.echo(line.decode())

    run_on_connection(settings, act, AccessDeniedError)


COMMANDS = (
    grant_command,
    revoke_command,
    grants_command,
    break_glass_command,
    review_command,
    read_command,
)


def _span_us(period: str) -> int:
    match = _PERIOD.fullmatch(period)
    if match is None:
        raise CordonError(f"{period!r} is no period: write 8h or 30d.")
    return int(match[1]) * (3_600 if match[2] == "h" else 86_400) * MICROSECONDS
