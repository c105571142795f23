"""Courses of conduct over a real database: found, grown, explained, and the same after a restart."""

from __future__ import annotations

import ast
import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner, Result

from alerts.conduct import DAY_US, MINUTE_US, Pattern
from alerts.deliveries import encode_entry
from alerts.desk import Desk
from alerts.model import AlertChange
from alerts.steps import Acknowledge, Check, Resolve, Step
from cordon.cli import cordon
from cordon.clock import wall_clock_us
from cordon.conduct_watch import ConductWatch
from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity
from devices.reports import FIX_DTYPE, Batch, Event, Message
from evidence.decided import read_alert_entry
from evidence.reader import Reader
from evidence.statements import Connection
from evidence.store import Store
from geofence.levels import Level
from tests.alerts import builders
from tests.alerts.builders import START_US, TAG
from tests.alerts.conduct_stories import Told
from tests.conftest import Database
from tests.cordon.running import METRE_DEG, load
from tests.evidence.granting import grant

MINUTE_DAYS = 1 / 1440
ROOT = Path(__file__).parents[2]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
CASELOAD = Caseload(
    agencies=(Agency(id="centre", name="Centre"),),
    people=(
        Person(id="wearer1", role="wearer", name="He"),
        Person(id="protected1", role="protected", name="She"),
    ),
    devices=(Device(id="tag1", kind="tag"), Device(id="phone1", kind="handset")),
    assignments=(
        Assignment(device="tag1", person="wearer1", from_=SINCE),
        Assignment(device="phone1", person="protected1", from_=SINCE),
    ),
    orders=(
        Order(
            id="order1",
            agency="centre",
            wearer="wearer1",
            valid_from=SINCE,
            conditions=(Proximity(id="keep-away", protected="protected1", alert_m=200),),
        ),
    ),
)


class History:
    """Stores what the streams would bring, and looks at it at a time of the test's choosing."""

    def __init__(self, dsn: str, store: Store) -> None:
        self.dsn, self.store = dsn, store
        self.now_us = START_US
        self.watch = self.restarted()
        self._position = 0

    def restarted(self) -> ConductWatch:
        self.watch = ConductWatch(self.dsn, None, lambda: self.now_us)
        return self.watch

    async def keep(self, told: Told) -> None:
        """Store all of it; what is stored already is passed over."""
        entries = []
        for decision in told.decisions:
            self._position += 1
            entries.append((self._position, (decision,)))
        await self.store.write_decisions(entries)
        await self.changes(told.changes)

    async def changes(self, changes: Sequence[AlertChange]) -> None:
        entries = []
        for change in changes:
            self._position += 1
            entries.append(read_alert_entry(self._position, encode_entry(change)))
        await self.store.write_alerts(entries)

    async def events(self, number: int, events: tuple[Event, ...]) -> None:
        at_us = events[-1].time_us
        batch = Batch(
            gateway="gw",
            number=number,
            received_us=at_us,
            messages=(Message(at_us, "t", b""),),
            devices=(),
            fixes=np.zeros(0, FIX_DTYPE),
            events=events,
        )
        await self.store.write_journal([(number, batch)])

    async def way(
        self, number: int, device: str, start_us: int, way: Sequence[tuple[float, float]]
    ) -> None:
        """One fix a minute, in metres east and north."""
        table = np.zeros(len(way), FIX_DTYPE)
        for index, (east, north) in enumerate(way):
            table[index]["seq"] = number * 10_000 + index
            table[index]["time_us"] = start_us + index * MINUTE_US
            table[index]["lat_e7"] = int(1e7 * (54 + north * METRE_DEG))
            scale = math.cos(math.radians(54)) / METRE_DEG
            table[index]["lon_e7"] = int(1e7 * (4 + east / scale))
            table[index]["accuracy_cm"] = 800
        at_us = start_us + len(way) * MINUTE_US
        batch = Batch(
            gateway="gw",
            number=number,
            received_us=at_us,
            messages=(Message(at_us, "t", b""),),
            devices=(device,),
            fixes=table,
        )
        await self.store.write_journal([(number, batch)])

    async def look(self, day: float) -> list[Pattern]:
        self.now_us = START_US + int(day * DAY_US)
        await self.watch.look()
        reader = Reader(self.dsn)
        listed = [one.pattern() for one in await reader.patterns()]
        found = [await reader.pattern(one.pattern_id) for one in listed]
        whole = [one.pattern() for one in found if one is not None]
        assert listed == [msgspec.structs.replace(one, acts=()) for one in whole]
        return whole


@pytest.fixture
async def history(database: Database) -> AsyncIterator[History]:
    await load(database.dsn, CASELOAD)
    store = Store(database.dsn)
    await store.migrate()
    yield History(database.dsn, store)
    await store.close()


def approaches(*days: float) -> Told:
    told = Told()
    for day in days:
        told.spell(day, [(0, Level.PRE_ALERT), (2, Level.ALERT), (6, Level.CLEAR)])
    return told


