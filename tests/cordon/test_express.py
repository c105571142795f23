"""Urgent events: told before the journal has them, and only once."""

from __future__ import annotations

import asyncio
import json

import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.instants import to_iso
from devices.reports import URGENT
from ingest.ack_client import AckClient, Incoming
from tests.conftest import Database
from tests.cordon.running import World, one_pair, until, world

pytestmark = pytest.mark.timeout(240)


async def send(seen: World, device: str, kind: str, seq: int) -> None:
    document = {"seq": seq, "time": to_iso(wall_clock_us()), "type": kind}
    await seen.publish(device, "event", json.dumps(document).encode())


async def test_a_panic_is_told_while_the_gateway_stalls_and_once_when_it_goes_on(
    broker: EmbeddedBroker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = asyncio.Event()
    take = AckClient.take

    async def stalled(client: AckClient, *limits: int) -> list[Incoming]:
        await goes_on.wait()
        return await take(client, *limits)

    monkeypatch.setattr(AckClient, "take", stalled)
    async with world(broker, database.dsn, one_pair()) as seen:
        await send(seen, "phone-1", "panic", 1)
        told = await until(lambda: seen.events("raised"), "the agency is told")
        assert told[0]["data"]["condition"] == "panic"
        await send(seen, "tag-1", "strap_cut", 2)
        await until(lambda: len(seen.events("raised")) == 2, "of the cut strap as well")
        assert seen.service.parts.gateway.counts.events == 0

        goes_on.set()
        await until(lambda: seen.service.parts.gateway.counts.events == 2, "they are journaled")
        worker = seen.service.parts.worker
        await until(lambda: worker.partition.counts.events == 2, "and applied from there")
        await until(
            lambda: len(seen.query("select 1 from evidence.event")) == 2, "and in the history"
        )
        assert len(seen.events("raised")) == 2
        assert worker.express.counts.taken == 2
        assert worker.partition.desk.counts.raised == 2


async def test_what_is_not_urgent_or_not_readable_takes_the_ordinary_way(
    broker: EmbeddedBroker, database: Database
) -> None:
    assert "beacon_seen" not in URGENT
    async with world(broker, database.dsn, one_pair()) as seen:
        await send(seen, "tag-1", "battery_low", 1)
        await seen.publish("tag-1", "event", b"{")
        await until(lambda: seen.service.parts.gateway.counts.events == 1, "it is journaled")
        await until(lambda: seen.events("raised"), "the agency is told")
        counts = seen.service.parts.worker.express.counts
        assert (counts.taken, counts.passed_over) == (0, 2)
