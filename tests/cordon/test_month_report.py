"""The monthly report over a real database: the same figures as the live page, and a page of them."""

from __future__ import annotations

import asyncio
import json
import random
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result

from alerts.deliveries import DeliveryRecord, DeliveryState, encode_entry
from alerts.load import Load
from alerts.model import Alert, AlertChange, Outcome
from alerts.month import Month, MonthFigures
from alerts.ranking import Ranking
from alerts.steps import Acknowledge, Dispatch, Resolve
from cordon.cli import cordon
from devices.instants import from_datetime, to_datetime, to_iso
from devices.watches import Watch
from evidence import month as history
from evidence.decided import read_alert_entry
from evidence.store import Store
from geofence.levels import Level
from tests.alerts.builders import SECOND_US, WATCH, desk, transition
from tests.conftest import Database

START_US = from_datetime(datetime(2026, 10, 12, 6, tzinfo=UTC))
SPAN_US = 20 * 3600 * SECOND_US
OPERATORS = 2


class Stretch:
    """A simulated shift: a real desk, people who act on it, receipts; told live and kept."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.desk = desk()
        self.load = Load(START_US)
        self.kept: list[AlertChange | DeliveryRecord] = []
        self._number = 0

    def take(self, changes: list[AlertChange]) -> None:
        for change in changes:
            self.kept.append(change)
            self.load.take(change, OPERATORS)

    def receipt(self, change: AlertChange, at_us: int) -> None:
        states: tuple[DeliveryState, ...] = ("received", "shown", "expired")
        state = self.random.choice(states)
        record = DeliveryRecord(
            id=f"{change.id}/{state}",
            type=f"cordon.delivery.{state}",
            time=to_iso(at_us),
            delivery_id=change.id,
            alert_id=change.subject,
            change_id=change.id,
            channel="handset",
            recipient="phone1",
            state=state,
            reason="too old by then" if state == "expired" else "",
        )
        self.kept.append(record)
        self.load.delivered(record)

    def raised(self, at_us: int) -> tuple[AlertChange, Watch, Level]:
        draw = self.random
        self._number += 1
        key = f"c{draw.randrange(7)}"
        watch = msgspec.structs.replace(
            WATCH, key=f"{key}/tag{self._number}/phone1", condition_id=key
        )
        level = draw.choice((Level.PRE_ALERT, Level.ALERT, Level.CONTACT))
        began = transition(1, level, watch=watch.key, onset_us=at_us, decided_at_us=at_us)
        [told] = self.desk.on_transition(began, watch, now_us=at_us)
        self.take([told])
        return told, watch, level

    def flood(self, at_us: int) -> int:
        """More than anybody can look at, and nobody does; returns when the last was raised."""
        for _ in range(self.random.randrange(25, 40)):
            at_us += self.random.randrange(1, 20) * SECOND_US
            self.raised(at_us)
        return at_us

    def alert(self, at_us: int) -> int:
        """One alert and what becomes of it; returns when that is over."""
        draw = self.random
        told, watch, level = self.raised(at_us)
        name = told.data.alert_id
        at_us += draw.randrange(1, 30) * SECOND_US
        self.receipt(told, at_us)
        if draw.random() < 0.2:
            return at_us
        at_us = self.step(name, Acknowledge(), at_us)
        if draw.random() < 0.5:
            at_us = self.step(name, Dispatch(to="unit 7"), at_us)
        ended = transition(
            2, Level.CLEAR, watch=watch.key, onset_us=at_us, decided_at_us=at_us, previous=level
        )
        self.take(self.desk.on_transition(ended, watch, now_us=at_us))
        if self.open(name):
            outcomes: tuple[Outcome, ...] = ("breach", "no_breach", "breach_averted")
            outcome = draw.choice(outcomes)
            at_us = self.step(name, Resolve(outcome=outcome, note="x"), at_us)
        return at_us

    def open(self, alert_id: str) -> list[Alert]:
        return [one for one in self.desk.open_alerts() if one.alert_id == alert_id]

    def step(self, alert_id: str, step: Acknowledge | Dispatch | Resolve, at_us: int) -> int:
        at_us += self.random.randrange(1, 200) * SECOND_US
        [alert] = self.open(alert_id)
        self.take(
            self.desk.act(alert_id, step, version=alert.version, operator="Kim", now_us=at_us)
        )
        return at_us


def simulated(seed: int, alerts: int = 120) -> Stretch:
    """Alerts one after the other, and floods."""
    made = Stretch(seed)
    at_us = START_US
    for number in range(alerts):
        end_us = made.flood(at_us) if number % 40 == 20 else made.alert(at_us)
        quick = made.random.random() < 0.8
        at_us = end_us + made.random.randrange(1, 5 if quick else 4000) * SECOND_US
        if at_us > START_US + SPAN_US - 3600 * SECOND_US:
            break
    return made


async def kept(dsn: str, stretch: Stretch) -> None:
    store = Store(dsn)
    await store.migrate()
    entries = [
        read_alert_entry(position, encode_entry(entry))
        for position, entry in enumerate(stretch.kept, 1)
    ]
    await store.write_alerts(entries)
    await store.close()


@pytest.mark.parametrize("seed", [1, 2])
async def test_live_and_from_history_the_figures_are_the_same(
    database: Database, seed: int
) -> None:
    stretch = simulated(seed)
    await kept(database.dsn, stretch)
    end_us = START_US + SPAN_US
    live = stretch.load.figures(end_us, stretch.desk.ranking, OPERATORS)
    month = Month(START_US, end_us, OPERATORS, lambda at: to_datetime(at).date().isoformat())
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        await history.take_in(connection, month, START_US, end_us)
    paper = month.figures()
    assert live.raised_day > 100
    assert live.flood_share > 0.01
    assert len(paper.floods) == paper.flood_count >= 2
    assert paper.raised == live.raised_day
    for name in (
        "since",
        "operators",
        "flood_share",
        "by_tier",
        "top_sources",
        "to_acknowledge",
        "to_dispatch",
        "to_deliver",
    ):
        assert getattr(paper, name) == getattr(live, name), name
    assert paper.stale_at_end == live.stale
    assert sum(paper.outcomes.values()) == sum(
        isinstance(one, AlertChange) and one.kind == "resolved" for one in stretch.kept
    )


async def test_alerts_open_before_the_month_are_known(database: Database) -> None:
    stretch = simulated(3)
    await kept(database.dsn, stretch)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        found = await history.open_at(connection, START_US + SPAN_US)
        none = await history.open_at(connection, START_US)
    assert {one.alert_id for one in found} == {one.alert_id for one in stretch.desk.open_alerts()}
    assert none == []


def run(dsn: str, *words: str) -> Result:
    return CliRunner().invoke(cordon, ["report", "month", *words], env={"CORDON_DATABASE_URL": dsn})


async def test_the_command_prints_json_and_writes_a_page(
    database: Database, tmp_path: Path
) -> None:
    stretch = simulated(4)
    await kept(database.dsn, stretch)
    page = tmp_path / "october.html"
    words = ("2026-10", "--operators", "2", "--zone", "Europe/Madrid", "--out", str(page))
    result = await asyncio.to_thread(run, database.dsn, *words, "--json")
    assert result.exit_code == 0, result.output
    figures = msgspec.json.decode(result.stdout, type=MonthFigures)
    assert figures.raised == stretch.load.figures(START_US + SPAN_US, Ranking(), 2).raised_day
    assert figures.since == "2026-09-30T22:00:00.000000Z"
    assert [day.date for day in figures.days][:: len(figures.days) - 1] == [
        "2026-10-01",
        "2026-10-31",
    ]
    text = page.read_text()
    assert json.loads(result.stdout)["raised"] == figures.raised
    assert "<h1>Alerts, October 2026</h1>" in text
    assert "fewer than 1 (EEMUA 191)" in text
    for part in text.split("<svg")[1:]:
        ET.fromstring(f"<svg{part.partition('</svg>')[0]}</svg>")


async def test_what_cannot_be_reported_is_said(database: Database) -> None:
    store = Store(database.dsn)
    await store.migrate()
    await store.close()
    for words, said in (
        (("2026-13",), "is not a month"),
        (("2999-01",), "has not begun"),
        (("2026-10", "--zone", "Europe/Nowhere"), "There is no time zone"),
    ):
        result = await asyncio.to_thread(run, database.dsn, *words)
        assert result.exit_code != 0
        assert said in str(result.exception)
    empty = await asyncio.to_thread(run, database.dsn, "2026-10")
    assert json.loads(empty.stdout)["raised"] == 0
