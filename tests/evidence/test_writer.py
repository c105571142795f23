from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import nats
import psycopg
import pytest
from structlog.testing import capture_logs

from alerts.decisions import encode_decisions, encode_found
from alerts.deliveries import encode_entry
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.streams_source import source_factory
from devices.reports import decode_batch, encode_batch
from evidence import writer as writer_module
from evidence.rows import EARLIEST_US
from evidence.sources import Stream
from evidence.store import Store
from evidence.writer import Writer, groups
from ingest.journal import JournalWriter
from ingest.streams import ensure_streams
from tests.conftest import Database
from tests.evidence.conftest import Probe
from tests.evidence.fake_stream import FakeEntry, FakeStreams, until
from tests.evidence.samples import (
    DAY_US,
    NOW_US,
    anomaly_of,
    batch_of,
    change_of,
    decision_of,
    delivery_of,
)


def journal_bytes(number: int) -> bytes:
    fixes = [
        ("tag-1", number, NOW_US - number % 7 * DAY_US),
        ("handset-1", number, NOW_US + number),
    ]
    return encode_batch(batch_of(number, fixes))


@asynccontextmanager
async def running(
    dsn: str, streams: FakeStreams, *, pause_s: float = 0.01
) -> AsyncIterator[Writer]:
    writer = Writer(Store(dsn), streams.open, lambda: NOW_US, pause_s=pause_s)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def all_stored(writer: Writer, streams: FakeStreams) -> bool:
    lanes = writer.counts.lanes
    return all(
        lanes[stream].caught_up and lanes[stream].stored == len(streams.entries[stream])
        for stream in Stream
    )


def assert_exactly_once(probe: Probe, batches: int) -> None:
    assert probe.ask(
        "SELECT journal_position, count(*) FROM evidence.message GROUP BY 1 ORDER BY 1"
    ) == [(position, 2) for position in range(1, batches + 1)]
    assert probe.count("fix") == 2 * batches
    assert probe.count("batch") == batches


async def test_all_streams_are_stored(database: Database, probe: Probe) -> None:
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 8)))
    streams.add(Stream.DECISIONS, encode_decisions([decision_of(1), decision_of(2)]))
    streams.add(Stream.DECISIONS, encode_found([anomaly_of(1)]))
    streams.add(Stream.ALERTS, encode_entry(change_of(1)), encode_entry(delivery_of(1, "sent")))
    async with running(database.dsn, streams) as writer:
        await until(lambda: all_stored(writer, streams))
        streams.add(Stream.JOURNAL, journal_bytes(8))
        await until(lambda: all_stored(writer, streams))
        counts = writer.counts
        assert counts.database_up
        assert (counts.written.fixes, counts.written.decisions) == (16, 2)
        assert counts.written.anomalies == probe.count("anomaly") == 1
        assert (counts.written.alert_changes, counts.written.deliveries) == (1, 1)
        assert counts.lanes[Stream.JOURNAL].lag == 0
        assert counts.error == ""
    assert_exactly_once(probe, 8)
    assert probe.count("decision") == 2
    assert probe.count("alert_change") == probe.count("delivery") == 1


async def test_a_new_writer_goes_on_where_the_last_one_stopped(
    database: Database, probe: Probe
) -> None:
    streams = FakeStreams(group=2)
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 40)))
    done = 0
    while done < 39:
        async with running(database.dsn, streams) as writer:
            lane = writer.counts.lanes[Stream.JOURNAL]
            await until(lambda: lane.stored >= min(39, done + 9))  # noqa: B023
            done = lane.stored
    assert_exactly_once(probe, 39)


async def test_two_writers_at_once(database: Database, probe: Probe) -> None:
    streams = FakeStreams(group=4)
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 41)))
    async with running(database.dsn, streams) as one, running(database.dsn, streams) as other:
        await until(lambda: all_stored(one, streams) and all_stored(other, streams))
        assert one.counts.written.fixes + other.counts.written.fixes == 80
    assert_exactly_once(probe, 40)


