"""Whether the broker answers, and what becomes of a connection that hears nothing any more."""

from __future__ import annotations

import os
import signal

import pytest

from cordon import heartbeat as module
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.heartbeat import Heartbeat
from tests.ingest.waiting import freeze, running, until


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.05)
    monkeypatch.setattr(module, "SILENT_AFTER_S", 0.5)
    monkeypatch.setattr(module, "RECONNECT_AFTER_S", 1.0)


async def test_a_deaf_connection_is_noticed_and_made_anew(broker: EmbeddedBroker) -> None:
    first = await connect_nats(broker.nats_url, "one")
    second = await connect_nats(broker.nats_url, "two", echo=False)
    heartbeat = Heartbeat(first, second)
    assert heartbeat.silent
    async with running(heartbeat.run()):
        await until(lambda: not heartbeat.silent, "both connections bring something back")
        # What nats-py does by itself when it stumbles over an answer.
        reading = second._reading_task
        assert reading is not None
        reading.cancel()
        await until(lambda: heartbeat.silent, "it is noticed")
        await until(lambda: not heartbeat.silent, "it hears again")
        assert first.stats["reconnects"] == 0
        assert second.stats["reconnects"] == 1
    for nc in (first, second):
        await nc.close()


async def test_a_broker_that_hangs_is_silent_and_then_heard_again(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "one")
    heartbeat = Heartbeat(nc)
    async with running(heartbeat.run()):
        await until(lambda: not heartbeat.silent, "the broker answers")
        await freeze(broker.pid)
        try:
            await until(lambda: heartbeat.silent, "the broker is missed")
        finally:
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGCONT)
        await until(lambda: not heartbeat.silent, "the broker answers again")
    await nc.close()
