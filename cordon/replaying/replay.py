"""A replay: from the database to what was decided in a window, made again.

Everything is read in one transaction that sees one state of the database, and nothing is written.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import psycopg

from cordon.checkpoint import Checkpoint
from cordon.replaying.collected import Collected
from cordon.replaying.runs import Run, runs_of
from cordon.replaying.way import Change, Way, unchanged
from devices.caseload import Caseload
from devices.course import Mark
from devices.instants import MICROSECONDS, to_iso
from evidence import told
from evidence.batches import TornBatchError, read_batches
from evidence.erasures import erasure_text, erasures_over, retained_from_us
from geofence.rules import Rules

Connection = psycopg.AsyncConnection
Tell = Callable[[str], None]
Part = TypeVar("Part")

EARLIER_US = 86_400 * MICROSECONDS
"""A batch behind a journal position is looked for from so long before the state was taken on."""

DECIDING = ("lat_e7", "lon_e7", "accuracy_cm", "kind", "battery_pct", "charging")
"""Of a fix, all that anything is decided by, beside device, time and number."""

SHOWN = 3
"""Erasures that a refusal names: the newest."""


class ReplayError(RuntimeError):
    """It cannot be replayed; the text says why, and what can be."""


TURN_S = 20e-6
"""Reading, the engine and the care of devices take turns at Python, and need it for a moment each time. By
default whoever has it may keep the others waiting for 5 ms, some hundred times for a slice."""


@dataclass(frozen=True, slots=True)
class Base:
    """Where a replay begins: in the middle of a run, or (without a state) at the start of one."""

    run_us: int
    at_us: int
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class Told:
    """All that a replay is told beside batches.

    Attributes:
        to_us: The instant behind the last of the window that something is stored of.
        runs: Runs of the service, the first of them that of the base.
        caseloads: By version, those in force in them.
    """

    base: Base
    from_us: int
    to_us: int
    runs: list[Run]
    caseloads: dict[str, Caseload]

    @property
    def versions(self) -> list[str]:
        """Of the rules, by which it was decided."""
        rules = [msgspec.convert(run.start.rules, Rules) for run in self.runs if run.start]
        return list(dict.fromkeys(one.version for one in rules))

    @property
    def builds(self) -> list[str]:
        """Of the software that decided."""
        return list(dict.fromkeys(run.start.build for run in self.runs if run.start))

    @property
    def gaps(self) -> list[str]:
        """What is missing of the courses, for people."""
        return [
            f"step {missing} of the run that began {to_iso(run.run_us)} is not stored"
            for run in self.runs
            if (missing := run.missing()) is not None
        ]


@dataclass(slots=True)
class Replayed:
    """What a replay made.

    Attributes:
        batches, fixes: Read, those before the window that lead to its beginning included.
        unkept: Batches that were decided on then, and that the journal never had.
    """

    made: Collected
    batches: int = 0
    fixes: int = 0
    unkept: int = 0


@asynccontextmanager
async def reading(connection: Connection) -> AsyncIterator[None]:
    """One state of the database, as long as it takes."""
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await connection.execute("SET LOCAL timezone = 'UTC'")
        # Another slice is decided on meanwhile: there are no cores to spare for one query.
        await connection.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        yield


async def read_told(connection: Connection, from_us: int, to_us: int) -> Told:
    """What is stored of a window beside batches.

    Args:
        connection: Within `reading`.
        from_us: The first instant.
        to_us: The instant behind the last; what is not stored yet is left out.

    Raises:
        ReplayError: There is no state to begin from, nothing is stored, or something was erased.
    """
    to_us = min(to_us, await told.end_us(connection))
    if to_us <= from_us:
        raise ReplayError("Nothing is stored of this time.")
    base = await _base(connection, from_us)
    await _see_nothing_erased(connection, base.at_us, to_us)
    runs = runs_of(await told.read_steps(connection, base.run_us, to_us))
    if not runs or runs[0].run_us != base.run_us or runs[0].start is None:
        raise ReplayError(f"The steps of the run that began {to_iso(base.run_us)} are not stored.")
    return Told(base, from_us, to_us, runs, await _caseloads(connection, runs))


async def replay(
    connection: Connection, known: Told, tell: Tell, change: Change = unchanged
) -> Replayed:
    """Decide again what was decided in a window.

    Args:
        connection: Within the `reading` that `known` was read in.
        known: The window.
        tell: Where progress goes.
        change: Other parameters than those of then.

    Raises:
        ReplayError: A run went on from a state that is not known, or something was erased.
        WayError: What is stored does not say how it went on.
        evidence.batches.TornBatchError: Rows of a batch are gone, or were added.
    """
    done = Replayed(Collected(known.from_us, known.to_us))
    turn_s = sys.getswitchinterval()
    sys.setswitchinterval(TURN_S)
    try:
        await _go_all(connection, known, done, tell, change)
    finally:
        sys.setswitchinterval(turn_s)
    return done


async def _go_all(
    connection: Connection, known: Told, done: Replayed, tell: Tell, change: Change
) -> None:
    states: dict[Mark, Checkpoint] = {}
    for number, run in enumerate(known.runs):
        way = Way(run, known.caseloads, done.made, change)
        if number == 0 and known.base.checkpoint is not None:
            way.resume(known.base.checkpoint)
        else:
            way.begin(_state_of(run, states))
        try:
            await _go(connection, way, known.to_us, done, tell)
        except TornBatchError as error:
            # What came late is older than the base, and so may be what was erased of it.
            await _see_nothing_erased(connection, 0, error.received_us, f"{error}. ")
            raise
        states |= way.marked


def _state_of(run: Run, states: dict[Mark, Checkpoint]) -> Checkpoint | None:
    mark = run.start.mark if run.start else None
    if mark is None:
        return None
    if mark not in states:
        raise ReplayError(
            f"The run that began {to_iso(run.run_us)} went on from a checkpoint that is not on the "
            f"way from the state this replay began with. Choose a window that begins later."
        )
    return states[mark]


async def _go(connection: Connection, way: Way, to_us: int, done: Replayed, tell: Tell) -> None:
    run = way.run
    upto_us = min(to_us, run.next_us or to_us)
    from_us = way.earliest_us
    if from_us is None:
        mark = run.start.mark if run.start else None
        since_us = max(mark.newest[0] - EARLIER_US, 0) if mark and run.position else 0
        from_us = await told.first_received_us(connection, run.position, since_us)
    if from_us is not None:
        coming = ahead(read_batches(connection, from_us, upto_us, DECIDING))
        async with aclosing(coming) as parts:
            async for part in parts:
                await asyncio.to_thread(way.take_all, part)
                done.batches += len(part)
                done.fixes += sum(len(stored.batch.fixes) for stored in part)
                tell(f"Replayed up to {to_iso(part[-1].batch.received_us)}")
    way.end(to_us)
    done.unkept += way.unkept


async def ahead(parts: AsyncIterator[Part]) -> AsyncGenerator[Part, None]:
    """The same parts; while one is worked on, the next is got already."""
    coming = asyncio.ensure_future(anext(parts, None))
    try:
        while (part := await coming) is not None:
            coming = asyncio.ensure_future(anext(parts, None))
            yield part
    finally:
        await asyncio.wait([coming])


async def _base(connection: Connection, from_us: int) -> Base:
    state = await told.state_before(connection, from_us)
    blank_us = await told.blank_starts(connection)
    blank_before = [at_us for at_us in blank_us if at_us <= from_us]
    if state is not None and (not blank_before or state.ticked_us > blank_before[-1]):
        checkpoint = msgspec.msgpack.decode(state.content, type=Checkpoint)
        return Base(state.run_us, state.ticked_us, checkpoint)
    if blank_before:
        return Base(blank_before[-1], blank_before[-1], None)
    earliest = await earliest_us(connection)
    if not earliest:
        raise ReplayError(
            "The database holds no state of the service to begin from. It keeps one from this "
            "version on: let the service run for a minute."
        )
    raise ReplayError(
        f"A replay can begin at {to_iso(earliest)} at the earliest: no state from before is kept."
    )


async def _see_nothing_erased(
    connection: Connection, from_us: int, to_us: int, why: str = ""
) -> None:
    """Refuse where records of a time were erased: nobody has to answer for what does not fit then."""
    gone = await erasures_over(connection, from_us, to_us)
    if not gone:
        return
    later_us = await _start_us(connection, max(one.to_us for one in gone))
    later = f" that begins at {to_iso(later_us)} or later" if later_us else " without them"
    more = f" (and {len(gone) - SHOWN} more)" if len(gone) > SHOWN else ""
    raise ReplayError(
        f"{why}Records that a replay needs were erased, so it cannot be exact: "
        f"{'; '.join(erasure_text(one) for one in gone[-SHOWN:])}{more}. Choose a window{later}."
    )


async def earliest_us(connection: Connection) -> int:
    """The first instant that a window may begin with; 0 where there is none."""
    return await _start_us(connection, await retained_from_us(connection))


async def _start_us(connection: Connection, since_us: int) -> int:
    """The first instant from another on that a replay can begin at; 0: there is none."""
    blank_us = [at_us for at_us in await told.blank_starts(connection) if at_us >= since_us]
    first = await told.first_state(connection, since_us)
    return min([*blank_us[:1], *([first.ticked_us] if first else [])], default=0)


async def _caseloads(connection: Connection, runs: list[Run]) -> dict[str, Caseload]:
    """Every version that was in force; "" is that of a worker nobody has told one."""
    cursor = await connection.execute(
        "SELECT version::text, document::text FROM caseload.caseload_version"
    )
    found = {"": Caseload(), "0": Caseload()}
    wanted = {step.caseload_version for run in runs for step in run.steps}
    for version, document in await cursor.fetchall():
        if version in wanted:
            found[version] = msgspec.json.decode(document, type=Caseload)
    return found
