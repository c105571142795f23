"""Broker and database for this run: those the settings name, embedded ones where they name none."""

from __future__ import annotations

import asyncio
import dataclasses
import fcntl
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from cordon.clock import wall_clock_us
from cordon.connections import Endpoints
from cordon.database_access import START_FIRST
from cordon.embedded.broker import BrokerLimits, EmbeddedBroker
from cordon.embedded.broker_memory import FILE, SERVICE_USER, BrokerMemory
from cordon.embedded.broker_store import StoreDescriptions
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import CordonError, ServerStartError
from cordon.identity.listener import (
    ca_file_of,
    known_service_tls,
    local_address,
    prepare_listener,
    service_tls,
)
from cordon.sections import Broker
from cordon.settings import Settings

log = structlog.get_logger("servers")

ALIVE_EVERY_S = 1.0
ROOM_BYTES = 64 * 1024 * 1024
"""With so much free a broker that met a full disk is started again; with less it would meet it
again at once."""

Tell = Callable[[str], None]
"""Says to the person at the terminal what happens next."""


@dataclass(frozen=True, slots=True)
class Servers:
    """What the service works with, and the embedded servers among them."""

    endpoints: Endpoints
    broker: EmbeddedBroker | None
    postgres: EmbeddedPostgres | None

    async def keep_alive(self) -> None:
        """Start an embedded server again when it has died, until cancelled.

        Everything else waits out its absence; only somebody has to bring it back.
        """
        embedded = {"nats-server": self.broker, "postgres": self.postgres}
        store = _StoreWatch(self.broker) if self.broker else None
        forcing = StoreDescriptions(self.broker.store) if self.broker else None
        forced: asyncio.Task[None] | None = None
        while True:
            await asyncio.sleep(ALIVE_EVERY_S)
            # Beside the rest, which a disk that hangs must not hold up.
            if forcing is not None and (forced is None or forced.done()):
                forced = asyncio.create_task(_force(forcing))
            if store is not None:
                store.look()
            for name, server in embedded.items():
                try:
                    if server is not None and server.revive():
                        log.error("embedded_server_started_again", server=name)
                except ServerStartError as error:
                    # No memory for another process, say: the next look may find some.
                    log.error("embedded_server_not_started", server=name, reason=str(error))  # noqa: TRY400


async def _force(descriptions: StoreDescriptions) -> None:
    try:
        await asyncio.to_thread(descriptions.force_new)
    except OSError as error:
        log.warning("broker_store_not_forced", reason=error.strerror)


