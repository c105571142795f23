"""Writes everything that is stored into a folder, for another installation or another program.

docs/handover.md describes it for whoever reads it without this program. A second call goes on where
the first was interrupted, as long as nothing was stored in between.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from devices.durable import force, force_all, write_durably
from evidence.handover_tables import (
    FORMAT,
    MANIFEST,
    File,
    HandoverError,
    Manifest,
    Table,
    days_of,
    midnight,
    read_migrations,
    read_state,
    read_tables,
)
from evidence.private_folder import make_private

Connection = psycopg.AsyncConnection
Tell = Callable[[str], None]

PROGRESS = "progress.jsonl"
"""While it is being written: the state on the first line, then a `File` a line."""

GZIP_LEVEL = 6


async def hand_over(
    connection: Connection, folder: Path, record: Callable[[], Awaitable[None]], tell: Tell
) -> Manifest:
    """Write a hand-over.

    Args:
        connection: In autocommit mode, with the time zone UTC. Its role reads every table.
        folder: Empty, or one that was begun. Only its owner reads it: salts and keys are in it.
        record: Commits who takes it out, before anything is read. Not called again for a folder
            that was begun.
        tell: Where progress goes.

    Raises:
        HandoverError: The folder holds something else, or things were stored meanwhile.
    """
    begun = await asyncio.to_thread(_is_begun, folder)
    if not begun:
        await record()  # what is stored afterwards would be of another state
    state = await read_state(connection)
    done = await asyncio.to_thread(_go_on if begun else _begin, folder, state)
    tables = await read_tables(connection)
    wanted = [piece for table in tables for piece in await _pieces(connection, table)]
    files = []
    for number, (table, from_day, to_day) in enumerate(wanted, 1):
        name = f"data/{table.name}{f'.{from_day}' if from_day else ''}.csv.gz"
        file = done.get(name)
        if file is None:
            tell(f"{number} of {len(wanted)}: {name}")
            file = await _write(connection, folder, name, table, from_day, to_day)
            await asyncio.to_thread(_note, folder, file)
        files.append(file)
    if await read_state(connection) != state:
        raise HandoverError(
            "Things were stored meanwhile, so the files are not of one state. Stop the service, and "
            "write into an empty folder."
        )
    manifest = Manifest(FORMAT, state, await read_migrations(connection), tuple(files))
    await asyncio.to_thread(_finish, folder, manifest)
    return manifest


async def _pieces(connection: Connection, table: Table) -> list[tuple[Table, str, str]]:
    if not table.time_column:
        return [(table, "", "")]
    days = await days_of(connection, table)
    return [(table, first.isoformat(), behind.isoformat()) for first, behind in days]


async def _write(
    connection: Connection, folder: Path, name: str, table: Table, from_day: str, to_day: str
) -> File:
    where: sql.Composable = sql.SQL("")
    if from_day:
        where = sql.SQL("WHERE {time} >= {first} AND {time} < {behind}").format(
            time=sql.Identifier(table.time_column),
            first=sql.Literal(midnight(from_day)),
            behind=sql.Literal(midnight(to_day)),
        )
    query = sql.SQL("COPY (SELECT {} FROM {} {}) TO STDOUT (FORMAT CSV, HEADER)").format(
        table.column_names, table.identifier, where
    )
    part = folder / f"{name}.part"
    async with connection.cursor() as cursor:
        with part.open("wb") as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
            async with cursor.copy(query) as out:
                async for piece in out:
                    packed.write(piece)
        rows = cursor.rowcount
    digest, size = await asyncio.to_thread(_settle, part, folder / name)
    return File(name, table.name, table.columns, from_day, to_day, rows, size, digest)


def _is_begun(folder: Path) -> bool:
    """Whether it is one that was begun; else it is empty, and ours alone."""
    if (folder / MANIFEST).exists():
        raise HandoverError(f"{folder} holds a hand-over that is complete. Name an empty folder.")
    if (folder / PROGRESS).exists():
        return True
    try:
        make_private(folder)
    except FileExistsError as error:
        raise HandoverError(f"{error}. Name an empty folder.") from error
    except OSError as error:
        raise HandoverError(f"{folder} cannot be written: {error.strerror}.") from error
    return False


def _begin(folder: Path, state: str) -> dict[str, File]:
    (folder / "data").mkdir()
    write_durably(folder / PROGRESS, f"{state}\n".encode())
    return {}


def _go_on(folder: Path, state: str) -> dict[str, File]:
    """The files that are done."""
    progress = folder / PROGRESS
    first, *lines = progress.read_text().splitlines()
    if first != state:
        raise HandoverError(
            f"Since {folder} was begun, things were stored. Stop the service, and write into an "
            "empty folder."
        )
    files = []
    for line in lines:
        try:
            files.append(msgspec.json.decode(line, type=File))
        except msgspec.DecodeError:  # cut short: that file is written again
            break
    kept = b"".join(msgspec.json.encode(file) + b"\n" for file in files)
    write_durably(progress, f"{state}\n".encode() + kept)
    return {file.name: file for file in files}


def _note(folder: Path, file: File) -> None:
    with (folder / PROGRESS).open("ab") as out:
        out.write(msgspec.json.encode(file) + b"\n")
        out.flush()
        os.fsync(out.fileno())


def _settle(part: Path, target: Path) -> tuple[str, int]:
    with part.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    part.rename(target)
    force(target.parent)
    return digest, target.stat().st_size


def _finish(folder: Path, manifest: Manifest) -> None:
    force_all(folder)
    write_durably(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    (folder / PROGRESS).unlink()
