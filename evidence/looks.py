"""Who looked: rows, and the query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from alerts.looks import EVERYBODY, Look
from devices.instants import from_iso
from evidence.decided import AlertEntry
from evidence.rows import Row, Table
from evidence.text import clean

ACCESS = Table(
    "access",
    (
        ("id", "text"),
        ("at_us", "int8"),
        ("who", "text"),
        ("role", "text"),
        ("purpose", "text"),
        ("subject", "text"),
        ("case", "text"),
        ("what", "text"),
        ("from_us", "int8"),
        ("to_us", "int8"),
    ),
)

QUERY = """
    SELECT id, at_us, who, role, purpose, subject, "case",
        CASE WHEN allowed THEN what ELSE 'refused: ' || what END AS what, from_us, to_us
    FROM evidence.access
    WHERE subject IN (%(person)s, %(everybody)s) AND at_us >= %(from)s AND at_us < %(to)s
    ORDER BY at_us DESC, id LIMIT %(limit)s
"""

REFUSED = "refused: "

LOOKS_LIMIT = 10_000
"""Readings in one answer."""


@dataclass(frozen=True, slots=True)
class StoredLook:
    """A row of `evidence.access`; fields as in `alerts.looks.Look`.

    Attributes:
        what: After `REFUSED` what was asked for and not shown.
    """

    id: str
    at_us: int
    who: str
    role: str
    purpose: str
    subject: str
    case: str
    what: str
    from_us: int | None
    to_us: int | None


def values(person: str, from_us: int, to_us: int, limit: int) -> dict[str, Any]:
    """The parameters of `QUERY`."""
    window = {"from": from_us, "to": to_us}
    return {"person": clean(person), "everybody": EVERYBODY, "limit": limit} | window


def look_rows(entries: Sequence[AlertEntry]) -> list[Row]:
    """Rows of `ACCESS`; other entries have none."""
    return [_row(entry.content) for entry in entries if isinstance(entry.content, Look)]


def _row(look: Look) -> Row:
    texts = (look.who, look.role, look.purpose, look.subject, look.case, look.what)
    return (look.id, from_iso(look.time), *map(clean, texts), look.from_us, look.to_us)
