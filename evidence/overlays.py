"""Files of third parties' location events: kept whole, with where they come from; listed, read, removed.

What a comparison uses is read from the kept bytes each time, and only if their SHA-256, and the terms that
they are read by, are those in the record of the import. That record is an access like any other (`evidence.access`), so the log covers it.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import psycopg
from psycopg.rows import class_row

from devices.instants import to_datetime
from evidence.holds import let_none_be_placed
from evidence.inquiries import About, Inquiry, note_inquiry
from evidence.overlay_csv import Kind, OverlayError, Parsed, Terms, parse
from evidence.text import clean

Connection = psycopg.AsyncConnection

OVERLAYS_LIMIT = 1_000
"""Files of one case."""

IMPORTED, REMOVED = "overlay import", "overlay remove"
"""In `evidence.access.what`."""


@dataclass(frozen=True, slots=True)
class NewOverlay:
    """A file to be kept, and where it comes from.

    Attributes:
        by, purpose, case: Who brings it, what for, in which case.
        source: Who gave it.
        name: Of the file.
    """

    by: str
    purpose: str
    case: str
    source: str
    name: str
    content: bytes
    terms: Terms


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is kept, without its content.

    Attributes:
        zone: Of times without an offset; None: there are none.
        clock_error_s: Where a line does not say.
        events, refused: How many lines could be read, and could not.
        sha256: Hexadecimal.
    """

    overlay_id: UUID
    imported_us: int
    imported_by: str
    case: str
    kind: Kind
    source: str
    purpose: str
    name: str
    zone: str | None
    clock_error_s: float | None
    events: int
    refused: int
    bytes: int
    sha256: str

    @property
    def terms(self) -> Terms:
        """As it was imported."""
        zone = None if self.zone is None else ZoneInfo(self.zone)
        return Terms(self.kind, zone, self.clock_error_s)


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of an import.

    Attributes:
        overlay: The file as it is kept now.
        parsed: What it holds.
        is_new: False: it was there already, and nothing was changed.
    """

    overlay: Overlay
    parsed: Parsed
    is_new: bool


async def keep(connection: Connection, new: NewOverlay, now_us: int) -> Kept:
    """Keep a file for a case, unless it is there already.

    Args:
        connection: In autocommit mode.
        new: The file.
        now_us: The time.

    Raises:
        OverlayError: It cannot be read at all, or was imported on other terms before.
        InquiryError: Somebody or something is not named.
    """
    if not new.source.strip():
        raise OverlayError("It has to be said who gave the file.")
    parsed = parse(new.content, new.terms)
    sha256 = hashlib.sha256(new.content).hexdigest()
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        there = await list_overlays(connection, new.case)
        for one in there:
            if (one.kind, one.sha256) == (new.terms.kind, sha256):
                return Kept(_same_terms(one, new.terms), parsed, is_new=False)
        if len(there) >= OVERLAYS_LIMIT:
            raise OverlayError(f"The case has {len(there)} files: remove some, or join them.")
        overlay = _overlay(new, parsed, sha256, now_us)
        inquiry = Inquiry(new.by, new.purpose, new.case)
        await note_inquiry(connection, inquiry, _about(IMPORTED, overlay), now_us)
        await connection.execute(
            'INSERT INTO evidence.overlay (overlay_id, imported_at, imported_by, "case", kind, source,'
            " purpose, name, zone, clock_error_s, events, refused, sha256, content)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                *(overlay.overlay_id, to_datetime(now_us), overlay.imported_by, overlay.case),
                *(overlay.kind, overlay.source, overlay.purpose, overlay.name, overlay.zone),
                *(overlay.clock_error_s, overlay.events, overlay.refused, bytes.fromhex(sha256)),
                new.content,
            ),
        )
        return Kept(overlay, parsed, is_new=True)


def _overlay(new: NewOverlay, parsed: Parsed, sha256: str, now_us: int) -> Overlay:
    terms = new.terms
    return Overlay(
        overlay_id=uuid.uuid4(),
        imported_us=now_us,
        imported_by=clean(new.by),
        case=clean(new.case),
        kind=terms.kind,
        source=clean(new.source),
        purpose=clean(new.purpose),
        name=clean(new.name),
        zone=None if terms.zone is None else terms.zone.key,
        clock_error_s=terms.clock_error_s,
        events=len(parsed.events),
        refused=len(parsed.refused),
        bytes=len(new.content),
        sha256=sha256,
    )


async def list_overlays(connection: Connection, case: str = "") -> list[Overlay]:
    """Every file, or those of a case; oldest first. What is in them is not read."""
    return await _found(connection, f"{_LISTED} WHERE %s IN ('', \"case\") {_ORDER}", clean(case))


async def find(connection: Connection, overlay_id: UUID) -> Overlay:
    """One file.

    Raises:
        OverlayError: There is none of this id.
    """
    found = await _found(connection, f"{_LISTED} WHERE overlay_id = %s", overlay_id)
    if not found:
        raise OverlayError(f"There is no overlay {overlay_id}: see `cordon evidence overlay list`.")
    return found[0]


async def read(connection: Connection, overlay: Overlay) -> tuple[bytes, Parsed]:
    """The file's bytes and what they hold. Record who reads it before.

    Raises:
        OverlayError: It is not the file that was imported, or is read otherwise now.
    """
    cursor = await connection.execute(
        "SELECT o.content, o.sha256 = sha256(o.content) AND EXISTS (SELECT FROM evidence.access a WHERE"
        " a.subject = %s AND a.what = %s AND a.note = %s AND a.at_us = %s AND a.who = %s"
        " AND a.purpose = %s) FROM evidence.overlay o WHERE overlay_id = %s",
        (
            *(subject_of(overlay.case), IMPORTED, _note(overlay), overlay.imported_us),
            *(overlay.imported_by, overlay.purpose, overlay.overlay_id),
        ),
    )
    row = await cursor.fetchone()
    content, as_recorded = (b"", False) if row is None else row
    if not as_recorded:
        raise OverlayError(
            f"The file of overlay {overlay.overlay_id} is not as its import was recorded: it was "
            "altered in the database. Nothing of it is used. Run `cordon evidence check`."
        )
    parsed = parse(content, overlay.terms)
    if (len(parsed.events), len(parsed.refused)) != (overlay.events, overlay.refused):
        raise OverlayError(
            f"Overlay {overlay.overlay_id} was imported by a version that read it otherwise. Take its "
            "file out with `cordon evidence overlay show --original`, remove it, and import it anew."
        )
    return content, parsed


async def remove(
    connection: Connection, overlay_id: UUID, by: str, reason: str, now_us: int
) -> Overlay:
    """Remove a file and all that it holds, with a record of why. For the owner of the tables.

    Raises:
        OverlayError: There is none, or a hold on its case is in force.
        InquiryError: Nobody or no reason is named.
    """
    async with connection.transaction():
        await let_none_be_placed(connection)
        overlay = await find(connection, overlay_id)
        cursor = await connection.execute(
            'SELECT hold_id::text, reason FROM evidence.hold_in_force WHERE "case" = %s',
            (overlay.case,),
        )
        if holds := await cursor.fetchall():
            names = ", ".join(f"{hold} ({why})" for hold, why in holds)
            raise OverlayError(f"Case {overlay.case} is under hold, nothing was removed: {names}.")
        about = _about(REMOVED, overlay)
        await note_inquiry(connection, Inquiry(by, reason, overlay.case), about, now_us)
        await connection.execute(
            "DELETE FROM evidence.overlay WHERE overlay_id = %s", (overlay_id,)
        )
    return overlay


def _same_terms(there: Overlay, terms: Terms) -> Overlay:
    if there.terms != terms:
        raise OverlayError(
            f"The same file is there already as overlay {there.overlay_id}, with the zone "
            f"{there.zone or '(none)'} and a clock error of {there.clock_error_s} s. Remove that first, "
            "with the reason why it was wrong."
        )
    return there


def _about(what: str, overlay: Overlay) -> About:
    return About(what, [subject_of(overlay.case)], None, None, _note(overlay))


def subject_of(case: str) -> str:
    """Of a record of access to the files of a case: they are about whoever came by."""
    return f"case:{clean(case)}"


def _note(one: Overlay) -> str:
    """Everything that decides how a file is read, and where it comes from, as the log covers it."""
    clock = "by line" if one.clock_error_s is None else f"{one.clock_error_s} s"
    return (
        f"overlay {one.overlay_id}: {one.kind} {one.name!r} from {one.source!r}, SHA-256 {one.sha256}, "
        f"zone {one.zone or 'none'}, clock error {clock}"
    )


def noted(note: str) -> tuple[str, str]:
    """Id and SHA-256 of the file that a record of an import or a removal is about."""
    overlay_id = note.removeprefix("overlay ").partition(":")[0]
    # Names and sources may hold anything; what stands behind the digest cannot.
    return overlay_id, note.rpartition(", SHA-256 ")[2][:64]


async def _found(connection: Connection, query: str, value: object) -> list[Overlay]:
    async with connection.cursor(row_factory=class_row(Overlay)) as cursor:
        await cursor.execute(query.encode(), (value,))
        return await cursor.fetchall()


_LOCK = 0x6F76726C
_ORDER = "ORDER BY imported_at, overlay_id"
_LISTED = """
    SELECT overlay_id, evidence.us(imported_at) AS imported_us, imported_by, "case", kind, source,
        purpose, name, zone, clock_error_s, events, refused, length(content) AS bytes,
        encode(sha256, 'hex') AS sha256
    FROM evidence.overlay
"""
