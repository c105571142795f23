"""After an erasure no byte of any table holds an erased position, states of workers included."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest
from psycopg import sql

from devices.course import Mark
from devices.instants import to_iso
from devices.reports import ALTITUDE_MISSING, FIX_DTYPE, MISSING, Batch, Message
from evidence import holds
from evidence.erasures import Connection
from evidence.retention import erase_subject, scrub
from evidence.sealer import Sealer
from evidence.states import drop_states, erased_places
from evidence.store import Store
from evidence.told import add_state
from geofence.distance import to_cartesian_m
from geofence.engine import Engine
from geofence.plan import Plan, ZoneKind
from tests.evidence.access_world import WINDOW
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US
from tests.evidence.sealing_world import seal_all
from tests.evidence.test_erasing import hold, order, owner, sealer, sound
from tests.geofence.plans import make_pairs, square_zones

__all__ = ["owner", "sealer"]  # fixtures

SECOND_US = 1_000_000
PLAN = Plan(
    "plan",
    ("tag-1", "handset-1"),
    make_pairs(("near", 0, 1)),
    square_zones(("home", ZoneKind.INCLUSION, 0), ("school", ZoneKind.EXCLUSION, 0)),
)
ERASED = [(517_500_011, -12_499_973), (517_540_017, -12_501_919), (530_100_019, -22_001_923)]
"""Where he was within the window: the last is a leap that nobody believes."""

BEFORE, AFTER, HERS = (
    (517_600_031, -12_610_037),
    (517_700_041, -12_720_043),
    (517_500_047, -12_490_051),
)


class Kept(msgspec.Struct):
    """As `cordon.checkpoint.Checkpoint`, as far as it is looked at."""

    engine: bytes
    caseload_version: str = "1"


class Site:
    """A service that stores what comes and keeps states."""

    def __init__(self, store: Store, connection: Connection) -> None:
        self._store, self._connection = store, connection
        self._number = 50
        self.engine = Engine(PLAN, now_us=NOW_US - DAY_US)

    async def fix(
        self, device: str, place: tuple[int, int], time_us: int, now_us: int | None = None
    ) -> None:
        now_us = time_us + SECOND_US if now_us is None else now_us
        self._number += 1
        row = np.zeros(1, FIX_DTYPE)
        row["seq"], row["time_us"], row["lat_e7"], row["lon_e7"] = self._number, time_us, *place
        row["accuracy_cm"], row["altitude_dm"] = 500, ALTITUDE_MISSING
        row["battery_pct"] = row["charging"] = MISSING
        lat, lon = (value / 1e7 for value in place)
        text = msgspec.json.encode({"time": to_iso(time_us), "lat": lat, "lon": lon})
        message = Message(now_us, f"cordon/v1/{device}/fix", text)
        batch = Batch(
            gateway="gw0-test",
            number=self._number,
            received_us=now_us,
            messages=(message,),
            devices=(device,),
            fixes=row,
        )
        await self._store.write_journal([(self._number, batch)])
        columns = (np.array([value]) for value in (time_us, *place, 500))
        self.engine.update(np.array([PLAN.tracks.index(device)]), *columns, now_us=now_us)

    async def keep(self, ticked_us: int) -> None:
        mark = Mark(run_us=NOW_US - DAY_US, steps=1, ticked_us=ticked_us)
        await add_state(
            self._connection, mark, "b", msgspec.msgpack.encode(Kept(self.engine.snapshot()))
        )


def traces(place: tuple[int, int]) -> Iterator[bytes]:
    """A position in every form in which something could hold it."""
    lat_e7, lon_e7 = place
    for end in "<>":
        for kind in "iq":
            yield struct.pack(end + kind, lat_e7) + struct.pack(end + kind, lon_e7)
        yield struct.pack(f"{end}2d", lat_e7 / 1e7, lon_e7 / 1e7)
        yield struct.pack(f"{end}3d", *to_cartesian_m(lat_e7 / 1e7, lon_e7 / 1e7))
    yield struct.pack(">i", lat_e7)
    for value in place:
        yield str(abs(value)).encode()
        yield str(abs(value) / 1e7).encode()


def found_in(dsn: str, places: Sequence[tuple[int, int]]) -> set[str]:
    """Tables and columns that hold one of these positions."""
    wanted = {trace for place in places for trace in traces(place)}
    found = set()
    with psycopg.connect(dsn, autocommit=True) as connection:
        columns = connection.execute(
            "SELECT n.nspname, c.relname, a.attname FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE n.nspname IN ('evidence', 'caseload') AND c.relkind IN ('r', 'p') "
            "AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped"
        ).fetchall()
        for schema, table, column in columns:
            query = sql.SQL("SELECT DISTINCT {0} FROM {1} WHERE {0} IS NOT NULL").format(
                sql.Identifier(column), sql.Identifier(schema, table)
            )
            if any(kind in column for kind in ("document", "detail")):
                query = sql.SQL("SELECT {0}::text FROM {1} WHERE {0} IS NOT NULL").format(
                    sql.Identifier(column), sql.Identifier(schema, table)
                )
            for (value,) in connection.execute(query):
                if any(trace in bytes_of(value) for trace in wanted):
                    found.add(f"{table}.{column}")
    return found


def bytes_of(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


@pytest.fixture
async def site(owner: Connection, store: Store) -> Site:
    """He is at four places in the window, and states are kept before, within and long after."""
    one = Site(store, owner)
    await one.fix("handset-1", HERS, NOW_US)
    await one.fix("tag-1", BEFORE, WINDOW[0] - SECOND_US)
    await one.keep(WINDOW[0])
    for number, place in enumerate(ERASED):
        await one.fix("tag-1", place, NOW_US + number * 10 * SECOND_US)
        await one.keep(NOW_US + number * 10 * SECOND_US + SECOND_US)
    return one


async def seal(sealer: Sealer, probe: Probe) -> None:
    await seal_all(sealer, probe.dsn)


async def test_no_byte_of_any_table_holds_an_erased_position(
    site: Site, owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    later_us = WINDOW[1] + 20 * DAY_US
    for minute in range(5):
        at_us = later_us + minute * 60 * SECOND_US
        await site.fix("tag-1", (AFTER[0] + minute, AFTER[1]), at_us)
    await site.keep(later_us + 3600 * SECOND_US)  # the leap is remembered still
    await seal(sealer, probe)
    before = found_in(probe.dsn, ERASED)
    assert before >= {"fix.lat_e7", "message.payload", "worker_state.content"}
    done = await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    await scrub(owner)
    assert found_in(probe.dsn, ERASED) == set()
    assert done.rows["worker_state"] == 4
    kept = probe.ask("SELECT evidence.us(ticked_at)::int8 FROM evidence.worker_state")
    assert kept == [(WINDOW[0],)], "a state from before the window knows nothing of it"
    others = found_in(probe.dsn, [BEFORE]), found_in(probe.dsn, [HERS])
    assert all("fix.lat_e7" in found for found in others)
    async with owner.transaction():
        assert await erased_places(owner) == {"tag-1": (WINDOW,)}
    await seal(sealer, probe)
    await sound(owner)


async def test_a_state_stays_that_knows_him_only_from_elsewhere(
    site: Site, owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    later_us = WINDOW[1] + 2 * DAY_US
    site.engine = Engine(PLAN, now_us=later_us)  # the service began anew
    for minute in range(3):
        at_us = later_us + minute * 60 * SECOND_US
        await site.fix("tag-1", (AFTER[0] + minute, AFTER[1]), at_us)
    await site.keep(later_us + 600 * SECOND_US)
    await seal(sealer, probe)
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert found_in(probe.dsn, ERASED) == set()
    assert "worker_state.content" in found_in(probe.dsn, [(AFTER[0] + 2, AFTER[1])])
    ticked = probe.ask("SELECT evidence.us(ticked_at)::int8 FROM evidence.worker_state ORDER BY 1")
    assert [row[0] for row in ticked] == [WINDOW[0], later_us + 600 * SECOND_US]


async def test_a_buffer_that_comes_days_later_is_found_in_states_of_then(
    site: Site, owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    """By its own time he was elsewhere long before the state was taken."""
    received_us = WINDOW[1] + 5 * DAY_US
    site.engine = Engine(PLAN, now_us=received_us)
    await site.fix("tag-1", ERASED[0], NOW_US + 500 * SECOND_US, received_us)
    await site.keep(received_us)
    await site.fix("tag-1", AFTER, WINDOW[1] + DAY_US, received_us)
    await seal(sealer, probe)
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert found_in(probe.dsn, ERASED) == set()


@pytest.mark.usefixtures("site")
async def test_states_that_nobody_can_read_go_as_well(
    owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    mark = Mark(run_us=NOW_US, steps=7, ticked_us=WINDOW[1] + 9 * DAY_US)
    await add_state(owner, mark, "b", b"of another version")
    await seal(sealer, probe)
    done = await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert done.rows["worker_state"] == 4


@pytest.mark.usefixtures("site")
async def test_what_is_held_keeps_its_states(
    owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    await seal(sealer, probe)
    await holds.place(owner, hold(from_us=NOW_US, to_us=NOW_US + 1))
    with pytest.raises(Exception, match="under hold"):
        await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert probe.count("worker_state") == 4
    assert probe.ask("SELECT FROM caseload.erased_place") == []


@pytest.mark.usefixtures("site")
async def test_dropping_counts_only_what_holds_something(owner: Connection) -> None:
    times = {"tag-1": ((NOW_US + 10 * SECOND_US, NOW_US + 11 * SECOND_US),)}
    async with owner.transaction():
        assert await drop_states(owner, times, WINDOW[0]) == 2
        assert await drop_states(owner, times, WINDOW[0]) == 0
