"""What `cordon replay` costs: a stored day that is decided once more, and compared with its decisions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import cast

import psycopg

from alerts.desk import Desk
from benchmarks.evidence_day import START_US, caseload_of, entries_of
from benchmarks.evidence_filling import store_all
from cordon.keep import KeptCaseload
from cordon.outgoing import Outgoing
from cordon.partition import Partition
from cordon.replaying.collected import Collected, NoDesk, NoObserver
from cordon.replaying.comparing import compare
from cordon.replaying.replay import earliest_us, read_told, reading, replay
from devices.course import CourseStep
from devices.store import CaseloadStore
from evidence.store import Store
from geofence.engine import Rules
from geofence.following import warm_up


@dataclass(frozen=True, slots=True)
class DayReplayed:
    """What came of a replay.

    Attributes:
        fixes_per_s: By the clock, reading included; None: it was not replayed.
        equal: How many decisions and findings came out equal, in words.
    """

    fixes_per_s: float | None
    equal: str


NOT_REPLAYED = DayReplayed(None, "not replayed")


@dataclass
class _Recording(Collected):
    """Keeps what the worker is told, too."""

    steps: list[CourseStep] = field(default_factory=list)

    def coursed(self, step: CourseStep) -> None:
        self.steps.append(step)


async def decide_day(store: Store, dsn: str, devices: int, *, near: bool = False) -> None:
    """Decide a day as the service does, and store the decisions.

    Args:
        store: Of the database.
        dsn: The same.
        devices: As in `entries_of`, and so `near`.
        near: See there.
    """
    caseloads = CaseloadStore(dsn)
    await caseloads.migrate()
    await caseloads.save(caseload_of(devices))
    stored = await caseloads.load()
    await caseloads.close()
    out = _Recording(0, 2**62)
    partition = Partition(
        lambda: cast("Desk", NoDesk()),
        cast("Outgoing", out),
        NoObserver(),
        START_US,
        tick_s=1.0,
        build="bench",
        rules=Rules(),
    )
    partition.load(KeptCaseload(str(stored.version), stored.caseload), None, START_US)
    partition.go_live(START_US)
    for batch in entries_of(devices, near=near):
        partition.apply(batch)
    await store.write_decisions([(1, out.steps), (2, out.decisions)])


async def replay_day(dsn: str) -> DayReplayed:
    """Replay all that is stored. The kernels are compiled, as they are after the first replay."""
    warm_up()
    began_s = time.perf_counter()
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        reading(connection),
    ):
        known = await read_told(connection, await earliest_us(connection), 2**62)
        done = await replay(connection, known, lambda _: None)
        taken_s = time.perf_counter() - began_s
        orders = {"order_id": {order.id for c in known.caseloads.values() for order in c.orders}}
        found = await compare(connection, done.made, [orders])
    equal = f"{found.equal} of {found.stored}, {len(found.differences)} different"
    return DayReplayed(done.fixes / taken_s, equal)


async def replay_near(dsn: str, devices: int) -> DayReplayed:
    """Decide, store and replay a near day in an empty database."""
    store = Store(dsn)
    await store.migrate()
    await decide_day(store, dsn, devices, near=True)
    await store_all(store, enumerate(entries_of(devices, near=True), 1))
    await store.close()
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("VACUUM ANALYZE evidence.fix")
    return await replay_day(dsn)
