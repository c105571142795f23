"""Signing keys in PostgreSQL: issued, revoked, never deleted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import psycopg
from psycopg.rows import class_row

from devices.instants import to_datetime
from devices.signing import SigningKey, free_number

_SELECT = """
    select row_no as row, device, algorithm, number::int, key, issued_by, revoked_by,
        revoked_reason, (extract(epoch from issued_at) * 1000000)::bigint as issued_us,
        (extract(epoch from revoked_at) * 1000000)::bigint as revoked_us
    from caseload.signing_key order by row_no
"""
_NUMBERS = """
    select number::int, revoked_at is null from caseload.signing_key
    where device = %s and algorithm <> 'none' order by row_no
"""
_INSERT = """
    insert into caseload.signing_key (device, algorithm, number, key, issued_at, issued_by)
    values (%s, %s, %s, %s, %s, %s) returning row_no
"""
_REVOKE = """
    update caseload.signing_key set revoked_at = %s, revoked_by = %s, revoked_reason = %s
    where device = any(%s) and revoked_at is null and algorithm <> 'none'
        and (%s::int is null or number = %s)
"""


async def load_keys(conn: psycopg.AsyncConnection) -> list[SigningKey]:
    """All keys, revoked ones too, oldest first."""
    async with conn.cursor(row_factory=class_row(SigningKey)) as cursor:
        await cursor.execute(_SELECT.encode())
        return await cursor.fetchall()


async def issue_keys(
    conn: psycopg.AsyncConnection, keys: Sequence[SigningKey], *, replace: bool
) -> list[SigningKey]:
    """Add keys.

    Args:
        conn: Any connection.
        keys: New ones, without numbers; of each device one.
        replace: Revoke what their devices have, in the same transaction.

    Returns:
        The same keys with their numbers.

    Raises:
        devices.signing.SigningKeyError: A device has too many in force.
    """
    async with conn.transaction():
        # Two who give keys to one device at once must not give the same number.
        await conn.execute("lock table caseload.signing_key in share row exclusive mode")
        if replace and keys:
            by, now_us = keys[0].issued_by, keys[0].issued_us
            devices = [key.device for key in keys]
            await revoke_keys(conn, devices, now_us=now_us, by=by, reason="replaced by a new key")
        return [await _issue(conn, key) for key in keys]


async def _issue(conn: psycopg.AsyncConnection, key: SigningKey) -> SigningKey:
    number = 0
    if key.algorithm != "none":
        held = await (await conn.execute(_NUMBERS, [key.device])).fetchall()
        newest = held[-1][0] if held else None
        number = free_number(newest, [number for number, in_force in held if in_force])
    cursor = await conn.execute(
        _INSERT,
        (
            *(key.device, key.algorithm, number, key.key),
            *(to_datetime(key.issued_us), key.issued_by),
        ),
    )
    row = await cursor.fetchone()
    assert row is not None, "an insert returns its row"
    return msgspec.structs.replace(key, number=number, row=row[0])


async def revoke_keys(
    conn: psycopg.AsyncConnection,
    devices: Sequence[str],
    *,
    now_us: int,
    by: str,
    reason: str,
    number: int | None = None,
) -> int:
    """Revoke the keys of devices, or of each the one with this number. Returns how many."""
    values = (to_datetime(now_us), by, reason, list(devices), number, number)
    return (await conn.execute(_REVOKE, values)).rowcount
