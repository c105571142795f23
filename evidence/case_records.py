"""Records that concern a case and that no device sends: orders in force, and who was given what.

Both lie in tables of their own (migration 0008), and the log covers them like everything else.
"""

from __future__ import annotations

from typing import Literal

import msgspec
import psycopg
import structlog

from devices.instants import to_datetime
from evidence.text import clean

Step = Literal["opened", "written", "failed"]

log = structlog.get_logger("evidence")


class Custody(msgspec.Struct, frozen=True, kw_only=True):
    """Who takes a part of the record out, for whom and what for: asked before anything is read.

    Attributes:
        disclosure: Names the export; random.
        case: Order, or ``device/ID`` where it is about a device alone.
        purpose: What it is for, and under what authority.
        side: Who it is made for: see `evidence.sides.Side`.
    """

    disclosure: str
    case: str
    actor: str
    purpose: str
    recipient: str
    side: str
    from_us: int
    to_us: int


async def keep_caseload(connection: psycopg.AsyncConnection) -> None:
    """Take orders, conditions and assignments of new versions of the caseload into the record.

    A role that may not read the caseload seals all the same: what is missing is said in the log.

    Raises:
        psycopg.Error: The database does not answer.
    """
    try:
        await connection.execute("SELECT evidence.keep_caseload()")
    except psycopg.errors.InsufficientPrivilege:
        log.warning("caseload_not_kept", reason="the sealer's role may not read caseload_version")


async def record_disclosure(
    connection: psycopg.AsyncConnection,
    custody: Custody,
    step: Step,
    now_us: int,
    counts: tuple[int, int] = (0, 0),
    manifest_sha256: bytes = b"",
) -> None:
    """Add a step to the custody log.

    Args:
        connection: In autocommit mode: the record stays, whatever becomes of the export.
        custody: What is exported.
        step: `opened` before anything is read.
        now_us: The time.
        counts: Records shown and withheld.
        manifest_sha256: Of the manifest that was written; empty before.
    """
    await connection.execute(
        "INSERT INTO evidence.disclosure VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            to_datetime(now_us),
            custody.disclosure,
            step,
            *map(clean, (custody.case, custody.actor, custody.purpose, custody.recipient)),
            custody.side,
            to_datetime(custody.from_us),
            to_datetime(custody.to_us),
            *counts,
            manifest_sha256,
        ),
    )
