"""The sealer on a real database, with real witnesses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg import conninfo, sql

from devices.choices import Choices
from devices.course import CourseStep
from devices.reports import Event, Message, Receipt, Refusal, Status
from devices.store import CaseloadStore
from evidence import sealing
from evidence.audit import Audit, audit
from evidence.case_records import record_disclosure
from evidence.covered import covered_tables
from evidence.covered_tables import RECORDS
from evidence.keys import Guard
from evidence.log.headers import Header
from evidence.log.leaves import FIX_PAYLOAD
from evidence.log.notes import Checkpoint, parse_checkpoint, parse_note
from evidence.log.signing import open_checkpoint, verified
from evidence.log.witnessing import InconsistentError
from evidence.sealing import FencedError, RestoredError, recover, seal_batches
from evidence.sources import Stream
from evidence.store import Break, Damaged, Store
from evidence.witness_client import Witness
from tests.conftest import Database
from tests.evidence.access_world import control_rows
from tests.evidence.case_world import caseload
from tests.evidence.conftest import Probe
from tests.evidence.custody import custody
from tests.evidence.her_samples import choice, digest, look
from tests.evidence.samples import (
    NOW_US,
    anomaly_of,
    batch_of,
    change_of,
    command_of,
    decision_of,
    delivery_of,
    gap_of,
    health_of,
)
from tests.evidence.sealing_world import (
    ORIGIN,
    SEEDS,
    log_keys,
    sealer_of,
    store_some,
    witness_here,
)
from tests.evidence.test_store import alert_entries

NOT_COVERED = {
    *("migration", "timeline", "position", "caseload_kept", "worker_state"),
    *("conduct_act", "conduct_pattern", "overlay"),
}
"""What says nothing about anybody, what is recognised in sealed rows and can be made again, and files of
others, whose hash stands in a covered record; the log's own tables are not covered either, but the records
of recovery."""


async def check(dsn: str, *heads: Checkpoint) -> Audit:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        keys = log_keys() + log_keys(f"{ORIGIN}/2")
        return await audit(connection, keys, [("a witness", head) for head in heads])


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.01)


def newest(witness: Witness, origin: str = ORIGIN) -> Checkpoint:
    note = witness.newest(origin)
    assert note is not None
    return parse_checkpoint(note.text)


async def test_what_is_stored_is_sealed_signed_and_witnessed(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    with witness_here(tmp_path, "w1.test") as one, witness_here(tmp_path, "w2.test") as two:
        sealer = sealer_of(probe.dsn, tmp_path, one, two)
        await store_some(store, 1)
        await sealer.turn()
        await sealer.turn()
        await store_some(store, 2)
        await sealer.turn()
        assert (sealer.progress.size, sealer.progress.cosigned_size) == (3, 3)
        note = one.newest(ORIGIN)
        assert note is not None
        assert open_checkpoint(note, log_keys()).size == 3
        assert len(verified(note, one.keys)) == 2
    rows = [
        Header.decode(header).rows
        for [header] in probe.ask("SELECT header FROM evidence.seal_batch ORDER BY number")
    ]
    assert rows == [25, 0, 25]  # 12 fixes, 12 messages, one batch; nothing; the same again
    for size, text in probe.ask("SELECT size, note FROM evidence.seal_checkpoint ORDER BY size"):
        assert open_checkpoint(parse_note(text.encode()), log_keys()).size == size
    assert probe.count("seal_cosignature") == 6


@pytest.mark.usefixtures("store")
async def test_every_column_of_every_table_is_covered(probe: Probe) -> None:
    """Whoever adds a column adds a layout; whoever adds a table covers it, or says why not."""
    found: dict[str, set[str]] = {}
    for table, column in probe.ask(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'evidence'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"
        " AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
    ):
        found.setdefault(table, set()).add(column)
    own = {table for table in found if table.startswith("seal_")} - {"seal_recovery"}
    assert {table.name for table in covered_tables()} == found.keys() - own - NOT_COVERED
    for table in RECORDS[max(RECORDS)]:
        assert {name for name, _ in table.columns} == found[table.name] - {"stored_in"}
    assert len(found["fix"]) == 19  # FIX_PAYLOAD: its 17 columns, the device as chain; stored_in
    assert FIX_PAYLOAD.size == 104


async def test_every_kind_of_record_is_covered(store: Store, probe: Probe, tmp_path: Path) -> None:
    odd = batch_of(
        1,
        [("tag-1", 1, NOW_US)],
        messages=tuple(Message(NOW_US, "t", b"\0") for _ in range(4)),
        events=(Event(1, "tag-1", 5, -1, "panic", None, {"why": "\0"}),),
        receipts=(Receipt(2, "h-1", "c1", "shown", NOW_US, None),),
        statuses=(Status(3, "tag-1", True, NOW_US),),
        refusals=(Refusal(4, "tag-2", "bad_json", "no JSON", 3, 1, bytes(32)),),
    )
    await store.write_journal([(1, odd)])
    await store.write_decisions(
        [
            (1, [decision_of(1)]),
            (2, [anomaly_of(1)]),
            (3, [health_of(1)]),
            (4, [gap_of(1)]),
            (5, [command_of(1)]),
            (6, [CourseStep(run_us=NOW_US, number=1, kind="live", at_us=NOW_US)]),
        ]
    )
    hers = (choice(1, Choices()), digest(), look(1, "she"))
    entries = (change_of(1), delivery_of(1, "sent"), *hers)
    documents = [msgspec.json.encode(entry) for entry in entries]
    await store.write_alerts(alert_entries(*enumerate(documents, 1)))
    await store.write_damaged(Damaged(3, "gw/1", b"\xff", "unknown layout", NOW_US), Stream.JOURNAL)
    await store.write_break(Break("replaced", 3, 0, NOW_US), Stream.JOURNAL)
    again = [("tag-1", 1, NOW_US), ("tag-1", 2, NOW_US + 5)]
    await store.write_journal([(1, batch_of(2, again))])  # counted anew
    orders = CaseloadStore(probe.dsn)
    await orders.migrate()
    await orders.save(caseload())
    await orders.close()
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        await record_disclosure(connection, custody("o1", NOW_US, NOW_US + 1), "opened", NOW_US)
    control_rows(probe.dsn)
    sealer = sealer_of(probe.dsn, tmp_path)
    await sealer.turn()
    await sealer.turn()
    found = await check(probe.dsn)
    assert found.findings == []
    tables = [t.name for t in covered_tables() if t.name != "seal_recovery"]
    assert all(probe.count(name) for name in tables)
    assert found.rows == sum(probe.count(name) for name in tables)
    for name in tables:
        with psycopg.connect(probe.dsn) as connection:
            connection.execute("SET session_replication_role = replica")  # past foreign keys
            connection.execute(f"DELETE FROM evidence.{name}".encode())
            connection.commit()
        assert len((await check(probe.dsn)).findings) >= 1, name


async def test_a_writer_still_at_work_is_neither_sealed_nor_missed(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    sealer = sealer_of(probe.dsn, tmp_path)
    await store_some(store, 1)
    with psycopg.connect(probe.dsn) as slow:
        slow.execute(
            "INSERT INTO evidence.gap VALUES ('JOURNAL', 0, 'expired', 1, 2, now())"
        )  # a lower number than what is stored next, and not ended
        await store_some(store, 2)
        await sealer.turn()
        slow.commit()
    await sealer.turn()
    found = await check(probe.dsn)
    assert found.findings == []
    assert (found.waiting, found.rows) == (0, 51)
    rows = [Header.decode(h).rows for [h] in probe.ask("SELECT header FROM evidence.seal_batch")]
    assert rows == [25, 26]


async def test_what_is_behind_is_caught_up_in_batches_of_bounded_size(
    store: Store, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "ROWS_LIMIT", 60)
    for number in range(1, 8):
        await store_some(store, number)
    sealer = sealer_of(probe.dsn, tmp_path)
    await sealer.turn()
    rows = [Header.decode(h).rows for [h] in probe.ask("SELECT header FROM evidence.seal_batch")]
    assert rows == [50, 50, 50, 25]
    assert (await check(probe.dsn)).findings == []


@pytest.mark.usefixtures("store")
async def test_a_sealer_that_was_replaced_writes_nothing(probe: Probe, tmp_path: Path) -> None:
    await sealer_of(probe.dsn, tmp_path).turn()  # its fence is 1
    await sealer_of(probe.dsn, tmp_path).turn()
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        with pytest.raises(FencedError):
            await seal_batches(connection, 1, NOW_US, "late", lambda _step: None)
    assert probe.count("seal_batch") == 2


@pytest.mark.usefixtures("store")
async def test_a_second_sealer_waits_until_the_first_is_gone(probe: Probe, tmp_path: Path) -> None:
    first, second = sealer_of(probe.dsn, tmp_path), sealer_of(probe.dsn, tmp_path)
    one = asyncio.create_task(first.run())
    await until(lambda: first.counts.batches)
    two = asyncio.create_task(second.run())
    await until(lambda: second.progress.error)
    assert second.counts.batches == 0
    one.cancel()
    await until(lambda: second.counts.batches)
    two.cancel()
    await asyncio.gather(one, two, return_exceptions=True)
    assert (await check(probe.dsn)).findings == []


COPY_TRIES = 20


@contextmanager
def old_state_of(dsn: str) -> Iterator[str]:
    """A copy of a database, as a backup taken now would bring it back."""
    parts = conninfo.conninfo_to_dict(dsn)
    copy = f"{parts['dbname']}_old"
    maintenance = conninfo.make_conninfo(dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as connection:
        names = [sql.Identifier(name) for name in (copy, str(parts["dbname"]))]
        # TimescaleDB's worker may be at home in it; one that is sent away comes again.
        for tries_left in reversed(range(COPY_TRIES)):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                (parts["dbname"],),
            )
            with suppress(*([psycopg.errors.ObjectInUse] if tries_left else [])):
                connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*names))
                break
        try:
            yield conninfo.make_conninfo(dsn, dbname=copy)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(names[0]))


async def test_an_older_state_is_not_signed_until_people_decide(
    database: Database, tmp_path: Path
) -> None:
    store = Store(database.dsn)
    await store.migrate()
    forgot = tmp_path / "forgot"
    forgot.mkdir()
    with witness_here(tmp_path, "w1.test") as one, witness_here(tmp_path, "w2.test") as two:
        await store_some(store, 1)
        await store.close()
        await sealer_of(database.dsn, tmp_path, one, two).turn()
        with old_state_of(database.dsn) as old:
            await store_some(store, 2)
            await sealer_of(database.dsn, tmp_path, one, two).turn()
            await sealer_of(database.dsn, tmp_path, one, two).turn()
            signed = newest(one)

            with pytest.raises(RestoredError, match="3 have been signed"):
                await sealer_of(old, tmp_path, one, two).turn()
            # Even when what the key has signed was lost with the rest, the witnesses know.
            with pytest.raises(RestoredError, match="3 have been signed"):
                await sealer_of(old, forgot, one, two).turn()
            assert newest(one) == signed
            assert Probe(old).count("seal_batch") == 1  # nothing was added to it either

            async with await psycopg.AsyncConnection.connect(old, autocommit=True) as connection:
                guard = Guard(tmp_path / "log.signed", SEEDS)
                begun = await recover(connection, guard, NOW_US, "Kim", "disk lost")
            assert begun.origin == f"{ORIGIN}/2"
            sealer = sealer_of(old, tmp_path, one, two)
            await sealer.turn()
            assert sealer.progress.cosigned_size == 1
            assert (await check(old, newest(one, begun.origin))).findings == []
            [found] = (await check(old, signed)).findings
            assert "an older state was restored" in found
            [record] = Probe(old).ask(
                "SELECT old_origin, signed_size, signed_root, reason FROM evidence.seal_recovery"
            )
            assert record == (ORIGIN, 3, signed.root, "disk lost")
    await store.close()


async def test_a_rewritten_database_is_not_signed(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    await store_some(store, 1)
    sealer = sealer_of(probe.dsn, tmp_path)
    await sealer.turn()
    await sealer.turn()
    with psycopg.connect(probe.dsn) as connection:
        connection.execute("UPDATE evidence.seal_node SET hash = sha256('x') WHERE level = 1")
    with pytest.raises(InconsistentError):
        await sealer.turn()


@pytest.mark.usefixtures("store")
async def test_one_witness_of_three_may_be_away(probe: Probe, tmp_path: Path) -> None:
    with (
        witness_here(tmp_path, "w1.test") as one,
        witness_here(tmp_path, "w2.test") as two,
        witness_here(tmp_path, "w3.test") as three,
    ):
        gone = Witness("http://127.0.0.1:9", three.keys)
        sealer = sealer_of(probe.dsn, tmp_path, one, two, gone)
        await sealer.turn()
        assert (sealer.progress.cosigned_size, sealer.counts.witness_failures) == (1, 1)
        lone = sealer_of(probe.dsn, tmp_path, one, gone)
        await lone.turn()
        assert lone.progress.cosigned_size == 0
        assert lone.lag_s() == float("inf")
        whole = sealer_of(probe.dsn, tmp_path, one, two, three)
        await whole.turn()  # the third learns what it missed
        assert {newest(w).size for w in (one, two, three)} == {3}


async def test_without_a_database_it_waits(tmp_path: Path) -> None:
    sealer = sealer_of("host=/nonexistent dbname=x user=x", tmp_path)
    task = asyncio.create_task(sealer.run())
    await until(lambda: sealer.progress.error)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
