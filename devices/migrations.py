"""Forward-only migrations: numbered SQL files of a package, each applied once.

What was applied is recorded in the table ``migration`` of the schema, with the checksum of the
file, so that a database made by other files than those at hand is noticed instead of used.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

import psycopg
from psycopg import pq, sql

_FILE = re.compile(r"(?P<number>\d{4})_[a-z0-9_]+\.sql")


class MigrationError(RuntimeError):
    """The database and the migrations at hand do not belong together."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file.

    Attributes:
        number: From 1, without gaps.
        checksum: SHA-256 of the text in hexadecimal, whatever line ends the file has.
    """

    number: int
    name: str
    text: str
    checksum: str


def migrations_of(package: str) -> list[Migration]:
    """The files ``NNNN_name.sql`` of a package, by number.

    Raises:
        MigrationError: Numbers that are missing or given twice.
    """
    found = []
    for entry in resources.files(package).iterdir():
        match = _FILE.fullmatch(entry.name)
        if match is not None:
            text = entry.read_bytes().decode().replace("\r\n", "\n")
            checksum = hashlib.sha256(text.encode()).hexdigest()
            found.append(Migration(int(match["number"]), entry.name, text, checksum))
    found.sort(key=lambda migration: migration.name)
    numbers = [migration.number for migration in found]
    if not numbers or numbers != list(range(1, len(found) + 1)):
        raise MigrationError(f"{package} numbers its migrations {numbers}; count 1, 2, 3, ...")
    return found


async def migrate(conn: psycopg.AsyncConnection, schema: str, package: str) -> list[str]:
    """Brings a schema up to date and says which files that took.

    Each file runs in a transaction of its own, together with its record, under an advisory lock
    that lets several services start at the same moment.

    Args:
        conn: Idle: not inside a transaction.
        schema: Created if it is not there.
        package: Holds the SQL files, which name the schema themselves.

    Raises:
        MigrationError: An applied file was changed, the database is newer than this version, or
            the connection is busy.
        psycopg.Error: A file failed; the ones before it stay applied.
    """
    if conn.info.transaction_status != pq.TransactionStatus.IDLE:
        raise MigrationError("migrate needs a connection that is not inside a transaction")
    migrations = migrations_of(package)
    await _prepare(conn, schema)
    return [
        migration.name
        for migration in migrations
        if await _apply(conn, schema, migration, migrations)
    ]


async def _prepare(conn: psycopg.AsyncConnection, schema: str) -> None:
    """Creates the schema and its record of migrations."""
    async with conn.transaction():
        await _lock(conn, schema)
        exists = await conn.execute(
            "select 1 from pg_catalog.pg_tables where schemaname = %s and tablename = 'migration'",
            [schema],
        )
        if await exists.fetchone() is not None:
            return  # `if not exists` alone would send a notice at every start
        name = sql.Identifier(schema)
        await conn.execute(sql.SQL("create schema if not exists {}").format(name))
        await conn.execute(
            sql.SQL(
                "create table {}.migration ("
                " number integer primary key,"
                " name text not null,"
                " checksum text not null,"
                " applied_at timestamptz not null default clock_timestamp())"
            ).format(name)
        )


async def _apply(
    conn: psycopg.AsyncConnection, schema: str, migration: Migration, known: list[Migration]
) -> bool:
    """Applies one file unless it is; whether it did."""
    async with conn.transaction():
        await _lock(conn, schema)
        if migration.number in await _verify(conn, schema, known):
            return False
        await conn.execute(migration.text.encode())
        await conn.execute(
            sql.SQL("insert into {}.migration (number, name, checksum) values (%s, %s, %s)").format(
                sql.Identifier(schema)
            ),
            [migration.number, migration.name, migration.checksum],
        )
        return True


async def _lock(conn: psycopg.AsyncConnection, schema: str) -> None:
    """Waits for other migrations of this schema; released at the end of the transaction."""
    await conn.execute(
        "select pg_advisory_xact_lock(hashtextextended('cordon.migrate.' || %s, 0))", [schema]
    )


async def _verify(conn: psycopg.AsyncConnection, schema: str, known: list[Migration]) -> set[int]:
    """The numbers applied so far.

    Raises:
        MigrationError: One of them is not the file of that number here.
    """
    rows = await conn.execute(
        sql.SQL("select number, name, checksum from {}.migration order by number").format(
            sql.Identifier(schema)
        )
    )
    applied = set()
    here = {migration.number: migration for migration in known}
    async for number, name, checksum in rows:
        migration = here.get(number)
        if migration is None:
            raise MigrationError(
                f"schema {schema} has migration {name}, which this version does not know: a newer "
                "version has used this database; start that version, or restore a backup"
            )
        if migration.checksum != checksum:
            raise MigrationError(
                f"migration {name} of schema {schema} is not the file that was applied; restore "
                "the file as released and put the change into a new one"
            )
        applied.add(number)
    return applied
