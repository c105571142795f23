"""Bytes that came later than what they hold, of which the row is erased: nothing is left to judge that by."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from devices.reports import Event
from evidence.retention import Policy, retain
from evidence.store import Store
from tests.evidence.case_world import build, pack
from tests.evidence.conftest import Probe
from tests.evidence.samples import DAY_US, NOW_US
from tests.evidence.sealing_world import seal_all, sealer_of
from tests.evidence.test_case_pack import everything_in, shown_by_kind
from tests.evidence.test_repeats import FIRST_US, PLACES, array, written

HEARD = Event(0, "tag-1", 9_900, FIRST_US - 3 * DAY_US, "beacon_seen", "handset-1", {})
"""Sent three days later, in one message with two positions of that day."""


@pytest.mark.parametrize("days", [0, 4], ids=["of its own day", "of all days"])
async def test_his_side_is_not_shown_what_his_device_heard_when_the_row_of_it_is_gone(
    store: Store, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    monkeypatch.setattr("tests.evidence.case_world.FROM_US", NOW_US - days * DAY_US)
    await build(store, probe.dsn, tmp_path)
    await store.write_journal([(21, array(21, "tag-1", 2, HEARD))])
    sealer = sealer_of(probe.dsn, tmp_path)
    await seal_all(sealer, probe.dsn)
    async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
        policy = Policy(positions_days=2)
        [day] = (await retain(connection, policy, "job", NOW_US, dry_run=False)).days
    assert day.rows == {"event": 1}
    await seal_all(sealer, probe.dsn)
    await pack(probe.dsn, tmp_path / "out", "wearer")
    whole = everything_in(tmp_path / "out")
    assert b"handset-1" not in whole
    assert written(PLACES[1]) in whole  # of its row, in the views
    kinds = shown_by_kind(tmp_path / "out")
    assert kinds["fix"] == (10, 0)
    assert kinds["message"] == (8, 2), "what was sealed apart from it is shown"
    assert probe.count("event") == 1
