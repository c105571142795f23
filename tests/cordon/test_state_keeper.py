"""One state of every few hours is copied into the history, and the checkpoint is not fetched for nothing."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, cast
from uuid import uuid4

import msgspec
import numpy as np
import psycopg
import pytest
from nats.aio.client import Client as NatsClient

from cordon.checkpoint import Checkpoint
from cordon.keep import Keep
from cordon.state_keeper import LOOK_EVERY_S, STATE_EVERY_S, StateKeeper
from devices.course import Mark
from devices.instants import MICROSECONDS
from devices.store import CaseloadStore
from evidence.states import note_erased
from evidence.store import Store
from geofence.engine import Engine
from geofence.forgetting import let_go
from geofence.levels import UNKNOWN_TIME_US
from geofence.snapshot import decode_snapshot
from tests.conftest import Database
from tests.evidence.conftest import Probe
from tests.evidence.samples import NOW_US
from tests.geofence.plans import Fix, send, town_plan

HOUR_US = 3600 * MICROSECONDS


class Kept:
    """A checkpoint that is there from the second look on, and an hour younger at each look."""

    def __init__(self) -> None:
        self.fetched = 0
        self.engine = Engine(town_plan(), now_us=NOW_US)
        send(
            self.engine, Fix(0, NOW_US, 0.0), Fix(1, NOW_US + HOUR_US, 0.0), now_us=NOW_US + HOUR_US
        )

    async def get(self, _: str) -> bytes | None:
        self.fetched += 1
        if self.fetched == 1:
            return None
        ticked_us = NOW_US + self.fetched * HOUR_US
        mark = Mark(run_us=NOW_US, steps=self.fetched, ticked_us=ticked_us)
        engine = self.engine.snapshot()
        return msgspec.msgpack.encode(
            Checkpoint(1, 1, ticked_us, "gw", engine, b"", b"", mark=mark)
        )


class Told:
    """Stands for a connection to the broker."""

    def __init__(self, kept: Kept) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._kept = kept

    async def publish(self, subject: str, data: bytes) -> None:
        self.messages.append((subject, data))
        state, _ = let_go(self._kept.engine.snapshot(), msgspec.json.decode(data), NOW_US)
        plan = self._kept.engine.plan
        self._kept.engine = Engine.restore(state, plan, now_us=NOW_US)


@pytest.fixture
async def probe(database: Database) -> Probe:
    store, caseloads = Store(database.dsn), CaseloadStore(database.dsn)
    await store.migrate()
    await store.close()
    await caseloads.migrate()
    await caseloads.close()
    return Probe(database.dsn)


async def looked(probe: Probe, monkeypatch: pytest.MonkeyPatch, looks: int) -> Looked:
    """What a keeper does that looks so often."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == looks:
            raise asyncio.CancelledError

    monkeypatch.setattr("cordon.state_keeper.asyncio.sleep", sleep)
    kept = Kept()
    told = Told(kept)
    keeper = StateKeeper(probe.dsn, cast("Keep", kept), cast("NatsClient", told), build="b")
    with pytest.raises(asyncio.CancelledError):
        await keeper.run()
    assert kept.fetched == looks
    return Looked(waits, told.messages, keeper.kept)


class Looked(NamedTuple):
    waits: list[float]
    messages: list[tuple[str, bytes]]
    kept: int


async def test_it_looks_often_until_there_is_one_and_then_seldom(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await looked(probe, monkeypatch, 9)
    assert found.waits == [LOOK_EVERY_S] + [STATE_EVERY_S / 36] * 8
    assert found.messages == []
    assert probe.count("worker_state") == found.kept == 2, "six hours apart"


async def test_no_state_is_kept_that_holds_what_was_erased_and_the_worker_is_told(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    for device, at_us in (("tag1", NOW_US), ("tag2", NOW_US), ("nobody", NOW_US)):
        erased = {device: ((at_us, at_us + 1),)}
        async with await psycopg.AsyncConnection.connect(probe.dsn, autocommit=True) as connection:
            await note_erased(connection, uuid4(), erased)
    found = await looked(probe, monkeypatch, 4)
    [(subject, data)] = found.messages
    assert subject == "core.erased"
    assert msgspec.json.decode(data) == {"tag1": [[NOW_US, NOW_US + 1]]}
    assert found.waits[:2] == [LOOK_EVERY_S] * 2, "it looks again soon"
    assert probe.count("worker_state") == 1
    [[content]] = probe.ask("SELECT content FROM evidence.worker_state")
    state = decode_snapshot(msgspec.msgpack.decode(content, type=Checkpoint).engine)
    times = dict(zip(state.track_ids, state.track_array()["time_us"].tolist(), strict=True))
    assert (times["tag1"], times["tag2"]) == (UNKNOWN_TIME_US, NOW_US + HOUR_US)
    assert np.isnan(state.watch_array()["from_m"]).all()
