"""``cordon evidence overlay compare``: third parties' events beside somebody's recorded positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import psycopg

from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import asks
from cordon.instant_option import instant
from cordon.settings import Settings
from evidence.access import AccessDeniedError
from evidence.overlay_csv import OverlayError
from evidence.overlays import subject_of
from evidence.readings import Claim, Extent, open_reading

if TYPE_CHECKING:
    from evidence.overlay_reading import Comparison


@click.command("compare")
@click.option("--subject", "--person", "person", required=True, help="Id of whose positions.")
@click.option("--from", "from_us", metavar="INSTANT", callback=instant, help="First event's time.")
@click.option("--to", "to_us", metavar="INSTANT", callback=instant, help="Excluded.")
@asks
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder for the table, JSON and picture; nobody else may read it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the JSON as well.")
@click.pass_obj
def compare_command(
    settings: Settings,
    person: str,
    from_us: int | None,
    to_us: int | None,
    claim: Claim,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Say of each event of a case whether a person's positions support it, contradict it, or say nothing.

    All files that are kept for the case are compared: by the distance of the nearest positions, their
    errors, the time between them and the error of the source's clock. That somebody was not there is found
    as readily as that he was. A sector is not a place. It takes a grant of the person, and of the case's
    files (subject case:CASE).

    \b
    Example:
      cordon evidence overlay compare --case order-1 --subject he --actor "DC Roe" \\
        --purpose investigation --note "burglary of 18 November" --out compared
    """  # noqa: D301 - click's mark for "do not rewrap"
    from evidence import overlay_folder  # noqa: PLC0415 - compiles, and draws: only when asked for
    from evidence.overlay_reading import Asked, compare, overlays_of  # noqa: PLC0415

    asked = Asked(claim.case, person, (from_us, to_us))

    async def act(connection: psycopg.AsyncConnection) -> Comparison:
        overlays = await overlays_of(connection, asked.case)
        of = [person, subject_of(asked.case)]
        await open_reading(connection, claim, Extent("overlay compare", of, from_us, to_us))
        return await compare(connection, asked, overlays)

    found = run_on_connection(settings, act, OverlayError, AccessDeniedError)
    try:
        overlay_folder.write(out, found)
    except FileExistsError as error:
        raise CordonError(f"{error}. Name a new folder with --out.") from error
    except OSError as error:
        raise CordonError(f"{out} cannot be written: {error.strerror}.") from error
    if as_json:
        click.echo(overlay_folder.as_json(found).decode())
    else:
        click.echo("\n".join(overlay_folder.lines_of(found)))
