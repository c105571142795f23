"""Over the whole chain: a device is told how often to report, answers, and numbers go missing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.commands import TAG_COMMAND_BYTES
from devices.instants import to_iso
from tests.conftest import Database
from tests.cordon.running import World, one_pair, until, world

pytestmark = pytest.mark.timeout(240)


def intervals(seen: World, device: str) -> list[dict[str, Any]]:
    topic = f"cordon/v1/{device}/command"
    return [c for c in seen.commands if c["topic"] == topic and c["type"] == "fix_interval"]


async def test_both_devices_are_told_answer_and_it_is_kept(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 300)  # between the alert ring of 200 m and the outer one of 400 m
        await until(lambda: seen.events("raised"), "an alert is raised")
        told = {
            device: (await until(lambda d=device: intervals(seen, d), f"{device} is told"))[0]  # type: ignore[misc]
            for device in ("tag-1", "phone-1")
        }
        assert {one["interval_s"] for one in told.values()} == {15.0}
        assert set(told["tag-1"]) == {"topic", "type", "id", "time", "expires", "interval_s"}
        for device, one in told.items():
            receipt = {"id": one["id"], "state": "received", "time": to_iso(wall_clock_us())}
            await seen.publish(device, "receipt", json.dumps(receipt).encode())

        def kept() -> list[tuple[object, ...]]:
            rows = seen.query(
                "select device, reason from evidence.command where state = 'received'"
                " order by device"
            )
            return rows if len(rows) == 2 else []

        assert await until(kept, "the answers are kept")
        assert TAG_COMMAND_BYTES == 256


async def test_troubles_of_devices_go_the_whole_way(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 9000)
        event = {"type": "permission_off", "time": to_iso(wall_clock_us()), "seq": 1}
        await seen.publish("phone-1", "event", json.dumps(event).encode())
        told = await until(lambda: seen.events("raised"), "the agency is told")
        alert = told[0]["data"]
        assert (alert["health"], alert["tier"], alert["protected"]) == ("permission_off", 4, "she")
        assert await until(lambda: seen.notices("raised"), "her handset is told")

        def kept() -> list[tuple[object, ...]]:
            return seen.query("select device, kind, began, person from evidence.device_health")

        assert await until(kept, "it is kept") == [("phone-1", "permission_off", True, "she")]