async def test_a_pattern_is_found_grows_and_is_the_same_after_a_restart(history: History) -> None:
    told = approaches(0, 1)
    await history.keep(told)
    assert await history.look(1.5) == []
    told.spell(2, [(0, Level.ALERT), (3, Level.CLEAR)])
    await history.keep(told)
    [first] = await history.look(2.5)
    assert (first.version, first.occasions, first.state) == (1, {"approach": 3}, "going_on")
    assert {rest.id for one in first.acts for rest in one.rests if rest.kind == "alert"} == set(
        told.alerts
    )
    history.restarted()
    assert await history.look(2.6) == [first]
    told.spell(4, [(0, Level.PRE_ALERT), (3, Level.CLEAR)])
    await history.keep(told)
    [grown] = await history.look(4.5)
    assert (grown.pattern_id, grown.version) == (first.pattern_id, 2)
    assert grown.occasions == {"approach": 3, "probing": 1}
    [over] = await history.look(30)
    assert (over.state, over.pattern_id) == ("over", first.pattern_id)
    shown = await Reader(history.dsn).pattern(over.pattern_id)
    assert shown is not None
    assert shown.pattern() == over
    assert await Reader(history.dsn).pattern("nothing") is None


async def test_what_staff_explain_withdraws_it(history: History) -> None:
    told = approaches(0, 1, 2)
    await history.keep(told)
    [found] = await history.look(3)
    explained = msgspec.structs.replace(
        told.changes[-1].data, version=9, outcome="no_breach", resolved_by="Kim"
    )
    change = msgspec.structs.replace(
        told.changes[-1], id="x/9", type="cordon.alert.resolved", data=explained
    )
    await history.changes([change])
    [withdrawn] = await history.look(3.1)
    assert (withdrawn.pattern_id, withdrawn.state, withdrawn.version) == (
        found.pattern_id,
        "withdrawn",
        2,
    )


async def test_following_on_two_days_is_found_in_the_tracks(history: History) -> None:
    her_way = [(80.0 * n, 0.0) for n in range(40)] + [(9_000.0, 9_000.0)] * 10
    his_way = [(-4_000.0, 0.0)] * 10 + her_way[:40]
    for number, day in ((1, 0), (3, 5)):
        start_us = START_US + day * DAY_US
        await history.way(number, "phone1", start_us, her_way)
        await history.way(number + 1, "tag1", start_us, his_way)
        await history.look(day + 0.2)
    [pattern] = await history.look(5.25)
    assert pattern.occasions["following"] == 2
    assert {one.lag_s for one in pattern.acts if one.kind == "following"} == {600}
    # A fix that comes late belongs to the same act, which is not counted twice.
    await history.way(5, "tag1", START_US + 5 * DAY_US, [(-4_000.0, 0.0)])
    [again] = await history.look(5.3)
    assert again == pattern


async def test_an_act_stays_when_the_beginning_of_its_spell_leaves_the_window(
    history: History,
) -> None:
    """It began a minute after what is read begins, the spell before: the alert and the id stay."""
    await history.keep(approaches(0, 1, 2))
    [found] = await history.look(20)
    assert found.acts[0].began_us == START_US + 2 * MINUTE_US
    assert await history.look(28 + MINUTE_DAYS) == [found]
    [kept] = await rows(history.dsn, "SELECT count(*)::text FROM evidence.conduct_act")
    assert kept == "3"


def cuts_on(*days: int) -> tuple[Event, ...]:
    return tuple(
        Event(0, "tag1", day, START_US + day * DAY_US, "strap_cut", None, {}) for day in days
    )


async def cut_again_and_again(history: History, desk: Desk, *days: int) -> None:
    """The strap, on these days; the desk takes what is repeated into the alert that is open."""
    for cut in cuts_on(*days):
        await history.events(cut.seq + 1, (cut,))
        await history.changes(desk.on_event(cut, TAG, now_us=cut.time_us))


def at_fault(desk: Desk, day: float) -> list[AlertChange]:
    """The one alert is closed: the device was at fault."""
    [alert] = desk.open_alerts()
    steps: tuple[Step, ...] = (
        Acknowledge(),
        Check(by="replaced", note="worn strap"),
        Resolve(outcome="device_at_fault", note="worn strap"),
    )
    now_us = START_US + int(day * DAY_US)
    changes = []
    for version, step in enumerate(steps, alert.version):
        changes += desk.act(alert.alert_id, step, version=version, operator="Kim", now_us=now_us)
    return changes


async def test_repeated_tampering_stays_explained_when_the_first_leaves_the_window(
    history: History,
) -> None:
    desk = builders.desk()
    await cut_again_and_again(history, desk, 0, 1, 2, 3)
    await history.changes(at_fault(desk, 3.5))
    assert await history.look(4) == []
    assert await history.look(28 + MINUTE_DAYS) == []


