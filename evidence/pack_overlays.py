"""Files of others in a pack: which, as received or in part, and what the shown positions say of their events.

A file's SHA-256 stands in the sealed record of its import, so that record proves a file that is there as it
was received. Where a part of the window is withheld, the lines of other times stand there instead.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import numpy as np

from devices.instants import MICROSECONDS, to_iso
from devices.reports import FixKind
from evidence import overlays
from evidence.overlay_csv import Event, OverlayError
from evidence.pack import OthersFile, Pack, Place, shown_of
from evidence.records import Record
from evidence.report.others_pages import OthersStory
from evidence.report.paper import second_of
from evidence.seal_store import Connection
from evidence.selection import Asked, ExportError, Window
from evidence.views.facts import OthersEvent
from evidence.views.tables import table

if TYPE_CHECKING:
    from evidence.overlay_compare import Finding

FOLDER = "overlays"
NOTE = (
    "What other systems stated. Each file as received is proven by its SHA-256 in the sealed record of its import: "
    "kind access, subject case:..., what 'overlay import'. Findings are made from the positions in this pack alone."
)
_EVENTS_LIMIT = 5_000
"""As `evidence.overlay_reading.EVENTS_LIMIT`."""


async def others_of(
    connection: Connection, asked: Asked, places: Sequence[Place]
) -> list[OthersFile]:
    """The files whose imports are among the records that are shown.

    Args:
        connection: In the export's transaction.
        asked: What is asked for.
        places: Those of the pack.

    Raises:
        ExportError: A file is not as it was taken in, or its import is not sealed yet.
    """
    if asked.side != "court" or asked.device:
        return []
    records = [record for record in shown_of(places) if record.kind == "access"]
    removed = {
        overlays.noted(r.values["note"])[0]: str(r.values["purpose"])
        for r in records
        if r.values["what"] == overlays.REMOVED
    }
    kept = {
        str(one.overlay_id): one
        for one in await overlays.list_overlays(connection, asked.custody.case)
    }
    found = []
    for record in records:
        if record.values["what"] == overlays.IMPORTED:
            overlay_id, sha256 = overlays.noted(record.values["note"])
            about = kept.pop(overlay_id, None)
            if about is None:
                why = f"removed since: {removed.get(overlay_id, 'nobody says why')}"
                found.append(OthersFile(overlay_id, sha256, "none", why))
            else:
                found.append(await _file(connection, asked, about))
    if kept:
        raise ExportError(
            f"{len(kept)} files of others were taken in for this case, and that is not sealed, or not "
            "witnessed yet. Try again in a moment; `cordon evidence check` says what waits."
        )
    if sum(len(one.events) for one in found) > _EVENTS_LIMIT:
        raise ExportError(
            f"Others' files have more than {_EVENTS_LIMIT} events of this window. Ask for shorter windows, "
            "one after the other."
        )
    return found


async def _file(connection: Connection, asked: Asked, about: overlays.Overlay) -> OthersFile:
    try:
        content, parsed = await overlays.read(connection, about)
    except OverlayError as error:
        raise ExportError(str(error)) from error
    events = [event for event in parsed.events if _is_shown(event, asked)]
    name = str(about.overlay_id)
    if not events:
        why = "it has no event of the time that is shown"
        return OthersFile(name, about.sha256, "none", why, about=about)
    if not asked.withheld_us:
        return OthersFile(name, about.sha256, "whole", "", content, about, events)
    lines = content.split(b"\n")
    rows = b"\n".join([lines[0], *(lines[event.line - 1] for event in events)])
    why = "a part of the window is withheld: these are its lines of other times"
    return OthersFile(name, about.sha256, "rows", why, rows + b"\n", about, events)


def _is_shown(event: Event, asked: Asked) -> bool:
    """Whether it can have been in the window, and cannot have been in what is withheld of it."""
    error_us = round(event.clock_error_s * MICROSECONDS)
    first_us, last_us = event.time_us - error_us, event.time_us + error_us

    def touches(window: Window) -> bool:
        return first_us < window[1] and last_us >= window[0]

    return touches(asked.window) and not any(map(touches, asked.withheld_us))


@dataclass(frozen=True, slots=True)
class Compared:
    """An event beside the positions that a person's device recorded.

    Attributes:
        says: The verdict in words.
        name: Of the file.
    """

    finding: Finding
    person: str
    says: str
    name: str


def compared(pack: Pack) -> list[Compared]:
    """Each event beside the shown positions of who is bound; by time."""
    if not any(one.events for one in pack.others):
        return []
    from evidence.overlay_compare import find  # noqa: PLC0415 - compiles: only where there is one
    from evidence.overlay_words import says  # noqa: PLC0415

    tracks = _tracks(pack.shown())
    found = []
    for one in pack.others:
        for event in one.events:
            assert one.about is not None, "it is kept"
            for (person, device), worn in pack.selection.worn.items():
                if any(start <= event.time_us < end for start, end in worn):
                    fixes = _within(tracks.get(device, []), worn)
                    finding = find(UUID(one.overlay_id), one.about.kind, event, device, fixes)
                    found.append(Compared(finding, person, says(finding, person), one.about.name))
    return sorted(found, key=lambda c: (c.finding.event.time_us, c.name, c.finding.event.line))


def _tracks(records: Sequence[Record]) -> dict[str, list[tuple[int, int, int, int]]]:
    found: dict[str, list[tuple[int, int, int, int, int]]] = {}
    for record in records:
        if record.kind == "fix" and record.values["kind"] != FixKind.LAST_KNOWN:
            v = record.values
            row = (v["time"], v["seq"], v["lat_e7"], v["lon_e7"], v["accuracy_cm"])
            found.setdefault(record.subject, []).append(row)
    return {device: [(row[0], *row[2:]) for row in sorted(rows)] for device, rows in found.items()}


def _within(rows: Sequence[tuple[int, int, int, int]], worn: Sequence[Window]) -> Any:
    from evidence.transitions import FIXES_DTYPE  # noqa: PLC0415 - as above

    kept = [row for row in rows if any(start <= row[0] < end for start, end in worn)]
    return np.array(kept, FIXES_DTYPE)


def drawn(found: Sequence[Compared]) -> list[OthersEvent]:
    """What map and time line show of them."""
    if not found:
        return []
    from evidence.overlay_area import area_of  # noqa: PLC0415 - as above

    return [
        OthersEvent(
            one.finding.kind,
            one.finding.event.name,
            one.name,
            one.finding.verdict,
            one.finding.event.time_us,
            round(one.finding.event.clock_error_s * MICROSECONDS),
            (one.finding.event.lon, one.finding.event.lat),
            area_of(one.finding.kind, one.finding.event).outline(),
        )
        for one in found
    ]


def others_story(pack: Pack, found: Sequence[Compared]) -> OthersStory:
    """What the report says of them."""
    if not pack.others:
        return OthersStory()
    files = []
    for one in pack.others:
        name, kind, source, by = one.overlay_id, "", "", ""
        if one.about is not None:
            name, kind, source = one.about.name, one.about.kind, one.about.source
            by = f"{one.about.imported_by}, {second_of(one.about.imported_us)}"
        here = {"whole": "as received", "rows": "some lines", "none": "nothing"}[one.part]
        what = f"{here}: {one.why}" if one.why else here
        files.append((name, kind, source, by, what, one.sha256))
    if not found:
        return OthersStory(files)
    from evidence.overlay_words import CANNOT_TELL  # noqa: PLC0415 - as above

    findings = [
        (
            second_of(one.finding.event.time_us),
            " ".join(
                filter(None, (one.finding.kind, one.finding.event.name, one.finding.event.place))
            ),
            one.finding.device,
            one.finding.verdict,
            one.says,
        )
        for one in found
    ]
    return OthersStory(files, findings, CANNOT_TELL)


def write_overlays(folder: Path, pack: Pack, found: Sequence[Compared]) -> None:
    """Write the files, where they come from, and the findings; nothing where there is no file."""
    if not pack.others:
        return
    folder.mkdir()
    for one in pack.others:
        if one.part != "none":
            (folder / f"{one.overlay_id}.csv").write_bytes(one.content)
    about = {"note": NOTE, "files": [_provenance(one) for one in pack.others]}
    (folder / "provenance.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    if found:
        from evidence.overlay_folder import HEAD, row  # noqa: PLC0415 - as above

        rows = [row(one.finding, one.person) for one in found]
        (folder / "findings.csv").write_text(table(HEAD, rows), encoding="utf-8", newline="")


def _provenance(one: OthersFile) -> dict[str, Any]:
    said: dict[str, Any] = {"overlay": one.overlay_id, "part": one.part, "sha256": one.sha256}
    if one.why:
        said["why"] = one.why
    if one.about is not None:
        about = one.about
        said |= {
            "kind": about.kind,
            "name": about.name,
            "source": about.source,
            "imported_by": about.imported_by,
            "imported_at": to_iso(about.imported_us),
            "purpose": about.purpose,
            "zone": about.zone,
            "clock_error_s": about.clock_error_s,
            "lines_that_cannot_be_read": about.refused,
        }
    return said


def proof_entries(pack: Pack) -> list[dict[str, str]]:
    """What ``proof.json`` says of each file: a verifier compares it with the record and with the file."""
    return [
        {
            "overlay": one.overlay_id,
            "sha256": one.sha256,
            "part": one.part,
            "file": "" if one.part == "none" else f"{FOLDER}/{one.overlay_id}.csv",
            "why": one.why,
        }
        for one in pack.others
    ]
