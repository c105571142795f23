"""What must be the same at the embedded broker's next start: passwords, keys, and ports if free.

Others on this machine who may read the state directory find the running broker by it.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from cordon.errors import ServerStartError
from cordon.identity.tokens import Issuer
from devices.durable import write_durably

HOST = "127.0.0.1"
SERVICE_USER = "service"
AUTHORIZER_USER = "authorizer"
SYSTEM_USER = "system"
FILE = "broker.json"


@dataclass(frozen=True, slots=True)
class BrokerMemory:
    """Passwords, keys and ports of one embedded broker."""

    password: str = ""
    device_password: str = ""
    system_password: str = ""
    authorizer_password: str = ""
    issuer_seed: str = ""
    port: int = 0
    mqtt_port: int = 0

    @classmethod
    def load(cls, file: Path) -> BrokerMemory:
        """What stands in the file, with what is missing made; all of it where there is none.

        Raises:
            ServerStartError: The file is damaged.
        """
        try:
            return cls(**json.loads(file.read_text())).completed()
        except FileNotFoundError:
            return cls().completed()
        except (ValueError, TypeError) as error:
            raise ServerStartError(
                f"{file} is damaged ({error}). Delete it: new passwords will be made, the data "
                "beside it is kept."
            ) from error

    def completed(self) -> BrokerMemory:
        """With what is missing made: all of it at first, some after an update."""
        fresh = secrets.token_urlsafe
        return replace(
            self,
            password=self.password or fresh(24),
            device_password=self.device_password or fresh(24),
            system_password=self.system_password or fresh(24),
            authorizer_password=self.authorizer_password or fresh(24),
            issuer_seed=self.issuer_seed or Issuer(secrets.token_bytes(32)).seed,
        )

    def save(self, file: Path) -> None:
        """Write all of it, readable by this user only."""
        memory = {name: getattr(self, name) for name in self.__slots__}
        write_durably(file, json.dumps(memory).encode())

    @property
    def nats_url(self) -> str:
        """Address for NATS clients, with the service's credentials."""
        return f"nats://{SERVICE_USER}:{self.password}@{HOST}:{self.port}"

    @property
    def system_url(self) -> str:
        """Address with the rights to hear the server's own advisories, and nothing else."""
        return f"nats://{SYSTEM_USER}:{self.system_password}@{HOST}:{self.port}"

    @property
    def authorization_url(self) -> str:
        """Address with the rights to answer who may come in, and nothing else."""
        return f"nats://{AUTHORIZER_USER}:{self.authorizer_password}@{HOST}:{self.port}"
