"""``cordon evidence overlay``: third parties' location events beside the record."""

from __future__ import annotations

from pathlib import Path
from typing import get_args
from uuid import UUID

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import run_on_connection
from cordon.errors import CordonError
from cordon.evidence_options import AS_JSON, PURPOSE, asks
from cordon.settings import Settings
from cordon.zone_option import zone_named
from devices.instants import to_iso
from evidence import overlays
from evidence.access import AccessDeniedError
from evidence.inquiries import InquiryError
from evidence.overlay_csv import (
    BYTES_LIMIT,
    CLOCK_ERROR_LIMIT_S,
    Kind,
    OverlayError,
    Parsed,
    Refused,
    Terms,
)
from evidence.overlays import Connection, Kept, NewOverlay, Overlay, subject_of
from evidence.readings import Claim, Extent, open_reading
from evidence.views.xml_text import text_of

REFUSED_SHOWN = 20
"""Lines that could not be read and are printed after an import; `overlay show` prints all."""

REFUSALS = (OverlayError, InquiryError, AccessDeniedError)


@click.group()
def overlay() -> None:
    """Cameras' readings of plates, cell sites and photos beside what devices recorded.

    docs/overlays.md has the format of each kind, and says what a comparison can and cannot tell.
    """


@overlay.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--kind", type=click.Choice(get_args(Kind)), required=True, help="What it holds.")
@click.option(
    "--case", required=True, help="The case that it belongs to: an order, or another file."
)
@click.option("--source", required=True, help="Who gave it.")
@click.option("--by", required=True, help="Who brings it in.")
@PURPOSE
@click.option("--zone", help="Time zone of times without an offset, as Europe/Madrid.")
@click.option(
    "--clock-error-s",
    type=click.FloatRange(0, CLOCK_ERROR_LIMIT_S),
    help="The source's clock is right to so many seconds, where a line does not say.",
)
@AS_JSON
@click.pass_obj
def import_command(
    settings: Settings,
    file: Path,
    kind: Kind,
    case: str,
    source: str,
    by: str,
    purpose: str,
    zone: str | None,
    clock_error_s: float | None,
    *,
    as_json: bool,
) -> None:
    """Keep FILE (CSV) for a case: its bytes, where it comes from, and which lines can be read.

    \b
    Example:
      cordon evidence overlay import ring-road.csv --kind anpr --case order-1 --clock-error-s 2 \\
        --source "city traffic control, letter of 24 November" --by "DC Roe" --purpose "case 26/4711"
    """  # noqa: D301 - click's mark for "do not rewrap"
    content = _content(file)
    terms = Terms(kind, None if zone is None else zone_named(zone), clock_error_s)
    new = NewOverlay(by, purpose, case, source, file.name, content, terms)

    async def act(connection: Connection) -> Kept:
        return await overlays.keep(connection, new, wall_clock_us())

    kept = run_on_connection(settings, act, *REFUSALS)
    if as_json:
        click.echo(msgspec.json.encode(_told(kept)).decode())
        return
    said = "kept" if kept.is_new else "is there already, nothing was changed"
    click.echo(f"{_line(kept.overlay)}: {said}.")
    for one in kept.parsed.refused[:REFUSED_SHOWN]:
        click.echo(f"line {one.line} cannot be read: {one.reason}", err=True)
    if len(kept.parsed.refused) > REFUSED_SHOWN:
        click.echo(f"and {len(kept.parsed.refused) - REFUSED_SHOWN} more lines.", err=True)


class _Told(msgspec.Struct):
    overlay: Overlay
    is_new: bool
    refused: list[Refused]


def _told(kept: Kept) -> _Told:
    return _Told(kept.overlay, kept.is_new, kept.parsed.refused)


@overlay.command("list")
@click.option("--case", default="", help="Of one case; without it: of all.")
@AS_JSON
@click.pass_obj
def list_command(settings: Settings, case: str, *, as_json: bool) -> None:
    """Name the files that are kept, and where they come from. Nothing in them is read."""

    async def act(connection: Connection) -> list[Overlay]:
        return await overlays.list_overlays(connection, case)

    found = run_on_connection(settings, act, *REFUSALS)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for one in found:
        origin = f"from {one.source}; by {one.imported_by} at {to_iso(one.imported_us)} for {one.purpose}"
        click.echo(f"{_line(one)}; {text_of(origin)}; SHA-256 {one.sha256}")
    if not found:
        click.echo("No file is kept.")


class _Shown(msgspec.Struct):
    overlay: Overlay
    content: Parsed


@overlay.command("show")
@click.argument("overlay_id", type=click.UUID)
@asks
@click.option(
    "--original",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the file as it was given here, instead of printing what is in it.",
)
@click.pass_obj
def show_command(settings: Settings, overlay_id: UUID, claim: Claim, original: Path | None) -> None:
    """Print what one file holds as JSON: its events, and each line that could not be read, with why.

    It takes a grant of the files of the case that it belongs to: subject case:CASE.
    """

    async def act(connection: Connection) -> tuple[bytes, _Shown]:
        found = await overlays.find(connection, overlay_id)
        extent = Extent("overlay", [subject_of(found.case)], detail=f"overlay {overlay_id}")
        await open_reading(connection, claim, extent)
        content, parsed = await overlays.read(connection, found)
        return content, _Shown(found, parsed)

    content, shown = run_on_connection(settings, act, *REFUSALS)
    if original is None:
        click.echo(msgspec.json.encode(shown).decode())
        return
    try:
        with original.open("xb") as out:
            original.chmod(0o600)
            out.write(content)
    except OSError as error:
        raise CordonError(f"{original} cannot be written: {error.strerror}.") from error
    click.echo(f"Written: {original}")


@overlay.command("remove")
@click.argument("overlay_id", type=click.UUID)
@click.option("--by", required=True, help="Who removes it.")
@click.option("--reason", required=True, help="Why, for the record.")
@click.pass_obj
def remove_command(settings: Settings, overlay_id: UUID, by: str, reason: str) -> None:
    """Remove one file with all that it holds. The record of its import stays, and one of this.

    Not while its case is under hold.
    """

    async def act(connection: Connection) -> Overlay:
        return await overlays.remove(connection, overlay_id, by, reason, wall_clock_us())

    removed = run_on_connection(settings, act, *REFUSALS)
    click.echo(f"{_line(removed)}: removed.")


def _line(one: Overlay) -> str:
    lines = f"{one.events} events, {one.refused} lines that cannot be read"
    return f"{one.overlay_id}  {one.case}: {text_of(one.name)} ({one.kind}, {one.bytes} bytes, {lines})"


def _content(file: Path) -> bytes:
    try:
        with file.open("rb") as content:
            return content.read(BYTES_LIMIT + 1)
    except OSError as error:
        raise CordonError(f"{file} cannot be read: {error.strerror}.") from error
