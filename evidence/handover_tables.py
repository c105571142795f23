"""The tables of a hand-over: everything of both schemas, in an order in which they can be filled."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from graphlib import TopologicalSorter
from typing import Any

import msgspec
import psycopg
from psycopg import sql

Connection = psycopg.AsyncConnection

FORMAT = "cordon-handover/1"
SCHEMAS = ("caseload", "evidence")
LEFT_OUT = ("evidence.migration", "caseload.migration", "evidence.timeline")
"""What says how the tables are laid out: the importing version makes its own."""

LAST = ("caseload.credential_version",)
"""Counts the changes of another table by a trigger, so it is filled after it."""

MANIFEST = "manifest.json"


class HandoverError(RuntimeError):
    """It cannot be written or taken in; the text says why and what to do."""


class File(msgspec.Struct, frozen=True):
    """A file of a hand-over: rows of one table.

    Attributes:
        name: Within the folder.
        columns: Names and PostgreSQL types, in the order of the file.
        from_day, to_day: Days (the second excluded) that a cut table's rows are of; empty: all.
        rows: How many.
        bytes: Of the file.
        sha256: Of the file, hexadecimal.
    """

    name: str
    table: str
    columns: tuple[tuple[str, str], ...]
    from_day: str
    to_day: str
    rows: int
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a hand-over consists of.

    Attributes:
        format: `FORMAT`.
        state: Where the streams and the log stood: the same for every file.
        migrations: By schema, names of the layout's files, in order.
        files: In an order in which they can be taken in.
    """

    format: str
    state: str
    migrations: dict[str, tuple[str, ...]]
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and how it is cut.

    Attributes:
        columns: Names and types of all that are stored, not derived.
        time_column: What it is cut by; empty: it is not cut.
        counters: Columns that the server numbers.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    time_column: str
    width_days: int
    counters: tuple[str, ...]

    @property
    def identifier(self) -> sql.Identifier:
        """For statements."""
        return sql.Identifier(*self.name.split(".", 1))

    @property
    def column_names(self) -> sql.Composed:
        """For statements."""
        return sql.SQL(", ").join(sql.Identifier(name) for name, _ in self.columns)


async def read_tables(connection: Connection) -> list[Table]:
    """All tables, each behind those it refers to."""
    cursor = await connection.execute(_COLUMNS, (list(SCHEMAS),))
    columns: dict[str, list[tuple[str, str]]] = {}
    counters: dict[str, list[str]] = {}
    for table, column, kind, identity in await cursor.fetchall():
        if table not in LEFT_OUT:
            columns.setdefault(table, []).append((column, kind))
            if identity:
                counters.setdefault(table, []).append(column)
    cursor = await connection.execute("SELECT name, time_column, width_days FROM evidence.timeline")
    cut = {f"evidence.{name}": (column, days) for name, column, days in await cursor.fetchall()}
    cursor = await connection.execute(_REFERENCES, (list(SCHEMAS),))
    before: dict[str, set[str]] = {name: set() for name in columns}
    for table, other in await cursor.fetchall():
        if table in before and other in before and table != other:
            before[table].add(other)
    for name in LAST:
        before.get(name, set()).update(columns.keys() - set(LAST))
    return [
        Table(
            name,
            tuple(columns[name]),
            *cut.get(name, ("", 0)),
            tuple(counters.get(name, ())),
        )
        for name in _sorted(before)
    ]


def _sorted(before: Mapping[str, set[str]]) -> list[str]:
    # By name first: the same tables come in the same order everywhere.
    ordered = {name: sorted(before[name]) for name in sorted(before)}
    return list(TopologicalSorter(ordered).static_order())


async def read_migrations(connection: Connection) -> dict[str, tuple[str, ...]]:
    """Names of the migrations that made each schema."""
    found = {}
    for schema in SCHEMAS:
        query = sql.SQL("SELECT name FROM {} ORDER BY number")
        cursor = await connection.execute(query.format(sql.Identifier(schema, "migration")))
        found[schema] = tuple(row[0] for row in await cursor.fetchall())
    return found


async def read_state(connection: Connection) -> str:
    """A digest of where the streams, the log, the caseload and the control records stand."""
    parts: list[Any] = []
    for query in _STATE:
        cursor = await connection.execute(query)
        parts.append(await cursor.fetchall())
    return hashlib.sha256(repr(parts).encode()).hexdigest()


async def days_of(connection: Connection, table: Table) -> list[tuple[date, date]]:
    """The pieces of a cut table that hold rows: first day, and the day behind the last."""
    query = sql.SQL(
        "SELECT DISTINCT floor(evidence.us({time}) / 86400000000::numeric / %s)::int8 FROM {table} "
        "ORDER BY 1"
    ).format(time=sql.Identifier(table.time_column), table=table.identifier)
    cursor = await connection.execute(query, (table.width_days,))
    width = timedelta(days=table.width_days)
    starts = [date(1970, 1, 1) + row[0] * width for row in await cursor.fetchall()]
    return [(start, start + width) for start in starts]


def midnight(day: str) -> datetime:
    """The instant at which a day begins."""
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def same_columns(file: File, table: Table) -> bool:
    """Whether a file fits a table as it is here."""
    return list(file.columns) == list(table.columns)


def names_of(tables: Sequence[Table]) -> dict[str, Table]:
    """By name."""
    return {table.name: table for table in tables}


_COLUMNS = """
    SELECT n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
        a.attidentity <> ''
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY 1, a.attnum
"""
_REFERENCES = """
    SELECT DISTINCT n.nspname || '.' || c.relname, m.nspname || '.' || f.relname
    FROM pg_constraint x
    JOIN pg_class c ON c.oid = x.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_class f ON f.oid = x.confrelid JOIN pg_namespace m ON m.oid = f.relnamespace
    WHERE x.contype = 'f' AND n.nspname = ANY(%s)
"""
_STATE = (
    "SELECT stream, partition, last_sequence FROM evidence.position ORDER BY 1, 2",
    "SELECT log, size, next_transaction FROM evidence.seal_log ORDER BY 1",
    "SELECT max(version) FROM caseload.caseload_version",
    "SELECT version FROM caseload.credential_version",
    (
        "SELECT (SELECT count(*) FROM evidence.access), (SELECT count(*) FROM evidence.access_grant), "
        "(SELECT count(*) FROM evidence.access_revocation), (SELECT count(*) FROM evidence.break_glass), "
        "(SELECT count(*) FROM evidence.break_glass_review), (SELECT count(*) FROM evidence.hold), "
        "(SELECT count(*) FROM evidence.hold_release), (SELECT count(*) FROM evidence.erasure), "
        "(SELECT count(*) FROM evidence.pack_request), (SELECT count(*) FROM evidence.pack_decision), "
        "(SELECT count(*) FROM evidence.pack_use)"
    ),
)
