"""One connection to PostgreSQL that heals itself, and one transaction at a time on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import structlog
from psycopg import errors, sql

from devices.migrations import MigrationError, migrate
from evidence.fixes import FIX_COLUMNS
from evidence.partitions import Timeline, read_timelines
from evidence.rows import UnstorableError

CONNECT_LIMIT_S = 5
LOCK_LIMIT_S = 20
TRANSACTION_LIMIT_S = 60
"""What takes longer is given up and tried again: a server that hangs is as good as one down."""

SCHEMA = "evidence"
MIGRATIONS = "evidence.sql"

log = structlog.get_logger("evidence")

SESSION = f"""
    SET application_name = 'cordon evidence';
    SET timezone = 'UTC';
    SET synchronous_commit = on;
    SET max_parallel_workers_per_gather = 0;
    SET lock_timeout = '{LOCK_LIMIT_S}s';
    SET statement_timeout = '{TRANSACTION_LIMIT_S}s';
    SET idle_in_transaction_session_timeout = '{TRANSACTION_LIMIT_S}s';
"""


class Database:
    """The writer's connection. Opened when first needed, and again after it broke."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.AsyncConnection | None = None
        self._lock = asyncio.Lock()
        self.timelines: dict[str, Timeline] = {}

    async def migrate(self) -> list[str]:
        """Bring the schema to this version. Returns the names of the files applied now.

        Raises:
            psycopg.Error: The server is away or refuses.
        """
        async with self._lock, asyncio.timeout(TRANSACTION_LIMIT_S):
            await self._offer_timescale()
            async with await self._open() as connection:
                applied = await migrate(connection, SCHEMA, MIGRATIONS)
            if applied:
                await self._close()  # it may hold an older view of the tables
            return applied

    async def close(self) -> None:
        """Let go of the connection."""
        async with self._lock:
            await self._close()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """The connection, in autocommit mode, for one caller at a time.

        Raises:
            UnstorableError: PostgreSQL refused a value. The connection is as good as before.
            psycopg.Error, TimeoutError: The server is away, full, slow or not as it should be:
                worth another try. The connection is given up.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(TRANSACTION_LIMIT_S):
                    yield await self._connected()
            except _REFUSALS as error:
                raise UnstorableError(describe(error)) from error
            except BaseException:
                await self._close()
                raise

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._open()
            self.timelines = await read_timelines(self._connection)
            await self._connection.execute(_STAGE)
        return self._connection

    async def _open(self) -> psycopg.AsyncConnection:
        connection = await psycopg.AsyncConnection.connect(
            self._dsn,
            autocommit=True,
            connect_timeout=CONNECT_LIMIT_S,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
        try:
            await connection.execute(SESSION)
        except BaseException:  # cancelled too: nobody else knows this connection yet
            await connection.close()
            raise
        return connection

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _offer_timescale(self) -> None:
        """Install the extension where it can be had and the tables do not stand yet.

        It cannot be known beforehand whether this will do (the library may not be preloaded, the
        role may lack the right) and a failed try can end the connection: so it has its own.
        """
        async with await self._open() as connection:
            cursor = await connection.execute(_TIMESCALE_WANTED)
            if await cursor.fetchone() is None:
                return
            try:
                await connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            except psycopg.Error as error:
                log.warning("timescaledb_not_usable", reason=describe(error))


_TIMESCALE_WANTED = """
    SELECT 1 FROM pg_available_extensions
    WHERE name = 'timescaledb' AND installed_version IS NULL
      AND to_regclass('evidence.timeline') IS NULL
"""

_STAGE = sql.SQL("CREATE TEMP TABLE stage_fix ({}) ON COMMIT DELETE ROWS").format(
    sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, _, kind in FIX_COLUMNS
    )
)

_REFUSALS = (
    psycopg.DataError,
    errors.NotNullViolation,
    errors.UniqueViolation,
    errors.ProgramLimitExceeded,
    OverflowError,
    ValueError,
)
"""A value is at fault, not the server: trying again would not help. Other mistakes of the program
itself are not among these: one of those must not pass every entry off as damaged."""


def describe(error: BaseException) -> str:
    """What went wrong, for people. What PostgreSQL says of a row is left out: it may quote it."""
    if isinstance(error, psycopg.Error) and error.sqlstate:
        return f"PostgreSQL answers {type(error).__name__} ({error.sqlstate})"
    if isinstance(error, psycopg.OperationalError | MigrationError | UnstorableError):
        return str(error).strip()
    if isinstance(error, TimeoutError):
        return f"no answer within {TRANSACTION_LIMIT_S} s"
    return type(error).__name__
