"""A store and direct access to what it stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from evidence.store import Store
from tests.conftest import Database


class Probe:
    """Asks the database directly, past the code under test."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, options="-c timezone=UTC") as connection:
            return connection.execute(query.encode(), values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        [[found]] = self.ask(query, *values)
        return found

    def count(self, table: str) -> int:
        return int(self.value(f"SELECT count(*) FROM evidence.{table}"))


@pytest.fixture
async def store(database: Database) -> AsyncIterator[Store]:
    store = Store(database.dsn)
    await store.migrate()
    yield store
    await store.close()


@pytest.fixture
def probe(database: Database) -> Probe:
    return Probe(database.dsn)


@pytest.fixture
async def connection(store: Store, database: Database) -> AsyncIterator[psycopg.AsyncConnection]:
    """As the login that owns the tables."""
    assert store is not None
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True, options="-c timezone=UTC"
    ) as found:
        yield found
