from __future__ import annotations

import asyncio

import msgspec
import psycopg
import pytest

from devices import migrations
from devices.instants import from_datetime
from devices.reports import (
    Batch,
    Event,
    Message,
    Refusal,
    Signature,
    Status,
    decode_batch,
    encode_batch,
    no_fixes,
)
from evidence.decided import AlertEntry, read_alert_entry
from evidence.rows import EARLIEST_US, LATEST_US, UnstorableError
from evidence.sources import Stream
from evidence.store import Break, Damaged, Store
from ingest.decoder import Decoder
from ingest.signatures import DeviceKeys, HmacKey, KeyRing
from simulators.wire import Key, seal
from tests.conftest import Database
from tests.database_faults import never_answered
from tests.evidence.conftest import Probe
from tests.evidence.samples import (
    DAY_US,
    NOW_US,
    anomaly_of,
    batch_of,
    change_of,
)
from tests.ingest.reports import NOW_US as REPORTED_US
from tests.ingest.reports import fix, payload


def alert_entries(*documents: tuple[int, bytes]) -> list[AlertEntry]:
    return [read_alert_entry(position, data) for position, data in documents]


async def test_migrate_twice_changes_nothing(store: Store, probe: Probe) -> None:
    before = probe.ask("SELECT name, checksum FROM evidence.migration")
    assert await store.migrate() == []
    assert probe.ask("SELECT name, checksum FROM evidence.migration") == before


