"""What the history costs on a real server: storing, sealing, reading a device's day, replaying.

A day of fixes, ten seconds apart, of as many devices as make the rows asked for. It goes through the
service's own store, sealer and replay. The server is an embedded one, or the one named.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Self, cast

import msgspec
import psycopg
from psycopg import conninfo, sql

from benchmarks.evidence_day import DAY, FIXES_A_DAY, START_US, again, entries_of
from benchmarks.evidence_erasing import erase_hour_s
from benchmarks.evidence_filling import fill, sealer_of, store_all
from benchmarks.evidence_replay import (
    NOT_REPLAYED,
    DayReplayed,
    decide_day,
    replay_day,
    replay_near,
)
from cordon.embedded.postgres import EmbeddedPostgres
from evidence.closing import close_days
from evidence.store import Store
from evidence.transitions import read_device_fixes

DAYS_READ = 20

Tell = Callable[[str], None]


class StoreReport(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of one run.

    Attributes:
        server: What it ran on.
        rows_per_s: Fixes stored, each with its message as received, duplicates sought, journal
            position moved, while a sealer is at work in a process of its own: by the clock, from
            the first to when the last is sealed.
        store_rows_per_s: The same while nothing is sealed.
        seal_store_rows_per_s: Fixes (each with its message) sealed while nothing is stored.
        seal_store_us_per_row: Processor time of this process for sealing a row (a fix or a message)
            out of the database; the server's is not in it.
        again_rows_per_s: The same batches once more: what is stored is found and left out.
        bytes_per_row, bytes_per_row_closed: Of a decoded fix with its indexes, before and after its
            day is closed.
        bytes_per_row_compressed: The latter on TimescaleDB; null elsewhere.
        payload_bytes_per_row: Of the message as received, beside it.
        device_day_ms: Reading a day of one device, warm, the day closed; `device_day_open_ms`: not.
        device_day_cold_ms: The first after a restart of the server; null where that is not ours.
        replay_fixes_per_s: `cordon replay` over the day, reading included, by the clock; null where it
            was left out. Pairs live as far apart as in the ordinary town of `cordon bench engine`.
        replay_equal: Decisions and findings that came out equal, of those stored.
        replay_near_fixes_per_s, replay_near_equal: The same where all pairs are near each other all
            day, and no sweep passes any of them by (see `benchmarks.evidence_day`).
        erase_hour_s: Erasing an hour out of a day of one device (86,400 fixes, or as many as `rows`,
            each with its message) in a database of its own, by the clock.
    """

    server: str
    rows: int
    devices: int
    rows_per_s: float
    store_rows_per_s: float
    seal_store_rows_per_s: float
    seal_store_us_per_row: float
    again_rows_per_s: float
    bytes_per_row: float
    bytes_per_row_closed: float
    bytes_per_row_compressed: float | None
    payload_bytes_per_row: float
    device_day_ms: float
    device_day_open_ms: float
    device_day_cold_ms: float | None
    replay_fixes_per_s: float | None
    erase_hour_s: float
    replay_equal: str
    replay_near_fixes_per_s: float | None
    replay_near_equal: str


def run_store(rows: int, dsn: str, tell: Tell, *, replayed: bool = True) -> StoreReport:
    """Measure on a server.

    Args:
        rows: Fixes; at least two devices' day.
        dsn: Of a server on which a database may be made; empty: an embedded one.
        tell: Where progress goes.
        replayed: Decide the day, and replay it: at millions of fixes that takes the longest.
    """
    asked = (rows, replayed)
    with tempfile.TemporaryDirectory(prefix="cordon-bench-") as folder:
        if dsn:
            return asyncio.run(_run(_Server(dsn), asked, Path(folder), tell))
        embedded = EmbeddedPostgres(Path(folder) / "postgres")
        embedded.start()
        try:
            return asyncio.run(_run(_Server(embedded.dsn, embedded), asked, Path(folder), tell))
        finally:
            embedded.stop()