class _StoreWatch:
    """Starts a broker again that has met a full disk, once there is room: it stays broken else."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._told = False

    def look(self) -> None:
        """See how it is, say so when that changes, and help where it helps."""
        if not self._broker.store_failed:
            return
        free_bytes = self._broker.free_bytes
        if free_bytes >= ROOM_BYTES:
            log.warning("broker_restarted_as_there_is_room", free_bytes=free_bytes)
            self._told = False
            try:
                self._broker.restart()
            except ServerStartError as error:
                log.error("embedded_server_not_started", server="nats-server", reason=str(error))  # noqa: TRY400
        elif not self._told:
            self._told = True
            log.error(
                "broker_disk_full",
                free_bytes=free_bytes,
                meaning="devices keep what they have; nothing new is kept or decided on",
                what_to_do=f"make {ROOM_BYTES} bytes free: then it goes on by itself",
            )


@contextmanager
def running_servers(settings: Settings, tell: Tell) -> Iterator[Servers]:
    """Have both servers running inside the block; stop the embedded ones after it.

    Raises:
        CordonError: The state directory cannot be used, another Cordon works in it, or a server
            does not start.
    """
    home = Path(settings.state_directory).resolve()
    with ExitStack() as stack:
        stack.enter_context(_sole_user_of(home))
        broker = postgres = None
        if settings.broker.devices == "open":
            log.warning(
                "devices_open",
                meaning="whoever reaches the MQTT port may speak for any device",
                what_to_do='set broker.devices = "registered"',
            )
        if settings.broker.nats_url:
            mqtt_tls = service_tls(settings.broker)
        else:
            listener = prepare_listener(settings, wall_clock_us())
            mqtt_tls = listener.service_tls
            tell("Starting the broker (nats-server)")
            limits = BrokerLimits(settings.broker.store_bytes, settings.broker.sync_interval)
            broker = EmbeddedBroker(home / "broker", limits, listener.access)
            stack.callback(broker.stop)
            broker.start()
        if not settings.database.url:
            tell("Starting the database (PostgreSQL)")
            postgres = EmbeddedPostgres(home / "postgres")
            stack.callback(postgres.stop)
            postgres.start()
        yield Servers(_endpoints(settings, broker, postgres, mqtt_tls), broker, postgres)


def _endpoints(
    settings: Settings,
    broker: EmbeddedBroker | None,
    postgres: EmbeddedPostgres | None,
    mqtt_tls: ssl.SSLContext | None,
) -> Endpoints:
    if broker is None:
        dsn = postgres.dsn if postgres else settings.database.url
        return named_endpoints(settings.broker, dsn, mqtt_tls)
    endpoints = Endpoints.embedded(broker, postgres, mqtt_tls)
    return endpoints if postgres else dataclasses.replace(endpoints, dsn=settings.database.url)


def named_endpoints(named: Broker, dsn: str, mqtt_tls: ssl.SSLContext | None) -> Endpoints:
    """Those of a broker that the settings name."""
    return Endpoints(
        nats_url=named.nats_url,
        system_url=named.system_url,
        mqtt_host=named.mqtt_host,
        mqtt_port=named.mqtt_port,
        mqtt_user=named.mqtt_user,
        mqtt_password=named.mqtt_password,
        dsn=dsn,
        authorization_url=named.authorization_url,
        issuer_seed=named.issuer_seed,
        devices_open=named.devices == "open",
        mqtt_tls=mqtt_tls,
        mqtt_ca=Path(named.mqtt_ca) if named.mqtt_ca else None,
        broker_log=(Path(named.log_file), None) if named.log_file else None,
    )


def known_endpoints(settings: Settings) -> Endpoints:
    """Those that a service with these settings works with, for a process beside it.

    `dsn` is empty where there is no database on this machine and none is named.

    Raises:
        CordonError: The embedded broker has never been started here, or a file cannot be used.
    """
    home, broker = Path(settings.state_directory).resolve(), settings.broker
    own = home / "postgres"
    dsn = settings.database.url or (EmbeddedPostgres(own).dsn if own.exists() else "")
    if broker.nats_url:
        return named_endpoints(broker, dsn, service_tls(broker))
    if not (home / "broker" / FILE).exists():
        raise CordonError(f"There is no broker in {home}. {START_FIRST}")
    memory = BrokerMemory.load(home / "broker" / FILE)
    host, port = local_address(settings)
    registered = broker.devices == "registered"
    return Endpoints(
        nats_url=memory.nats_url,
        system_url=memory.system_url,
        mqtt_host=host,
        mqtt_port=port,
        mqtt_user=SERVICE_USER,
        mqtt_password=memory.password,
        dsn=dsn,
        authorization_url=memory.authorization_url if registered else "",
        issuer_seed=memory.issuer_seed if registered else "",
        devices_open=not registered,
        mqtt_tls=known_service_tls(settings),
        mqtt_ca=ca_file_of(settings),
    )


@contextmanager
def _sole_user_of(home: Path) -> Iterator[None]:
    """Hold the lock on the state directory; the kernel frees it however this process ends."""
    with ExitStack() as stack:
        try:
            home.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((home / "lock").open("a+"))
        except OSError as error:
            raise CordonError(
                f"The state directory {home} cannot be used: {error.strerror}. Go to a folder that "
                "you may write to, or name another with --state."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise CordonError(
                f"Cordon already runs in {home} (process {lock.read().strip() or 'unknown'}). "
                "Stop that one first, or give this one another place with --state."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
