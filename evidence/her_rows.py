"""The rows of what protected people have chosen, and of what was held back for them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.choosing import ChoiceChange, DigestMade
from devices.instants import from_iso, to_datetime
from evidence.decided import AlertEntry
from evidence.rows import Row, Table
from evidence.text import clean

CHOICE = Table(
    "choice",
    (
        ("time", "timestamptz"),
        ("stream_position", "int8"),
        ("version", "int4"),
        ("asked_at", "timestamptz"),
        ("accepted", "bool"),
        ("id", "text"),
        ("person", "text"),
        ("actor", "text"),
        ("way", "text"),
        ("device", "text"),
        ("document", "json"),
    ),
)
DIGEST = Table(
    "digest",
    (
        ("time", "timestamptz"),
        ("stream_position", "int8"),
        ("number", "int8"),
        ("items", "int4"),
        ("id", "text"),
        ("person", "text"),
        ("document", "json"),
    ),
)


def choice_rows(entries: Sequence[AlertEntry]) -> list[Row]:
    """Rows of `CHOICE`; other entries have none."""
    return [
        _choice_row(entry, entry.content)
        for entry in entries
        if isinstance(entry.content, ChoiceChange)
    ]


def _choice_row(entry: AlertEntry, change: ChoiceChange) -> Row:
    return (
        to_datetime(entry.time_us),
        entry.position,
        change.version,
        to_datetime(from_iso(change.asked_at)),
        change.accepted,
        clean(change.id),
        clean(change.person),
        clean(change.by),
        change.way,
        clean(change.device),
        entry.document,
    )


def digest_rows(entries: Sequence[AlertEntry]) -> list[Row]:
    """Rows of `DIGEST`; other entries have none."""
    return [
        (
            to_datetime(entry.time_us),
            entry.position,
            entry.content.number,
            len(entry.content.items),
            clean(entry.content.id),
            clean(entry.content.person),
            entry.document,
        )
        for entry in entries
        if isinstance(entry.content, DigestMade)
    ]
