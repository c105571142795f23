"""Fixes that are copied without being staged: the same rows, and never one twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from evidence import statements
from evidence.fixes import Fixes
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, batch_of

Fix = tuple[str, int, int]


@pytest.fixture(autouse=True)
def _however_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "DIRECT_FIXES", 1)


def fixes_of(*devices: str, first: int = 0, count: int = 5) -> list[Fix]:
    return [
        (device, number, NOW_US + number * 1_000_000)
        for number in range(first, first + count)
        for device in devices
    ]


def stored(probe: Probe) -> Sequence[tuple[object, ...]]:
    return probe.ask(
        "SELECT device, seq, evidence.us(time), lat_e7, journal_position, message FROM evidence.fix "
        "ORDER BY journal_position, message"
    )


def expected(position: int, fixes: Sequence[Fix], start: int = 0) -> list[tuple[object, ...]]:
    return [
        (device, seq, time_us, 515_074_000 + seq, position, message)
        for message, (device, seq, time_us) in enumerate(fixes, start)
    ]


async def test_new_fixes_are_stored(store: Store, probe: Probe) -> None:
    fixes = fixes_of("tag-1", "a much longer name", "tag-é", "")
    written = await store.write_journal([(1, batch_of(1, fixes))])
    assert (written.fixes, written.duplicate_fixes) == (len(fixes), 0)
    assert stored(probe) == expected(1, fixes)


async def test_what_is_stored_is_left_out(store: Store, probe: Probe) -> None:
    first, again = fixes_of("tag-1", "tag-2"), fixes_of("tag-2", "tag-3")
    await store.write_journal([(1, batch_of(1, first))])
    written = await store.write_journal([(2, batch_of(2, again))])
    assert (written.fixes, written.duplicate_fixes) == (5, 5)
    new = [row for row in expected(2, again) if row[0] == "tag-3"]
    assert stored(probe) == expected(1, first) + new


async def test_of_equal_fixes_of_a_group_the_first_is_kept(store: Store, probe: Probe) -> None:
    fixes = fixes_of("tag-1", "tag-2")
    entries = [(1, batch_of(1, fixes)), (2, batch_of(2, fixes[:3]))]
    written = await store.write_journal(entries)
    assert (written.fixes, written.duplicate_fixes) == (len(fixes), 3)
    assert stored(probe) == expected(1, fixes)


async def test_late_fixes_are_stored_beside_newer_ones(store: Store, probe: Probe) -> None:
    late, newer = fixes_of("tag-1"), fixes_of("tag-1", first=10)
    older = [(device, seq + 90, time_us - 3 * DAY_US) for device, seq, time_us in late]
    await store.write_journal([(1, batch_of(1, newer))])
    written = await store.write_journal([(2, batch_of(2, late + older))])
    assert (written.fixes, written.duplicate_fixes) == (10, 0)
    assert stored(probe) == expected(1, newer) + expected(2, late + older)


async def test_if_another_writer_is_quicker_nothing_is_stored_twice(
    store: Store, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, more = fixes_of("tag-1", "tag-2"), fixes_of("tag-1", "tag-2", first=3)
    await store.write_journal([(1, batch_of(1, first))])

    async def none_stored(_connection: object, _fixes: Fixes) -> set[int]:
        return set()  # as it was when it was asked

    monkeypatch.setattr(statements, "_with_later", none_stored)
    written = await store.write_journal([(2, batch_of(2, more))])
    assert (written.fixes, written.duplicate_fixes) == (6, 4)
    new = [row for row in expected(2, more) if row not in expected(2, more)[:4]]
    assert stored(probe) == expected(1, first) + new
    assert await store.position("JOURNAL", 0) == 2  # type: ignore[arg-type]


async def test_two_partitions_race_for_the_same_fixes(database: Database, probe: Probe) -> None:
    stores = [Store(database.dsn) for _ in range(2)]
    await stores[0].migrate()
    fixes = fixes_of("tag-1", "tag-2", count=200)
    written = await asyncio.gather(
        *(
            store.write_journal([(n + 1, batch_of(n + 1, fixes))], partition=n)
            for n, store in enumerate(stores)
        )
    )
    for store in stores:
        await store.close()
    assert sum(one.fixes for one in written) == len(fixes)
    assert sum(one.duplicate_fixes for one in written) == len(fixes)
    assert probe.count("fix") == len(fixes)
    assert probe.count("message") == 2 * len(fixes)