async def test_a_store_given_up_while_it_connects_leaves_no_connection_open(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with never_answered(monkeypatch) as asked:
        connect = asyncio.create_task(Store(database.dsn).connect())
        connection = await asked
        connect.cancel()
        await asyncio.wait([connect])
        assert connect.cancelled()
        assert connection.closed


async def test_tables_are_cut_by_time(database: Database, store: Store, probe: Probe) -> None:
    await store.write_journal([(1, batch_of(1, [("tag-1", 1, NOW_US)]))])
    if database.has_timescale:
        assert probe.value(
            "SELECT count(*) FROM timescaledb_information.chunks "
            "WHERE hypertable_schema = 'evidence' AND hypertable_name = 'fix'"
        )
    else:
        names = [
            row[0] for row in probe.ask("SELECT relid::text FROM pg_partition_tree('evidence.fix')")
        ]
        assert "evidence.fix_20261118" in names
    widths = dict(probe.ask("SELECT name, width_days FROM evidence.timeline"))
    assert widths["fix"] == widths["message"] == 1


async def test_positions_begin_at_zero_and_move_with_the_rows(store: Store) -> None:
    assert await store.position(Stream.JOURNAL, 0) == 0
    await store.write_journal([(7, batch_of(1, [("tag-1", 1, NOW_US)]))])
    assert await store.position(Stream.JOURNAL, 0) == 7
    assert await store.position(Stream.JOURNAL, 1) == 0
    assert await store.position(Stream.DECISIONS, 0) == 0


async def test_the_same_group_again_changes_nothing(store: Store, probe: Probe) -> None:
    group = [(n, batch_of(n, [("tag-1", n, NOW_US + n)])) for n in range(1, 6)]
    first = await store.write_journal(group)
    again = await store.write_journal(group)
    assert (first.fixes, first.entries, first.skipped) == (5, 5, 0)
    assert (again.fixes, again.messages, again.entries, again.skipped) == (0, 0, 0, 5)
    assert [probe.count(table) for table in ("fix", "message", "batch")] == [5, 5, 5]


async def test_a_group_that_overlaps_adds_only_what_is_new(store: Store, probe: Probe) -> None:
    group = [(n, batch_of(n, [("tag-1", n, NOW_US + n)])) for n in range(1, 6)]
    await store.write_journal(group[:3])
    written = await store.write_journal(group[1:])
    assert (written.fixes, written.skipped) == (2, 2)
    assert probe.count("message") == 5


async def test_a_batch_published_twice_is_stored_once(store: Store, probe: Probe) -> None:
    batch = batch_of(1, [("tag-1", 1, NOW_US)])
    written = await store.write_journal([(1, batch), (2, batch)])
    assert (written.messages, written.skipped) == (1, 1)
    later = await store.write_journal([(3, batch)])
    assert (later.messages, later.skipped) == (0, 1)
    assert probe.count("message") == 1
    assert await store.position(Stream.JOURNAL, 0) == 3


async def test_fixes_sent_again_are_stored_once_and_counted(store: Store, probe: Probe) -> None:
    fixes = [("tag-1", 1, NOW_US), ("tag-1", 2, NOW_US + 1), ("handset-1", 1, NOW_US)]
    await store.write_journal([(1, batch_of(1, fixes))])
    written = await store.write_journal([(2, batch_of(2, [*fixes, ("tag-1", 3, NOW_US + 2)]))])
    assert (written.fixes, written.duplicate_fixes) == (1, 3)
    assert probe.count("fix") == 4
    assert probe.count("message") == 7, "what was received is kept, duplicate or not"
    counts = probe.ask("SELECT number, fixes, duplicate_fixes FROM evidence.batch ORDER BY number")
    assert counts == [(1, 3, 0), (2, 4, 3)]


async def test_of_equal_fixes_the_first_received_is_kept(store: Store, probe: Probe) -> None:
    group = [(n, batch_of(n, [("tag-1", 5, NOW_US)])) for n in (1, 2, 3)]
    written = await store.write_journal(group)
    assert (written.fixes, written.duplicate_fixes) == (1, 2)
    assert probe.value("SELECT journal_position FROM evidence.fix") == 1


async def test_late_fixes_of_three_hundred_days(store: Store, probe: Probe) -> None:
    fixes = [("tag-1", n, NOW_US - n * DAY_US) for n in range(301)]
    written = await store.write_journal([(1, batch_of(1, fixes))])
    assert written.fixes == 301
    again = await store.write_journal([(2, batch_of(2, fixes))])
    assert (again.fixes, again.duplicate_fixes) == (0, 301)
    times = [row[0] for row in probe.ask("SELECT evidence.us(time) FROM evidence.fix ORDER BY 1")]
    assert times == sorted(time_us for _, _, time_us in fixes)


async def test_two_writers_race(empty_database: Database) -> None:
    probe = Probe(empty_database.dsn)
    group = [
        (n, batch_of(n, [("tag-1", n, NOW_US - n * DAY_US), ("tag-2", n, NOW_US + n)]))
        for n in range(1, 41)
    ]
    stores = [Store(empty_database.dsn) for _ in range(3)]
    await asyncio.gather(*(store.migrate() for store in stores))

    async def write_all(store: Store, width: int) -> tuple[int, int]:
        fixes = duplicates = 0
        for start in range(0, len(group), width):
            written = await store.write_journal(group[start : start + width])
            fixes += written.fixes
            duplicates += written.duplicate_fixes
        return fixes, duplicates

    results = await asyncio.gather(
        *(write_all(store, width) for store, width in zip(stores, (1, 3, 7), strict=True))
    )
    for store in stores:
        await store.close()
    assert sum(fixes for fixes, _ in results) == 80
    assert sum(duplicates for _, duplicates in results) == 0
    assert [probe.count(table) for table in ("fix", "message", "batch")] == [80, 80, 40]


async def test_nothing_of_a_refused_group_is_stored(store: Store, probe: Probe) -> None:
    good = batch_of(1, [("tag-1", 1, NOW_US)])
    bad = batch_of(2, statuses=(Status(0, "tag-1", True, 2**60),), messages=(_message(),))
    with pytest.raises(UnstorableError, match="2 to 9998"):
        await store.write_journal([(1, good), (2, bad)])
    beyond = batch_of(3, refusals=(_refusal(size_bytes=2**63),), messages=(_message(),))
    with pytest.raises(UnstorableError):
        await store.write_journal([(1, good), (3, beyond)])
    assert probe.count("message") == 0
    assert await store.position(Stream.JOURNAL, 0) == 0
    await store.write_journal([(1, good)])
    assert probe.count("fix") == 1


def _message(payload: bytes = b"x") -> Message:
    return Message(NOW_US, "cordon/v1/tag-1/event", payload)


def _refusal(size_bytes: int = 1) -> Refusal:
    return Refusal(0, "tag-1", "not_json", "It is not JSON.", None, size_bytes, b"\1" * 32)


async def test_odd_event_details(store: Store, probe: Probe) -> None:
    unsayable = '{"not_stored": "cannot be written as JSON: %s"}'
    cases: list[tuple[dict[str, object], str]] = [
        ({"a": "\0"}, r'{"a": "\u0000"}'),
        ({"\0": 1}, r'{"\u0000": 1}'),
        ({"a": "\ud800"}, r'{"a": "\ud800"}'),
        ({"a": 2**200}, f'{{"a": {2**200}}}'),
        ({"a": 1e308}, '{"a": 1e+308}'),
        ({"a": float("nan")}, unsayable % "ValueError"),
        ({"a": 10**5000}, unsayable % "ValueError"),
        ({"a": b"\xff"}, unsayable % "TypeError"),
    ]
    events = tuple(
        Event(0, "tag-1", seq, NOW_US, "panic", "p\0eer", detail)
        for seq, (detail, _) in enumerate(cases)
    )
    await store.write_journal([(1, batch_of(1, events=events, messages=(_message(),)))])
    assert probe.ask("SELECT detail::text, peer FROM evidence.event ORDER BY seq") == [
        (stored, "p\ufffdeer") for _, stored in cases
    ]


async def test_events_sent_again_are_stored_once_and_counted(store: Store, probe: Probe) -> None:
    event = Event(0, "tag-1", 9, NOW_US, "panic", None, {})
    for position in (1, 2):
        batch = batch_of(position, events=(event, event), messages=(_message(),))
        written = await store.write_journal([(position, batch)])
        assert (written.events, written.duplicate_events) == ((1, 1) if position == 1 else (0, 2))
    assert probe.count("event") == 1


async def test_an_empty_batch_moves_the_position(store: Store) -> None:
    empty = Batch(gateway="g", number=1, received_us=NOW_US, messages=(), fixes=no_fixes())
    written = await store.write_journal([(1, empty)])
    assert (written.entries, written.messages) == (1, 0)
    assert await store.position(Stream.JOURNAL, 0) == 1
    assert (await store.write_journal([])).entries == 0


async def test_signatures_and_doubted_times_are_kept(store: Store, probe: Probe) -> None:
    messages = tuple(
        Message(NOW_US + n, "cordon/v1/tag-1/event", b"x", signature)
        for n, signature in enumerate(Signature)
    )
    events = (
        Event(0, "tag-1", 1, NOW_US, "panic", None, {}),
        Event(1, "tag-1", 2, NOW_US + 1, "panic", None, {}, time_doubted=True),
    )
    batch = decode_batch(encode_batch(batch_of(1, messages=messages, events=events)))
    await store.write_journal([(1, batch)])
    rows = probe.ask("SELECT signature FROM evidence.message ORDER BY item")
    assert [Signature(value) for (value,) in rows] == list(Signature)
    rows = probe.ask("SELECT seq, time_doubted FROM evidence.event ORDER BY seq")
    assert rows == [(1, False), (2, True)]


async def test_a_signed_message_sent_again_is_a_duplicate(store: Store, probe: Probe) -> None:
    body = seal(Key(secret=bytes(32)), "cordon/v1/tag-1/fix", 7, payload([fix(seq=None)] * 3))
    decoder = Decoder(KeyRing({"tag-1": DeviceKeys({0: HmacKey(bytes(32))}, required=True)}))
    batches = [
        decoder.decode(
            [Message(REPORTED_US + number, "cordon/v1/tag-1/fix", body)],
            gateway="gw",
            number=number,
            received_us=REPORTED_US + number,
        )
        for number in (1, 2)
    ]
    written = await store.write_journal(list(enumerate(batches, 1)))
    assert (written.fixes, written.duplicate_fixes) == (3, 3)
    assert probe.ask("SELECT seq FROM evidence.fix ORDER BY seq") == [(7,), (8,), (9,)]
    assert probe.count("message") == 2


async def test_a_database_of_the_version_before_is_brought_up_to_date(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows stay, and say of what they do not know that they do not know it."""
    database, probe = empty_database, Probe(empty_database.dsn)
    everything = migrations.migrations_of
    monkeypatch.setattr(migrations, "migrations_of", lambda package: everything(package)[:1])
    before = Store(database.dsn)
    assert await before.migrate() == ["0001_history.sql"]
    await before.close()
    with psycopg.connect(database.dsn) as connection:
        if not database.has_timescale:
            for table in ("decision", "alert_change"):
                connection.execute(
                    f"CREATE TABLE evidence.{table}_2001 PARTITION OF evidence.{table}"
                    " FOR VALUES FROM ('2001-01-01') TO ('2002-01-01')".encode()
                )
        connection.execute(
            "INSERT INTO evidence.decision VALUES ('2001-06-01', 1, 1, now(), null, null, 1, 1, 1, 1, 1,"
            " 0, 0, 2, false, 'w', 'c', 'o', 'a', 'w1', null, 't', null, 'r', 'b', 'v')"
        )
        connection.execute(
            "INSERT INTO evidence.alert_change VALUES"
            " ('2001-06-01', 1, 1, 1, 'a1', 'a1/1', 'cordon.alert.raised', 'a', 'system', '{}')"
        )
    monkeypatch.undo()
    store = Store(database.dsn)
    later = [migration.name for migration in everything("evidence.sql")[1:]]
    assert later[:2] == ["0002_causes_and_anomalies.sql", "0003_devices.sql"]
    assert await store.migrate() == later
    [row] = probe.ask("SELECT watch, cause, sigma_m, closest_at FROM evidence.decision")
    assert row == ("w", None, None, None)
    await store.write_decisions([(1, [anomaly_of(1)])])
    assert probe.count("anomaly") == probe.count("alert_change") == 1
    assert ("anomaly",) in probe.ask("SELECT name FROM evidence.timeline")
    await store.close()


async def test_alert_changes_are_kept_to_the_letter(store: Store, probe: Probe) -> None:
    document = msgspec.json.encode(change_of(1, note="\0 10 Downing St")).replace(
        b'"note":', b'  "note" :'
    )
    written = await store.write_alerts(alert_entries((1, document)))
    assert written.alert_changes == 1
    assert probe.value("SELECT document::text FROM evidence.alert_change") == document.decode()
    assert probe.ask(
        "SELECT id, type, version, tier, evidence.us(time) FROM evidence.alert_change"
    ) == [("a1/1", "cordon.alert.raised", 1, 1, NOW_US + 1)]
    again = await store.write_alerts(alert_entries((1, document), (2, document)))
    assert (again.alert_changes, again.skipped) == (0, 1)


async def test_damage_is_kept_whole(store: Store, probe: Probe) -> None:
    damaged = Damaged(3, "gw/1\0", b"\0\xff", "unknown layout", NOW_US)
    assert (await store.write_damaged(damaged, Stream.JOURNAL)).damaged == 1
    assert (await store.write_damaged(damaged, Stream.JOURNAL)).skipped == 1
    assert probe.ask("SELECT position, name, reason, data FROM evidence.damaged_entry") == [
        (3, "gw/1\ufffd", "unknown layout", b"\0\xff")
    ]
    assert await store.position(Stream.JOURNAL, 0) == 3


async def test_a_break_is_recorded_only_where_it_was_found(store: Store, probe: Probe) -> None:
    await store.write_journal([(5, batch_of(1, [("tag-1", 1, NOW_US)]))])
    assert not await store.write_break(Break("expired", 4, 9, NOW_US), Stream.JOURNAL)
    assert await store.write_break(Break("expired", 5, 9, NOW_US), Stream.JOURNAL)
    assert await store.position(Stream.JOURNAL, 0) == 9
    assert probe.ask("SELECT kind, from_position, to_position FROM evidence.gap") == [
        ("expired", 5, 9)
    ]


async def test_a_replaced_stream_read_again_adds_only_what_is_new(
    store: Store, probe: Probe
) -> None:
    old = batch_of(1, [("tag-1", 1, NOW_US)])
    await store.write_journal([(500, old)])
    assert await store.write_break(Break("replaced", 500, 0, NOW_US), Stream.JOURNAL)
    new = batch_of(2, [("tag-1", 2, NOW_US + 5)])
    written = await store.write_journal([(1, old), (2, new)])
    assert (written.fixes, written.skipped) == (1, 1)
    assert probe.count("message") == 2


async def test_the_database_away_is_not_taken_for_a_bad_entry() -> None:
    nowhere = Store("host=/nonexistent dbname=x user=x")
    with pytest.raises(psycopg.OperationalError):
        await nowhere.write_journal([(1, batch_of(1, [("tag-1", 1, NOW_US)]))])
    with pytest.raises(psycopg.OperationalError):
        await nowhere.migrate()


async def test_instants_are_exact_to_the_microsecond(store: Store, probe: Probe) -> None:
    instants_us = [EARLIEST_US, -1, 0, 1, NOW_US, NOW_US + 1, LATEST_US - 1]
    fixes = [("tag-1", seq, time_us) for seq, time_us in enumerate(instants_us)]
    await store.write_journal([(1, batch_of(1, fixes))])
    rows = probe.ask("SELECT time, evidence.us(time) FROM evidence.fix ORDER BY time")
    assert [time_us for _, time_us in rows] == instants_us
    assert [from_datetime(time) for time, _ in rows] == instants_us
