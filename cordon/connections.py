"""Where the broker and the database are, and connections to them that say when they are lost."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from nats.aio.client import Client as NatsClient

from cordon.embedded.broker import EmbeddedBroker
from cordon.embedded.postgres import EmbeddedPostgres
from cordon.errors import CordonError
from devices.ending import end_if_told
from ingest.mqtt import MqttBroker

log = structlog.get_logger("connections")

RECONNECT_WAIT_S = 1
CONNECT_TIMEOUT_S = 5
CLOSED_CHECK_S = 1.0


class ConnectionClosedError(CordonError):
    """A connection to the broker that will not come back."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Addresses and credentials the service works with.

    Attributes:
        system_url: NATS address with system rights, or empty: refused connections go unseen.
        dsn: Of the database.
        authorization_url, issuer_seed: With which the service lets devices in; empty: it does not.
        devices_open: Whoever reaches the MQTT port may speak for any device.
        mqtt_tls: What MQTT clients of the service work with; None: in clear.
        mqtt_ca: PEM file of the CA of the MQTT listener; None: not known, or in clear.
        broker_log: The broker's log on this machine, and the byte from which it is of interest
            (None: its end); None where there is none.
    """

    nats_url: str = field(repr=False)
    mqtt_host: str
    mqtt_port: int
    dsn: str = field(repr=False)
    system_url: str = field(default="", repr=False)
    mqtt_user: str = ""
    mqtt_password: str = field(default="", repr=False)
    authorization_url: str = field(default="", repr=False)
    issuer_seed: str = field(default="", repr=False)
    devices_open: bool = False
    mqtt_tls: ssl.SSLContext | None = field(default=None, repr=False)
    mqtt_ca: Path | None = None
    broker_log: tuple[Path, int | None] | None = None

    def mqtt_broker(self) -> MqttBroker:
        """The MQTT listener, as the service comes in."""
        user, password = self.mqtt_user or None, self.mqtt_password or None
        return MqttBroker(self.mqtt_host, self.mqtt_port, user, password, self.mqtt_tls)

    @classmethod
    def embedded(
        cls,
        broker: EmbeddedBroker,
        postgres: EmbeddedPostgres | None,
        mqtt_tls: ssl.SSLContext | None = None,
    ) -> Endpoints:
        """Those of our own embedded servers."""
        registered = broker.access.devices == "registered"
        return cls(
            nats_url=broker.nats_url,
            system_url=broker.system_url,
            mqtt_host=broker.mqtt_host,
            mqtt_port=broker.mqtt_port,
            mqtt_user=broker.service_user,
            mqtt_password=broker.service_password,
            dsn=postgres.dsn if postgres else "",
            authorization_url=broker.authorization_url if registered else "",
            issuer_seed=broker.issuer_seed if registered else "",
            devices_open=not registered,
            mqtt_tls=mqtt_tls,
            mqtt_ca=broker.access.tls.ca if broker.access.tls else None,
            broker_log=broker.log,
        )


async def connect_nats(url: str, name: str, *, once: bool = False, echo: bool = True) -> NatsClient:
    """A NATS connection that comes back by itself for as long as it takes; with `once`, not at all.

    Without `echo` its subscriptions do not hear what it publishes itself.

    Raises:
        nats.errors.Error: The first connection is refused.
    """

    async def lost() -> None:
        if not nc.is_closed:  # closing is not losing
            log.warning("broker_connection_lost", connection=name)

    async def back() -> None:
        log.info("broker_connection_back", connection=name)

    async def failed(error: Exception) -> None:
        log.warning(
            "broker_error",
            connection=name,
            broker=where,
            error=type(error).__name__,
            what_to_do="is it running? is broker.nats_url right?" if not nc.is_connected else "",
        )

    parts = urlsplit(url)
    where = f"{parts.hostname}:{parts.port}"  # without name and password
    nc = NatsClient()
    await nc.connect(
        url,
        name=f"cordon-{name}",
        no_echo=not echo,
        allow_reconnect=not once,
        # These govern the first connection, too, whatever `allow_reconnect` says.
        max_reconnect_attempts=1 if once else -1,
        reconnect_time_wait=0 if once else RECONNECT_WAIT_S,
        connect_timeout=CONNECT_TIMEOUT_S,
        disconnected_cb=lost,
        reconnected_cb=back,
        error_cb=failed,
    )
    try:
        end_if_told()  # nats-py may have missed it
    except asyncio.CancelledError:
        await nc.close()
        raise
    return nc


async def while_open(*connections: NatsClient) -> None:
    """Wait for as long as all of these connections may still come back by themselves.

    nats-py closes one for good when the server refuses it with certain errors. Everything that
    uses it then fails for ever; better to end, and be started anew, than to look alive.

    Raises:
        ConnectionClosedError: One of them was closed.
    """
    while not any(nc.is_closed for nc in connections):  # nobody announces it
        end_if_told()
        await asyncio.sleep(CLOSED_CHECK_S)
    reasons = {str(nc.last_error) for nc in connections if nc.is_closed and nc.last_error}
    raise ConnectionClosedError(
        f"The broker closed the service's connection for good ({'; '.join(reasons) or 'no reason'})"
        ". Nothing is watched over until the service is started again. If this repeats, look at "
        "the log of nats-server, and at the service's name and password there."
    )
