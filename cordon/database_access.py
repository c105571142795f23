"""The database, for commands that are given beside a running service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import CordonError
from cordon.settings import Settings

START_FIRST = (
    "Start the service first: `cordon serve`, or `cordon demo`, whose state is in .cordon/demo "
    "(cordon --state .cordon/demo COMMAND ...). Or name a database with CORDON_DATABASE_URL."
)

ResultT = TypeVar("ResultT")


def dsn_of(settings: Settings) -> str:
    """Of the database that the settings name, or of the embedded one.

    Raises:
        CordonError: There is no embedded one yet.
    """
    directory = Path(settings.state_directory).resolve() / "postgres"
    if not settings.database.url and not directory.exists():
        raise CordonError(f"There is no database in {directory}. {START_FIRST}")
    return settings.database.url or EmbeddedPostgres(directory).dsn


def run_on_database(settings: Settings, work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run something that asks the database.

    Raises:
        CordonError: It does not answer.
    """
    try:
        return asyncio.run(work)
    except psycopg.OperationalError as error:
        what_to_do = "Check database.url in the settings." if settings.database.url else START_FIRST
        raise CordonError(f"The database cannot be reached: {error} {what_to_do}") from error


def run_on_connection(
    settings: Settings,
    act: Callable[[psycopg.AsyncConnection], Awaitable[ResultT]],
    *refusals: type[Exception],
) -> ResultT:
    """Do something with one connection, in autocommit mode and UTC. What is committed is on disk.

    Args:
        settings: Which database.
        act: What to do.
        refusals: Errors whose text is for people.

    Raises:
        CordonError: The database does not answer, is of an older version or refuses this login, or
            one of `refusals` was raised.
    """

    async def run() -> ResultT:
        async with await psycopg.AsyncConnection.connect(
            dsn_of(settings), autocommit=True, options="-c timezone=UTC -c synchronous_commit=on"
        ) as connection:
            return await act(connection)

    try:
        return run_on_database(settings, run())
    except refusals as error:
        raise CordonError(str(error)) from error
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedColumn,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ) as error:
        raise CordonError(
            "The database is of an older version: start the service of this version once."
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise CordonError(
            f"This login of the database may not do it ({error.diag.message_primary}). Which may: "
            "docs/operations.md, Who may read the history."
        ) from error
