"""The worker over streams that lost their end."""

from __future__ import annotations

import msgspec
import pytest

from alerts.steps import Acknowledge
from cordon.checkpoint import CHECKPOINT
from ingest.streams import ALERTS
from tests.cordon.running import until
from tests.cordon.test_worker import Site, checkpoint_of_two_panics, on_the_desk, site

__all__ = ["site"]  # a fixture


async def test_a_journal_that_lost_its_end_loses_nothing_new(site: Site) -> None:
    good = await checkpoint_of_two_panics(site)
    ahead = msgspec.structs.replace(good, journal_position=7)
    await site.keep.put(CHECKPOINT, msgspec.msgpack.encode(ahead))
    worker = await site.worker()
    for device in ("c", "d", "e", "f", "g", "h"):  # arrive before the worker has looked
        await site.panic(device)
    async with site.at_work(worker):
        await until(lambda: len(on_the_desk(worker)) == 8, "every panic is on the desk")
        assert worker.counts.gaps == 1


async def test_who_begins_again_before_a_checkpoint_reads_what_was_given_away_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await checkpoint_of_two_panics(site)
    ahead = msgspec.structs.replace(good, journal_position=7)
    await site.keep.put(CHECKPOINT, msgspec.msgpack.encode(ahead))
    worker = await site.worker()
    for device in ("c", "d", "e", "f", "g", "h"):
        await site.panic(device)

    async def refuse(_name: str, _data: bytes) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(site.keep, "put", refuse)
    for turn in (1, 2):
        async with site.at_work(worker):
            await until(worker.caught_up.is_set, "caught up")
            assert worker.counts.batches_durable == 6 * turn
            assert on_the_desk(worker) == set("abcdefgh")


async def test_who_took_an_alert_in_hand_is_known_behind_a_lost_end(site: Site) -> None:
    good = await checkpoint_of_two_panics(site)
    async with site.working() as worker:
        await until(worker.caught_up.is_set, "caught up")
        alert, desk = worker.partition.desk.open_alerts()[0], worker.partition.desk
        taken = desk.act(
            alert.alert_id,
            Acknowledge(),
            version=alert.version,
            operator="kim",
            now_us=site.now_us,
        )
        worker._outgoing.changed(taken)
        assert await worker._outgoing.drained()
    last = (await site.js.stream_info(ALERTS)).state.last_seq
    assert last > good.alerts_position
    # As if that had taken the place of something else that the checkpoint knew of.
    beyond = msgspec.structs.replace(good, alerts_position=last)
    await site.keep.put(CHECKPOINT, msgspec.msgpack.encode(beyond))
    async with site.at_work(await site.worker(alerts_end=good.alerts_position - 1)) as worker:
        await until(worker.caught_up.is_set, "caught up")
        found = worker.partition.desk.find(alert.alert_id)
        assert found is not None
        assert found.acknowledged_by == "kim"
