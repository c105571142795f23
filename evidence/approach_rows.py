"""What is stored about the approaches of two people, for `evidence.approaches`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

import psycopg

from devices.instants import MICROSECONDS, to_datetime
from evidence.approaches import Summary, alert_ids, summary
from evidence.conduct import DECISIONS_LIMIT, alerts_of, told_of
from evidence.keeping import Interval
from evidence.text import clean

Connection = psycopg.AsyncConnection

BEFORE_US = 7 * 86_400 * MICROSECONDS
"""Decisions are read from so long before a window: what goes on for longer is not known to have begun."""

LONGEST_US = 400 * 86_400 * MICROSECONDS
"""The longest window."""


class ApproachesError(ValueError):
    """It cannot be summed up. The text is for people."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose approaches, and when.

    Attributes:
        order: Of this order's conditions; empty: of the pair, whatever order named them.
        pair: Wearer and protected person; None: everybody whom the order names.
    """

    order: str
    pair: tuple[str, str] | None
    window: Interval
    zone: tuple[str, tzinfo]


async def read_summaries(connection: Connection, asked: Asked) -> list[Summary]:
    """A summary for each pair. Record who asks before.

    Raises:
        ApproachesError: The window is no window, or too much is stored of it.
    """
    start_us, end_us = asked.window
    if not start_us < end_us <= start_us + LONGEST_US:
        raise ApproachesError("The window has to begin before it ends, and lasts 400 days at most.")
    found = []
    for wearer, protected in await _pairs(connection, asked):
        told = await told_of(connection, wearer, start_us - BEFORE_US, end_us - 1)
        if len(told.decisions) >= DECISIONS_LIMIT:
            raise ApproachesError(
                f"More than {DECISIONS_LIMIT} decisions about {wearer} are stored of this time: ask for "
                "a shorter one."
            )
        mine = [one for one in told.decisions if asked.order in {"", one.order_id}]
        alerts = await alerts_of(connection, alert_ids(mine), start_us - 2 * BEFORE_US)
        found.append(summary(mine, alerts, (wearer, protected), asked.window, asked.zone))
    return found


async def _pairs(connection: Connection, asked: Asked) -> list[tuple[str, str]]:
    if asked.pair is not None:
        return [asked.pair]
    cursor = await connection.execute(
        "SELECT DISTINCT wearer, protected FROM evidence.decision WHERE order_id = %s "
        "AND handset IS NOT NULL AND protected IS NOT NULL AND decided_at >= %s AND decided_at < %s "
        "ORDER BY 1, 2",
        (
            clean(asked.order),
            to_datetime(asked.window[0] - BEFORE_US),
            to_datetime(asked.window[1]),
        ),
    )
    return [(wearer, protected) for wearer, protected in await cursor.fetchall()]