async def test_a_damaged_entry_is_kept_and_passed(database: Database, probe: Probe) -> None:
    streams = FakeStreams(group=10)
    unstorable = batch_of(3, [("tag-1", 3, EARLIEST_US - 1)])
    good = [journal_bytes(number) for number in (1, 2)]
    streams.add(Stream.JOURNAL, good[0], b"no batch", encode_batch(unstorable), good[1])
    streams.add(Stream.DECISIONS, b"CD1\xff", encode_decisions([decision_of(1)]))
    streams.add(Stream.ALERTS, b'{"type": "other"}', encode_entry(change_of(1)))
    with capture_logs() as logs:
        async with running(database.dsn, streams) as writer:
            await until(lambda: all_stored(writer, streams))
            assert writer.counts.written.damaged == 4
            assert writer.counts.written.fixes == 4
    kept = probe.ask(
        "SELECT stream, position, name, data FROM evidence.damaged_entry ORDER BY stream, position"
    )
    assert kept == [
        ("ALERTS", 1, "gw/0", b'{"type": "other"}'),
        ("DECISIONS", 1, "gw/0", b"CD1\xff"),
        ("JOURNAL", 2, "gw/1", b"no batch"),
        ("JOURNAL", 3, "gw/2", encode_batch(unstorable)),
    ]
    assert sum(line["event"] == "entry_damaged" for line in logs) == 4
    assert probe.count("decision") == probe.count("alert_change") == 1


async def test_expired_entries_are_recorded_and_passed(database: Database, probe: Probe) -> None:
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 4)))
    async with running(database.dsn, streams) as writer:
        await until(lambda: all_stored(writer, streams))
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(4, 10)))
    streams.first = 7
    with capture_logs() as logs:
        async with running(database.dsn, streams) as writer:
            await until(lambda: all_stored(writer, streams))
            assert writer.counts.lanes[Stream.JOURNAL].gaps == 1
    assert probe.ask("SELECT kind, from_position, to_position FROM evidence.gap") == [
        ("expired", 3, 6)
    ]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["history_has_a_gap"]
    positions = probe.ask("SELECT journal_position FROM evidence.batch ORDER BY 1")
    assert positions == [(1,), (2,), (3,), (7,), (8,), (9,)]


async def test_a_replaced_stream_is_read_from_its_start(database: Database, probe: Probe) -> None:
    old = FakeStreams()
    old.add(Stream.JOURNAL, *map(journal_bytes, range(1, 6)))
    async with running(database.dsn, old) as writer:
        await until(lambda: all_stored(writer, old))
    new = FakeStreams()
    new.add(Stream.JOURNAL, journal_bytes(5), journal_bytes(6))
    async with running(database.dsn, new) as writer:
        await until(lambda: all_stored(writer, new))
        assert writer.counts.written.fixes == 2
        assert writer.counts.written.skipped == 1
    assert probe.ask("SELECT kind, from_position FROM evidence.gap") == [("replaced", 5)]
    assert probe.count("fix") == 12


async def test_what_waits_is_not_held_up_by_the_pause(database: Database, probe: Probe) -> None:
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 11)))
    async with running(database.dsn, streams, pause_s=3_600.0) as writer:
        await until(lambda: all_stored(writer, streams))
    assert_exactly_once(probe, 10)


async def test_a_source_that_fails_is_opened_again(database: Database, probe: Probe) -> None:
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 5)))
    streams.failures = [ConnectionError("gone"), RuntimeError("surprise"), TimeoutError()]
    async with running(database.dsn, streams) as writer:
        await until(lambda: all_stored(writer, streams))
        assert writer.counts.lanes[Stream.JOURNAL].retries == 3
        assert writer.counts.database_up, "the database had no part in it"
        assert writer.counts.lanes[Stream.JOURNAL].error == ""
    assert streams.opened == streams.closed == 3 + 3
    assert_exactly_once(probe, 4)


