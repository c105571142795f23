"""What a device sent twice has no rows of its own, and its bytes are judged all the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from devices.reports import FIX_DTYPE, Batch, Event, Message
from evidence.store import Store
from tests.evidence.case_world import SECOND_US, build, pack, payload_of
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import seal_all, sealer_of
from tests.evidence.test_case_pack import everything_in, shown_by_kind

PLACES = [(516_000_019 + 1_021 * n, -1_400_023 - 1_031 * n) for n in range(12)]
FIRST_US = NOW_US + 600 * SECOND_US
LAST_US = FIRST_US + 12 * SECOND_US


def array(number: int, device: str, upto: int, *events: Event) -> Batch:
    """One message with the first fixes of `PLACES`, a second apart."""
    fixes = np.zeros(upto, FIX_DTYPE)
    for index, (lat_e7, lon_e7) in enumerate(PLACES[:upto]):
        fixes[index]["seq"], fixes[index]["time_us"] = 9_000 + index, FIRST_US + index * SECOND_US
        fixes[index]["lat_e7"], fixes[index]["lon_e7"] = lat_e7, lon_e7
    payload = b"[%s]" % b",".join(payload_of(*place) for place in PLACES[:upto])
    if events:
        payload += b"handset-1"
    at_us = LAST_US + number * SECOND_US
    return Batch(
        gateway="gw0-test",
        number=number,
        received_us=at_us + SECOND_US,  # a batch closes later than its messages come
        messages=(Message(at_us, f"cordon/v1/{device}/fix", payload),),
        devices=(device,),
        fixes=fixes,
        events=events,
    )


async def exported(
    store: Store, probe: Probe, folder: Path, *batches: Batch, side: str = "court", **more: Any
) -> bytes:
    """Everything in the pack about a case in which these were stored as well."""
    await build(store, probe.dsn, folder)
    await store.write_journal([(batch.number, batch) for batch in batches])
    await seal_all(sealer_of(probe.dsn, folder), probe.dsn)
    await pack(probe.dsn, folder / "out", side, **more)
    return everything_in(folder / "out")


def written(place: tuple[int, int]) -> bytes:
    return f"{place[0] / 1e7:.7f}".encode()


@pytest.mark.parametrize("kept", ["rest", "no rest", "no batch"])
async def test_a_withheld_position_that_was_sent_twice_is_not_shown(
    store: Store, probe: Probe, tmp_path: Path, kept: str
) -> None:
    """Also where what was repeated is not known any more, or never was: then all of the batch goes."""
    gone = {"rest": (), "no rest": ("batch_rest",), "no batch": ("batch_rest", "batch")}
    await build(store, probe.dsn, tmp_path)
    for batch in (array(21, "handset-1", 10), array(22, "handset-1", 12)):
        await store.write_journal([(batch.number, batch)])
    with psycopg.connect(probe.dsn, autocommit=True) as connection:
        for table in gone[kept]:
            connection.execute(f"DELETE FROM evidence.{table} WHERE number > 20".encode())
    await seal_all(sealer_of(probe.dsn, tmp_path), probe.dsn)
    refuge = (FIRST_US, FIRST_US + 10 * SECOND_US)
    await pack(probe.dsn, tmp_path / "out", withheld_us=(refuge,))
    whole = everything_in(tmp_path / "out")
    assert not [place for place in PLACES[:10] if written(place) in whole]
    assert written(PLACES[11]) in whole  # of its row, in the views
    shown, withheld = shown_by_kind(tmp_path / "out")["fix"]
    assert (shown, withheld) == (18, 10)


async def test_his_side_is_not_shown_what_his_device_heard_twice(
    store: Store, probe: Probe, tmp_path: Path
) -> None:
    heard = Event(0, "tag-1", 9_900, FIRST_US, "beacon_seen", "handset-1", {})
    batches = (array(21, "tag-1", 0, heard), array(22, "tag-1", 2, heard), array(23, "tag-1", 4))
    whole = await exported(store, probe, tmp_path, *batches, side="wearer")
    assert b"handset-1" not in whole
    assert shown_by_kind(tmp_path / "out")["fix"] == (12, 0)


async def test_his_side_is_not_shown_what_was_sent_again_from_before_the_window(
    store: Store, probe: Probe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.evidence.case_world.FROM_US", FIRST_US + 10 * SECOND_US)
    batches = (array(21, "tag-1", 10), array(22, "tag-1", 12))
    whole = await exported(store, probe, tmp_path, *batches, side="wearer")
    assert not [place for place in PLACES[:10] if written(place) in whole]
    assert written(PLACES[11]) in whole
