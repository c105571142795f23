"""``cordon evidence hold|holds|release|erase|retain``: what has to stay, and what has to go."""

from __future__ import annotations

import sys
from uuid import UUID

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON, BY
from cordon.instant_option import FROM, TO, instant
from cordon.settings import Settings
from devices.instants import to_iso
from evidence import holds
from evidence.access import AccessDeniedError
from evidence.erasing import Erased, ErasureError, Order, unsealed_text
from evidence.holds import Connection, NewHold
from evidence.retention import Policy, Retained, erase_subject, retain, scrub, text_of
from evidence.text import clean

REVIEW_DAYS = 180
_DAY_US = 86_400_000_000


@click.command("hold")
@click.option("--case", required=True, help="Id of the order.")
@click.option("--person", "people", multiple=True, help="Default: all whom the order is about.")
@FROM
@TO
@click.option("--reason", required=True, help="For the record: a court's letter, a file.")
@click.option(
    "--review",
    "review_us",
    metavar="INSTANT",
    callback=instant,
    help=f"When to look at it again; it does not end then. Default: in {REVIEW_DAYS} days.",
)
@BY
@click.pass_obj
def hold_command(
    settings: Settings,
    case: str,
    people: tuple[str, ...],
    from_us: int,
    to_us: int,
    reason: str,
    review_us: int | None,
    by: str,
) -> None:
    """Have nothing erased of the people of a case in a window, until it is released."""
    review = wall_clock_us() + REVIEW_DAYS * _DAY_US if review_us is None else review_us
    new = NewHold(by, case, people, from_us, to_us, reason, review)

    async def act(connection: Connection) -> UUID:
        return await holds.place(connection, new)

    click.echo(f"{run_on_connection(settings, act, AccessDeniedError)}  held.")


@click.command("release")
@click.argument("hold_id", type=click.UUID)
@click.option("--reason", required=True)
@BY
@click.pass_obj
def release_command(settings: Settings, hold_id: UUID, reason: str, by: str) -> None:
    """Let go of a hold: what it kept goes with the next run of retention."""

    async def act(connection: Connection) -> bool:
        return await holds.release(connection, hold_id, by, reason)

    if not run_on_connection(settings, act):
        raise CordonError(f"There is no hold {hold_id} in force: see `cordon evidence holds`.")
    click.echo("Released.")


@click.command("holds")
@AS_JSON
@click.pass_obj
def holds_command(settings: Settings, *, as_json: bool) -> None:
    """List the holds in force."""
    found = run_on_connection(settings, holds.in_force)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for one in found:
        due = "REVIEW" if wall_clock_us() > one.review_us else "until " + to_iso(one.review_us)[:10]
        click.echo(
            f"{one.hold_id}  {due}  {one.case}: {', '.join(one.people)} from {to_iso(one.from_us)} "
            f"to {to_iso(one.to_us)}; by {one.placed_by}: {one.reason}"
        )


@click.command("erase")
@click.option("--subject", required=True, help="Id of the person.")
@FROM
@TO
@click.option("--reason", required=True, help="For the record.")
@click.option("--asked-by", required=True, help="Who wants it, as stated: another name than --by.")
@BY
@click.pass_obj
def erase_command(
    settings: Settings,
    subject: str,
    from_us: int,
    to_us: int,
    reason: str,
    asked_by: str,
    by: str,
) -> None:
    """Erase what a person's devices sent in a window, for good.

    Positions, events and raw messages go, and the keys that prove them; places in the log stay, so
    that it still verifies, and so does a record of this. What was decided and told stays: it holds
    distances, and no positions. Nothing under hold goes. Take backups that hold it out of use, too.

    Who asked and who did it stand in the record as stated: two names that differ, no signatures.

    Ends with 1 where rows of it are not sealed yet: those stay until it is run again.
    """

    async def act(connection: Connection) -> tuple[Erased, str]:
        approved_by = by or await _login(connection)
        if clean(asked_by) in {"", clean(approved_by)}:
            raise ErasureError(
                "Nothing was done: who asks for an erasure and who carries it out are two people, "
                "both as stated."
            )
        order = Order("erasure", asked_by, approved_by, subject, from_us, to_us, reason)
        done = await erase_subject(connection, subject, (from_us, to_us), order, wall_clock_us())
        await scrub(connection)
        return done, approved_by

    done, approved_by = run_on_connection(settings, act, ErasureError)
    rows = ", ".join(f"{count} of {table}" for table, count in sorted(done.rows.items()))
    click.echo(f"{done.erasure_id}  erased: {rows}; {done.keys} keys destroyed.")
    click.echo(f"On record as stated: asked for by {asked_by}, carried out by {approved_by}.")
    if done.unsealed:
        click.echo(unsealed_text(done.unsealed))
        sys.exit(1)


@click.command("retain")
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
@AS_JSON
@BY
@click.pass_obj
def retain_command(settings: Settings, by: str, *, dry_run: bool, as_json: bool) -> None:
    """Erase what is older than evidence.retain_*_days say, and is not under hold.

    To be run every night, after a backup. The sealer waits while a day is erased.
    """
    chosen = settings.evidence
    policy = Policy(
        chosen.retain_positions_days,
        chosen.retain_decisions_days,
        chosen.retain_alerts_days,
        chosen.retain_caseload_days,
    )

    async def act(connection: Connection) -> Retained:
        who = by or await _login(connection)
        done = await retain(connection, policy, who, wall_clock_us(), dry_run=dry_run)
        if (done.days or done.made or done.caseload) and not dry_run:
            await scrub(connection)
        return done

    done = run_on_connection(settings, act, ErasureError)
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
        return
    for day in done.days:
        click.echo(text_of(day))
    for table, count in done.made.items():
        click.echo(f"{count} of {table}, which was made from the record.")
    for piece in done.dropped:
        click.echo(f"{piece} was empty and is dropped.")
    if done.caseload:
        click.echo(f"{done.caseload}.")
    if not (done.days or done.made or done.caseload):
        click.echo("Nothing is older than the settings say.")


COMMANDS = (hold_command, release_command, holds_command, erase_command, retain_command)


async def _login(connection: Connection) -> str:
    cursor = await connection.execute("SELECT session_user")
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return str(row[0])
