"""Looks at the record once a minute: how full the database is, and what waits for people."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg
import structlog

from cordon.embedded.postgres import EmbeddedPostgres
from cordon.settings import Settings
from devices.ending import end_if_told
from devices.instants import Clock
from evidence.capacity import Capacity, Connection, Waiting, read_capacity, read_waiting
from evidence.database import describe

EVERY_S = 60.0
RETRY_S = 5.0
SAID_AT = 2
"""Failed looks in a row at which it is said: the first of a new installation may find no tables yet."""

READ_LIMIT_S = 20
CONNECT_LIMIT_S = 5

ResultT = TypeVar("ResultT")

log = structlog.get_logger("record")


def disk_free_bytes(settings: Settings) -> int | None:
    """Free on the disk of the embedded database; None: the database is another one."""
    directory = Path(settings.state_directory).resolve() / "postgres"
    if settings.database.url or not directory.exists():
        return None
    return shutil.disk_usage(EmbeddedPostgres(directory).directory).free


class RecordWatch:
    """Keeps the newest figures.

    Args:
        dsn: Of the database.
        settings: Of the installation.
        clock: The time.

    Attributes:
        capacity, waiting: None before the first look, and while they cannot be read.
    """

    def __init__(self, dsn: str, settings: Settings, clock: Clock) -> None:
        self.capacity: Capacity | None = None
        self.waiting: Waiting | None = None
        self._dsn = dsn
        self._settings = settings
        self._clock = clock
        self._seen: frozenset[UUID] = frozenset()
        self._failed = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            end_if_told()
            await self.look()
            await asyncio.sleep(EVERY_S if self.capacity else RETRY_S)

    async def look(self) -> None:
        """Look once, and say when somebody has broken the glass."""
        self.capacity = self.waiting = None
        try:
            self.capacity, self.waiting = await self._read()
        except (psycopg.OperationalError, TimeoutError):
            return  # that it is away is told elsewhere
        except psycopg.Error as error:
            self._failed += 1
            if self._failed == SAID_AT:
                log.error(  # noqa: TRY400 - PostgreSQL may quote rows
                    "record_cannot_be_watched",
                    reason=describe(error),
                    what_to_do="start the service of this version once as the owner of the tables",
                )
            return
        self._failed = 0
        seen, self._seen = self._seen, self.waiting.glass
        if self.waiting.glass - seen:
            log.warning(
                "break_glass_waits_for_review",
                waiting=len(self.waiting.glass),
                overdue=self.waiting.glass_overdue,
                what_to_do="somebody else reviews it: cordon evidence review",
            )

    async def _read(self) -> tuple[Capacity, Waiting]:
        now_us, limit = self._clock(), self._settings.database.disk_bytes

        async def act(connection: Connection) -> tuple[Capacity, Waiting]:
            free = disk_free_bytes(self._settings)
            capacity = await read_capacity(connection, now_us, free, limit)
            return capacity, await read_waiting(connection, now_us)

        return await on_a_short_connection(self._dsn, act)


async def on_a_short_connection(
    dsn: str, act: Callable[[Connection], Awaitable[ResultT]]
) -> ResultT:
    """Do something on a connection of its own that nobody waits for long.

    Raises:
        psycopg.Error, TimeoutError: The database does not answer in time.
    """
    async with (
        asyncio.timeout(READ_LIMIT_S + CONNECT_LIMIT_S),
        await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=CONNECT_LIMIT_S
        ) as connection,
    ):
        await connection.execute(f"SET statement_timeout = '{READ_LIMIT_S}s'".encode())
        return await act(connection)
