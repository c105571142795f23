"""The parts of the service that have to do with who is who, made and run together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats.aio.client import Client as NatsClient

from cordon.broker_refusals import BrokerRefusals
from cordon.broker_watch import BrokerWatch
from cordon.connections import Endpoints
from cordon.identity.doorkeeper import Doorkeeper
from cordon.identity.registry_feed import RegistryCopy, RegistryFeed
from cordon.identity.violations import Violations
from cordon.keep import Keep
from devices.credential_store import CredentialStore
from devices.instants import Clock

LOG_MEMORY = "broker-log.json"
"""File in the state directory: how far the broker's log has been read."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who lets devices in, who sees what they may not do, and where that goes.

    Attributes:
        watch: None where the settings give no system rights at the broker.
        violations: None where the broker's log is not on this machine.
        registry: Who may come in and with what devices sign, in memory.
        doorkeeper: None where the broker lets devices in by its own rules.
        devices_open: Whoever reaches the MQTT port may speak for any device.
    """

    refusals: BrokerRefusals
    watch: BrokerWatch | None
    violations: Violations | None
    credentials: RegistryFeed
    registry: RegistryCopy
    doorkeeper: Doorkeeper | None
    devices_open: bool

    def knowing_keys(
        self, run: Callable[[], Awaitable[None]]
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """The same, begun when it is known with what devices sign: until then all looks unsigned."""

        async def wait_and_run() -> None:
            await self.registry.looked.wait()
            await run()

        return wait_and_run

    def runs(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What is to be kept running, by name."""
        runs: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "broker-refusals": self.refusals.run,
            "credentials": self.credentials.run,
            "registry": self.registry.run,
        }
        if self.doorkeeper is not None:
            runs |= self.doorkeeper.runs()
        if self.violations is not None:
            runs["violations"] = self.violations.run
        if self.watch is not None:
            runs["broker-watch"] = self.watch.run
        return runs


def assemble_identity(
    ends: Endpoints,
    home: Path,
    keep: Keep,
    nc: NatsClient,
    registry: RegistryCopy,
    refusals: BrokerRefusals,
    clock: Clock,
    *,
    nameless: str = "",
) -> Identity:
    """Make all of them; nothing runs yet.

    Args:
        ends: Of the broker and the database.
        home: The state directory.
        keep: Where the registry in force lies.
        nc: Connection of the service.
        registry: A copy of the registry in force; not running yet.
        refusals: Where everything that the broker refuses goes.
        clock: The time.
        nameless: See `Doorkeeper`.

    Raises:
        cordon.identity.tokens.TokenError: The seed of the endpoints is none.
    """
    asked = bool(ends.authorization_url)
    watch = violations = doorkeeper = None
    if ends.system_url:
        watch = BrokerWatch(ends.system_url, refusals, told_by_others=asked)
    if ends.broker_log is not None:
        file, from_byte = ends.broker_log
        violations = Violations(file, from_byte, home / LOG_MEMORY, ends.system_url, refusals)
    if asked:
        doorkeeper = Doorkeeper(ends, registry, refusals, clock, nameless=nameless)
    credentials = RegistryFeed(CredentialStore(ends.dsn), keep, nc)
    return Identity(
        refusals, watch, violations, credentials, registry, doorkeeper, ends.devices_open
    )
