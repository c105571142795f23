"""What a hold keeps, whatever is said about it later."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
import psycopg
import pytest

from devices.instants import to_datetime
from evidence import holds
from evidence.erasing import Erased, ErasureError, erase
from evidence.erasures import Connection
from evidence.holds import NewHold
from evidence.retention import Policy, Retained, erase_subject, retain
from evidence.sealer import Sealer
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import seal_all
from tests.evidence.test_erasing import EARLY, TODAY, hold, order, owner, sealer, seqs, sound
from tests.ingest.waiting import until

__all__ = ["owner", "sealer"]  # fixtures

MONTH_US = 30 * DAY_US
POLICY = Policy(positions_days=2)


async def correct(connection: Connection, from_us: int) -> None:
    """Say that he carries his tag only since then."""
    await connection.execute(
        "UPDATE caseload.assignment a SET valid_from = %s FROM caseload.person p "
        "WHERE p.person_no = a.person_no AND p.id = 'he-1'",
        (to_datetime(from_us),),
    )


async def test_a_hold_keeps_what_was_carried_when_it_was_placed(
    owner: Connection, probe: Probe
) -> None:
    await holds.place(owner, hold())
    await correct(owner, NOW_US)
    await retain(owner, POLICY, "job", NOW_US + MONTH_US, dry_run=False)
    assert seqs(probe, "tag-1") == [0]
    await sound(owner)


async def test_a_hold_goes_by_todays_assignments_as_well(owner: Connection, probe: Probe) -> None:
    await correct(owner, NOW_US)
    await holds.place(owner, hold())
    await correct(owner, EARLY)
    await retain(owner, POLICY, "job", NOW_US + MONTH_US, dry_run=False)
    assert seqs(probe, "tag-1") == [0]


@pytest.mark.parametrize("held", [False, True])
async def test_damaged_entries_go_by_the_policy_unless_something_of_their_time_is_held(
    owner: Connection, sealer: Sealer, probe: Probe, *, held: bool
) -> None:
    await owner.execute(
        "INSERT INTO evidence.damaged_entry VALUES ('JOURNAL', 0, 9, sha256('x'), %s, 'gw/9', 'r', 'x')",
        (to_datetime(NOW_US),),
    )
    await owner.execute("SELECT pg_current_xact_id()")  # so that what is sealed ends behind it
    await seal_all(sealer, probe.dsn)
    if held:  # it was found some days after the window
        await holds.place(owner, hold(people=("he-2",)))
    await retain(owner, POLICY, "job", NOW_US + MONTH_US, dry_run=False)
    assert probe.count("damaged_entry") == int(held)
    await seal_all(sealer, probe.dsn)
    await sound(owner)


async def test_what_is_shown_first_is_what_goes(owner: Connection, probe: Probe) -> None:
    """Messages that are held by when they came are not taken off those that go, too."""
    await holds.place(owner, hold(from_us=NOW_US, to_us=NOW_US + DAY_US, people=("he-1",)))
    later_us = NOW_US + MONTH_US
    shown = await retain(owner, POLICY, "job", later_us, dry_run=True)
    assert [day.rows.get("message") for day in shown.days] == [None, 5]
    assert (await retain(owner, POLICY, "job", later_us, dry_run=False)).days == shown.days
    assert probe.count("message") == 3


async def placed_meanwhile(probe: Probe, erasing: Coroutine[Any, Any, Any], new: NewHold) -> Any:
    """What becomes of something that erases while a hold is placed, which commits when it waits for that."""
    placing = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'evidence.hold'::regclass"
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as court:
        async with court.transaction():
            await holds.place(court, new)
            task = asyncio.create_task(erasing)
            await until(lambda: task.done() or bool(probe.ask(placing)), "it waits, or has ended")
        return await task


async def test_a_hold_that_is_placed_while_retention_runs_keeps_the_day(
    owner: Connection, probe: Probe
) -> None:
    def night() -> Coroutine[Any, Any, Retained]:
        return retain(owner, POLICY, "job", NOW_US + MONTH_US, dry_run=False)

    with pytest.raises(ErasureError, match=r"under hold, .* \(order-1: appeal\)\. Run it again"):
        await placed_meanwhile(probe, night(), hold())
    assert seqs(probe, "tag-1") == [0, 1, 2]
    await night()
    assert seqs(probe, "tag-1") == [0]
    await sound(owner)


async def test_a_hold_that_is_placed_while_somebody_is_erased_keeps_it(
    owner: Connection, probe: Probe
) -> None:
    early = (EARLY - 1, EARLY + 1)
    for match in ("Meanwhile something was put under hold", "Something of it is under hold"):
        with pytest.raises(ErasureError, match=match):
            await placed_meanwhile(
                probe, erase_subject(owner, "he-1", early, order(early), NOW_US), hold()
            )
    assert seqs(probe, "tag-1") == [0, 1, 2]
    assert probe.count("seal_erased") == probe.count("erasure") == 0


async def test_each_day_of_a_run_goes_by_the_holds_of_when_it_is_reached(
    owner: Connection, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def erase_and_hold(*values: Any) -> Erased:
        done = await erase(*values)
        async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as court:
            await holds.place(court, hold(from_us=NOW_US, to_us=NOW_US + DAY_US))
        return done

    monkeypatch.setattr("evidence.retention.erase", erase_and_hold)
    await retain(owner, POLICY, "job", NOW_US + MONTH_US, dry_run=False)
    assert seqs(probe, "tag-1") == [1, 2], "of the first day nothing was held when it went"
    await sound(owner)


async def test_whoever_places_a_hold_waits_for_what_is_being_erased(
    owner: Connection, probe: Probe
) -> None:
    """And nobody waits for each other."""

    def waits(connection: Connection) -> bool:
        query = "SELECT FROM pg_locks WHERE NOT granted AND pid = %s"
        return bool(probe.ask(query, connection.info.backend_pid))

    connected = psycopg.AsyncConnection.connect
    early = (EARLY - 1, EARLY + 1)
    async with (
        await connected(probe.dsn, autocommit=True) as sealing,
        await connected(probe.dsn, autocommit=True) as court,
    ):
        async with sealing.transaction():
            await sealing.execute("SELECT FROM evidence.seal_log FOR UPDATE")
            erasing = asyncio.create_task(erase_subject(owner, "he-1", early, order(early), NOW_US))
            await until(lambda: waits(owner), "it waits for the sealer")
            placing = asyncio.create_task(holds.place(court, hold()))
            await until(lambda: waits(court), "the court waits for it")
        assert (await erasing).rows["fix"] == 1
        hold_id = await placing
    assert [one.hold_id for one in await holds.in_force(owner)] == [hold_id]
    assert seqs(probe, "tag-1") == [1, 2]


HEADS = "SELECT journal_position FROM evidence.batch ORDER BY journal_position"


async def test_heads_of_batches_stay_that_held_rows_name(
    owner: Connection, store: Store, sealer: Sealer, probe: Probe
) -> None:
    """Also of one that was closed only on the day after."""
    midnight_us = (TODAY + 1) * DAY_US
    late = batch_of(7, [("tag-1", 7, midnight_us - 5)], received_us=midnight_us - 1)
    late = msgspec.structs.replace(late, received_us=midnight_us + 1)
    next_hour_us = midnight_us + 3_600_000_000
    other = batch_of(8, [("tag-2", 8, midnight_us - 5)], received_us=next_hour_us)
    await store.write_journal([(7, late), (8, other)])
    await seal_all(sealer, probe.dsn)
    await holds.place(owner, hold(people=("he-1",), from_us=NOW_US, to_us=midnight_us))
    await retain(owner, POLICY, "job", NOW_US + MONTH_US, dry_run=False)
    assert seqs(probe, "tag-1") == [1, 2, 7]
    assert probe.ask(HEADS) == [(1,), (2,), (7,)]
    await seal_all(sealer, probe.dsn)
    await sound(owner)
