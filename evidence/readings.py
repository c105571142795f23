"""Readings of many records by one command, each with a grant: recorded first, then read.

The database decides (`evidence.open_access`, sql 0016), person by person, and records each answer in a
transaction of its own. Only when everybody whom it is about may be read of is anything read.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from devices.instants import to_datetime
from evidence.access import NO_GRANT, AccessDeniedError, Asking, Connection, open_access
from evidence.text import clean

EMERGENCY = "emergency"
"""The purpose of whoever reads with broken glass."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants to read, as what, in which case and for what: as a grant says it.

    Attributes:
        actor: Empty: whoever is signed in at the database.
        role: As in `evidence.access.Asking`.
        case: An order; or a file of another name, to which the grant alone says that people belong.
        purpose: As in the grant; `EMERGENCY` with broken glass.
        note: In words, for the record.
    """

    actor: str
    role: str
    case: str
    purpose: str
    note: str = ""

    def reader(self, connection: Connection) -> str:
        """The name that stands in the record."""
        return self.actor.strip() or connection.info.user


@dataclass(frozen=True, slots=True)
class Extent:
    """What is to be read.

    Attributes:
        reading: One of ``evidence.readings()``.
        subjects: Ids of the people whom it is about; `alerts.looks.EVERYBODY` for all.
        from_us, to_us: The time that it is about; None: as far as there is anything.
        detail: What else names it: an id, a device.
    """

    reading: str
    subjects: Iterable[str]
    from_us: int | None = None
    to_us: int | None = None
    detail: str = ""


async def open_reading(connection: Connection, claim: Claim, extent: Extent) -> list[UUID]:
    """Record that somebody reads, for each person whom it is about, and commit. Then it may be read.

    Args:
        connection: In autocommit mode and in no transaction.
        claim: Who, and for what.
        extent: What, and of whom.

    Returns:
        The tickets of the records, one for each subject.

    Raises:
        AccessDeniedError: Of somebody it may not be read, so nothing may be. Each attempt is recorded,
            and the text has the commands that give what is missing.
        psycopg.Error: It cannot be recorded, so it must not be read.
    """
    tickets, refused = [], dict[str, str]()
    note = "; ".join(filter(None, (extent.detail, claim.note)))
    for subject in extent.subjects:
        asking = Asking(
            role=claim.role,
            case=claim.case,
            subject=subject,
            purpose=claim.purpose,
            kinds=(extent.reading,),
            from_us=extent.from_us,
            to_us=extent.to_us,
            who=claim.actor.strip(),
            note=note,
        )
        try:
            tickets.append(await open_access(connection, asking))
        except AccessDeniedError as error:
            refused[subject] = str(error)
    if refused:
        raise AccessDeniedError(explained(refused, claim, claim.reader(connection)))
    if not tickets:
        raise AccessDeniedError("It is about nobody: nothing may be read.")
    return tickets


async def people_of_case(connection: Connection, case: str) -> list[str]:
    """Everybody whom an order is or ever was about, whom its records tell of; none: it is no order."""
    cursor = await connection.execute("SELECT evidence.people_ever_of_case(%s)", (clean(case),))
    row = await cursor.fetchone()
    return list(row[0]) if row else []


async def people_of_device(
    connection: Connection, device: str, from_us: int, to_us: int
) -> list[str]:
    """Who carried a device from an instant to before another, as is said now or by any version in the record.

    A correction takes nobody out: what the device sent may be theirs all the same. It takes a login that may
    read what is sealed of the caseload, as that which exports does.
    """
    known = await connection.execute("SELECT to_regclass('caseload.assignment') IS NOT NULL")
    now = _CARRY if await known.fetchone() == (True,) else ""
    values = {"device": clean(device), "from": to_datetime(from_us), "to": to_datetime(to_us)}
    cursor = await connection.execute(f"{_CARRIED} {now} ORDER BY 1".encode(), values)
    return [str(row[0]) for row in await cursor.fetchall()]


_CARRIED = """
    SELECT DISTINCT a ->> 'person' FROM evidence.caseload_entry e, json_array_elements(e.document -> 'assignments') a
    WHERE e.entry = 'device/' || %(device)s AND (a ->> 'from')::timestamptz < %(to)s
        AND coalesce((a ->> 'to')::timestamptz, 'infinity') > %(from)s
"""
_CARRY = """
    UNION SELECT p.id FROM caseload.assignment a JOIN caseload.device d USING (device_no)
        JOIN caseload.person p USING (person_no)
    WHERE d.id = %(device)s AND a.valid_from < %(to)s AND coalesce(a.valid_to, 'infinity') > %(from)s
"""


def explained(refused: Mapping[str, str], claim: Claim, reader: str) -> str:
    """Why nothing may be read, and the commands that give what is missing.

    Args:
        refused: What the database said, by subject.
        claim: Who wanted to read, and for what.
        reader: The name that stands in the record.
    """
    lines = [f"{subject}: {why}" for subject, why in refused.items()]
    missing = [subject for subject, why in refused.items() if NO_GRANT in why]
    if missing and claim.purpose == EMERGENCY:
        lines += [f"{reader} breaks the glass (somebody else reviews it) with"]
        lines += ["  " + _break_glass(claim, reader, subject) for subject in missing]
    elif missing:
        lines += ["Somebody else who may grant it (database role cordon_owner) gives it with"]
        lines += ["  " + _grant(claim, reader, subject) for subject in missing]
    return "\n".join(lines)


def _grant(claim: Claim, reader: str, subject: str) -> str:
    words = (
        *("--to", reader, "--role", claim.role, "--case", claim.case, "--subject", subject),
        *("--purpose", claim.purpose, "--for", "30d", "--reason", claim.note or "WHY"),
    )
    return f"cordon evidence grant {shlex.join(words)}"


def _break_glass(claim: Claim, reader: str, subject: str) -> str:
    words = (
        *("--case", claim.case, "--subject", subject),
        *("--reason", claim.note or "WHAT THE EMERGENCY IS", "--by", reader),
    )
    return f"cordon evidence break-glass {shlex.join(words)}"
