"""The power of the whole machine goes, broker and database on disks that lose what was not forced."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.broker_store import StoreDescriptions
from cordon.embedded.postgres import EmbeddedPostgres
from devices.instants import to_iso
from tests.cordon.running import World, one_pair, until, world
from tests.power.fuse import NoLossyDiskError
from tests.power.mounted import LossyDisk, lossy_disk
from tests.power.servers import lose_power, postgres_on_a_lossy_disk

pytestmark = pytest.mark.timeout(300)
CUTS = 3


@contextlib.asynccontextmanager
async def lossy_disks(
    folder: Path, postgres: EmbeddedPostgres
) -> AsyncIterator[tuple[LossyDisk, LossyDisk]]:
    store = folder / "broker" / "jetstream"
    store.mkdir(parents=True)
    try:
        with (
            lossy_disk(store, journaling=True) as of_broker,
            postgres_on_a_lossy_disk(postgres) as of_database,
        ):
            yield of_broker, of_database
    except NoLossyDiskError as error:
        pytest.skip(str(error))


async def report(seen: World, count: int) -> None:
    for step in range(count):
        await seen.fix("tag-1", 5_000 + step)


async def test_what_is_older_than_the_last_second_is_in_the_history(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with lossy_disks(tmp_path, postgres) as (of_broker, of_database):
        broker = EmbeddedBroker(tmp_path / "broker")
        broker.start()
        descriptions = StoreDescriptions(broker.store)
        sent: list[tuple[str, int]] = []
        safe: set[tuple[str, int]] = set()
        number = 0

        def forced() -> bool:
            waiting = [path for path in of_broker.unforced() if path.endswith(".blk")]
            return not any("/JOURNAL/" in path or "/$MQTT_msgs/" in path for path in waiting)

        for cut in range(CUTS):
            async with world(broker, postgres.dsn, one_pair()) as seen:
                seen.sent, seen._seq = sent, number
                before = len(sent)
                await seen.fix("phone-1", 0)
                await report(seen, 10)
                counts = seen.service.parts.gateway.counts
                await until(lambda: counts.acked >= len(sent) - before, "it is journaled")  # noqa: B023
                await asyncio.to_thread(descriptions.force_new)  # as `Servers.keep_alive` does
                await until(forced, "sync_interval has passed")
                safe |= set(sent[before:])
                await report(seen, 10)
                of_broker.cut()
                of_database.cut()
                number = seen._seq
            broker.kill()  # now that nobody talks to it; nothing was written since the cut
            lose_power(postgres, of_database, seed=cut or None)
            of_broker.bring_back(cut or None)
            broker.start()
        async with world(broker, postgres.dsn, one_pair()) as seen:
            seen.sent, seen._seq = sent, number
            await until(lambda: safe <= seen.stored(), "everything that was forced is stored", 60)
            await report(seen, 5)
            await until(lambda: set(sent[-5:]) <= seen.stored(), "and what comes then", 60)
            assert seen.stored() <= set(sent)
            panic = {"seq": 1, "time": to_iso(wall_clock_us()), "type": "panic"}
            await seen.publish("phone-1", "event", json.dumps(panic).encode())
            await until(lambda: seen.events("raised"), "alerts go on")
        broker.stop()
