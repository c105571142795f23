"""``cordon evidence approaches``: how often he came near her, when, how near, and what is not known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
import msgspec
import psycopg

from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON, asks
from cordon.instant_option import FROM, TO
from cordon.settings import Settings
from cordon.zone_option import zone_named
from evidence.access import AccessDeniedError
from evidence.private_folder import make_private
from evidence.readings import Claim, Extent, open_reading, people_of_case

if TYPE_CHECKING:
    from evidence.approaches import Summary


@click.command("approaches")
@click.option("--wearer", help="Instead of whom the order names: this wearer,")
@click.option("--protected", help="and this protected person.")
@FROM
@TO
@click.option("--zone", "zone_name", default="UTC", show_default=True, help="Of days and hours.")
@asks
@AS_JSON
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write Markdown, JSON and a calendar (SVG) for each pair into this folder instead.",
)
@click.pass_obj
def approaches_command(
    settings: Settings,
    wearer: str | None,
    protected: str | None,
    from_us: int,
    to_us: int,
    zone_name: str,
    claim: Claim,
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Sum up the approaches of a wearer to a protected person, as they were decided.

    The case is an order, and everybody whom it names is looked at; with a pair it is any case of yours. It
    takes a grant of both people of each pair.
    Each encounter with its times, the nearest distance at a decision with its 95 % interval, its level and
    what staff found it to be; counts by day, hour and week; and the times in which nothing can be said.
    Distances and times only: it holds no place. It is not for the wearer's side.

    \b
    Example:
      cordon evidence approaches --case order-1 --from 2026-10-01T00:00:00Z --to 2026-12-01T00:00:00Z \\
        --zone Europe/Madrid --actor "DC Roe" --purpose investigation --note "hearing on 3 December" \\
        --out approaches
    """  # noqa: D301 - click's mark for "do not rewrap"
    from evidence.approach_rows import ApproachesError, Asked, read_summaries  # noqa: PLC0415 - compiles: when asked for
    from evidence.approach_text import text_of  # noqa: PLC0415

    if bool(wearer) != bool(protected):
        raise CordonError("A pair is two people: name --wearer and --protected, or neither.")
    pair = (wearer, protected) if wearer and protected else None
    zone = zone_named(zone_name)
    asked = Asked("" if pair else claim.case, pair, (from_us, to_us), (zone_name, zone))

    async def act(connection: psycopg.AsyncConnection) -> list[Summary]:
        people = list(pair) if pair else await people_of_case(connection, asked.order)
        if not people:
            raise ApproachesError(f"There is no order {asked.order} in the caseload.")
        await open_reading(connection, claim, Extent("approaches", people, from_us, to_us))
        return await read_summaries(connection, asked)

    found = run_on_connection(settings, act, AccessDeniedError, ApproachesError)
    if out is not None:
        _write(out, found, zone)
        click.echo(f"{out} holds the approaches of {len(found)} pairs.")
    elif as_json:
        click.echo(msgspec.json.encode(found).decode())
    elif not found:
        click.echo("Nothing was decided about anybody's nearness in this time.")
    for one in [] if out or as_json else found:
        click.echo(text_of(one, zone))


def _write(folder: Path, found: list[Summary], zone: ZoneInfo) -> None:
    """For each pair three files, numbered: an id is not always a name that a file can have."""
    from evidence.approach_picture import calendar  # noqa: PLC0415 - reportlab: only when asked for
    from evidence.approach_text import text_of  # noqa: PLC0415

    try:
        make_private(folder)
        for number, one in enumerate(found, 1):
            name = f"approaches-{number}"
            page = text_of(one, zone) + f"\n![Calendar]({name}.svg)\n"
            (folder / f"{name}.md").write_text(page, encoding="utf-8")
            (folder / f"{name}.json").write_bytes(msgspec.json.encode(one))
            (folder / f"{name}.svg").write_text(calendar(one, zone), encoding="utf-8")
    except FileExistsError as error:
        raise CordonError(f"{error}. Name a new folder with --out.") from error
    except OSError as error:
        raise CordonError(f"{folder} cannot be written: {error.strerror}.") from error
