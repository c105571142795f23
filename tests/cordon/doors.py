"""A broker that asks who comes in, those who answer it, and a database to register devices in."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import aiomqtt
from nats.aio.client import Client as NatsClient

from cordon.broker_refusals import BrokerRefusals
from cordon.clock import wall_clock_us
from cordon.connections import Endpoints, connect_nats
from cordon.embedded.broker import BrokerAccess, EmbeddedBroker, ListenerTls
from cordon.identity.doorkeeper import Doorkeeper
from cordon.identity.provisioning import give_passwords
from cordon.identity.registry_feed import RegistryCopy, RegistryFeed
from cordon.identity.violations import Violations
from cordon.keep import Keep
from devices.credential_store import CredentialStore
from devices.reports import Refusal, decode_batch
from ingest.journal import JournalWriter
from ingest.streams import JOURNAL, ensure_streams

SMALL_BYTES = 200_000_000
LIMIT_S = 20.0


async def until(condition: Callable[[], Awaitable[object]], what: str) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It did not within the limit.
    """
    end_s = asyncio.get_running_loop().time() + LIMIT_S
    while not await condition():
        assert asyncio.get_running_loop().time() < end_s, f"not within {LIMIT_S} s: {what}"
        await asyncio.sleep(0.02)


@dataclass
class Door:
    """The door of one broker, and the keys to it."""

    broker: EmbeddedBroker
    endpoints: Endpoints
    keeper: Doorkeeper
    nc: NatsClient
    tasks: dict[str, asyncio.Task[None]]

    async def give(self, *devices: str) -> dict[str, str]:
        """Register devices; returns their passwords when they open the door."""
        async with CredentialStore(self.endpoints.dsn).open() as database:
            made, version = await give_passwords(
                database, devices, by="test", now_us=wall_clock_us()
            )
        await self.keeper.copy.wait_for(version)
        return made

    async def revoke(self, device: str) -> None:
        """Revoke all that a device has."""
        async with CredentialStore(self.endpoints.dsn).open() as database:
            revoked = await database.revoke(
                [device], now_us=wall_clock_us(), by="Kim", reason="the tag was lost"
            )
        assert revoked

    def client(
        self,
        device: str | None,
        password: str | None = None,
        *,
        identifier: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> aiomqtt.Client:
        """A connection of a device, not opened yet."""
        return aiomqtt.Client(
            self.broker.mqtt_host,
            self.broker.mqtt_port,
            username=device,
            password=password,
            identifier=identifier or device,
            tls_context=tls,
            timeout=10,
        )

    async def refusals(self) -> list[Refusal]:
        """All refusals in the journal."""
        js = self.nc.jetstream()
        last = (await js.stream_info(JOURNAL)).state.last_seq
        entries = [await js.get_msg(JOURNAL, seq) for seq in range(1, last + 1)]
        return [r for entry in entries for r in decode_batch(entry.data or b"").refusals]

    async def refused(self, device: str, code: str) -> Refusal:
        """The refusal of a device with this code, once it is in the journal."""
        found: list[Refusal] = []

        async def there() -> bool:
            found[:] = [r for r in await self.refusals() if (r.device, r.code) == (device, code)]
            return bool(found)

        await until(there, f"a refusal {code} of {device}")
        return found[0]


@contextlib.asynccontextmanager
async def door(
    broker: EmbeddedBroker, dsn: str, tls: ssl.SSLContext | None = None, nameless: str = ""
) -> AsyncIterator[Door]:
    """Those who answer a broker that is configured to ask, running."""
    endpoints = dataclasses.replace(Endpoints.embedded(broker, None, tls), dsn=dsn)
    nc = await connect_nats(endpoints.nats_url, "test")
    js = nc.jetstream()
    await ensure_streams(js, max_bytes=SMALL_BYTES)
    keep = await Keep.open(js, max_bytes=SMALL_BYTES // 4)
    refusals = BrokerRefusals(JournalWriter(nc), wall_clock_us, name="test")
    registry = RegistryCopy(keep, nc)
    keeper = Doorkeeper(endpoints, registry, refusals, wall_clock_us, nameless=nameless)
    file, _ = broker.log
    violations = Violations(file, 0, file.with_suffix(".mark"), endpoints.system_url, refusals)
    runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
        "feed": RegistryFeed(CredentialStore(dsn), keep, nc).run,
        "refusals": refusals.run,
        "violations": violations.run,
        "registry": registry.run,
        **keeper.runs(),
    }
    tasks = {name: asyncio.create_task(run(), name=name) for name, run in runs.items()}
    try:
        await asyncio.wait_for(keeper.wait_ready(), LIMIT_S)
        await asyncio.wait_for(keeper.copy.wait_for(0), LIMIT_S)
        yield Door(broker, endpoints, keeper, nc, tasks)
        for task in tasks.values():
            assert not task.done() or task.cancelled(), task
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        await nc.close()


def asking(tls: ListenerTls | None = None) -> BrokerAccess:
    """Access to a broker that asks about everybody."""
    return BrokerAccess(devices="registered", tls=tls)
