"""How full the database is: figures from the catalogue, and how long they last."""

from __future__ import annotations

import secrets
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo
from structlog.testing import capture_logs

from cordon.checks.findings import Patient
from cordon.checks.record import people, record, room
from cordon.connections import Endpoints
from cordon.record_metrics import of_record
from cordon.record_watch import RecordWatch
from cordon.settings import load_settings
from evidence import access
from evidence.capacity import Capacity, Waiting, free_bytes
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, batch_of

GIB = 1024**3


def watch_over(dsn: str, now_us: int, **variables: str) -> RecordWatch:
    return RecordWatch(
        dsn, load_settings(None, {"CORDON_DATABASE_URL": dsn, **variables}), lambda: now_us
    )


async def test_growth_is_what_the_last_days_brought(
    store: Store, probe: Probe, database: Database
) -> None:
    installed = int(probe.value("SELECT evidence.us(min(applied_at)) FROM evidence.migration"))
    with psycopg.connect(database.dsn) as connection:
        connection.execute(
            "UPDATE evidence.migration SET applied_at = applied_at - interval '30 days'"
        )
    empty = watch_over(database.dsn, installed)
    await empty.look()
    for number in range(1, 5):
        fixes = [("tag-1", seq, installed - number * DAY_US + seq) for seq in range(2_000)]
        batch = batch_of(number, fixes, received_us=installed - number * DAY_US)
        await store.write_journal([(number, batch)])
    filled = watch_over(database.dsn, installed, CORDON_DATABASE_DISK_BYTES=str(GIB))
    await filled.look()
    before, after = empty.capacity, filled.capacity
    assert before is not None
    assert after is not None
    stored = after.used_bytes - before.used_bytes
    assert stored > 500_000
    grown = after.growth_bytes_per_day - before.growth_bytes_per_day
    assert 0.5 * stored / 7 < grown < 1.2 * stored / 7  # four days of the last seven
    assert before.days_left is None
    assert after.days_left == (GIB - after.used_bytes) / after.growth_bytes_per_day
    names = {metric.name for metric in of_record(filled)}
    assert {"cordon_database_days_left", "cordon_break_glass_overdue"} <= names
    assert "cordon_database_free_bytes" not in {metric.name for metric in of_record(empty)}


async def test_what_waits_for_people_is_counted(
    store: Store, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 4_000_000_000_000_000
    watch = watch_over(database.dsn, now)
    async with await psycopg.AsyncConnection.connect(database.dsn, autocommit=True) as connection:
        first = await access.break_glass(connection, "ana", CASE, "he-1", "an emergency", 5)
        await watch.look()
        assert watch.waiting == Waiting(frozenset({first}), glass_overdue=1, holds=0, holds_due=0)
        assert "break_glass_waits_for_review" in capsys.readouterr().out
        await watch.look()
        assert "break_glass" not in capsys.readouterr().out  # once is enough
        await access.review(connection, first, "chief", "right", justified=True)
        await access.break_glass(connection, "ben", CASE, "he-1", "another emergency", 5)
    await watch.look()
    assert "break_glass" in capsys.readouterr().out, "as many as before, and another"
    await store.close()


@pytest.mark.usefixtures("store")
async def test_what_may_not_be_read_is_said_once_and_by_the_doctor(database: Database) -> None:
    role = f"nobody_{secrets.token_hex(4)}"
    with psycopg.connect(database.dsn, autocommit=True) as owner:
        owner.execute(f"CREATE ROLE {role}".encode())
        dsn = conninfo.make_conninfo(database.dsn, options=f"-c role={role}")
        watch = watch_over(dsn, 0)
        with capture_logs() as logs:
            for _ in range(4):
                await watch.look()
        assert [line["event"] for line in logs] == ["record_cannot_be_watched"]
        assert "InsufficientPrivilege" in logs[0]["reason"]
        assert list(of_record(watch)) == []
        settings = load_settings(None, {"CORDON_DATABASE_URL": dsn})
        patient = Patient(settings, Endpoints("", "127.0.0.1", 1, dsn), 0, None, None)
        with pytest.raises(
            psycopg.errors.InsufficientPrivilege
        ):  # the doctor makes a finding of it
            await record(patient)
        owner.execute(f"DROP ROLE {role}".encode())


async def test_a_database_that_is_away_has_no_figures() -> None:
    watch = watch_over("host=/nonexistent dbname=none", 0)
    await watch.look()
    assert list(of_record(watch)) == []


@pytest.mark.parametrize(
    ("capacity", "state", "text"),
    [
        (Capacity(GIB, GIB, None), "warn", "not known"),
        (Capacity(GIB, GIB, 100 * GIB), "ok", "full in 100 days"),
        (Capacity(GIB, GIB, 20 * GIB), "warn", "full in 20 days"),
        (Capacity(GIB, GIB, 3 * GIB), "fail", "full in 3 days"),
        (Capacity(GIB, GIB, -GIB), "fail", "full in 0 days"),
        (Capacity(GIB, 0.0, GIB), "ok", "room for years"),
    ],
)
def test_the_doctor_says_how_long_there_is_room(capacity: Capacity, state: str, text: str) -> None:
    found = room(capacity)
    assert found.state == state
    assert text in found.meaning


def test_the_doctor_says_what_waits() -> None:
    assert [
        people(Waiting(frozenset(uuid4() for _ in range(glass)), *counts)).state
        for glass, *counts in ((0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 3, 1), (2, 1, 0, 0))
    ] == ["ok", "warn", "warn", "fail"]


def test_the_smaller_of_disk_and_limit_counts() -> None:
    assert free_bytes(None, 0, 5) is None
    assert free_bytes(10, 0, 5) == 10
    assert free_bytes(None, 12, 5) == 7
    assert free_bytes(3, 12, 5) == 3


async def test_figures_by_day_are_about_nobody(
    store: Store, probe: Probe, database: Database
) -> None:
    day = 1_794_960_000_000_000  # a midnight
    fixes = [("tag-1", 1, day + 5), ("tag-2", 1, day + 6), ("tag-1", 2, day + DAY_US + 5)]
    await store.write_journal([(1, batch_of(1, fixes, received_us=day + DAY_US))])
    rows = probe.ask(
        "SELECT evidence.us(day), fixes, buffered, late FROM evidence.fix_day ORDER BY 1"
    )
    assert rows == [(day, 2, 0, 2), (day + DAY_US, 1, 0, 0)]
    if database.has_timescale:
        aggregates = "SELECT count(*) FROM timescaledb_information.continuous_aggregates"
        assert probe.value(aggregates) == 2
