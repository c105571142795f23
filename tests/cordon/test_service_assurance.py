"""Her status on her handset, over the whole way; what kills the service makes it unknown."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from devices.caseload import Caseload
from devices.instants import Clock
from simulators.device import SimulatedDevice
from simulators.wire import Broker
from tests.conftest import Database
from tests.cordon.running import HOME, World, one_pair, until, world

pytestmark = pytest.mark.timeout(240)

INTERVAL_S = 1.0
EXPIRED_US = 60_000_000
"""Longer than any status of devices that report every second holds."""


def quick_pair(language: str = "en") -> Caseload:
    """The pair, reporting every second."""
    whole = one_pair()
    devices = tuple(
        msgspec.structs.replace(one, fix_interval_s=INTERVAL_S) for one in whole.devices
    )
    people = tuple(msgspec.structs.replace(one, language=language) for one in whole.people)
    return msgspec.structs.replace(whole, devices=devices, people=people)


class Later:
    """The time, or as many microseconds later as a test says."""

    def __init__(self) -> None:
        self.by_us = 0

    def __call__(self) -> int:
        return wall_clock_us() + self.by_us


@contextlib.asynccontextmanager
async def reporting(
    broker: EmbeddedBroker, name: str, clock: Clock
) -> AsyncIterator[SimulatedDevice]:
    """A device that stands still and says so every second."""
    address = Broker(host=broker.host, port=broker.mqtt_port)
    device = SimulatedDevice(name, address, clock=clock, handset=name.startswith("phone"))
    place = HOME if device.handset else (HOME[0] + 0.05, HOME[1])

    async def report() -> None:
        while True:
            device.fix(wall_clock_us(), *place, accuracy_m=5.0)
            await asyncio.sleep(INTERVAL_S)

    tasks = [asyncio.create_task(device.run()), asyncio.create_task(report())]
    try:
        yield device
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


EXPECTED = ["protection live", "protection degraded: battery_low", "protection live"]
KEPT = "from evidence.delivery where change_id = 'protection'"


def told(seen: World) -> list[str]:
    """What is kept of what she was told."""
    rows = seen.query(
        f"select document->>'reason' {KEPT} and state = 'sent' order by stream_position"
    )
    return [row[0] for row in rows]


def shown(seen: World) -> int:
    """How much of it her handset is known to have shown."""
    count: int = seen.query(f"select count(*) {KEPT} and state = 'shown'")[0][0]
    return count


async def test_she_sees_it_and_it_is_unknown_when_the_service_dies(
    broker: EmbeddedBroker, database: Database
) -> None:
    clock = Later()
    async with reporting(broker, "phone-1", clock) as phone, reporting(broker, "tag-1", clock):
        async with world(broker, database.dsn, quick_pair("es")) as seen:
            await until(lambda: phone.protection.state == "live", "she sees that she is protected")
            assert phone.protection.title == "Está protegida"

            phone.event("battery_low", wall_clock_us())
            await until(lambda: phone.protection.state == "degraded", "she sees that it is weaker")
            assert phone.protection.title == "Cargue su teléfono"
            phone.event("charging", wall_clock_us())
            await until(lambda: phone.protection.state == "live", "she sees that it is well again")

            await until(lambda: told(seen)[-3:] == EXPECTED, "what she was told is kept")
            await until(lambda: shown(seen) >= len(EXPECTED), "that she saw it is kept, too")
            topics = {one["topic"] for one in seen.commands if one["type"] == "protection"}
            assert topics == {"cordon/v1/phone-1/command"}
        # The service is gone; the broker and her handset go on.
        assert phone.online.is_set()
        clock.by_us = EXPIRED_US
        assert phone.protection.state == "unknown"
        assert phone.protection.title == "No sabemos si está protegida"
        clock.by_us = 0
        async with world(broker, database.dsn, quick_pair("es")):
            await until(lambda: phone.protection.state == "live", "a new service tells her")


async def test_a_killed_broker_and_a_stopped_database_are_not_passed_over(
    broker: EmbeddedBroker, postgres: EmbeddedPostgres
) -> None:
    clock = Later()
    async with (
        world(broker, postgres.dsn, quick_pair()),
        reporting(broker, "phone-1", clock) as phone,
        reporting(broker, "tag-1", clock),
    ):
        await until(lambda: phone.protection.state == "live", "she sees that she is protected")
        postgres.stop()
        await until(lambda: phone.protection.state == "degraded", "the database is away", 60)
        assert phone.protection.title == "Part of our system is being repaired"
        postgres.start()
        await until(lambda: phone.protection.state == "live", "the database is back", 60)
        broker.kill()
        await until(lambda: not phone.online.is_set(), "she has lost the broker")
        clock.by_us = EXPIRED_US
        assert phone.protection.state == "unknown"
        clock.by_us = 0
        broker.start()
        await until(lambda: phone.protection.state == "live", "all is well again", 60)
