"""Who looked: rows, the query, and what a program that reads the database itself records."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from alerts.looks import EVERYBODY, LOOKS, Look
from devices.instants import from_iso, to_datetime
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
    SELECT id, at_us, who, role, purpose, subject, "case", what, from_us, to_us
    FROM evidence.access
    WHERE subject IN (%(person)s, %(everybody)s) AND at_us >= %(from)s AND at_us < %(to)s
    ORDER BY at_us DESC, id LIMIT %(limit)s
"""

LOOKS_LIMIT = 10_000
"""Readings in one answer."""


@dataclass(frozen=True, slots=True)
class StoredLook:
    """A row of `evidence.access`; fields as in `alerts.looks.Look`."""

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


async def record_export(
    connection: psycopg.AsyncConnection[Any],
    device: str,
    window_us: tuple[int, int],
    *,
    who: str,
    purpose: str,
    now_us: int,
) -> int:
    """Record that the reports of a device were exported: a reading of each person who carried it.

    Returns:
        How many people it concerns. Where nobody carried it, the device itself is named.
    """
    from_us, to_us = window_us
    people = await _bearers(connection, device, window_us)
    for subject in people or [f"device:{device}"]:
        found = str(uuid.uuid5(LOOKS, f"export {who} {device} {subject} {now_us}"))
        await connection.execute(
            "INSERT INTO evidence.access VALUES (%s, %s, %s, 'command line', %s, %s, '', 'export',"
            " %s, %s) ON CONFLICT DO NOTHING",
            (found, now_us, clean(who), clean(purpose), clean(subject), from_us, to_us),
        )
    return len(people)


async def _bearers(
    connection: psycopg.AsyncConnection[Any], device: str, window_us: tuple[int, int]
) -> list[str]:
    """Who carried a device within a window; nobody where the database has no caseload."""
    known = await connection.execute("SELECT to_regclass('caseload.assignment')")
    row = await known.fetchone()
    if row is None or row[0] is None:
        return []
    from_us, to_us = window_us
    cursor = await connection.execute(
        "SELECT DISTINCT p.id FROM caseload.assignment a "
        "JOIN caseload.device d USING (device_no) JOIN caseload.person p USING (person_no) "
        "WHERE d.id = %s AND a.valid_from < %s AND (a.valid_to IS NULL OR a.valid_to > %s)",
        (device, to_datetime(to_us), to_datetime(from_us)),
    )
    return [str(row[0]) for row in await cursor.fetchall()]
