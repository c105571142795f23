"""Holds what a replay made against what is stored."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from cordon.replaying.collected import TABLES, Collected, Compared, Key, Made
from devices.instants import from_datetime, to_datetime, to_iso

Connection = psycopg.AsyncConnection


class Difference(msgspec.Struct, frozen=True):
    """A row that is stored otherwise than it was decided again.

    Attributes:
        at: When it was decided.
        table: Of the schema `evidence`.
        row: What names it there.
        kind: ``changed``; ``missing``: it is not stored; ``added``: it is stored and was not decided.
        column: Of a changed row, the first that differs.
        stored, computed: Its values, as text.
        after: Name of the batch taken in last before.
    """

    at: str
    table: str
    row: dict[str, str]
    kind: str
    column: str
    stored: str
    computed: str
    after: str

    def __str__(self) -> str:
        """For people."""
        names = ", ".join(f"{name} {value}" for name, value in self.row.items())
        what = {
            "changed": f"{self.column} is stored as {self.stored} and computed as {self.computed}",
            "missing": "it was decided, and is not stored",
            "added": "it is stored, and was not decided",
        }[self.kind]
        after = f" (after batch {self.after})" if self.after else ""
        return f"{self.table} of {self.at}: {names}: {what}{after}"


@dataclass(slots=True)
class Comparison:
    """What came of it.

    Attributes:
        stored: Rows stored in the window.
        equal: Of these, equal to the bit.
        unrecorded: Rows made between the last checkpoint of a run and its end that are not stored:
            whether that run came so far is not known.
        differences: In the order of time.
    """

    stored: int
    equal: int
    unrecorded: int
    differences: list[Difference]


async def compare(
    connection: Connection, made: Collected, wanted: Sequence[Mapping[str, set[str]]] = ()
) -> Comparison:
    """Compare all tables.

    Args:
        connection: In the transaction that the replay read in.
        made: What it made.
        wanted: By column, values of which a row must have one: any of these maps is enough; empty:
            all rows.
    """
    found = Comparison(0, 0, 0, [])
    for compared in TABLES.values():
        judge(compared, await _stored(connection, compared, made), made, found, wanted)
    found.differences.sort(key=lambda one: (one.at, one.table, str(one.row)))
    return found


def judge(
    compared: Compared,
    stored: Mapping[Key, Mapping[str, Any]],
    made: Collected,
    found: Comparison,
    wanted: Sequence[Mapping[str, set[str]]] = (),
) -> None:
    """Compare one table; `found` grows."""
    versions = {key: rows for key, rows in made.made.items() if key[0] == compared.table.name}
    for key in sorted(stored.keys() | versions.keys(), key=str):
        row = stored.get(key)
        rows = versions.get(key, [])
        if not wanted or _concerns(row or rows[0].values, wanted):
            _judge_row(compared, row, rows, found)


def _judge_row(
    compared: Compared, row: Mapping[str, Any] | None, rows: Sequence[Made], found: Comparison
) -> None:
    if row is None:
        if all(one.unsure for one in rows):
            found.unrecorded += 1
        else:
            sure = next(one for one in rows if not one.unsure)
            found.differences.append(_difference(compared, "missing", sure.values, sure.after))
        return
    found.stored += 1
    if not rows:
        found.differences.append(_difference(compared, "added", row, ""))
        return
    unequal = [_first_unequal(compared, row, one.values) for one in rows]
    if None in unequal:
        found.equal += 1
        return
    column = unequal[-1]
    assert column is not None, "all differ"
    found.differences.append(
        _difference(compared, "changed", row, rows[-1].after, column, rows[-1])
    )


def _first_unequal(
    compared: Compared, stored: Mapping[str, Any], computed: Mapping[str, Any]
) -> str | None:
    names = compared.columns
    return next((name for name in names if not _same(stored[name], computed[name])), None)


def _same(one: object, other: object) -> bool:
    """Equal to the bit; all that is no number is one."""
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or (
            struct.pack("<d", one) == struct.pack("<d", other)
        )
    return one == other


def _difference(
    compared: Compared,
    kind: str,
    row: Mapping[str, Any],
    after: str,
    column: str = "",
    made: Made | None = None,
) -> Difference:
    return Difference(
        at=_text(row[compared.time]),
        table=compared.table.name,
        row={name: _text(row[name]) for name in compared.key if name != compared.time},
        kind=kind,
        column=column,
        stored=_text(row[column]) if column else "",
        computed=_text(made.values[column]) if made else "",
        after=after,
    )


def _text(value: object) -> str:
    return to_iso(from_datetime(value)) if isinstance(value, datetime) else repr(value).strip("'")


def _concerns(row: Mapping[str, Any], wanted: Sequence[Mapping[str, set[str]]]) -> bool:
    return any(all(row.get(column) in values for column, values in one.items()) for one in wanted)


async def _stored(
    connection: Connection, compared: Compared, made: Collected
) -> dict[Key, dict[str, Any]]:
    names = [name for name, _ in compared.table.columns]
    query = sql.SQL("SELECT {} FROM evidence.{} WHERE {time} >= %s AND {time} < %s").format(
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.Identifier(compared.table.name),
        time=sql.Identifier(compared.time),
    )
    # Binary: a float keeps its bits.
    async with connection.cursor(row_factory=dict_row, binary=True) as cursor:
        await cursor.execute(query, (to_datetime(made.from_us), to_datetime(made.to_us)))
        return {compared.key_of(row): row for row in await cursor.fetchall()}
