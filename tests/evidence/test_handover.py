"""Everything that is stored comes through a hand-over as it was; what is damaged is not let in."""

from __future__ import annotations

import asyncio
import gzip
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import conninfo, sql

from cordon.cli import cordon
from cordon.errors import CordonError
from devices.reports import Event, Message, Receipt, Refusal, Status
from devices.store import CaseloadStore, update_tables
from evidence.access import NewGrant, grant
from evidence.erasing import Order, erase
from evidence.handover_export import PROGRESS, hand_over
from evidence.handover_import import take_over
from evidence.handover_tables import MANIFEST, HandoverError, Manifest, read_tables
from evidence.keeping import Plan
from evidence.store import Store
from tests.conftest import Database
from tests.cordon.running import one_pair
from tests.evidence.access_world import control_rows
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, anomaly_of, batch_of, change_of, decision_of
from tests.evidence.sealing_world import sealer_of
from tests.evidence.test_sealer import check
from tests.evidence.test_store import alert_entries

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def other(database: Database) -> Iterator[Probe]:
    """A new database on the same server."""
    name = f"cordon_other_{secrets.token_hex(4)}"
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield Probe(conninfo.make_conninfo(database.dsn, dbname=name))
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def fill(store: Store, dsn: str, folder: Path) -> None:
    """Something in most tables, odd values among it, and a log over it."""
    caseloads = CaseloadStore(dsn)
    await caseloads.migrate()
    await caseloads.save(one_pair())
    await caseloads.save(one_pair(alert_m=333.3))
    await caseloads.close()
    await sealer_of(dsn, folder).turn()
    odd = batch_of(
        1,
        [("tag-1", i, NOW_US - i % 3 * DAY_US) for i in range(30)],
        messages=tuple(Message(NOW_US, 't",\n', bytes(range(i, 256))) for i in range(34)),
        events=(Event(1, "tag-1", 5, -1, "panic", None, {"why": '\0 "quoted", \n'}),),
        receipts=(Receipt(2, "h-1", "c1", "shown", NOW_US, None),),
        statuses=(Status(3, "tag-1", True, NOW_US),),
        refusals=(Refusal(4, "tag-2", "bad_json", "no JSON", 3, 1, bytes(32)),),
    )
    await store.write_journal([(1, odd)])
    await store.write_journal([(2, batch_of(2, [("tag-1", 1, NOW_US - DAY_US)]))])
    await store.write_decisions([(1, [decision_of(1)]), (2, [anomaly_of(1)])])
    await store.write_alerts(alert_entries((1, msgspec.json.encode(change_of(1)))))
    control_rows(dsn)
    sealer = sealer_of(dsn, folder)
    await sealer.turn()
    erased = Order("retention", "job", "job", "*", NOW_US - DAY_US, NOW_US - DAY_US + 1, "old")
    plan = Plan({"fix": {"tag-1": ((NOW_US - DAY_US, NOW_US - DAY_US + 1),)}})
    async with await connect(dsn) as connection:
        await erase(connection, plan, erased, NOW_US)
    await sealer.turn()


async def connect(dsn: str) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(dsn, autocommit=True, options="-c timezone=UTC")


async def unrecorded() -> None:
    """Nobody takes it out."""


async def exported(dsn: str, folder: Path) -> Manifest:
    async with await connect(dsn) as connection:
        return await hand_over(connection, folder, unrecorded, lambda _: None)


async def imported(dsn: str, folder: Path) -> Manifest:
    store = Store(dsn)
    await store.migrate()
    await store.close()
    async with await connect(dsn) as connection:
        await update_tables(connection)
        return await take_over(connection, folder, lambda _: None)


async def contents(probe: Probe) -> dict[str, list[tuple[object, ...]]]:
    async with await connect(probe.dsn) as connection:
        tables = await read_tables(connection)
    return {
        table.name: sorted(probe.ask(f"SELECT x::text FROM {table.name} x")) for table in tables
    }


async def test_a_hand_over_brings_everything_and_the_log_goes_on(
    store: Store, probe: Probe, other: Probe, tmp_path: Path
) -> None:
    await fill(store, probe.dsn, tmp_path)
    (tmp_path / "out").mkdir(mode=0o755)
    manifest = await exported(probe.dsn, tmp_path / "out")
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700, "salts and keys are in it"
    assert await imported(other.dsn, tmp_path / "out") == manifest
    before = await contents(probe)
    assert await contents(other) == before
    assert sum(file.rows for file in manifest.files) == sum(map(len, before.values()))
    assert len(before["evidence.fix"]) == 20, "and ten that were erased"
    assert before["evidence.seal_erased"]

    found, there = await check(other.dsn), await check(probe.dsn)
    assert (found.findings, found.rows, found.batches) == ([], there.rows, there.batches)
    following = Store(other.dsn)
    await following.write_journal([(3, batch_of(3, [("tag-1", 99, NOW_US)]))])
    await following.close()
    await sealer_of(other.dsn, tmp_path).turn()  # the same key: it continues what was signed
    assert (await check(other.dsn)).findings == []
    with pytest.raises(HandoverError, match="not empty"):
        await imported(other.dsn, tmp_path / "out")