@dataclass
class _Server:
    """A server, and a database of our own on it."""

    admin_dsn: str
    embedded: EmbeddedPostgres | None = None
    name: str = field(default_factory=lambda: f"cordon_bench_{secrets.token_hex(4)}")

    @property
    def dsn(self) -> str:
        return conninfo.make_conninfo(self.admin_dsn, dbname=self.name)

    def __enter__(self) -> Self:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(self.name)))
        return self

    def __exit__(self, *_: object) -> None:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(self.name))
            )

    def restart(self) -> bool:
        """Where it is ours. Here, as it ends with the thread that started it."""
        if self.embedded is not None:
            self.ask("CHECKPOINT")  # what is left to write would take longer than a stop may
            self.embedded.stop()
            self.embedded.start()
        return self.embedded is not None

    def describe(self) -> str:
        [version] = self.ask("SELECT current_setting('server_version')")[0]
        found = self.ask("SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
        return f"PostgreSQL {version}" + (f", TimescaleDB {found[0][0]}" if found else "")

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []


async def _run(server: _Server, asked: tuple[int, bool], folder: Path, tell: Tell) -> StoreReport:
    rows, replayed = asked
    devices = max(2, rows // FIXES_A_DAY // 2 * 2)
    with _Server(server.admin_dsn) as other, tempfile.TemporaryDirectory(dir=folder) as keys:
        erase_s = await erase_hour_s(other.dsn, rows, Path(keys), tell)
    with server:
        report = await _measure(server, devices, folder, tell, replayed=replayed)
    return msgspec.structs.replace(report, erase_hour_s=erase_s)


async def _measure(
    server: _Server, devices: int, folder: Path, tell: Tell, *, replayed: bool
) -> StoreReport:
    rows = devices * FIXES_A_DAY
    store = Store(server.dsn)
    await store.migrate()
    if replayed:
        tell("Deciding, for something to replay")
        await decide_day(store, server.dsn, devices)
    await sealer_of(server.dsn, folder).turn()  # the log begins; what is before is not in it
    filled = await fill(store, server.dsn, entries_of(devices), devices, folder, tell)
    server.ask("VACUUM ANALYZE evidence.fix")
    bytes_open = _bytes(server, "fix") / rows
    tell("Reading days of devices")
    open_ms = await _days_ms(server.dsn, devices)
    far = near = NOT_REPLAYED
    if replayed:
        tell("Replaying")
        far = await replay_day(server.dsn)
        tell("Replaying pairs that are near each other all day")
        near = await _near(server, devices)
    tell("Storing the same again")
    few = again(entries_of(devices), 50)
    doubles = [(FIXES_A_DAY + position, batch) for position, batch in enumerate(few, 1)]
    again_s = await store_all(store, doubles)
    await store.close()
    tell("Closing the day")
    await _close(server.dsn)
    bytes_closed = _bytes(server, "fix") / rows
    closed_ms = await _days_ms(server.dsn, devices)
    described = server.describe()
    return StoreReport(
        server=described,
        rows=rows,
        devices=devices,
        rows_per_s=filled.both_rows / filled.both_s,
        store_rows_per_s=filled.alone_rows / filled.alone_s,
        seal_store_rows_per_s=filled.alone_rows / filled.seal_s,
        seal_store_us_per_row=filled.seal_cpu_s / (2 * filled.alone_rows) * 1e6,
        again_rows_per_s=sum(len(batch.fixes) for _, batch in doubles) / again_s,
        bytes_per_row=bytes_open,
        bytes_per_row_closed=bytes_closed,
        bytes_per_row_compressed=bytes_closed if "TimescaleDB" in described else None,
        payload_bytes_per_row=_bytes(server, "message") / rows,
        device_day_ms=closed_ms,
        device_day_open_ms=open_ms,
        device_day_cold_ms=await _cold_ms(server, devices),
        replay_fixes_per_s=far.fixes_per_s,
        erase_hour_s=math.nan,  # measured apart
        replay_equal=far.equal,
        replay_near_fixes_per_s=near.fixes_per_s,
        replay_near_equal=near.equal,
    )


async def _near(server: _Server, devices: int) -> DayReplayed:
    """The replay of a near day, stored in a database of its own."""
    with _Server(server.admin_dsn) as other:
        return await replay_near(other.dsn, devices)


# -- what is measured -----------------------------------------------------------------------


async def _days_ms(dsn: str, devices: int) -> float:
    """Median of some devices' days, each read a second time."""
    names = [f"tag-{i}" for i in range(min(DAYS_READ, devices // 2))]
    taken = []
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        for name in names:
            await _day(connection, name)
            taken.append(await _day(connection, name))
    return median(taken)


async def _day(connection: psycopg.AsyncConnection, name: str) -> float:
    began_s = time.perf_counter()
    read = await read_device_fixes(connection, [name], START_US, START_US + 86_400_000_000 - 1)
    assert len(read[name]) == FIXES_A_DAY, "a day is whole"
    return (time.perf_counter() - began_s) * 1000


async def _cold_ms(server: _Server, devices: int) -> float | None:
    if not server.restart():
        return None
    async with await psycopg.AsyncConnection.connect(server.dsn, autocommit=True) as connection:
        return await _day(connection, f"tag-{devices // 4}")


async def _close(dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await close_days(connection, DAY + timedelta(days=1), lambda _: None)
        await connection.execute("VACUUM ANALYZE evidence.fix")


def _bytes(server: _Server, table: str) -> float:
    """Of a table with all its pieces and indexes."""
    if server.ask("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"):
        query = f"SELECT hypertable_size('evidence.{table}')"
    else:
        query = _PIECES_SIZE.replace("TABLE", table)
    [size] = server.ask(query)[0]
    return float(cast("float", size))


_PIECES_SIZE = """
    SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits
    WHERE inhparent = 'evidence.TABLE'::regclass
"""
