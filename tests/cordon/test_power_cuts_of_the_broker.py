"""The broker loses the newest of what it had; what comes then gets the same positions again."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiomqtt
import msgspec
import psycopg
import pytest

from cordon.clock import wall_clock_us
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.keep import Keep
from cordon.service import Service
from cordon.stream_ends import NAME, Ends
from devices.instants import to_iso
from evidence.sources import Stream
from ingest.streams import JOURNAL
from tests.conftest import Database
from tests.cordon.running import World, one_pair, running, settings_for_tests, until, world
from tests.power.broker import OlderState

pytestmark = pytest.mark.timeout(240)


async def report(seen: World, count: int) -> None:
    """So many fixes, each a batch of its own."""
    counts = seen.service.parts.journal.counts
    for step in range(count):
        before = counts.batches
        await seen.fix("tag-1", 5_000 + step)
        await until(lambda: counts.batches > before, "it is journaled")  # noqa: B023


async def journal_end(broker: EmbeddedBroker) -> int:
    nc = await connect_nats(broker.nats_url, "test")
    try:
        return int((await nc.jetstream().stream_info(JOURNAL)).state.last_seq)
    finally:
        await nc.close()


async def two_runs(
    broker: EmbeddedBroker, dsn: str, folder: Path, first: int, second: int
) -> tuple[OlderState, World, World, int]:
    """Two runs whose fixes the history has, the broker's state between them, and the journal's end."""
    async with world(broker, dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await report(seen, first)
        await until(lambda: seen.stored() == set(seen.sent), "the history has it")
    older = OlderState(broker, folder)
    async with world(broker, dsn, one_pair()) as lost:
        lost.sent, lost._seq = seen.sent, seen._seq
        await report(lost, second)
        await until(lambda: lost.stored() == set(lost.sent), "the history has it, too")
        return older, seen, lost, await journal_end(broker)


def check_history(seen: World, sent: list[tuple[str, int]]) -> None:
    """Every fix and every message once, under whatever position."""
    assert sorted(seen.query("select device, seq from evidence.fix")) == sorted(sent)
    [(batches, names)] = seen.query(
        "select count(*), count(distinct (gateway, number)) from evidence.batch"
    )
    assert batches == names
    [(messages,)] = seen.query("select count(*) from evidence.message where topic like '%/fix'")
    assert messages == len(sent)


@pytest.mark.parametrize("more", [3, 25], ids=["shorter than before", "longer than before"])
async def test_power_lost_by_broker_and_service(
    broker: EmbeddedBroker, database: Database, tmp_path: Path, more: int
) -> None:
    older, seen, lost, before = await two_runs(broker, database.dsn, tmp_path, 5, 12)
    await asyncio.to_thread(older.bring_back, start=False)
    broker.start()
    assert await journal_end(broker) < before
    async with world(broker, database.dsn, one_pair()) as later:
        later.sent, later._seq = seen.sent, lost._seq
        await report(later, more)
        await until(lambda: later.stored() == set(later.sent), "the history goes on", 60)
        check_history(later, seen.sent)
        breaks = later.query("select from_position, to_position from evidence.gap "
                             "where stream = 'JOURNAL' and kind = 'replaced'")  # fmt: skip
        assert len(breaks) == 1
        await later.publish("phone-1", "event", panic())
        await until(lambda: later.events("raised"), "alerts go on")
        worker = later.service.parts.worker
        end = await journal_end(broker)
        await until(lambda: worker.partition.position == end, "the worker stands at its end")


def panic() -> bytes:
    return json.dumps({"seq": 1, "time": to_iso(wall_clock_us()), "type": "panic"}).encode()


async def test_power_lost_by_the_broker_alone(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    """It runs elsewhere: the service goes on, and soon has more to journal than was lost."""
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await report(seen, 2)
        await until(lambda: seen.stored() == set(seen.sent), "the history has it")
        older = OlderState(broker, tmp_path)
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as second:
            seen.device = second
            await report(seen, 8)
            await until(lambda: seen.stored() == set(seen.sent), "the history has it, too")
            worker = seen.service.parts.worker
            blocker = psycopg.connect(database.dsn)
            blocker.execute("LOCK TABLE evidence.position")  # evidence looks when it is too late
            await report(seen, 1)
            before = await journal_end(broker)
            await until(lambda: worker.partition.position == before, "the worker has it")
            lane = seen.service.parts.writer.counts.lanes[Stream.JOURNAL]
            await until(lambda: lane.seen == before, "evidence has read it")
        older.bring_back()
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as third:
            seen.device = third
            await report(seen, 12)
            assert await journal_end(broker) > before
            blocker.close()
            await report(seen, 8)
            await until(lambda: seen.stored() == set(seen.sent), "the history goes on", 60)
            end = await journal_end(broker)
            await until(lambda: worker.partition.position == end, "the worker stands at its end")
            assert worker.counts.gaps
        check_history(seen, seen.sent)
        breaks = seen.query("select kind from evidence.gap where stream = 'JOURNAL'")
        assert breaks == [("replaced",)]


async def test_power_lost_and_the_database_away_until_the_start_after_the_next(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    older, seen, lost, before = await two_runs(broker, postgres.dsn, tmp_path, 2, 6)
    postgres.stop()
    older.bring_back()
    service = Service(seen.endpoints, settings_for_tests(), wall_clock_us, headless=True)
    async with running(service), aiomqtt.Client(broker.host, broker.mqtt_port) as device:
        away = World(service, seen.endpoints, device, sent=seen.sent, _seq=lost._seq)
        await report(away, 10)
    assert await journal_end(broker) > before, "by then it is longer than before"
    postgres.start()
    async with world(broker, postgres.dsn, one_pair()) as later:
        later.sent, later._seq = seen.sent, away._seq
        await until(lambda: later.stored() == set(later.sent), "all of it is in the history", 60)
        check_history(later, seen.sent)
        keep = await Keep.look((nc := await connect_nats(broker.nats_url, "test")).jetstream())
        assert keep is not None
        async with asyncio.timeout(30):
            while await keep.get(NAME) != msgspec.json.encode(Ends()):  # noqa: ASYNC110 - it says nothing when it changes
                await asyncio.sleep(0.1)
        await nc.close()
