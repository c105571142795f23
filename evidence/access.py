"""Reading the record as somebody with a grant: the access is recorded first, then something is read.

Two steps in two transactions: `open_access` commits the record and gives a ticket, `read_records`
takes the ticket. A reader who rolls back loses what was read and not the record of it. Who may read
what is decided in the database (`sql/0009_access.sql`, `0016_readings.sql`), so that it holds for every
program. What reads more than single records is opened the same way (`evidence.readings`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
from psycopg import errors
from psycopg.rows import class_row

from devices.instants import to_datetime
from evidence.text import clean

Connection = psycopg.AsyncConnection

MOST_RECORDS = 100_000
"""Of one kind in one reading: more is refused, since an answer cut short would look like silence."""

BREAK_GLASS_MINUTES = 60
"""The longest that glass stays broken; the database refuses more."""


NO_GRANT = "no grant is in force for this person, role, case, subject and purpose"
"""Why the database refuses where a grant, or broken glass, would be enough."""


class AccessDeniedError(RuntimeError):
    """It may not be read, or not be changed, by whoever asks. The text is for people."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who wants to read what, of whom, and for what.

    Attributes:
        who: Empty: whoever is signed in at the database. Others are named only by software in the
            role ``cordon_operator``, and by commands with the service's login.
        agency: Database role of the agency for which `who` reads; empty: for nobody.
        role: ``investigator``, ``prosecutor``, ``agency`` or ``auditor``.
        case: Id of the order.
        subject: Id of the person whom the records are about.
        purpose: As in the grant; ``emergency`` with broken glass.
        kinds: Tables of the schema `evidence`, or one of ``evidence.readings()``.
        from_us, to_us: From the first to before the second, of the records' own time; None, for
            readings: as far as there is anything.
    """

    role: str
    case: str
    subject: str
    purpose: str
    kinds: tuple[str, ...]
    from_us: int | None
    to_us: int | None
    who: str = ""
    agency: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class NewGrant:
    """What is to be granted, by whom. Of `kind` ``person`` or ``agency``."""

    granted_by: str
    kind: str
    grantee: str
    role: str
    case: str
    subject: str
    purpose: str
    valid_from_us: int
    valid_to_us: int
    reason: str


@dataclass(frozen=True, slots=True)
class Grant(NewGrant):
    """A grant, and when it was revoked."""

    grant_id: UUID
    revoked_us: int | None

    def state(self, now_us: int) -> str:
        """``revoked``, ``over``, ``to come`` or ``in force``."""
        if self.revoked_us is not None:
            return "revoked"
        if now_us >= self.valid_to_us:
            return "over"
        return "in force" if now_us >= self.valid_from_us else "to come"


@dataclass(frozen=True, slots=True)
class BrokenGlass:
    """Glass that was broken and that nobody has reviewed."""

    glass_id: UUID
    who: str
    case: str
    subject: str
    reason: str
    opened_us: int
    expires_us: int
    review_due_us: int


async def open_access(connection: Connection, asking: Asking) -> UUID:
    """Record an access and commit. Returns the ticket to read with, good for five minutes.

    Args:
        connection: In autocommit mode and in no transaction: the record has to be committed.
        asking: What is wanted.

    Raises:
        AccessDeniedError: It may not be read; that it was tried is recorded.
        psycopg.Error: The database does not answer.
    """
    if not connection.autocommit or connection.info.transaction_status:
        raise ValueError("an access is recorded in a transaction of its own, before the reading")
    cursor = await _asked(
        connection,
        "SELECT ticket, allowed, refused FROM evidence.open_access(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            clean(asking.who),
            clean(asking.agency),
            asking.role,
            clean(asking.case),
            clean(asking.subject),
            asking.purpose,
            list(asking.kinds),
            None if asking.from_us is None else to_datetime(asking.from_us),
            None if asking.to_us is None else to_datetime(asking.to_us),
            clean(asking.note),
        ),
    )
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    ticket, allowed, refused = row
    if not allowed:
        raise AccessDeniedError(
            f"It may not be read: {refused}. That it was asked for is recorded."
        )
    return UUID(str(ticket))


async def read_records(
    connection: Connection, ticket: UUID, kind: str
) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """The records of a kind that a ticket allows: instant in microseconds, columns; by time.

    Raises:
        AccessDeniedError: The ticket does not allow it, or there are more than `MOST_RECORDS`.
        psycopg.Error: The database does not answer.
    """
    cursor = await _asked(
        connection,
        "SELECT evidence.us(at), record FROM evidence.read_records(%s, %s, %s)",
        (ticket, kind, MOST_RECORDS + 1),
    )
    if cursor.rowcount > MOST_RECORDS:
        raise AccessDeniedError(f"There are more than {MOST_RECORDS}: ask for a shorter window.")
    async for at_us, record in cursor:
        yield at_us, record


async def grant(connection: Connection, new: NewGrant) -> UUID:
    """Let somebody read, from now on or later.

    Raises:
        AccessDeniedError: Who is signed in may not grant, or the grant is not one: grants end,
            within 400 days, and nobody grants to themselves.
    """
    cursor = await _asked(
        connection,
        "SELECT evidence.grant_access(%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            clean(new.granted_by),
            new.kind,
            clean(new.grantee),
            new.role,
            clean(new.case),
            clean(new.subject),
            new.purpose,
            to_datetime(new.valid_from_us),
            to_datetime(new.valid_to_us),
            clean(new.reason),
        ),
    )
    return UUID(str(await _value(cursor)))


async def revoke(connection: Connection, grant_id: UUID, by: str, reason: str) -> bool:
    """End a grant now. Returns whether it was there and not revoked before."""
    cursor = await _asked(
        connection,
        "SELECT evidence.revoke_access(%s, %s, %s)",
        (grant_id, clean(by), clean(reason)),
    )
    return bool(await _value(cursor))


async def grants(connection: Connection) -> list[Grant]:
    """Every grant there was, newest first; to who may not grant, their own."""
    async with connection.cursor(row_factory=class_row(Grant)) as cursor:
        await cursor.execute(
            'SELECT grant_id, granted_by, kind, grantee, role, "case", subject, purpose, '
            "evidence.us(valid_from) AS valid_from_us, evidence.us(valid_to) AS valid_to_us, "
            "reason, evidence.us(revoked_at) AS revoked_us FROM evidence.list_grants() "
            "ORDER BY granted_at DESC, grant_id"
        )
        return await cursor.fetchall()


async def break_glass(
    connection: Connection, who: str, case: str, subject: str, reason: str, minutes: int
) -> UUID:
    """Let somebody read at once in an emergency, without a grant; it has to be reviewed.

    Raises:
        AccessDeniedError: No reason of ten letters, or longer than `BREAK_GLASS_MINUTES`.
    """
    cursor = await _asked(
        connection,
        "SELECT evidence.break_glass(%s, %s, %s, %s, %s)",
        (clean(who), clean(case), clean(subject), clean(reason), minutes),
    )
    return UUID(str(await _value(cursor)))


async def review(
    connection: Connection, glass_id: UUID, reviewer: str, note: str, *, justified: bool
) -> bool:
    """Say whether breaking the glass was right. Returns whether it waited for a review.

    What was not justified is closed at once, if it is still open.

    Raises:
        AccessDeniedError: The reviewer broke it, or says nothing.
    """
    cursor = await _asked(
        connection,
        "SELECT evidence.review_break_glass(%s, %s, %s, %s)",
        (glass_id, clean(reviewer), justified, clean(note)),
    )
    return bool(await _value(cursor))


async def waiting_reviews(connection: Connection) -> list[BrokenGlass]:
    """What was broken and not reviewed, oldest first."""
    async with connection.cursor(row_factory=class_row(BrokenGlass)) as cursor:
        await cursor.execute(
            'SELECT glass_id, who, "case", subject, reason, evidence.us(opened_at) AS opened_us, '
            "evidence.us(expires_at) AS expires_us, evidence.us(review_due) AS review_due_us "
            "FROM evidence.break_glass_waiting ORDER BY opened_at"
        )
        return await cursor.fetchall()


async def _asked(
    connection: Connection, query: str, values: tuple[Any, ...]
) -> psycopg.AsyncCursor[Any]:
    try:
        return await connection.execute(query.encode(), values)
    except (
        errors.InsufficientPrivilege,
        errors.CheckViolation,
        errors.InvalidParameterValue,
    ) as error:
        raise AccessDeniedError(_reason(error)) from error


def _reason(error: psycopg.Error) -> str:
    """Why, for people. Rows, which PostgreSQL may quote, stay out."""
    rule = error.diag.constraint_name
    if rule:
        return (
            f"It breaks the rule {rule}: grants and broken glass name case, subject, purpose, a "
            "reason and an end, and nobody grants to themselves. docs/operations.md has the rules."
        )
    return f"{error.diag.message_primary}."


async def _value(cursor: psycopg.AsyncCursor[Any]) -> Any:
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return row[0]
