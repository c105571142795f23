"""Reads the rows that the log covers (`evidence.covered_tables`), as payloads."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from itertools import zip_longest
from typing import Any

import psycopg
from psycopg import sql

from evidence.columns import aggregates
from evidence.covered_payloads import (
    STORED_WIRE,
    DamagedRowsError,
    Stored,
    fix_payloads,
    record_payloads,
)
from evidence.covered_tables import FIX, LAYOUT, RECORDS, Covered
from evidence.log.leaves import Row

__all__ = ["DamagedRowsError", "Span", "covered_tables", "fix_rows", "rows_of", "stored_rows"]

Span = tuple[int, int]
"""Transactions from the first to before the second."""


Found = Sequence[Sequence[Any]]
"""Rows as PostgreSQL gave them."""


async def fix_rows(connection: psycopg.AsyncConnection, span: Span) -> list[Stored]:
    """The fixes that these transactions stored.

    Raises:
        DamagedRowsError: They are not as the schema wants them.
    """
    return _payloads(FIX, await _found(connection, FIX, span), LAYOUT)


async def _found(connection: psycopg.AsyncConnection, table: Covered, span: Span) -> Found:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(_FIXES if table is FIX else _query_of(table), span)
        return await cursor.fetchall()


def _payloads(table: Covered, found: Found, layout: int) -> list[Stored]:
    return fix_payloads(found) if table is FIX else record_payloads(table, found, layout)


async def stored_rows(
    connection: psycopg.AsyncConnection,
    span: Span,
    layout: int = LAYOUT,
    among: Collection[str] | None = None,
) -> list[Stored]:
    """All rows of all covered tables that these transactions stored, by a layout.

    Args:
        connection: In a transaction.
        span: The transactions.
        layout: How payloads are made.
        among: Tables that alone have such rows, where that is known; each costs a search.

    Raises:
        DamagedRowsError: They are not as the schema wants them, or the layout is not known.
    """
    if layout not in RECORDS:
        raise DamagedRowsError(f"layout {layout} is not known to this version")
    tables = [one for one in (*RECORDS[layout], FIX) if among is None or one.name in among]
    rows: list[Stored] = []
    found: Found = await _found(connection, tables[0], span) if tables else []
    for table, following in zip_longest(tables, tables[1:]):
        # The server looks for the rows of the next table meanwhile. In a thread: other work on the
        # event loop must not wait for a large batch.
        finding = asyncio.create_task(_found(connection, following, span)) if following else None
        try:
            rows += await asyncio.to_thread(_payloads, table, found, layout) if found else []
        finally:
            found = await finding if finding else []
    return rows


async def rows_of(
    connection: psycopg.AsyncConnection, span: Span, among: Collection[str] | None = None
) -> list[Row]:
    """The same rows by the newest layout, without the transactions."""
    return [row for _, row in await stored_rows(connection, span, LAYOUT, among)]


async def stored_per_transaction(
    connection: psycopg.AsyncConnection, span: Span
) -> list[tuple[int, int, list[str]]]:
    """Transactions of a span that stored covered rows, in order: how many, in which tables."""
    cursor = await connection.execute(_COUNTS, {"from": span[0], "to": span[1]})
    return [(int(row[0]), int(row[1]), row[2]) for row in await cursor.fetchall()]


def covered_tables(layout: int = LAYOUT) -> tuple[Covered, ...]:
    """Every table the log covers."""
    return (FIX, *RECORDS[layout])


def _query_of(table: Covered) -> sql.Composed:
    subject: sql.Composable = sql.SQL("''")
    if table.subject:
        subject = sql.SQL("coalesce({}, '')").format(sql.Identifier(table.subject))
    return sql.SQL(
        "SELECT stored_in, {subject}, timestamptz_send({time}), {columns} FROM evidence.{table} "
        "WHERE stored_in >= %s AND stored_in < %s"
    ).format(
        subject=subject,
        time=sql.Identifier(table.time),
        columns=sql.SQL(", ").join(_column(*column) for column in table.columns),
        table=sql.Identifier(table.name),
    )


def _column(name: str, kind: str) -> sql.Composable:
    """Instants raw: as numbers the server would have to reckon with decimals."""
    column = sql.Identifier(name)
    if kind == "time":
        return sql.SQL("timestamptz_send({})").format(column)
    return sql.SQL("{}::text").format(column) if kind == "text" else column


_FIXES = sql.SQL(
    "SELECT device, {} FROM evidence.fix WHERE stored_in >= %s AND stored_in < %s GROUP BY device"
).format(aggregates(STORED_WIRE))

_COUNTS = sql.SQL(
    "SELECT stored_in, sum(n)::int8, array_agg(name) FROM ({}) AS every GROUP BY stored_in ORDER BY stored_in"
).format(
    sql.SQL(" UNION ALL ").join(
        sql.SQL(
            "SELECT stored_in, count(*) AS n, {}::text AS name FROM evidence.{} "
            "WHERE stored_in >= %(from)s AND stored_in < %(to)s GROUP BY 1"
        ).format(sql.Literal(table.name), sql.Identifier(table.name))
        for table in covered_tables()
    )
)
