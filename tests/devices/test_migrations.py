"""Migrations on a real server: once, in order, and only where they belong."""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from devices.migrations import MigrationError, migrate, migrations_of
from tests.conftest import Database


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Makes packages of SQL files: call it with the files; each call replaces them all."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "some_migrations"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "README.md").touch()

    def write(**files: str) -> str:
        for old in folder.glob("*.sql"):
            old.unlink()
        for name, text in files.items():
            (folder / f"{name.removeprefix('m')}.sql").write_bytes(text.encode())
        importlib.invalidate_caches()
        return "some_migrations"

    yield write
    sys.modules.pop("some_migrations", None)


FIRST = "create table room.one (a int);\ninsert into room.one values (1);\n"
SECOND = "create table room.two (a int);\n"


@pytest.fixture
async def conn(empty_database: Database) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(empty_database.dsn) as connection:
        yield connection


async def value(conn: psycopg.AsyncConnection, query: str) -> Any:
    async with conn.transaction():
        row = await (await conn.execute(query)).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize("autocommit", [True, False])
async def test_each_file_is_applied_once(
    conn: psycopg.AsyncConnection, package: Callable[..., str], autocommit: Any
) -> None:
    await conn.set_autocommit(autocommit)
    name = package(m0001_one=FIRST)
    assert await migrate(conn, "room", name) == ["0001_one.sql"]
    assert await migrate(conn, "room", name) == []
    package(m0001_one=FIRST, m0002_two=SECOND)
    assert await migrate(conn, "room", name) == ["0002_two.sql"]
    assert await value(conn, "select count(*) from room.one") == 1
    assert await value(
        conn, "select string_agg(name, ' ' order by number) from room.migration"
    ) == ("0001_one.sql 0002_two.sql")


async def test_a_changed_file_is_refused(
    conn: psycopg.AsyncConnection, package: Callable[..., str]
) -> None:
    name = package(m0001_one=FIRST)
    await migrate(conn, "room", name)
    package(m0001_one=FIRST.replace("\n", "\r\n"))
    assert await migrate(conn, "room", name) == []
    package(m0001_one=FIRST + "-- an afterthought\n", m0002_two=SECOND)
    with pytest.raises(MigrationError, match=r"0001_one\.sql of schema room is not the file"):
        await migrate(conn, "room", name)
    assert await value(conn, "select count(*) from room.migration") == 1


async def test_a_newer_database_is_refused(
    conn: psycopg.AsyncConnection, package: Callable[..., str]
) -> None:
    name = package(m0001_one=FIRST, m0002_two=SECOND)
    await migrate(conn, "room", name)
    package(m0001_one=FIRST)
    with pytest.raises(MigrationError, match="newer version"):
        await migrate(conn, "room", name)


async def test_a_failing_file_leaves_nothing_behind(
    conn: psycopg.AsyncConnection, package: Callable[..., str]
) -> None:
    name = package(m0001_one=FIRST, m0002_two=SECOND + "select 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(conn, "room", name)
    assert await value(conn, "select count(*) from room.migration") == 1
    assert await value(conn, "select to_regclass('room.two')::text") is None
    package(m0001_one=FIRST, m0002_two=SECOND)
    assert await migrate(conn, "room", name) == ["0002_two.sql"]


async def test_services_that_start_together_apply_it_once(
    empty_database: Database, package: Callable[..., str]
) -> None:
    name = package(m0001_one=FIRST, m0002_two=SECOND)

    async def start() -> list[str]:
        async with await psycopg.AsyncConnection.connect(empty_database.dsn) as conn:
            return await migrate(conn, "room", name)

    applied = await asyncio.gather(*(start() for _ in range(5)))
    assert sorted(name for names in applied for name in names) == ["0001_one.sql", "0002_two.sql"]


async def test_it_does_not_join_somebody_elses_transaction(
    conn: psycopg.AsyncConnection, package: Callable[..., str]
) -> None:
    await conn.execute("select 1")
    with pytest.raises(MigrationError, match="not inside a transaction"):
        await migrate(conn, "room", package(m0001_one=FIRST))


@pytest.mark.parametrize(
    "files",
    [{}, {"m0002_two": ""}, {"m0001_one": "", "m0003_three": ""}, {"m0001_a": "", "m0001_b": ""}],
)
def test_numbers_run_from_one_without_gaps(
    package: Callable[..., str], files: dict[str, str]
) -> None:
    with pytest.raises(MigrationError, match="count 1, 2, 3"):
        migrations_of(package(**files))


def test_our_own_files_are_in_order() -> None:
    assert migrations_of("devices.sql")[0].name == "0001_caseload.sql"
