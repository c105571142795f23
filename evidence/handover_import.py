"""Takes a hand-over in, into a database that holds nothing: all of it, or nothing.

Every file is checked before the first row is stored. What an interrupted call took in is remembered in
the schema `handover`, so the next one goes on behind it.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from evidence.handover_tables import (
    FORMAT,
    MANIFEST,
    File,
    HandoverError,
    Manifest,
    Table,
    names_of,
    read_migrations,
    read_state,
    read_tables,
    same_columns,
)
from evidence.partitions import ensure, read_timelines

Connection = psycopg.AsyncConnection
Tell = Callable[[str], None]

CHUNK_BYTES = 256 * 1024
_EPOCH = date(1970, 1, 1)
_FILLED = ("caseload.credential_version", "evidence.caseload_kept")
"""Tables that the migrations themselves put rows into."""


def check_folder(folder: Path, tell: Tell) -> Manifest:
    """See that a hand-over is whole.

    Raises:
        HandoverError: Naming what is wrong.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except OSError as error:
        raise HandoverError(
            f"{folder} holds no {MANIFEST}: it is no hand-over, or one that was not finished."
        ) from error
    except msgspec.DecodeError as error:
        raise HandoverError(f"{folder / MANIFEST} is damaged: {error}") from error
    if manifest.format != FORMAT:
        raise HandoverError(f"{folder} is of the format {manifest.format}; this reads {FORMAT}.")
    for number, file in enumerate(manifest.files, 1):
        tell(f"Checking {number} of {len(manifest.files)}: {file.name}")
        _check_file(folder, file)
    return manifest


def _check_file(folder: Path, file: File) -> None:
    path = folder / file.name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise HandoverError(f"{MANIFEST} names a file outside its folder: {file.name}")
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise HandoverError(
            f"{file.name} is missing or cannot be read. Nothing was imported; get the folder anew."
        ) from error
    if digest != file.sha256:
        raise HandoverError(
            f"{file.name} is damaged or was altered: its SHA-256 is {digest}, and {MANIFEST} says "
            f"{file.sha256}. Nothing was imported; get the folder anew."
        )


async def take_over(connection: Connection, folder: Path, tell: Tell) -> Manifest:
    """Import a hand-over.

    Args:
        connection: In autocommit mode, with the time zone UTC; both schemas are migrated.
        folder: The hand-over.
        tell: Where progress goes.

    Raises:
        HandoverError: It is damaged, does not fit, or the database holds something else. Then
            nothing of it was imported.
    """
    manifest = await asyncio.to_thread(check_folder, folder, tell)
    tables = names_of(await read_tables(connection))
    await _check_fits(connection, manifest, tables)
    done = await _done(connection, manifest)
    begun = {file.table for file in manifest.files if file.name in done}
    await _see_empty(connection, [table for name, table in tables.items() if name not in begun])
    await _begin(connection, manifest)
    for number, file in enumerate(manifest.files, 1):
        if file.name in done:
            continue
        tell(f"Importing {number} of {len(manifest.files)}: {file.name}")
        table = tables[file.table]
        await _make_room(connection, file)
        async with connection.transaction():
            if file.table in _FILLED:  # the hand-over has its own
                await connection.execute(sql.SQL("DELETE FROM {}").format(table.identifier))
            await _copy(connection, folder, file, table)
            await connection.execute("INSERT INTO handover.imported VALUES (%s)", (file.name,))
    async with connection.transaction():
        for table in tables.values():
            await _set_counters(connection, table)
        await connection.execute("DROP SCHEMA handover CASCADE")
    if await read_state(connection) != manifest.state:
        raise HandoverError("What is stored now is not what was handed over: look at both.")
    return manifest


async def _check_fits(connection: Connection, manifest: Manifest, tables: dict[str, Table]) -> None:
    here = await read_migrations(connection)
    if manifest.migrations != here:
        raise HandoverError(
            "The hand-over is of a version with another layout: "
            f"{manifest.migrations} there, {here} here. Import with that version, then update."
        )
    for file in manifest.files:
        if file.table not in tables or not same_columns(file, tables[file.table]):
            raise HandoverError(f"{file.name} does not fit the table {file.table} of this version.")


async def _done(connection: Connection, manifest: Manifest) -> set[str]:
    """The files that an interrupted import took in."""
    cursor = await connection.execute("SELECT to_regclass('handover.imported') IS NOT NULL")
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return set()
    cursor = await connection.execute("SELECT state FROM handover.begun")
    begun = await cursor.fetchone()
    if begun is None or begun[0] != manifest.state:
        raise HandoverError(
            "Another hand-over was begun in this database and not finished. Finish that one, or "
            "import into a new database."
        )
    cursor = await connection.execute("SELECT name FROM handover.imported")
    return {found[0] for found in await cursor.fetchall()}


async def _see_empty(connection: Connection, tables: Iterable[Table]) -> None:
    for table in tables:
        query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(table.identifier)
        filled = table.name in _FILLED
        if not filled and await (await connection.execute(query)).fetchone() is not None:
            raise HandoverError(
                f"The database is not empty: {table.name} holds rows. Import into a new database, "
                "before the service has been started on it."
            )


async def _begin(connection: Connection, manifest: Manifest) -> None:
    async with connection.transaction():
        cursor = await connection.execute("SELECT to_regnamespace('handover') IS NULL")
        if await cursor.fetchone() == (True,):
            await connection.execute("CREATE SCHEMA handover")
            await connection.execute("CREATE TABLE handover.begun (state text NOT NULL)")
            await connection.execute("CREATE TABLE handover.imported (name text PRIMARY KEY)")
            await connection.execute("INSERT INTO handover.begun VALUES (%s)", (manifest.state,))


async def _make_room(connection: Connection, file: File) -> None:
    if file.from_day:
        timelines = await read_timelines(connection)
        day = (date.fromisoformat(file.from_day) - _EPOCH).days
        await ensure(connection, [(timelines[file.table.split(".", 1)[1]], [day])])


async def _copy(connection: Connection, folder: Path, file: File, table: Table) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT CSV, HEADER MATCH)").format(
        table.identifier, table.column_names
    )
    async with connection.cursor() as cursor:
        with gzip.open(folder / file.name, "rb") as packed:
            async with cursor.copy(query) as into:
                while piece := await asyncio.to_thread(packed.read, CHUNK_BYTES):
                    await into.write(piece)
        if cursor.rowcount != file.rows:
            raise HandoverError(f"{file.name} holds {cursor.rowcount} rows, not {file.rows}.")


async def _set_counters(connection: Connection, table: Table) -> None:
    for column in table.counters:
        await connection.execute(
            sql.SQL(
                "SELECT setval(pg_get_serial_sequence({name}, {text}), greatest(max({column}), 1)) "
                "FROM {table}"
            ).format(
                name=sql.Literal(table.name),
                text=sql.Literal(column),
                column=sql.Identifier(column),
                table=table.identifier,
            )
        )
