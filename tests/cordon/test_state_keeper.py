"""One state of every few hours is copied into the history, and the checkpoint is not fetched for nothing."""

from __future__ import annotations

import asyncio
from typing import cast

import msgspec
import pytest

from cordon.checkpoint import Checkpoint
from cordon.keep import Keep
from cordon.state_keeper import LOOK_EVERY_S, STATE_EVERY_S, StateKeeper
from devices.course import Mark
from devices.instants import MICROSECONDS
from evidence.store import Store
from tests.conftest import Database
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US

HOUR_US = 3600 * MICROSECONDS


class Kept:
    """A checkpoint that is there from the second look on, and an hour younger at each look."""

    def __init__(self) -> None:
        self.fetched = 0

    async def get(self, _: str) -> bytes | None:
        self.fetched += 1
        if self.fetched == 1:
            return None
        ticked_us = NOW_US + self.fetched * HOUR_US
        mark = Mark(run_us=NOW_US, steps=self.fetched, ticked_us=ticked_us)
        return msgspec.msgpack.encode(Checkpoint(1, 1, ticked_us, "gw", b"", b"", b"", mark=mark))


@pytest.fixture
async def probe(database: Database) -> Probe:
    store = Store(database.dsn)
    await store.migrate()
    await store.close()
    return Probe(database.dsn)


async def test_it_looks_often_until_there_is_one_and_then_seldom(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 9:
            raise asyncio.CancelledError

    monkeypatch.setattr("cordon.state_keeper.asyncio.sleep", sleep)
    kept = Kept()
    keeper = StateKeeper(probe.dsn, cast("Keep", kept), build="b")
    with pytest.raises(asyncio.CancelledError):
        await keeper.run()
    assert waits == [LOOK_EVERY_S] + [STATE_EVERY_S / 36] * 8
    assert kept.fetched == 9
    assert probe.count("worker_state") == keeper.kept == 2, "six hours apart"
