"""Credentials in PostgreSQL: issued, revoked, never deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from devices.credentials import Credential, Registry
from devices.instants import to_datetime
from devices.signing import SigningKey
from devices.signing_store import MAX_REASON_CHARS, OpenKeys
from devices.store import CONNECT_LIMIT_S, STATEMENT_LIMIT_S, update_tables

_SESSION = f"""
    set application_name = 'cordon credentials';
    set timezone = 'UTC';
    set synchronous_commit = on;
    set statement_timeout = '{STATEMENT_LIMIT_S}s';
"""

_SELECT = """
    select credential_no as number, device, kind, salt, hash, fingerprint, issued_by, revoked_by,
        revoked_reason, (extract(epoch from valid_from) * 1000000)::bigint as valid_from_us,
        (extract(epoch from valid_to) * 1000000)::bigint as valid_to_us,
        (extract(epoch from issued_at) * 1000000)::bigint as issued_us,
        (extract(epoch from revoked_at) * 1000000)::bigint as revoked_us
    from caseload.credential order by credential_no
"""
_COPY = """
    copy caseload.credential
    (device, kind, salt, hash, fingerprint, valid_from, valid_to, issued_at, issued_by)
    from stdin
"""
_REVOKE = """
    update caseload.credential set revoked_at = %s, revoked_by = %s, revoked_reason = %s
    where device = any(%s) and revoked_at is null
"""


class Contents(NamedTuple):
    """All that is registered, at one version."""

    credentials: list[Credential]
    keys: list[SigningKey]
    version: int


class CredentialStore:
    """The credentials of one database.

    Every method raises psycopg.OperationalError when the server is away: try again later. `open`
    gives one connection for as long as the block lasts.

    Args:
        dsn: Connection string; its role owns the schema ``caseload`` or may create it.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def open(self, *, update: bool = True) -> AsyncIterator[OpenCredentials]:
        """A connection.

        Args:
            update: Bring the tables up to date first.

        Raises:
            devices.migrations.MigrationError: The database belongs to another version.
        """
        async with await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
        ) as conn:
            await conn.execute(_SESSION.encode())
            if update:
                await update_tables(conn)
            yield OpenCredentials(conn)


class OpenCredentials(OpenKeys):
    """What can be done while connected."""

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[None]:
        """All that is changed inside counts together or not at all."""
        async with self._conn.transaction():
            yield

    async def version(self) -> int:
        """Changes with every change; 0: no credential was ever made."""
        cursor = await self._conn.execute("select version from caseload.credential_version")
        row = await cursor.fetchone()
        assert row is not None, "the migration puts one row in"
        return int(row[0])

    async def load(self) -> Contents:
        """All credentials and signing keys, and their version."""
        async with self._conn.transaction():
            await self._conn.execute("set transaction isolation level repeatable read, read only")
            version = await self.version()
            async with self._conn.cursor(row_factory=class_row(Credential)) as cursor:
                await cursor.execute(_SELECT.encode())
                credentials = await cursor.fetchall()
            return Contents(credentials, await self.keys(), version)

    async def registry(self) -> Registry:
        """All of it, ready to be asked."""
        return Registry(*await self.load())

    async def issue(self, credentials: Sequence[Credential], *, replace: bool) -> None:
        """Add credentials.

        Args:
            credentials: New ones.
            replace: Revoke what their devices have, in the same transaction.
        """
        async with self._conn.transaction():
            if replace and credentials:
                await self.revoke(
                    sorted({c.device for c in credentials}),
                    now_us=credentials[0].issued_us,
                    by=credentials[0].issued_by,
                    reason="replaced by a new credential",
                )
            # One statement, however many: each counts as a change.
            async with self._conn.cursor() as cursor, cursor.copy(_COPY) as copy:
                for c in credentials:
                    ends = None if c.valid_to_us is None else to_datetime(c.valid_to_us)
                    await copy.write_row(
                        (
                            *(c.device, c.kind, c.salt, c.hash, c.fingerprint),
                            *(to_datetime(c.valid_from_us), ends),
                            *(to_datetime(c.issued_us), c.issued_by),
                        )
                    )

    async def revoke(self, devices: Sequence[str], *, now_us: int, by: str, reason: str) -> int:
        """Revoke every credential of these devices; how many were in force."""
        cursor = await self._conn.execute(
            _REVOKE, [to_datetime(now_us), by, reason[:MAX_REASON_CHARS], list(devices)]
        )
        return cursor.rowcount

    async def carried(self, now_us: int) -> set[str]:
        """Devices that somebody carries at an instant."""
        cursor = await self._conn.execute(
            "select d.id from caseload.device d join caseload.assignment a using (device_no)"
            " where a.valid_from <= %s and (a.valid_to is null or a.valid_to > %s)",
            [to_datetime(now_us)] * 2,
        )
        return {row[0] for row in await cursor.fetchall()}

    async def caseload_kinds(self) -> dict[str, str]:
        """Kind of every device in the caseload, by id."""
        cursor = await self._conn.execute("select id, kind from caseload.device order by id")
        return dict(await cursor.fetchall())