async def test_database_stopped_in_the_middle(postgres: EmbeddedPostgres) -> None:
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 21)))
    async with running(postgres.dsn, streams) as writer:
        lane = writer.counts.lanes[Stream.JOURNAL]
        await until(lambda: lane.stored >= 5)
        await asyncio.to_thread(postgres.stop)
        streams.add(Stream.JOURNAL, *map(journal_bytes, range(21, 41)))
        streams.add(Stream.ALERTS, encode_entry(change_of(1)))
        await until(lambda: writer.counts.database_up is False)
        assert writer.counts.error
        postgres.start()
        await until(lambda: all_stored(writer, streams))
        assert writer.counts.database_up
        assert writer.counts.error == lane.error == ""
    assert_exactly_once(Probe(postgres.dsn), 40)
    assert Probe(postgres.dsn).count("alert_change") == 1


async def test_the_real_journal_into_the_real_database(
    broker: EmbeddedBroker, database: Database, probe: Probe
) -> None:
    client = await nats.connect(broker.nats_url)
    await ensure_streams(client.jetstream())
    journal = JournalWriter(client)
    task_writer = Writer(
        Store(database.dsn), source_factory(client.jetstream()), lambda: NOW_US, pause_s=0.01
    )
    task = asyncio.create_task(task_writer.run())
    lane = task_writer.counts.lanes[Stream.JOURNAL]
    for number in range(1, 31):
        await journal.append(decode_batch(journal_bytes(number)))
    await until(lambda: lane.stored == 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await journal.close()
    await client.close()
    assert_exactly_once(probe, 30)


async def test_database_away_at_the_start(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, journal_bytes(1))
    with capture_logs() as logs:
        async with running(postgres.dsn, streams) as writer:
            await until(lambda: writer.counts.lanes[Stream.JOURNAL].retries >= 2)
            assert writer.counts.database_up is False
            postgres.start()
            await until(lambda: all_stored(writer, streams))
    told = [line["event"] for line in logs if line["event"].startswith("database_")]
    assert told == ["database_away", "database_up"], "each change is told once"
    assert_exactly_once(Probe(postgres.dsn), 1)


async def test_database_killed_again_and_again(postgres: EmbeddedPostgres) -> None:
    streams = FakeStreams(group=2)
    streams.add(Stream.JOURNAL, *map(journal_bytes, range(1, 61)))
    async with running(postgres.dsn, streams) as writer:
        lane = writer.counts.lanes[Stream.JOURNAL]
        for target in (3, 31):
            await until(lambda: lane.stored >= target)  # noqa: B023
            postgres.kill()
            postgres.start()
        await until(lambda: all_stored(writer, streams))
    assert_exactly_once(Probe(postgres.dsn), 60)


async def test_a_server_that_does_not_answer_is_given_up(
    database: Database, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evidence.database.TRANSACTION_LIMIT_S", 1)
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, journal_bytes(1))
    async with running(database.dsn, streams) as writer:
        await until(lambda: all_stored(writer, streams))
        with psycopg.connect(database.dsn) as blocker:
            blocker.execute("LOCK TABLE evidence.position")
            streams.add(Stream.JOURNAL, journal_bytes(2))
            await until(lambda: writer.counts.database_up is False)
        await until(lambda: all_stored(writer, streams))
    assert_exactly_once(probe, 2)


async def test_an_entry_nobody_foresaw_is_kept_too(
    database: Database, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(data: bytes) -> object:
        if data == b"odd":
            raise KeyError(data)
        return decode_batch(data)

    monkeypatch.setattr(writer_module, "decode_batch", decode)
    streams = FakeStreams()
    streams.add(Stream.JOURNAL, b"odd", journal_bytes(1))
    async with running(database.dsn, streams) as writer:
        await until(lambda: all_stored(writer, streams))
    assert probe.ask("SELECT position, reason FROM evidence.damaged_entry") == [(1, "KeyError")]
    assert probe.count("fix") == 2


def test_groups_are_bounded_and_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "GROUP_BYTES", 10)
    monkeypatch.setattr(writer_module, "GROUP_ENTRIES", 4)
    sizes = [1, 1, 1, 1, 1, 9, 2, 30, 1, 10]
    entries = [FakeEntry(position, bytes(size)) for position, size in enumerate(sizes, 1)]
    found = [[len(entry.data) for entry in group] for group in groups(entries)]
    assert found == [[1, 1, 1, 1], [1, 9], [2], [30], [1], [10]]
    assert list(groups([])) == []
