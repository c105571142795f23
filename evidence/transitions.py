"""Stored decisions and fixes, as the engine speaks of them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from devices.instants import to_datetime
from devices.reports import FixKind
from evidence.columns import aggregates, read_groups
from evidence.copying import POSTGRES_EPOCH_US
from geofence.levels import UNKNOWN_TIME_US, Cause, Level, Transition

Connection = psycopg.AsyncConnection

DeviceFixes = NDArray[np.void]
"""(n,) fixes of one device: time_us, lat_e7, lon_e7, accuracy_cm."""


async def read_transitions(
    connection: Connection, from_us: int, to_us: int, orders: Collection[str] = ()
) -> list[Transition]:
    """Decisions made from an instant to before another, each watch's in their order.

    Args:
        connection: To the history.
        from_us: The first instant.
        to_us: The instant behind the last.
        orders: Of these orders; empty: of all.
    """
    async with connection.cursor(binary=True) as cursor:
        values = {"from": to_datetime(from_us), "to": to_datetime(to_us)}
        await cursor.execute(_DECISIONS, {**values, "orders": list(orders) or None})
        return [_transition(row) for row in await cursor.fetchall()]


def _transition(row: tuple[Any, ...]) -> Transition:
    watch, number, previous, level, onset, decided, *rest = row
    distances, (time_a, time_b, swept, cause, sigma, ring, closest, closest_at) = rest[:5], rest[5:]
    return Transition(
        watch=watch,
        number=number,
        previous=Level(previous),
        level=Level(level),
        onset_us=_instant(onset),
        decided_at_us=decided,
        distance_m=distances[0],
        distance_low_m=distances[1],
        distance_high_m=distances[2],
        probability=distances[3],
        time_to_contact_s=distances[4],
        fix_time_a_us=_instant(time_a),
        fix_time_b_us=_instant(time_b),
        swept=swept,
        cause=Cause.POSITION if cause is None else Cause(cause),
        sigma_m=math.nan if sigma is None else sigma,
        ring_m=math.nan if ring is None else ring,
        closest_m=math.nan if closest is None else closest,
        closest_us=_instant(closest_at),
    )


def _instant(value: int | None) -> int:
    return UNKNOWN_TIME_US if value is None else value


async def read_device_fixes(
    connection: Connection, devices: Iterable[str], from_us: int, to_us: int
) -> dict[str, DeviceFixes]:
    """The fixes that say where devices were, by fix time, from an instant up to another."""
    found = {}
    for device in devices:
        values = {"device": device, "from": to_datetime(from_us), "to": to_datetime(to_us)}
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(_FIXES, values)
            found[device] = _by_time(await cursor.fetchone())
    return found


def _by_time(row: tuple[bytes, ...] | None) -> DeviceFixes:
    if row is None or row[0] is None:
        return np.zeros(0, FIXES_DTYPE)
    _, columns = read_groups(_WIRE, [row])
    order = np.lexsort((columns["seq"], columns["time"]))
    table = np.zeros(len(order), FIXES_DTYPE)
    table["time_us"] = columns["time"][order] + POSTGRES_EPOCH_US
    for name in ("lat_e7", "lon_e7", "accuracy_cm"):
        table[name] = columns[name][order]
    return table


FIXES_DTYPE = np.dtype(
    [("time_us", np.int64), ("lat_e7", np.int64), ("lon_e7", np.int64), ("accuracy_cm", np.int64)]
)
_WIRE = {"time": ">i8", "seq": ">i8", "lat_e7": ">i4", "lon_e7": ">i4", "accuracy_cm": ">i4"}
_FIXES = sql.SQL(
    "SELECT {} FROM evidence.fix WHERE device = %(device)s AND time >= %(from)s "
    "AND time <= %(to)s AND kind <> {}"
).format(aggregates(_WIRE), sql.Literal(int(FixKind.LAST_KNOWN)))
_DECISIONS = """
    SELECT watch, number, previous, level, evidence.us(onset_at), evidence.us(decided_at),
        distance_m, distance_low_m, distance_high_m, probability, time_to_contact_s,
        evidence.us(fix_time_a), evidence.us(fix_time_b), swept, cause, sigma_m, ring_m,
        closest_m, evidence.us(closest_at)
    FROM evidence.decision
    WHERE decided_at >= %(from)s AND decided_at < %(to)s
        AND (%(orders)s::text[] IS NULL OR order_id = ANY(%(orders)s::text[]))
    ORDER BY watch, decided_at, number
"""
