"""Is there room for the record, and does anything of it wait for people?"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from cordon.checks.findings import Check, Finding, Patient, State
from cordon.record_watch import disk_free_bytes, on_a_short_connection
from evidence.capacity import (
    DAYS_FAIL,
    DAYS_WARN,
    Capacity,
    Connection,
    Waiting,
    read_capacity,
    read_waiting,
)


async def record(patient: Patient) -> Sequence[Finding]:
    """Room for the record, and what of it waits; nothing where the database is not there."""
    limit = patient.settings.database.disk_bytes

    async def act(connection: Connection) -> tuple[Capacity, Waiting]:
        free = disk_free_bytes(patient.settings)
        capacity = await read_capacity(connection, patient.now_us, free, limit)
        return capacity, await read_waiting(connection, patient.now_us)

    if not patient.endpoints.dsn:
        return []
    try:
        capacity, waiting = await on_a_short_connection(patient.endpoints.dsn, act)
    except (psycopg.OperationalError, TimeoutError):
        return []  # the check of the database says so
    return [room(capacity), people(waiting)]


def room(capacity: Capacity) -> Finding:
    """How long there is room."""
    grows = (
        f"The database holds {_gib(capacity.used_bytes)} and grows by "
        f"{_gib(capacity.growth_bytes_per_day)} a day"
    )
    if capacity.days_left is None:
        return Finding(
            "room",
            "warn",
            f"{grows}; how much room it has is not known from here.",
            "Say so with database.disk_bytes, to be warned in time.",
        )
    state: State = "ok"
    if capacity.days_left < DAYS_WARN:
        state = "fail" if capacity.days_left < DAYS_FAIL else "warn"
    left = (
        "room for years" if capacity.days_left > 1_000 else f"full in {capacity.days_left:.0f} days"
    )
    return Finding(
        "room",
        state,
        f"{grows}: {left}. When it is full, alerts go on and history waits in the journal.",
        "Give it a larger disk, or keep less: evidence.retain_positions_days.",
    )


def people(waiting: Waiting) -> Finding:
    """What waits for somebody."""
    state: State = "fail" if waiting.glass_overdue else "ok"
    if state == "ok" and (waiting.glass or waiting.holds_due):
        state = "warn"
    return Finding(
        "reviews",
        state,
        f"{len(waiting.glass)} readings in an emergency wait for a review, {waiting.glass_overdue} for more "
        f"than a day; {waiting.holds} legal holds are in force, {waiting.holds_due} to be looked at again.",
        "Somebody who did not read reviews: `cordon evidence review`; and see `cordon evidence holds`.",
    )


def _gib(size_bytes: float) -> str:
    return f"{size_bytes / 1024**3:.2f} GiB"


CHECKS: tuple[Check, ...] = (record,)
