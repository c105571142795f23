"""A whole service on real servers, and devices to talk to it, for the tests of the wiring."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiomqtt
import msgspec
import psycopg

from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.embedded.broker import EmbeddedBroker
from cordon.sections import Engine
from cordon.service import Service
from cordon.settings import Settings
from devices.caseload import (
    Agency,
    Assignment,
    Caseload,
    Circle,
    Device,
    Exclusion,
    Order,
    Person,
    Proximity,
)
from devices.instants import Clock, to_iso
from devices.store import CaseloadStore

LIMIT_S = 30.0
HOME = (54.0, 4.0)
"""In the North Sea: nobody's home."""

METRE_DEG = 1 / 111_300
"""A metre of latitude there, in degrees, to a few parts in a thousand."""

LEAP_M = 20.0
"""Farther than this between two reports of a test is a leap."""

LEAP_FIXES = 6
LEAP_STEP_S = 0.2

SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def one_pair(alert_m: float = 200.0) -> Caseload:
    """A wearer kept away from one person and out of one place."""
    return Caseload(
        agencies=(Agency(id="centre", name="Centre"),),
        people=(
            Person(id="he", role="wearer", name="He"),
            Person(id="she", role="protected", name="She"),
        ),
        devices=(Device(id="tag-1", kind="tag"), Device(id="phone-1", kind="handset")),
        assignments=(
            Assignment(device="tag-1", person="he", from_=SINCE),
            Assignment(device="phone-1", person="she", from_=SINCE),
        ),
        orders=(
            Order(
                id="order-1",
                agency="centre",
                wearer="he",
                valid_from=SINCE,
                conditions=(
                    Proximity(id="near", protected="she", alert_m=alert_m),
                    Exclusion(
                        id="school",
                        name="School",
                        circle=Circle(lat=54.2, lon=4.0, radius_m=300),
                        protected="she",
                    ),
                ),
            ),
        ),
    )


async def until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> Any:
    """Wait until a condition holds, and return what it gave.

    Raises:
        AssertionError: It did not within the limit.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + limit_s
    while not (found := condition()):
        assert loop.time() < end_s, f"not within {limit_s} s: {what}"
        await asyncio.sleep(0.02)
    return found


@dataclass
class World:
    """A running service, seen from outside: over MQTT and in the database."""

    service: Service
    endpoints: Endpoints
    device: aiomqtt.Client
    commands: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)
    _seq: int = 0
    _places: dict[str, tuple[float, float]] = field(default_factory=dict)

    async def fix(self, device: str, north_m: float, east_m: float = 0.0, **more: Any) -> None:
        """Have a device report where it is, metres from `HOME`; returns when acknowledged.

        Whoever leaps goes on saying so for a second. A single fix does not prove a leap; and what
        moves a street further in no time is rightly taken to go on at that speed.
        """
        place = (north_m, east_m)
        leaps = math.dist(self._places.get(device, place), place) > LEAP_M
        self._places[device] = place
        await self._fix(device, north_m, east_m, more)
        for _ in range(LEAP_FIXES if leaps else 0):
            await asyncio.sleep(LEAP_STEP_S)
            await self._fix(device, north_m, east_m, more)

    async def _fix(self, device: str, north_m: float, east_m: float, more: dict[str, Any]) -> None:
        self._seq += 1
        now_us = wall_clock_us()
        document = {
            "seq": self._seq,
            "time": to_iso(now_us),
            "lat": HOME[0] + north_m * METRE_DEG,
            "lon": HOME[1] + east_m * METRE_DEG * 1.7,
            "accuracy_m": 5.0,
        }
        await self.publish(device, "fix", json.dumps(document | more).encode())
        self.sent.append((device, self._seq))

    async def publish(self, device: str, kind: str, payload: bytes) -> None:
        """Publish anything as a device, with QoS 1."""
        await self.device.publish(f"cordon/v1/{device}/{kind}", payload, qos=1)

    def notices(self, kind: str) -> list[dict[str, Any]]:
        """What the handset was told so far, of one kind of change."""
        return [c for c in self.commands if c["type"] == "notify" and c["kind"] == kind]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What the agency was told so far, of one kind of change."""
        return [c for c in self.changes if c["type"] == f"cordon.alert.{kind}"]

    def query(self, text: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.endpoints.dsn) as connection:
            return connection.execute(text).fetchall()

    def stored(self) -> set[tuple[str, int]]:
        """Devices and sequence numbers of the fixes in the database; empty while it is away or bare."""
        try:
            return {(row[0], row[1]) for row in self.query("select device, seq from evidence.fix")}
        except (psycopg.OperationalError, psycopg.errors.UndefinedTable):
            return set()


def settings_for_tests() -> Settings:
    """Quick ticks and checkpoints, so that tests need not wait for either."""
    return Settings(engine=Engine(sweep_interval_s=0.2, checkpoint_interval_s=0.3))


@contextlib.asynccontextmanager
async def running(service: Service) -> AsyncIterator[Service]:
    """Run a service inside the block."""
    task = asyncio.create_task(service.run(), name="service")
    ready = asyncio.create_task(service.wait_ready())
    try:
        await asyncio.wait({task, ready}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        assert ready.done(), "the service was not ready in time"
        yield service
    finally:
        ready.cancel()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def world(
    broker: EmbeddedBroker,
    dsn: str,
    caseload: Caseload,
    *,
    headless: bool = True,
    settings: Settings | None = None,
    clock: Clock = wall_clock_us,
) -> AsyncIterator[World]:
    """A service with a caseload in force, a device's connection, and ears on what it sends."""
    endpoints = dataclasses.replace(Endpoints.embedded(broker, None), dsn=dsn)
    settings = settings or settings_for_tests()
    service = Service(endpoints, settings, clock, headless=headless)
    async with running(service):
        await service.wait_for_caseload(await load(dsn, caseload))
        async with aiomqtt.Client(broker.host, broker.mqtt_port, identifier="devices") as device:
            seen = World(service, endpoints, device)
            async with listening(broker, seen):
                yield seen


async def load(dsn: str, caseload: Caseload) -> str:
    """Bring a caseload into force; returns its version."""
    store = CaseloadStore(dsn)
    try:
        await store.migrate()
        return str((await store.save(caseload)).version)
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def listening(broker: EmbeddedBroker, seen: World) -> AsyncIterator[None]:
    """Collect what the handset and the agency are sent, over lost connections."""
    connected = asyncio.Event()

    async def listen() -> None:
        while True:
            try:
                async with aiomqtt.Client(
                    broker.host,
                    broker.mqtt_port,
                    username=broker.service_user,
                    password=broker.service_password,
                    identifier="ears",
                    clean_session=False,
                ) as ears:
                    await ears.subscribe([("cordon/v1/+/command", 1), ("cordon/v1/agency/#", 1)])
                    connected.set()
                    async for message in ears.messages:
                        take(str(message.topic), message.payload)
            except aiomqtt.MqttError:
                await asyncio.sleep(0.1)

    def take(topic: str, payload: object) -> None:
        assert isinstance(payload, bytes)
        document = msgspec.json.decode(payload, type=dict[str, Any])
        if topic.startswith("cordon/v1/agency/"):
            seen.changes.append(document)
        else:
            seen.commands.append(document | {"topic": topic})

    task = asyncio.create_task(listen(), name="ears")
    try:
        await asyncio.wait_for(connected.wait(), LIMIT_S)
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
