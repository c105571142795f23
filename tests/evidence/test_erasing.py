"""Erasing: what goes is gone for good, what stays is as provable as before, and all of it shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from devices.instants import to_datetime
from devices.reports import ALTITUDE_MISSING, FIX_DTYPE, MISSING, Batch, Message
from evidence import holds
from evidence.audit import Audit, audit
from evidence.covered import fix_rows
from evidence.erasing import ErasureError, NothingToEraseError, Order
from evidence.erasures import Connection, all_erasures
from evidence.holds import NewHold
from evidence.log.leaves import chain_of, commitment_of, salt_of
from evidence.retention import Policy, erase_subject, retain, scrub
from evidence.sealer import Sealer
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.access_world import CASE, WINDOW, fill
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import log_keys, seal_all, sealer_of
from tests.ingest.waiting import until

TODAY = NOW_US // DAY_US
EARLY = NOW_US - 5 * DAY_US


def order(window: tuple[int, int] = WINDOW, subject: str = "he-1") -> Order:
    return Order("erasure", "the court", "chief", subject, *window, "acquitted, file 9")


@pytest.fixture
def sealer(database: Database, tmp_path: Path) -> Sealer:
    return sealer_of(database.dsn, tmp_path)


@pytest.fixture
async def owner(store: Store, database: Database, sealer: Sealer) -> AsyncIterator[Connection]:
    await fill(database.dsn, store)
    await seal_all(sealer, database.dsn)
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True, options="-c timezone=UTC"
    ) as connection:
        yield connection


async def checked(connection: Connection) -> Audit:
    return await audit(connection, log_keys(), [])


async def sound(connection: Connection) -> Audit:
    found = await checked(connection)
    assert found.findings == []
    return found


def seqs(probe: Probe, device: str, table: str = "fix") -> list[int]:
    query = f"SELECT seq FROM evidence.{table} WHERE device = %s ORDER BY time, seq"
    return [row[0] for row in probe.ask(query, device)]


async def test_what_is_erased_is_gone_and_the_log_still_verifies(
    owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    before = await sound(owner)
    keys = {bytes(key) for (key,) in probe.ask("SELECT key FROM evidence.seal_key")}
    done = await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    await scrub(owner)
    assert done.rows == {"fix": 2, "message": 3}  # an early fix came in one of them, and stays
    assert (done.leaves, done.keys) == (5, 2)
    assert seqs(probe, "tag-1") == [0]
    assert seqs(probe, "tag-2") == [1, 2]
    after = await sound(owner)
    assert (after.rows, after.erased, after.waiting) == (before.rows, 5, 1)
    left = {bytes(key) for (key,) in probe.ask("SELECT key FROM evidence.seal_key")}
    assert len(keys - left) == 2
    [record] = await all_erasures(owner)
    assert (record.approved_by, record.asked_by, record.leaves) == ("chief", "the court", 5)
    await seal_all(sealer, probe.dsn)
    assert (await sound(owner)).waiting == 0  # the record of it is sealed as well


async def test_nothing_that_is_left_opens_a_commitment(owner: Connection, probe: Probe) -> None:
    """Not even for somebody who guesses the very record, as one who knows a place can.

    Nor where a part of a day goes first: the salts of what stayed of it then are kept one by one.
    """
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        chain = chain_of("fix", "tag-1")
        payloads = [
            row[1] for _, row in await fix_rows(connection, (0, 1 << 62)) if row[0] == chain
        ]
    part = (WINDOW[0], NOW_US + 2)
    assert (await erase_subject(owner, "he-1", part, order(part), NOW_US)).rows["fix"] == 1
    kept = probe.count("seal_kept_salt")
    assert (await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)).rows["fix"] == 1
    assert probe.count("seal_kept_salt") < kept
    packed = b"".join(row[0] for row in probe.ask("SELECT leaves FROM evidence.seal_erased"))
    commitments = {packed[at + 40 : at + 72] for at in range(0, len(packed), 72)}
    keys = [bytes(row[0]) for row in probe.ask("SELECT key FROM evidence.seal_key")]
    salts = [bytes(row[0]) for row in probe.ask("SELECT salt FROM evidence.seal_kept_salt")]
    salts += [salt_of(key, place) for key in keys for place in range(10)]
    assert len(commitments) == 5
    opened = {commitment_of(salt, payload) for salt in salts for payload in payloads}
    assert not opened & commitments


async def test_rows_of_another_bearer_of_the_same_day_stay_provable(
    store: Store, sealer: Sealer, owner: Connection, probe: Probe
) -> None:
    """The device is handed on between two fixes: the key of their day has to go for one of them."""
    await owner.execute(
        "WITH ended AS (UPDATE caseload.assignment SET valid_to = %(swap)s WHERE device_no = "
        "(SELECT device_no FROM caseload.device WHERE id = 'tag-1') RETURNING device_no) "
        "INSERT INTO caseload.assignment (device_no, person_no, valid_from) "
        "SELECT device_no, person_no, %(swap)s FROM ended, caseload.person WHERE id = 'he-2'",
        {"swap": to_datetime(NOW_US + 2)},
    )
    assert seqs(probe, "tag-1") == [0, 1, 2]
    done = await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert done.rows["fix"] == 1
    assert done.kept >= 1
    assert seqs(probe, "tag-1") == [0, 2]
    await sound(owner)
    # What comes later of that day gets a key of its own, and another erasure takes it, too.
    await store.write_journal([(5, batch_of(5, [("tag-1", 9, NOW_US + 3), ("tag-1", 8, NOW_US)]))])
    await seal_all(sealer, probe.dsn)
    await sound(owner)
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert seqs(probe, "tag-1") == [0, 2, 9]
    await seal_all(sealer, probe.dsn)
    await sound(owner)
    assert len(await all_erasures(owner)) == 2


def late_array(number: int, received_us: int) -> Batch:
    """One message with a fix of today and one of long ago, and another message beside it."""
    table = np.zeros(2, FIX_DTYPE)
    for index, (seq, time_us) in enumerate(((20, EARLY), (21, NOW_US + 7))):
        table[index]["seq"], table[index]["time_us"] = seq, time_us
        table[index]["lat_e7"] = 515_074_000 + seq
        table[index]["accuracy_cm"], table[index]["altitude_dm"] = MISSING, ALTITUDE_MISSING
    messages = (
        Message(received_us, "cordon/v1/tag-1/fix", b"[20, 21]"),
        Message(received_us, "cordon/v1/tag-1/other", b"{}"),
    )
    return Batch(
        gateway="gw0-test",
        number=number,
        received_us=received_us,
        messages=messages,
        devices=("tag-1",),
        fixes=table,
    )


async def test_the_bytes_of_a_late_fix_go_with_it(
    store: Store, sealer: Sealer, owner: Connection, probe: Probe
) -> None:
    await store.write_journal([(6, late_array(6, NOW_US + 60_000_000))])
    await seal_all(sealer, probe.dsn)
    early = (EARLY - 1, EARLY + 1)
    done = await erase_subject(owner, "he-1", early, order(early), NOW_US)
    assert done.rows == {"fix": 2, "message": 2}  # with the one of the fix that came in time
    assert b"[20, 21]" not in {
        bytes(row[0]) for row in probe.ask("SELECT payload FROM evidence.message")
    }
    assert seqs(probe, "tag-1") == [1, 2, 21]
    assert done.kept > 0  # the other messages that came on that day
    await sound(owner)


async def test_a_deletion_cannot_be_passed_off_as_an_erasure(
    owner: Connection, probe: Probe
) -> None:
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    [record] = await all_erasures(owner)
    await owner.execute("UPDATE evidence.seal_erased SET leaves = leaves || substr(leaves, 1, 72)")
    assert any(str(record.erasure_id) in text for text in (await checked(owner)).findings)
    await owner.execute(
        "ALTER TABLE evidence.seal_erased DROP CONSTRAINT seal_erased_erasure_id_fkey"
    )
    await owner.execute("UPDATE evidence.seal_erased SET erasure_id = gen_random_uuid()")
    assert any("has no record" in text for text in (await checked(owner)).findings)
    assert probe.count("erasure") == 1


async def test_what_is_not_as_it_was_sealed_is_not_erased(owner: Connection, probe: Probe) -> None:
    await owner.execute("UPDATE evidence.fix SET lat_e7 = lat_e7 + 1 WHERE device = 'tag-2'")
    with pytest.raises(ErasureError, match="other rows than were sealed"):
        await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert seqs(probe, "tag-1") == [0, 1, 2]
    assert probe.count("seal_erased") == probe.count("erasure") == 0
    with pytest.raises(NothingToEraseError):
        await erase_subject(owner, "nobody", WINDOW, order(), NOW_US)


async def test_rows_that_are_not_sealed_yet_wait(
    store: Store, owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    await store.write_journal([(7, batch_of(7, [("tag-1", 70, NOW_US + 70)]))])
    assert (await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)).unsealed == 2
    assert seqs(probe, "tag-1") == [0, 70]
    with pytest.raises(NothingToEraseError, match="2 rows of it are not sealed yet"):
        await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    await seal_all(sealer, probe.dsn)
    assert (await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)).unsealed == 0
    assert seqs(probe, "tag-1") == [0]
    await seal_all(sealer, probe.dsn)
    await sound(owner)


async def test_one_person_does_not_erase_alone(owner: Connection, probe: Probe) -> None:
    alone = Order("erasure", "chief", "chief", "he-1", *WINDOW, "because")
    with pytest.raises(psycopg.errors.CheckViolation):
        await erase_subject(owner, "he-1", WINDOW, alone, NOW_US)
    assert seqs(probe, "tag-1") == [0, 1, 2]


def hold(**changes: Any) -> NewHold:
    values = {
        "placed_by": "court", "case": CASE, "people": (), "from_us": EARLY - DAY_US,
        "to_us": EARLY + DAY_US, "reason": "appeal", "review_us": NOW_US,
    }  # fmt: skip
    return NewHold(**{**values, **changes})


async def test_what_is_under_hold_stays(owner: Connection, probe: Probe) -> None:
    hold_id = await holds.place(owner, hold())
    [found] = await holds.in_force(owner)
    assert found.people == ["he-1", "she-1"]
    with pytest.raises(ErasureError, match="under hold"):
        await erase_subject(owner, "he-1", (EARLY, NOW_US + DAY_US), order(), NOW_US)
    assert seqs(probe, "tag-1") == [0, 1, 2]
    policy = Policy(positions_days=1)
    assert (await retain(owner, policy, "job", NOW_US, dry_run=False)).days[0].rows.get(
        "fix"
    ) is None
    assert seqs(probe, "tag-1") == [0, 1, 2]
    assert seqs(probe, "handset-1") == [0, 1, 2]
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)  # outside of the hold
    assert await holds.release(owner, hold_id, "court", "appeal withdrawn")
    assert not await holds.release(owner, hold_id, "court", "again")
    await retain(owner, policy, "job", NOW_US, dry_run=False)
    assert seqs(probe, "tag-1") == []
    await sound(owner)


async def test_retention_goes_by_kind_and_day_and_shows_first_what_would_go(
    owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    policy = Policy(positions_days=2)
    would = await retain(owner, policy, "job", NOW_US, dry_run=True)
    [day] = would.days
    assert (day.day, day.rows) == (TODAY - 5, {"fix": 2})
    assert probe.count("fix") == 8
    assert (await retain(owner, Policy(), "job", NOW_US, dry_run=False)).days == []
    done = await retain(owner, policy, "job", NOW_US, dry_run=False)
    assert done.days == would.days
    assert probe.count("fix") == 6
    assert len(done.dropped) >= 1, "the piece of that day is empty"
    [record] = await all_erasures(owner)
    assert (record.kind, record.subject, record.leaves) == ("retention", "*", 2)
    assert (await retain(owner, policy, "job", NOW_US, dry_run=False)).days == []
    later = NOW_US + 30 * DAY_US
    rest = await retain(owner, policy, "job", later, dry_run=False)
    assert {table for day in rest.days for table in day.rows} == {"fix", "message", "batch"}
    assert probe.count("fix") == probe.count("message") == 0
    await seal_all(sealer, probe.dsn)
    found = await sound(owner)
    assert found.erased == 8 + 8 + 2
    kept = len(await all_erasures(owner)) + probe.count("caseload_entry")
    assert probe.value("SELECT count(*) FROM evidence.seal_key") == kept


async def test_the_sealer_goes_on_beside_it(
    store: Store, owner: Connection, sealer: Sealer, probe: Probe
) -> None:
    """Also with rows of a day whose key has just been destroyed."""
    for number in range(10, 14):
        await store.write_journal(
            [(number, batch_of(number, [("tag-1", number, NOW_US + number)]))]
        )
        await seal_all(sealer, probe.dsn)
        await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    await seal_all(sealer, probe.dsn)
    assert seqs(probe, "tag-1") == [0]
    assert (await sound(owner)).waiting == 0


async def test_a_piece_into_which_somebody_stores_just_then_is_not_dropped(
    owner: Connection, probe: Probe
) -> None:
    """It looks empty, and is not any more when it could be dropped."""
    old = "FROM evidence.fix WHERE time < %s"
    values = (to_datetime(TODAY * DAY_US),)
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as other:
        await other.execute(f"CREATE TEMP TABLE late AS SELECT * {old}".encode(), values)
        await other.execute(f"DELETE {old}".encode(), values)
        async with other.transaction():
            await other.execute("INSERT INTO evidence.fix SELECT * FROM late")
            run = retain(owner, Policy(positions_days=2), "job", NOW_US, dry_run=False)
            dropping = asyncio.create_task(run)
            waits = "SELECT FROM pg_locks WHERE NOT granted"
            await until(lambda: bool(probe.ask(waits)), "the piece is waited for")
    assert not [piece for piece in (await dropping).dropped if "fix" in piece]
    assert seqs(probe, "tag-1") == [0, 1, 2]
