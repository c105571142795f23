"""Records handed over are on disk in order, whatever the broker does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from typing import cast

import pytest
from nats.js import JetStreamContext

from cordon import appender as appender_module
from cordon.appender import Appender
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from tests.cordon.running import until

LIMIT_S = 30


async def test_everything_is_appended_in_order_over_a_killed_broker(
    broker: EmbeddedBroker,
) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await js.add_stream(name="LOG", subjects=["log"])
    appender = Appender(js, "log")
    task = asyncio.create_task(appender.run())
    for number in range(50):
        appender.append(f"r{number}", str(number).encode())
    broker.kill()
    for number in range(50, 100):
        appender.append(f"r{number}", str(number).encode())
    broker.start()
    assert await asyncio.wait_for(appender.drained(), LIMIT_S)
    kept = [(await js.get_msg("LOG", n + 1)).data for n in range(100)]
    assert kept == [str(n).encode() for n in range(100)]
    assert (await js.stream_info("LOG")).state.messages == 100
    assert appender.last_position == 100
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await nc.close()


async def test_beyond_its_limit_the_oldest_is_let_go_and_that_is_known(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender_module, "MAX_WAITING", 3)
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await js.add_stream(name="LOG", subjects=["log"])
    appender = Appender(js, "log")
    for number in range(5):
        appender.append(f"r{number}", str(number).encode())
    assert (appender.waiting, appender.let_go) == (3, 2)
    task = asyncio.create_task(appender.run())
    assert not await asyncio.wait_for(appender.drained(), LIMIT_S)
    kept = [(await js.get_msg("LOG", n + 1)).data for n in range(3)]
    assert kept == [b"2", b"3", b"4"]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await nc.close()


async def test_a_run_begun_anew_takes_up_what_the_last_one_left(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    js = nc.jetstream()
    await js.add_stream(name="LOG", subjects=["log"])
    appender = Appender(js, "log")
    broker.kill()
    appender.append("r0", b"0")
    for wait_s in (0.2, LIMIT_S):
        task = asyncio.create_task(appender.run())
        if wait_s == LIMIT_S:
            broker.start()
            assert await asyncio.wait_for(appender.drained(), wait_s)
        else:
            await until(lambda: appender.retries, "it has tried in vain")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert appender.last_position == 1
    await nc.close()


async def test_it_ends_when_told_though_the_last_publish_swallows_that() -> None:
    class Acknowledgement:
        seq = 1

    class Swallowing:
        """As nats-py up to Python 3.11: the answer and the cancellation come together."""

        async def publish(self, *_given: object, **_named: object) -> Acknowledgement:
            publishing.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return Acknowledgement()

    publishing = asyncio.Event()
    appender = Appender(cast("JetStreamContext", Swallowing()), "log")
    appender.append("r", b"")
    task = asyncio.create_task(appender.run())
    await asyncio.wait_for(publishing.wait(), LIMIT_S)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=LIMIT_S)
    assert done
    assert task.cancelled()
