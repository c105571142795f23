"""Storing fixes as the service does, alone and with the sealer at work in a process of its own."""

from __future__ import annotations

import asyncio
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.evidence_day import FIXES_A_DAY, START_US
from devices.reports import Batch
from evidence.keys import Crashpoint, Guard, load_seeds, no_crash
from evidence.log.many import warm_up
from evidence.sealer import Sealer
from evidence.store import Store

GROUP_FIXES = 2_000
GROUP_BATCHES = 256
"""In a transaction, at most: as the service's writer has them when there is much."""

CHUNK_FIXES = 1_000_000
"""Made up beforehand and then stored: so many are in memory."""

SEAL_EVERY_S = 1.0
START_LIMIT_S = 60.0
POLL_S = 0.01

Entry = tuple[int, Batch]


@dataclass(frozen=True, slots=True)
class Filled:
    """Seconds that parts of the fixes took.

    Attributes:
        alone_rows, alone_s: Stored while nothing else was done.
        seal_s, seal_cpu_s: Then sealed, by the clock and of this process.
        both_rows, both_s: Stored while the sealer was at work, until all was sealed.
    """

    alone_rows: int
    alone_s: float
    seal_s: float
    seal_cpu_s: float
    both_rows: int
    both_s: float


async def fill(
    store: Store,
    dsn: str,
    entries: Iterable[Batch],
    devices: int,
    folder: Path,
    tell: Callable[[str], None],
) -> Filled:
    """Store a day: a quarter of it alone (then it is sealed), the rest with the sealer at work."""
    numbered = enumerate(entries, 1)
    rows = devices * FIXES_A_DAY
    alone_rows, alone_s = 0, 0.0
    for chunk in _chunks(numbered, rows // 4):
        alone_s += await store_all(store, chunk)
        alone_rows += _fixes(chunk)
        tell(f"Stored {alone_rows} of {rows} fixes")
    warm_up()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    await sealer_of(dsn, folder).turn()
    seal_s, seal_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    both_rows, both_s = 0, 0.0
    with _sealer_apart(dsn, folder):
        for chunk in _chunks(numbered, rows):
            began_s = time.perf_counter()
            await store_all(store, chunk)
            await _sealed(dsn)
            both_s += time.perf_counter() - began_s
            both_rows += _fixes(chunk)
            tell(f"Stored and sealed {alone_rows + both_rows} of {rows} fixes")
    return Filled(alone_rows, alone_s, seal_s, seal_cpu_s, both_rows, both_s)


def _chunks(entries: Iterator[Entry], rows: int) -> Iterator[list[Entry]]:
    """Entries that hold about so many rows, in lists of at most `CHUNK_FIXES`."""
    while rows > 0:
        chunk, size = list[Entry](), 0
        while size < min(rows, CHUNK_FIXES):
            entry = next(entries, None)
            if entry is None:
                break
            chunk.append(entry)
            size += len(entry[1].fixes)
        if not chunk:
            return
        rows -= size
        yield chunk


def _fixes(entries: Iterable[Entry]) -> int:
    return sum(len(batch.fixes) for _, batch in entries)


async def store_all(store: Store, entries: Iterable[Entry]) -> float:
    """Store entries in groups. Returns the seconds it took."""
    began_s = time.perf_counter()
    group, fixes = list[Entry](), 0
    for entry in entries:
        group.append(entry)
        fixes += len(entry[1].fixes)
        if fixes >= GROUP_FIXES or len(group) == GROUP_BATCHES:
            await store.write_journal(group)
            group, fixes = [], 0
    if group:
        await store.write_journal(group)
    return time.perf_counter() - began_s


def sealer_of(dsn: str, folder: Path, crashpoint: Crashpoint = no_crash) -> Sealer:
    """The sealer of the benchmark's log, without witnesses."""
    return Sealer(
        dsn,
        Guard(folder / "log.keys.signed", load_seeds(folder / "log.keys")),
        (),
        lambda: START_US + 2 * 86_400_000_000,
        origin="bench.invalid",
        quorum=0,
        interval_s=SEAL_EVERY_S,
        program="bench",
        crashpoint=crashpoint,
    )


@contextmanager
def _sealer_apart(dsn: str, folder: Path) -> Iterator[None]:
    """`cordon evidence seal`, in a process of its own, at work when the body begins."""
    command = (sys.executable, "-c", _SEAL_ON, dsn, str(folder))
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - the command is ours
    assert process.stdout is not None
    try:
        said, _, _ = select.select([process.stdout], [], [], START_LIMIT_S)
        if not said or not process.stdout.readline():  # it is late, or has ended
            raise TimeoutError("the sealer does not come to work")
        yield
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def seal_on(dsn: str, folder: Path) -> None:
    """Seal until the end of the process; a line on standard output says that it has begun."""
    warm_up()
    begun = False

    def say(point: str) -> None:
        nonlocal begun
        if point == "batch committed" and not begun:
            begun = True
            print("at work", flush=True)

    asyncio.run(sealer_of(dsn, folder, say).run())


_SEAL_ON = """
import pathlib, sys
from benchmarks.evidence_filling import seal_on
seal_on(sys.argv[1], pathlib.Path(sys.argv[2]))
"""


async def _sealed(dsn: str) -> None:
    """Wait until all that is stored now is sealed."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute("SELECT pg_current_xact_id()::text::int8")
        [now] = await cursor.fetchone() or [0]
        while True:
            cursor = await connection.execute("SELECT max(next_transaction) FROM evidence.seal_log")
            row = await cursor.fetchone()
            if row and row[0] >= now:
                return
            await asyncio.sleep(POLL_S)
