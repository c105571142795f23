"""Signing keys in PostgreSQL: issued, revoked, never deleted."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import psycopg
from psycopg.rows import class_row

from devices.instants import to_datetime
from devices.signing import SigningKey, free_number

MAX_REASON_CHARS = 500

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


class OpenKeys:
    """What can be done with keys while connected.

    Args:
        conn: Any connection.
    """

    def __init__(self, conn: psycopg.AsyncConnection) -> None:
        self._conn = conn

    async def keys(self) -> list[SigningKey]:
        """All keys, revoked ones too, oldest first."""
        async with self._conn.cursor(row_factory=class_row(SigningKey)) as cursor:
            await cursor.execute(_SELECT.encode())
            return await cursor.fetchall()

    async def issue_keys(self, keys: Sequence[SigningKey], *, replace: bool) -> list[SigningKey]:
        """Add keys.

        Args:
            keys: New ones, without numbers; of each device one.
            replace: Revoke what their devices have, in the same transaction.

        Returns:
            The same keys with their numbers.

        Raises:
            devices.signing.SigningKeyError: A device has too many in force.
        """
        async with self._conn.transaction():
            # Two who give keys to one device at once must not give the same number.
            await self._conn.execute("lock table caseload.signing_key in share row exclusive mode")
            if replace and keys:
                await self.revoke_keys(
                    [key.device for key in keys],
                    now_us=keys[0].issued_us,
                    by=keys[0].issued_by,
                    reason="replaced by a new key",
                )
            return [await self._issue(key) for key in keys]

    async def _issue(self, key: SigningKey) -> SigningKey:
        number = 0
        if key.algorithm != "none":
            held = await (await self._conn.execute(_NUMBERS, [key.device])).fetchall()
            newest = held[-1][0] if held else None
            number = free_number(newest, [number for number, in_force in held if in_force])
        cursor = await self._conn.execute(
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
        self,
        devices: Sequence[str],
        *,
        now_us: int,
        by: str,
        reason: str,
        number: int | None = None,
    ) -> int:
        """Revoke the keys of devices, or of each the one with this number. Returns how many."""
        why = reason[:MAX_REASON_CHARS]
        values = (to_datetime(now_us), by, why, list(devices), number, number)
        return (await self._conn.execute(_REVOKE, values)).rowcount
