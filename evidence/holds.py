"""Legal holds: what of the record must stay, whoever wants it gone and however old it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import errors, sql
from psycopg.rows import class_row

from devices.instants import to_datetime
from evidence.access import AccessDeniedError
from evidence.keeping import Interval, union
from evidence.partitions import DAY_US
from evidence.sources import Stream
from evidence.text import clean

Connection = psycopg.AsyncConnection

OF_DEVICES = (
    *("fix", "event", "status", "receipt", "refusal", "message"),
    *("anomaly", "device_health", "sequence_step", "command"),
)
"""Tables whose subject is a device."""

JOURNAL_US = 7 * DAY_US
"""For so long streams keep what is not stored yet. Whose a damaged entry is nobody can tell, so that each
is held that was found in a hold's window, or within this after it."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold in force.

    Attributes:
        people: Ids of those it is about, as they were when it was placed.
    """

    hold_id: UUID
    placed_by: str
    case: str
    people: list[str]
    from_us: int
    to_us: int
    reason: str
    review_us: int


@dataclass(frozen=True, slots=True)
class NewHold:
    """What is to be held, by whom.

    Attributes:
        people: Ids; empty: everybody whom the order of this case is about now.
    """

    placed_by: str
    case: str
    people: tuple[str, ...]
    from_us: int
    to_us: int
    reason: str
    review_us: int


async def place(connection: Connection, new: NewHold) -> UUID:
    """Hold something from now on.

    Raises:
        AccessDeniedError: It may not be, or is no hold.
    """
    people = list(new.people) or await people_of(connection, new.case)
    values = (
        clean(new.placed_by),
        clean(new.case),
        [clean(person) for person in people],
        to_datetime(new.from_us),
        to_datetime(new.to_us),
        clean(new.reason),
        to_datetime(new.review_us),
    )
    try:
        cursor = await connection.execute(
            "SELECT evidence.place_hold(%s, %s, %s, %s, %s, %s, %s)", values
        )
    except (
        errors.InsufficientPrivilege,
        errors.CheckViolation,
        errors.InvalidParameterValue,
    ) as error:
        raise AccessDeniedError(
            f"Nothing is held: {error.diag.constraint_name or error.diag.message_primary}. A hold "
            "names its case, a window that begins before it ends, and a reason."
        ) from error
    row = await cursor.fetchone()
    assert row is not None, "it always answers"
    return UUID(str(row[0]))


async def release(connection: Connection, hold_id: UUID, by: str, reason: str) -> bool:
    """Let go of a hold. Returns whether it was in force."""
    cursor = await connection.execute(
        "SELECT evidence.release_hold(%s, %s, %s)", (hold_id, clean(by), clean(reason))
    )
    row = await cursor.fetchone()
    return bool(row and row[0])


async def in_force(connection: Connection) -> list[Hold]:
    """Every hold that was not released, oldest first."""
    async with connection.cursor(row_factory=class_row(Hold)) as cursor:
        await cursor.execute(
            'SELECT hold_id, placed_by, "case", people, evidence.us(from_at) AS from_us, '
            "evidence.us(to_at) AS to_us, reason, evidence.us(review_at) AS review_us "
            "FROM evidence.hold_in_force ORDER BY placed_at, hold_id"
        )
        return await cursor.fetchall()


async def let_none_be_placed(connection: Connection) -> None:
    """Have whoever places a hold wait until this transaction ends; what was placed before is seen.

    Before anything else in a transaction, so that nobody waits for each other; as the owner of the tables.
    """
    await connection.execute("LOCK TABLE evidence.hold IN SHARE MODE")


async def people_of(connection: Connection, case: str) -> list[str]:
    """Whom an order is about now: its wearer, and those it protects."""
    cursor = await connection.execute("SELECT evidence.people_of_case(%s)", (clean(case),))
    row = await cursor.fetchone()
    return list(row[0]) if row else []


async def carried(
    connection: Connection, people: Iterable[str], window: Interval
) -> dict[str, tuple[Interval, ...]]:
    """When these people carried which device, within a window."""
    cursor = await connection.execute(
        "SELECT d.id, greatest(evidence.us(a.valid_from), %s), "
        "least(coalesce(evidence.us(a.valid_to), %s), %s) "
        "FROM caseload.assignment a JOIN caseload.device d USING (device_no) "
        "JOIN caseload.person p USING (person_no) WHERE p.id = ANY(%s)",
        (window[0], window[1], window[1], [clean(person) for person in people]),
    )
    found: dict[str, list[Interval]] = {}
    async for device, start, end in cursor:
        found.setdefault(device, []).append((start, end))
    return {device: parts for device, some in found.items() if (parts := union(some))}


async def held(
    connection: Connection, holds: Iterable[Hold]
) -> dict[str, dict[str, tuple[Interval, ...]]]:
    """What the holds keep: intervals by table and subject, as `keeping.Plan` has them.

    Of devices those that are assigned to their people now, and those that were when it was placed.
    """
    found: dict[str, dict[str, list[Interval]]] = {}
    for hold in holds:
        window = (hold.from_us, hold.to_us)
        today = await carried(connection, hold.people, window)
        for device, parts in (*today.items(), *await _placed(connection, hold)):
            for table in OF_DEVICES:
                found.setdefault(table, {}).setdefault(device, []).extend(parts)
        for stream in Stream:
            late = (window[0], window[1] + JOURNAL_US)
            found.setdefault("damaged_entry", {}).setdefault(stream.value, []).append(late)
        for table, subjects in (await _told(connection, hold)).items():
            for subject in subjects:
                found.setdefault(table, {}).setdefault(subject, []).append(window)
    return {
        table: {subject: union(parts) for subject, parts in by_subject.items()}
        for table, by_subject in found.items()
    }


async def _placed(connection: Connection, hold: Hold) -> list[tuple[str, tuple[Interval, ...]]]:
    """What its people carried as it was known when it was placed."""
    cursor = await connection.execute(
        "SELECT device, evidence.us(from_at), evidence.us(to_at) FROM evidence.hold_device "
        "WHERE hold_id = %s",
        (hold.hold_id,),
    )
    return [(row[0], ((row[1], row[2]),)) for row in await cursor.fetchall()]


async def _told(connection: Connection, hold: Hold) -> Mapping[str, list[str]]:
    """Watches of the case or its people, alerts about them, and what was told them at once a day."""
    values = {"case": hold.case, "people": hold.people}
    watches = await connection.execute(
        "SELECT DISTINCT watch FROM evidence.decision "
        "WHERE order_id = %(case)s OR wearer = ANY(%(people)s) OR protected = ANY(%(people)s)",
        values,
    )
    alerts = await connection.execute(
        "SELECT DISTINCT alert_id FROM evidence.alert_change "
        "WHERE document->'data'->>'wearer' = ANY(%(people)s) "
        "OR document->'data'->>'protected' = ANY(%(people)s)",
        values,
    )
    alert_ids = [row[0] for row in await alerts.fetchall()]
    return {
        "decision": [row[0] for row in await watches.fetchall()],
        "alert_change": alert_ids,
        "delivery": alert_ids,
        "digest": hold.people,
    }


async def messages_of(
    connection: Connection, windows: Mapping[str, Mapping[str, tuple[Interval, ...]]]
) -> dict[str, set[tuple[int, int, int]]]:
    """Keys of the messages that carried fixes and events of these windows, by device."""
    found: dict[str, set[tuple[int, int, int]]] = {}
    for table in ("fix", "event"):
        for device, parts in windows.get(table, {}).items():
            for start, end in parts:
                cursor = await connection.execute(
                    sql.SQL(
                        "SELECT evidence.us(received_at), journal_position, message FROM evidence.{} "
                        "WHERE device = %s AND time >= %s AND time < %s"
                    ).format(sql.Identifier(table)),
                    (device, to_datetime(start), to_datetime(end)),
                )
                found.setdefault(device, set()).update(await cursor.fetchall())
    return found