async def test_a_repetition_finds_its_alert_though_the_first_left_the_window(
    history: History,
) -> None:
    desk = builders.desk()
    await cut_again_and_again(history, desk, 0, 10, 20)
    [found] = await history.look(21)
    await cut_again_and_again(history, desk, 30)
    [grown] = await history.look(30.1)
    assert (grown.pattern_id, grown.occasions) == (found.pattern_id, {"tampering": 4})
    assert [act.rests[0].id for act in grown.acts] == 4 * [found.acts[0].rests[0].id]
    await history.changes(at_fault(desk, 30.2))
    [withdrawn] = await history.look(30.3)
    assert (withdrawn.pattern_id, withdrawn.state) == (found.pattern_id, "withdrawn")


async def test_repeated_tampering_is_a_pattern_though_it_is_one_alert(history: History) -> None:
    await history.events(1, cuts_on(1, 2, 3))
    [pattern] = await history.look(4)
    assert pattern.occasions == {"tampering": 3}
    assert pattern.subject.protected == "protected1"


async def test_looking_changes_nothing_of_what_alerts_rest_on(history: History) -> None:
    """Patterns neither hide nor multiply: with and without them the same is told."""
    await history.keep(approaches(0, 1, 2, 3))
    tables = ("alert_change", "delivery", "decision", "anomaly", "fix", "message", "position")

    async def everything() -> list[object]:
        return [await rows(history.dsn, f"SELECT t::text FROM evidence.{t} t") for t in tables]

    before = await everything()
    assert len(await history.look(4)) == 1
    assert await everything() == before


async def test_the_commands_print_each_act_with_what_it_rests_on(history: History) -> None:
    done = approaches(0, 1, 2)
    await history.keep(done)
    [pattern] = await history.look(3)

    async def run(*words: str, who: str = "DC Roe") -> Result:
        said = ["--actor", who, "--purpose", "investigation", "--case", "26/4711"]
        env = {"CORDON_DATABASE_URL": history.dsn}
        invoke = CliRunner().invoke
        return await asyncio.to_thread(invoke, cordon, ["conduct", *words, *said], env=env)

    grant(history.dsn, "DC Roe", "26/4711", "*", "wearer1", "protected1")
    listed = await run("list")
    assert pattern.pattern_id in listed.stdout
    assert "wearer1 towards protected1: 3 approach" in listed.stdout
    shown = (await run("show", pattern.pattern_id)).stdout
    assert all(name in shown for name in done.alerts)
    assert "decision keep-away/tag1/phone1#2" in shown
    assert "3 of approach within 28 days" in shown
    as_json = (await run("show", pattern.pattern_id, "--json")).stdout
    assert msgspec.json.decode(as_json, type=Pattern) == pattern
    [short] = msgspec.json.decode((await run("list", "--json")).stdout, type=list[Pattern])
    assert (short.pattern_id, short.acts) == (pattern.pattern_id, ())
    missing = await run("show", "nothing")
    assert "There is no course of conduct nothing" in str(missing.exception)
    nobody = await run("show", pattern.pattern_id, who=" ")
    assert "no grant is in force" in str(nobody.exception)
    assert nobody.stdout == ""
    told = {
        person: [
            one
            for one in await Reader(history.dsn).looks(person, 0, wall_clock_us(), 10)
            if one.what == "conduct"
        ]
        for person in ("wearer1", "protected1", "somebody else")
    }
    assert {person: len(found) for person, found in told.items()} == {
        "wearer1": 4,
        "protected1": 4,
        "somebody else": 2,
    }
    assert {
        (one.who, one.purpose, one.case, one.what) for found in told.values() for one in found
    } == {("DC Roe", "investigation", "26/4711", "conduct")}


async def rows(dsn: str, query: str) -> list[str]:
    async with await Connection.connect(dsn) as connection:
        return sorted(row[0] for row in await (await connection.execute(query.encode())).fetchall())


def imported_by(is_about: Callable[[str], bool]) -> set[str]:
    """Modules of the service that import something."""
    found = set()
    for folder in ("alerts", "console", "cordon", "devices", "evidence", "geofence", "ingest"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom):
                    names = {f"{node.module}.{alias.name}" for alias in node.names}
                    if any(is_about(name) for name in names | {str(node.module)}):
                        found.add(f"{folder}.{file.stem}")
    return found


def test_nothing_that_alerts_or_sends_knows_of_patterns() -> None:
    """They reach staff who ask, and nobody else: no desk, no channel, no device."""
    users = imported_by(lambda name: ".conduct" in name and "conduct_rules" not in name)
    assert users <= {
        "alerts.conduct_acts",
        "alerts.conduct_tracks",
        "alerts.explain",
        "console.app",
        "console.backend",
        "console.conduct",
        "cordon.backend",
        "cordon.backroom",
        "cordon.cli",
        "cordon.conduct_commands",
        "cordon.conduct_watch",
        "evidence.approach_rows",
        "evidence.conduct",
        "evidence.reader",
    }
