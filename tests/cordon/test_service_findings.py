"""Over the whole chain: a beacon that is heard, and a device that is two."""

from __future__ import annotations

import json

import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.instants import to_iso
from geofence.anomaly_state import Anomaly
from geofence.levels import Cause
from tests.conftest import Database
from tests.cordon.running import HOME, one_pair, until, world

pytestmark = pytest.mark.timeout(240)


async def test_a_beacon_is_told_and_kept_with_its_cause(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 9000)
        event = {"type": "beacon_seen", "time": to_iso(wall_clock_us()), "peer": "tag-1"}
        for _ in range(2):  # the second is the first, delivered again
            await seen.publish("phone-1", "event", json.dumps(event).encode())
        told = await until(lambda: seen.events("raised"), "the agency is told")
        assert (told[0]["data"]["level"], told[0]["data"]["cause"]) == ("contact", "beacon")
        assert await until(lambda: seen.notices("raised"), "the handset is told")

        def kept() -> list[tuple[object, ...]]:
            return seen.query("select level, cause, rules from evidence.decision")

        [(level, cause, rules)] = await until(kept, "the decision is kept")
        assert (level, cause) == (3, Cause.BEACON)
        assert rules == told[0]["data"]["rules"]
        assert len(seen.events("raised")) == 1


async def test_an_identity_used_twice_is_told_and_kept(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        began_us = wall_clock_us() - 600_000_000
        fixes = [
            {
                "seq": number,
                "time": to_iso(began_us + number * 60_000_000),
                "lat": HOME[0] + number % 2,
                "lon": HOME[1],
                "accuracy_m": 5.0,
            }
            for number in range(9)
        ]
        await seen.publish("tag-1", "fix", json.dumps(fixes).encode())

        def raised() -> list[str]:
            alerts = [change["data"] for change in seen.events("raised")]
            return [alert["level"] for alert in alerts if alert["condition"] == "device"]

        await until(raised, "the agency is told")
        assert raised() == ["clone"]
        rows = await until(
            lambda: seen.query("select device, kind, began, person from evidence.anomaly"),
            "it is kept",
        )
        assert rows == [("tag-1", Anomaly.CLONE, True, "he")]
        assert seen.commands == [] or all(c["level"] != "clone" for c in seen.commands)
