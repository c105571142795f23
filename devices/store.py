"""The caseload in PostgreSQL: the rows in force, and every version there was.

Saving puts a caseload on top of the one in force, checks the result as a whole, and changes rows,
version and notice in one transaction, or nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import psycopg

from devices import rules
from devices.canonical import canonical, digest, encode, merged
from devices.caseload import Caseload
from devices.migrations import migrate
from devices.problems import CaseloadError
from devices.rows import read_rows, write_rows

SCHEMA = "caseload"
MIGRATIONS = "devices.sql"
CHANNEL = "cordon_caseload"
"""PostgreSQL channel on which each new version is announced, with its number."""

CONNECT_LIMIT_S = 5
LOCK_LIMIT_S = 20
STATEMENT_LIMIT_S = 60
"""A server that hangs longer is as good as one that is down; it raises OperationalError."""

_SESSION = f"""
    set application_name = 'cordon caseload';
    set timezone = 'UTC';
    set synchronous_commit = on;
    set lock_timeout = '{LOCK_LIMIT_S}s';
    set statement_timeout = '{STATEMENT_LIMIT_S}s';
    set idle_in_transaction_session_timeout = '{STATEMENT_LIMIT_S}s';
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """What saving did: the version now in force, and whether it is a new one."""

    version: int
    changed: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """The caseload in force, in canonical form; version 0 is the empty one of a new database."""

    caseload: Caseload
    version: int


class CaseloadStore:
    """The caseload of one database.

    Every method but `close` raises psycopg.OperationalError when the server is away or does not
    answer in time: try again later. One instance may be shared by tasks, but only one of them may
    wait for changes.

    Args:
        dsn: Connection string; its role owns the schema ``caseload`` or may create it.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._listener: psycopg.AsyncConnection | None = None
        self._seen: int | None = None

    async def migrate(self) -> list[str]:
        """Creates or updates the tables; names of the migrations that were applied.

        Raises:
            devices.migrations.MigrationError: The database belongs to another version.
        """
        async with self._connection() as conn:
            return await update_tables(conn)

    async def save(self, caseload: Caseload) -> Saved:
        """Puts a caseload on top of the one in force; what it does not name stays as it is.

        The fields of problems count the items of `caseload` first, then the others in force.
        Saving what is already in force changes nothing and gives no new version.

        Raises:
            CaseloadError: The result would not be usable; nothing was changed.
        """
        async with self._connection() as conn, conn.transaction():
            return await _save(conn, caseload)

    async def load(self) -> Stored:
        """The caseload in force."""
        async with self._connection() as conn, conn.transaction():
            # One snapshot for all tables: a save in between must not show by halves.
            await conn.execute("set transaction isolation level repeatable read, read only")
            stored = await _load(conn)
        self._seen = stored.version
        return stored

    async def wait_for_change(self, timeout_s: float) -> bool:
        """Waits until another version than the one `load` last gave is in force.

        Versions are compared as well as notices awaited, so a change between `load` and this
        call, or while the connection was down, is not missed.

        Returns:
            False when `timeout_s` seconds passed without one.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + timeout_s
        try:
            conn = await self._listening()
            while True:
                version = await _version(conn)
                if self._seen is None:
                    self._seen = version
                if version != self._seen:
                    return True
                remaining_s = deadline_s - loop.time()
                if remaining_s <= 0:
                    return False
                async for _notice in conn.notifies(timeout=remaining_s, stop_after=1):
                    pass
        except (psycopg.Error, OSError, asyncio.CancelledError):
            await self.close()  # in an unknown state: the next wait opens another
            raise

    async def close(self) -> None:
        """Closes the connection that listens for changes; a later wait opens it again."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()

    async def _listening(self) -> psycopg.AsyncConnection:
        if self._listener is None or self._listener.closed:
            self._listener = await self._connect()
            await self._listener.execute(f"listen {CHANNEL}".encode())
        return self._listener

    async def _connect(self) -> psycopg.AsyncConnection:
        conn = await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
        )
        try:
            await conn.execute(_SESSION.encode())
        except BaseException:  # cancelled too: nobody else knows this connection yet
            await conn.close()
            raise
        return conn

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        # Caseloads change a few times a day: a connection each is simpler than a pool to mend.
        async with await self._connect() as conn:
            yield conn


async def strike_names(conn: psycopg.AsyncConnection, people: Collection[str]) -> None:
    """Brings a version into force without the names of these people, where it has any.

    Args:
        conn: In a transaction.
        people: Ids.
    """
    stored = await _load(conn)
    named = (one for one in stored.caseload.people if one.id in people and one.name)
    nameless = tuple(msgspec.structs.replace(one, name="") for one in named)
    await _save(conn, Caseload(people=nameless))


async def _save(conn: psycopg.AsyncConnection, caseload: Caseload) -> Saved:
    """As `CaseloadStore.save`, in a transaction."""
    # Savers take turns; readers are not held up.
    await conn.execute("lock table caseload.caseload_version in exclusive mode")
    stored = await _load(conn)
    result = merged(stored.caseload, caseload)
    problems = rules.check(result)
    if problems:
        raise CaseloadError("caseload on top of the one in force", problems)
    result = canonical(result)
    if result == stored.caseload:
        return Saved(stored.version, changed=False)
    await write_rows(conn, stored.caseload, result)
    version = await _record(conn, stored.version + 1, result)
    return Saved(version, changed=True)


async def update_tables(conn: psycopg.AsyncConnection) -> list[str]:
    """Creates or updates the tables; names of the migrations that were applied.

    Where the history is in the same database, its roles get their rights on what is new.

    Args:
        conn: Idle: not inside a transaction.

    Raises:
        devices.migrations.MigrationError: The database belongs to another version.
    """
    applied = await migrate(conn, SCHEMA, MIGRATIONS)
    if applied:
        async with conn.transaction():
            # A migration of the history that runs now either ends first, or sees the new tables.
            await conn.execute(
                "select pg_advisory_xact_lock(hashtextextended('cordon.migrate.evidence', 0))"
            )
            cursor = await conn.execute("select to_regproc('evidence.set_rights')")
            if await cursor.fetchone() != (None,):
                await conn.execute("select evidence.set_rights()")
    return applied


async def _load(conn: psycopg.AsyncConnection) -> Stored:
    version = await _version(conn)
    return Stored(canonical(await read_rows(conn)), version)


async def _version(conn: psycopg.AsyncConnection) -> int:
    cursor = await conn.execute("select coalesce(max(version), 0) from caseload.caseload_version")
    row = await cursor.fetchone()
    assert row is not None, "an aggregate always gives a row"
    return int(row[0])


async def _record(conn: psycopg.AsyncConnection, version: int, caseload: Caseload) -> int:
    """Keeps a new version and announces it; the notice goes out with the commit."""
    await conn.execute(
        "insert into caseload.caseload_version (version, sha256, document)"
        " values (%s, %s, %s::jsonb)",
        [version, digest(caseload), encode(caseload).decode()],
    )
    await conn.execute("select pg_notify(%s, %s)", [CHANNEL, str(version)])
    return version
