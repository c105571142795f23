"""``cordon evidence overlay compare``: third parties' events beside somebody's recorded positions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import psycopg

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import asks
from cordon.instant_option import instant
from cordon.settings import Settings
from evidence.inquiries import About, Inquiry, InquiryError, note_inquiry
from evidence.overlay_csv import OverlayError

if TYPE_CHECKING:
    from evidence.overlay_reading import Comparison


@click.command("compare")
@click.option("--person", required=True, help="Id of whose positions.")
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
    inquiry: Inquiry,
    out: Path,
    *,
    as_json: bool,
) -> None:
    """Say of each event of a case whether a person's positions support it, contradict it, or say nothing.

    All files that are kept for the case are compared: by the distance of the nearest positions, their
    errors, the time between them and the error of the source's clock. That somebody was not there is found
    as readily as that he was. A sector is not a place.

    \b
    Example:
      cordon evidence overlay compare --case order-1 --person he --actor "DC Roe" \\
        --purpose "burglary of 18 November" --out compared
    """  # noqa: D301 - click's mark for "do not rewrap"
    from evidence import overlay_folder  # noqa: PLC0415 - compiles, and draws: only when asked for
    from evidence.overlay_reading import Asked, compare, overlays_of  # noqa: PLC0415

    asked = Asked(inquiry.case, person, (from_us, to_us))

    async def act(connection: psycopg.AsyncConnection) -> Comparison:
        overlays = await overlays_of(connection, asked.case)
        about = About("overlay compare", [person, f"case:{asked.case}"], from_us, to_us)
        await note_inquiry(connection, inquiry, about, wall_clock_us())
        return await compare(connection, asked, overlays)

    found = run_on_connection(settings, act, OverlayError, InquiryError)
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
