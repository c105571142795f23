"""The lease on the real broker: one in charge at a time, the next one soon."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client as NatsClient

from cordon.embedded.broker import EmbeddedBroker
from cordon.errors import CordonError
from cordon.lease import KEY, Lease, LeaseLostError, instance_name, open_bucket
from tests.ingest.waiting import freeze

LIMIT_S = 20.0


async def _quiet(_: Exception) -> None: ...


@pytest.fixture
async def nc(broker: EmbeddedBroker) -> AsyncIterator[NatsClient]:
    connection = await nats.connect(
        broker.nats_url, error_cb=_quiet, reconnect_time_wait=0.1, max_reconnect_attempts=-1
    )
    yield connection
    await connection.close()


async def lease(nc: NatsClient, owner: str) -> Lease:
    return Lease(await open_bucket(nc), owner)


async def test_the_second_waits_until_the_first_is_gone(nc: NatsClient) -> None:
    first, second = await lease(nc, "a"), await lease(nc, "b")
    await first.take(patient=False)
    holding = asyncio.create_task(first.hold())
    with pytest.raises(CordonError, match="--standby"):
        await asyncio.wait_for(second.take(patient=False), LIMIT_S)
    waiting = asyncio.create_task(second.take(patient=True))
    done, _ = await asyncio.wait({waiting}, timeout=3.0)
    assert not done, "the first renews it"
    holding.cancel()
    await asyncio.wait_for(waiting, LIMIT_S)
    assert (first.epoch, second.epoch) == (1, 2)
    with pytest.raises(LeaseLostError):
        await asyncio.wait_for(first.hold(), LIMIT_S)


async def test_what_is_given_back_is_free_at_once(nc: NatsClient) -> None:
    first, second = await lease(nc, "a"), await lease(nc, "b")
    await first.take(patient=False)
    await first.give_back()
    await asyncio.wait_for(second.take(patient=False), LIMIT_S)
    assert second.epoch == 2


async def test_who_is_started_again_need_not_wait_for_himself(nc: NatsClient) -> None:
    await (await lease(nc, "a")).take(patient=False)
    again = await lease(nc, "a")
    await asyncio.wait_for(again.take(patient=False), LIMIT_S)
    assert again.epoch == 2


async def test_of_many_one_takes_it(nc: NatsClient) -> None:
    leases = [await lease(nc, str(number)) for number in range(5)]
    taking = [asyncio.create_task(one.take(patient=True)) for one in leases]
    done, pending = await asyncio.wait(taking, timeout=LIMIT_S, return_when="FIRST_COMPLETED")
    assert len(done) == 1
    winner = leases[taking.index(done.pop())]
    holding = asyncio.create_task(winner.hold())
    more, _ = await asyncio.wait(pending, timeout=2.0, return_when="FIRST_COMPLETED")
    assert not more
    for task in (*pending, holding):
        task.cancel()
    await asyncio.gather(*pending, holding, return_exceptions=True)


async def test_it_outlasts_the_broker(nc: NatsClient, broker: EmbeddedBroker) -> None:
    one = await lease(nc, "a")
    await one.take(patient=False)
    holding = asyncio.create_task(one.hold())
    bucket = await open_bucket(nc)
    before = (await bucket.get(KEY)).revision or 0
    broker.kill()
    broker.start()
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                if ((await bucket.get(KEY)).revision or 0) > before + 1:
                    break
            except nats.errors.Error:
                pass
            await asyncio.sleep(0.1)
    assert not holding.done()
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)


def test_an_installation_keeps_its_name(tmp_path: Path) -> None:
    name = instance_name(tmp_path / "state")
    assert instance_name(tmp_path / "state") == name
    assert instance_name(tmp_path / "other") != name


async def test_a_broker_that_stands_still_takes_nobodys_lease(
    nc: NatsClient, broker: EmbeddedBroker
) -> None:
    one = await lease(nc, "a")
    await one.take(patient=False)
    holding = asyncio.create_task(one.hold())
    await freeze(broker.pid)
    try:
        done, _ = await asyncio.wait({holding}, timeout=4.0)
        assert not done, "requests that time out end nothing"
    finally:
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGCONT)
    done, _ = await asyncio.wait({holding}, timeout=3.0)
    assert not done
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
