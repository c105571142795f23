"""Reads what a replay is told beside batches: the steps of a course, and states to begin from."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import psycopg

from devices.course import CourseStep, Mark
from devices.instants import to_datetime

Connection = psycopg.AsyncConnection


@dataclass(frozen=True, slots=True)
class State:
    """A state of a worker, as `cordon.checkpoint.Checkpoint`."""

    ticked_us: int
    run_us: int
    steps: int
    content: bytes


async def read_steps(connection: Connection, from_run_us: int, to_us: int) -> list[CourseStep]:
    """The steps of all runs that began from an instant on, up to before another."""
    cursor = await connection.execute(
        "SELECT evidence.us(run_at), number, kind, evidence.us(at), after, evidence.us(ticked_at), "
        "position, batch, upto, caseload_version, detail::text FROM evidence.course "
        "WHERE run_at >= %s AND run_at < %s ORDER BY run_at, number",
        (to_datetime(from_run_us), to_datetime(to_us)),
    )
    names = CourseStep.__struct_fields__
    return [
        msgspec.convert(dict(zip(names, row, strict=True)), CourseStep)
        for row in await cursor.fetchall()
    ]


async def blank_starts(connection: Connection) -> list[int]:
    """When runs began from nothing."""
    cursor = await connection.execute(
        "SELECT evidence.us(run_at) FROM evidence.course "
        "WHERE kind = 'started' AND detail->>'mark' IS NULL ORDER BY run_at"
    )
    return [row[0] for row in await cursor.fetchall()]


async def rules_of(connection: Connection) -> list[dict[str, object]]:
    """Parameters of the engine that were in force once, the newest first, by name."""
    cursor = await connection.execute(
        "SELECT detail->>'rules' FROM evidence.course WHERE kind = 'started' "
        "GROUP BY 1 ORDER BY max(run_at) DESC"
    )
    found = [row[0] for row in await cursor.fetchall()]
    return [msgspec.json.decode(text, type=dict[str, object]) for text in found]


async def state_before(connection: Connection, at_us: int) -> State | None:
    """The newest state up to an instant."""
    cursor = await connection.execute(
        f"{_STATES} WHERE ticked_at <= %s ORDER BY ticked_at DESC LIMIT 1",
        (to_datetime(at_us),),
    )
    row = await cursor.fetchone()
    return State(*row) if row else None


async def first_state(connection: Connection, since_us: int) -> State | None:
    """The oldest state from an instant on."""
    cursor = await connection.execute(
        f"{_STATES} WHERE ticked_at >= %s ORDER BY ticked_at LIMIT 1", (to_datetime(since_us),)
    )
    row = await cursor.fetchone()
    return State(*row) if row else None


async def newest_state_us(connection: Connection) -> int:
    """When the newest state was taken; 0: there is none."""
    cursor = await connection.execute(
        "SELECT coalesce(evidence.us(max(ticked_at)), 0) FROM evidence.worker_state"
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def add_state(connection: Connection, mark: Mark, build: str, content: bytes) -> None:
    """Keep a state; one that is there already stays."""
    await connection.execute(
        "INSERT INTO evidence.worker_state VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (to_datetime(mark.ticked_us), to_datetime(mark.run_us), mark.steps, build, content),
    )


async def first_received_us(connection: Connection, after: int, since_us: int) -> int | None:
    """When the first batch behind a journal position was received, of those since an instant."""
    cursor = await connection.execute(
        "SELECT evidence.us(min(received_at)) FROM evidence.batch "
        "WHERE journal_position > %s AND received_at >= %s",
        (after, to_datetime(since_us)),
    )
    row = await cursor.fetchone()
    return row[0] if row else None


async def end_us(connection: Connection) -> int:
    """The instant behind the last thing stored of batches and decisions."""
    cursor = await connection.execute(
        "SELECT coalesce(evidence.us(greatest((SELECT max(received_at) FROM evidence.batch), "
        "(SELECT max(decided_at) FROM evidence.decision))), 0)"
    )
    row = await cursor.fetchone()
    return int(row[0]) + 1 if row else 0


_STATES = (
    "SELECT evidence.us(ticked_at), evidence.us(run_at), steps, content FROM evidence.worker_state"
)
