"""A closed day holds what it held, is found again, sealed again, and takes in what comes late."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from devices.instants import to_datetime
from evidence.batches import read_batches
from evidence.closing import close_days
from evidence.store import Store
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US, batch_of
from tests.evidence.sealing_world import sealer_of
from tests.evidence.test_sealer import check

TRACK = (
    "SELECT device, time, seq, lat_e7, journal_position, stored_in FROM evidence.fix "
    "ORDER BY device, time, seq"
)


@pytest.mark.timeout(120)
async def test_a_closed_day_is_as_it_was_and_takes_in_late_fixes(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    sealer = sealer_of(probe.dsn, tmp_path)
    await sealer.turn()
    days = [NOW_US - 5 * DAY_US, NOW_US - 4 * DAY_US, NOW_US]
    fixes = [(f"tag-{i % 3}", i, day_us + i * 1_000_000) for day_us in days for i in range(1, 40)]
    for number in range(1, 14):
        await store.write_journal([(number, batch_of(number, fixes[number - 1 :: 13]))])
    await sealer.turn()
    before = probe.ask(TRACK)
    told: list[str] = []
    async with await psycopg.AsyncConnection.connect(
        probe.dsn, autocommit=True, options="-c timezone=UTC"
    ) as connection:
        edge = to_datetime(NOW_US) - timedelta(days=2)
        assert await close_days(connection, edge, told.append) == len(told) == 2
        assert await close_days(connection, edge, told.append) == 0
    assert probe.ask(TRACK) == before

    late = [("tag-1", 500, days[0] + 7_500_000), fixes[0]]
    written = await store.write_journal([(20, batch_of(20, late))])
    assert (written.fixes, written.duplicate_fixes) == (1, 1)
    await sealer.turn()
    assert (await check(probe.dsn)).findings == []
    async with (
        await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection,
        connection.transaction(),
    ):
        parts = [part async for part in read_batches(connection, 0, NOW_US + DAY_US)]
        some = read_batches(connection, 0, NOW_US + DAY_US, ("lat_e7",))
        fewer = {one.position: one.batch.fixes async for part in some for one in part}
    for one in (one for part in parts for one in part):
        for name in ("device", "message", "time_us", "seq", "lat_e7"):
            assert fewer[one.position][name].tolist() == one.batch.fixes[name].tolist()
        assert one.batch.fixes["lon_e7"].any()
        # What comes again has no row; it is kept whole elsewhere.
        assert np.count_nonzero(fewer[one.position]["lon_e7"]) == (one.position == 20)
    [last] = [one.batch for part in parts for one in part if one.position == 20]
    assert last.fixes["seq"].tolist() == [500, fixes[0][1]]