async def test_a_damaged_file_lets_nothing_in(
    store: Store, probe: Probe, other: Probe, tmp_path: Path
) -> None:
    await fill(store, probe.dsn, tmp_path)
    manifest = await exported(probe.dsn, tmp_path / "out")
    path = tmp_path / "out" / manifest.files[-1].name
    whole = path.read_bytes()
    text = gzip.decompress(whole)
    for damaged in (whole[:-1], b"", gzip.compress(text + text[-10:]), None):
        path.unlink()
        if damaged is not None:
            path.write_bytes(damaged)
        with pytest.raises(HandoverError, match="Nothing was imported") as refusal:
            await imported(other.dsn, tmp_path / "out")
        assert manifest.files[-1].name in str(refusal.value)
        assert not any(
            rows
            for name, rows in (await contents(other)).items()
            if name not in {"caseload.credential_version", "evidence.caseload_kept"}
        )
        path.touch()
    path.write_bytes(whole)
    await imported(other.dsn, tmp_path / "out")
    (tmp_path / "out" / MANIFEST).unlink()
    with pytest.raises(HandoverError, match="not finished"):
        await imported(other.dsn, tmp_path / "out")


async def test_one_grant_in_the_database_is_not_lost_to_an_import(
    store: Store, probe: Probe, other: Probe, tmp_path: Path
) -> None:
    await store.write_journal([(1, batch_of(1, [("tag-1", 1, NOW_US)]))])
    async with await connect(probe.dsn) as connection:
        await update_tables(connection)
    await exported(probe.dsn, tmp_path / "out")
    there = Store(other.dsn)
    await there.migrate()
    await there.close()
    granted = NewGrant(
        "chief", "person", "ana", "investigator", "c", "s", "audit", NOW_US, NOW_US + DAY_US, "r"
    )
    async with await connect(other.dsn) as connection:
        await grant(connection, granted)
    with pytest.raises(HandoverError, match=r"access_grant holds rows"):
        await imported(other.dsn, tmp_path / "out")
    assert other.count("access_grant") == 1
    assert other.count("batch") == 0


async def test_what_was_interrupted_goes_on_and_what_changed_is_noticed(
    store: Store, probe: Probe, other: Probe, tmp_path: Path
) -> None:
    await fill(store, probe.dsn, tmp_path)
    out = tmp_path / "out"
    told: list[str] = []

    def stop_after(count: int) -> None:
        if len(told) == count:
            raise KeyboardInterrupt

    async def until(count: int, folder: Path = out) -> None:
        def tell(step: str) -> None:
            told.append(step)
            stop_after(count)

        async with await connect(probe.dsn) as connection:
            await hand_over(connection, folder, unrecorded, tell)

    with pytest.raises(KeyboardInterrupt):
        await until(9)
    noted = (out / PROGRESS).read_text()
    (out / PROGRESS).write_text(f'{noted}{{"name":"cut sho')
    told.clear()
    manifest = await exported(probe.dsn, out)

    async def import_until(count: int) -> None:
        def tell(step: str) -> None:
            if step.startswith("Importing"):
                told.append(step)
                stop_after(count)

        async with await connect(other.dsn) as connection:
            await take_over(connection, out, tell)

    fresh = Store(other.dsn)
    await fresh.migrate()
    await fresh.close()
    async with await connect(other.dsn) as connection:
        await update_tables(connection)
    with pytest.raises(KeyboardInterrupt):
        await import_until(len(manifest.files) // 2)
    told.clear()
    await import_until(-1)
    assert len(told) == len(manifest.files) - len(manifest.files) // 2 + 1
    assert await contents(other) == await contents(probe)

    again = tmp_path / "again"
    told.clear()
    with pytest.raises(KeyboardInterrupt):
        await until(1, again)
    await store.write_journal([(3, batch_of(3, [("tag-1", 99, NOW_US)]))])
    with pytest.raises(HandoverError, match="Stop the service"):
        await exported(probe.dsn, again)


@pytest.mark.usefixtures("store")
async def test_who_takes_everything_out_is_recorded_once_and_handed_over(
    probe: Probe, other: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await connect(probe.dsn) as connection:
        await update_tables(connection)
    out = tmp_path / "out"
    words = ("--actor", "Sgt Kim", "--purpose", "contract ends", "--recipient", "New Keeper")

    def run(*words: str) -> Result:
        command = ["evidence", "hand-over", str(out), *words]
        return CliRunner().invoke(cordon, command, env={"CORDON_DATABASE_URL": probe.dsn})

    for silent in (("--actor", " "), ("--purpose", " "), ("--recipient", " ")):
        refused = await asyncio.to_thread(run, *words, *silent)
        assert isinstance(refused.exception, CordonError)
    with monkeypatch.context() as patch:
        patch.setattr("evidence.handover_export._note", interrupted)
        assert (await asyncio.to_thread(run, *words)).exit_code == 1
    assert (await asyncio.to_thread(run, *words)).exit_code == 0
    await imported(other.dsn, out)
    for keeper in (probe, other):
        [row] = keeper.ask("SELECT who, purpose, subject, what, note, login FROM evidence.access")
        assert row[:-1] == ("Sgt Kim", "contract ends", "*", "hand-over", "for New Keeper")


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
