"""Who looked: rows, the query, and what a program that reads the database itself records."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from alerts.looks import EVERYBODY, LOOKS, Look
from devices.instants import from_iso, to_datetime
from evidence.case_records import Custody
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
    connection: psycopg.AsyncConnection[Any], custody: Custody, device: str, now_us: int
) -> int:
    """Record that a part of the record is taken out: a reading of each person whom it concerns.

    Args:
        connection: In autocommit mode.
        custody: What is exported, by whom and what for.
        device: Whose records; empty: those of the case.
        now_us: The time.

    Returns:
        How many people it concerns. Where none is known, the device or the case itself is named.
    """
    people = await _concerned(connection, custody, device)
    case = "" if device else clean(custody.case)
    for subject in people or [f"device:{device}" if device else f"case:{custody.case}"]:
        found = str(uuid.uuid5(LOOKS, f"export {custody.disclosure} {subject}"))
        await connection.execute(
            "INSERT INTO evidence.access VALUES (%s, %s, %s, 'command line', %s, %s, %s, 'export',"
            " %s, %s) ON CONFLICT DO NOTHING",
            (
                *(found, now_us, clean(custody.actor), clean(custody.purpose), clean(subject)),
                *(case, custody.from_us, custody.to_us),
            ),
        )
    return len(people)


_BEARERS = """
    SELECT DISTINCT p.id FROM caseload.assignment a
    JOIN caseload.device d USING (device_no) JOIN caseload.person p USING (person_no)
    WHERE d.id = %(device)s AND a.valid_from < %(to)s
        AND (a.valid_to IS NULL OR a.valid_to > %(from)s)
"""
_PARTIES = """
    SELECT DISTINCT p.id FROM caseload.court_order o
    LEFT JOIN caseload.condition c USING (order_no)
    JOIN caseload.person p ON p.person_no IN (o.wearer_no, c.protected_no)
    WHERE o.id = %(case)s
"""


async def _concerned(
    connection: psycopg.AsyncConnection[Any], custody: Custody, device: str
) -> list[str]:
    """The parties of a case, or who carried a device; nobody where there is no caseload."""
    known = await connection.execute("SELECT to_regclass('caseload.assignment')")
    row = await known.fetchone()
    if row is None or row[0] is None:
        return []
    cursor = await connection.execute(
        _BEARERS if device else _PARTIES,
        {
            "device": device,
            "case": custody.case,
            "from": to_datetime(custody.from_us),
            "to": to_datetime(custody.to_us),
        },
    )
    return [str(row[0]) for row in await cursor.fetchall()]
