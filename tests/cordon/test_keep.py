"""What is kept in the broker, read while it changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cordon import keep as keep_module
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.keep import Keep


async def test_what_is_replaced_while_it_is_read_is_read_anew(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keep_module, "SHORT_LIMIT_S", 0.05)
    nc = await connect_nats(broker.nats_url, "test")
    keep = await Keep.open(nc.jetstream())
    await keep.put("thing", b"before")
    read, tries = keep._store.get, 0

    async def waiting_for_pieces_that_are_gone(name: str) -> Any:
        nonlocal tries
        tries += 1
        if tries == 1:
            await keep.put("thing", b"after")
            await asyncio.Event().wait()
        return await read(name)

    monkeypatch.setattr(keep._store, "get", waiting_for_pieces_that_are_gone)
    assert await keep.get("thing") == b"after"
    assert tries == 2
    await nc.close()
