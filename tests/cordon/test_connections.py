"""Connections to the broker."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from nats.aio.client import Client as NatsClient

from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker


async def test_an_end_that_the_library_missed_is_heard(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[NatsClient] = []
    connect = NatsClient.connect

    async def deaf(nc: NatsClient, *args: Any, **more: Any) -> None:
        await connect(nc, *args, **more)
        made.append(nc)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)

    monkeypatch.setattr(NatsClient, "connect", deaf)
    connecting = asyncio.create_task(connect_nats(broker.nats_url, "test"))
    done, _ = await asyncio.wait({connecting}, timeout=10)
    assert done
    assert connecting.cancelled()
    assert [nc.is_closed for nc in made] == [True]
