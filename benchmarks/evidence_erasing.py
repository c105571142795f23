"""What erasing costs: an hour out of a day of one device that reports up to every second."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psycopg

from benchmarks.evidence_day import START_US, caseload_of, entries_of
from benchmarks.evidence_filling import sealer_of, store_all
from devices.store import CaseloadStore
from evidence.erasing import Order
from evidence.log.many import warm_up
from evidence.retention import erase_subject
from evidence.store import Store

SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
WINDOW = (START_US + 12 * HOUR_US, START_US + 13 * HOUR_US)
DAY_S = 86_400


async def erase_hour_s(dsn: str, fixes: int, folder: Path, tell: Callable[[str], None]) -> float:
    """Store and seal a day of one device, and erase an hour of it: the seconds of the last.

    Args:
        dsn: Of an empty database.
        fixes: Of the day, at least: one a second at the most.
        folder: For the log's keys.
        tell: Where progress goes.
    """
    tell("Storing and sealing a day of one device")
    every_s = max(1, DAY_S // fixes)
    store, caseloads = Store(dsn), CaseloadStore(dsn)
    await caseloads.migrate()
    await caseloads.save(caseload_of(2))
    await caseloads.close()
    await store.migrate()
    sealer = sealer_of(dsn, folder)
    await sealer.turn()  # the log begins
    await store_all(store, enumerate(entries_of(1, every_s * SECOND_US), 1))
    await store.close()
    warm_up()
    await sealer.turn()
    tell("Erasing an hour of it")
    order = Order("erasure", "the court", "chief", "he-0", *WINDOW, "a measurement")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        began_s = time.perf_counter()
        done = await erase_subject(connection, "he-0", WINDOW, order, WINDOW[1])
        taken_s = time.perf_counter() - began_s
    assert done.rows["fix"], "the hour has fixes"
    assert not done.unsealed, "all of it is sealed"
    return taken_s
