"""Erasing and retention also find what batches, states and findings hold of people."""

from __future__ import annotations

import msgspec
import psycopg
import pytest

from devices.instants import to_datetime
from devices.reports import Event, Message
from evidence import holds
from evidence.erasures import Connection
from evidence.holds import NewHold
from evidence.retention import Policy, erase_subject, retain
from evidence.sealer import Sealer
from evidence.store import Store
from tests.evidence.access_world import CASE, WINDOW
from tests.evidence.conftest import Probe
from tests.evidence.her_samples import digest
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import seal_all
from tests.evidence.test_erasing import order, owner, sealer, sound
from tests.evidence.test_holds import placed_meanwhile
from tests.evidence.test_store import alert_entries

__all__ = ["owner", "sealer"]  # fixtures

RESTS = "SELECT number FROM evidence.batch_rest ORDER BY number"
MONTH_US = 30 * DAY_US


@pytest.fixture
async def rests(store: Store, owner: Connection, sealer: Sealer, probe: Probe) -> Connection:
    """Three batches that bring nothing new: of him, of another, and a repeated event of his."""
    panic = Event(0, "tag-1", 7, NOW_US + 3, "panic", None, {})
    sent = (Message(NOW_US, "t", b"x"),)
    await store.write_journal([(10, batch_of(10, [("tag-1", 1, NOW_US + 1)]))])
    await store.write_journal([(11, batch_of(11, [("tag-2", 1, NOW_US + 1)]))])
    await store.write_journal([(12, batch_of(12, [], events=(panic,), messages=sent))])
    await store.write_journal([(13, batch_of(13, [], events=(panic,), messages=sent))])
    await seal_all(sealer, probe.dsn)
    assert [row[0] for row in probe.ask(RESTS)] == [10, 11, 13]
    return owner


async def test_what_was_sent_again_is_erased_as_well(
    rests: Connection, sealer: Sealer, probe: Probe
) -> None:
    done = await erase_subject(rests, "he-1", WINDOW, order(), NOW_US)
    assert done.rows["batch_rest"] == 2
    assert [row[0] for row in probe.ask(RESTS)] == [11]
    await seal_all(sealer, probe.dsn)
    await sound(rests)


async def sent_again(store: Store, sealer: Sealer, probe: Probe, number: int) -> None:
    """A buffer comes once more, two days later: of him a position, of another one, too."""
    after_us = WINDOW[1] + 2 * DAY_US
    rows = [("tag-1", 1, NOW_US + 1), ("tag-2", 1, NOW_US + 1), ("tag-1", 90 + number, after_us)]
    await store.write_journal([(number, batch_of(number, rows, received_us=after_us))])
    await seal_all(sealer, probe.dsn)


AGAIN = "SELECT device FROM evidence.message WHERE journal_position = 30 ORDER BY item"


async def test_bytes_that_repeat_what_is_erased_go_whenever_they_came(
    owner: Connection, store: Store, sealer: Sealer, probe: Probe
) -> None:
    await sent_again(store, sealer, probe, 30)
    assert probe.ask(AGAIN) == [("tag-1",), ("tag-2",), ("tag-1",)]
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert probe.ask(AGAIN) == [("tag-2",), ("tag-1",)]
    assert probe.ask(RESTS) == []
    # What was repeated of the other went with it, so that all of his messages in the batch are taken.
    await seal_all(sealer, probe.dsn)
    await erase_subject(owner, "he-2", WINDOW, order(subject="he-2"), NOW_US)
    assert probe.ask(AGAIN) == [("tag-1",)]
    await seal_all(sealer, probe.dsn)
    await sound(owner)


async def test_bytes_that_repeat_what_is_erased_go_if_they_came_before_its_time(
    owner: Connection, store: Store, sealer: Sealer, probe: Probe
) -> None:
    """A clock was ahead by some days, and stood right again before he was asked about."""
    ahead_us = NOW_US + 8 * DAY_US
    for number in (30, 31):
        await store.write_journal([(number, batch_of(number, [("tag-1", 50, ahead_us)]))])
    await seal_all(sealer, probe.dsn)
    window = (ahead_us - DAY_US, ahead_us + DAY_US)
    await erase_subject(owner, "he-1", window, order(window), NOW_US)
    assert probe.ask("SELECT FROM evidence.message WHERE journal_position >= 30") == []
    assert probe.ask(RESTS) == []


async def test_bytes_at_the_same_place_of_a_journal_set_up_anew_stay(
    owner: Connection, store: Store, sealer: Sealer, probe: Probe
) -> None:
    await sent_again(store, sealer, probe, 30)
    much_later_us = NOW_US + 90 * DAY_US
    anew = batch_of(99, [("tag-1", 500, much_later_us)], received_us=much_later_us)
    await owner.execute("UPDATE evidence.position SET last_sequence = 0")
    await store.write_journal([(30, anew)])
    await seal_all(sealer, probe.dsn)
    await erase_subject(owner, "he-1", WINDOW, order(), NOW_US)
    assert probe.ask(f"{AGAIN}, received_at") == [("tag-1",), ("tag-2",), ("tag-1",)]
    assert (
        probe.value(
            "SELECT count(*) FROM evidence.message WHERE received_at > %s",
            to_datetime(much_later_us - 1),
        )
        == 1
    )


async def test_bytes_that_repeat_what_is_held_stay_whenever_they_came(
    owner: Connection, store: Store, sealer: Sealer, probe: Probe
) -> None:
    await sent_again(store, sealer, probe, 30)
    await holds.place(owner, NewHold("chief", CASE, ("he-1",), *WINDOW, "appeal", NOW_US))
    await retain(owner, Policy(positions_days=2), "job", NOW_US + MONTH_US, dry_run=False)
    assert probe.ask(AGAIN) == [("tag-1",)]
    await seal_all(sealer, probe.dsn)
    await sound(owner)


async def test_a_hold_keeps_what_was_sent_again(
    rests: Connection, sealer: Sealer, probe: Probe
) -> None:
    await holds.place(rests, NewHold("chief", CASE, ("he-1",), *WINDOW, "appeal", NOW_US))
    await retain(rests, Policy(positions_days=2), "job", NOW_US + MONTH_US, dry_run=False)
    assert [row[0] for row in probe.ask(RESTS)] == [10, 13]
    await seal_all(sealer, probe.dsn)
    await sound(rests)


@pytest.mark.parametrize("held", [False, True])
async def test_findings_and_digests_go_by_the_policy_unless_they_are_held(
    owner: Connection, store: Store, sealer: Sealer, probe: Probe, *, held: bool
) -> None:
    await store.write_alerts(alert_entries((1, msgspec.json.encode(digest()))))
    await seal_all(sealer, probe.dsn)
    for wearer in ("he-1", "he-2"):
        finding(probe.dsn, wearer)
    if held:
        hold = NewHold("chief", CASE, ("he-1", "she"), *WINDOW, "appeal", NOW_US)
        await holds.place(owner, hold)
    policy = Policy(decisions_days=2, alerts_days=2)
    shown = await retain(owner, policy, "job", NOW_US + MONTH_US, dry_run=True)
    assert (probe.count("conduct_act"), probe.count("digest")) == (2, 1)
    done = await retain(owner, policy, "job", NOW_US + MONTH_US, dry_run=False)
    assert shown.made == done.made == dict.fromkeys(("conduct_act", "conduct_pattern"), 2 - held)
    for table in ("conduct_act", "conduct_pattern", "digest"):
        assert probe.count(table) == int(held), table
    await seal_all(sealer, probe.dsn)
    await sound(owner)


async def test_findings_stay_that_are_put_under_hold_meanwhile(
    owner: Connection, probe: Probe
) -> None:
    for wearer in ("he-1", "he-2"):
        finding(probe.dsn, wearer)
    new = NewHold("chief", CASE, ("he-1",), *WINDOW, "appeal", NOW_US)
    night = retain(owner, Policy(decisions_days=2), "job", NOW_US + MONTH_US, dry_run=False)
    assert (await placed_meanwhile(probe, night, new)).made == {
        "conduct_act": 1,
        "conduct_pattern": 1,
    }


def finding(dsn: str, wearer: str) -> None:
    """An act, and the pattern that it is part of."""
    at = to_datetime(NOW_US)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO evidence.conduct_act VALUES (%s, 'she-1', %s, 'a', 'approach', false, '{}')",
            (wearer, at),
        )
        connection.execute(
            "INSERT INTO evidence.conduct_pattern VALUES (%s, 1, %s, %s, 'she-1', 'centre', 'over', "
            "%s, %s, '{}')",
            (f"p-{wearer}", at, wearer, at, at),
        )
