"""What a device writes on the wire.

Written from the published payload contract and not with the service's own types, so that the two
check each other. Commands it reads as `devices.commands` says a device should.
"""

from __future__ import annotations

import hmac
import math
import ssl
from pathlib import Path
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devices.instants import to_iso
from ingest.tls import client_context

ROOT = "cordon/v1"

ReceiptState = Literal["received", "shown", "answered"]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What a device signs with, and the number by which the service knows it.

    Attributes:
        secret: That of HMAC, or the private half of an Ed25519 pair: 32 bytes.
    """

    secret: bytes
    number: int = 0
    algorithm: Literal["hmac", "ed25519"] = "hmac"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Key({self.algorithm}, number {self.number})"

    def sign(self, letter: bytes) -> bytes:
        """The signature that stands behind the letter."""
        if self.algorithm == "ed25519":
            return Ed25519PrivateKey.from_private_bytes(self.secret).sign(letter)
        return hmac.digest(self.secret, letter, "sha256")


def seal(key: Key, topic: str, seq: int, body: bytes) -> bytes:
    """The body in a signed envelope.

    Args:
        key: The device's own.
        topic: What it will be published on.
        seq: Number of the first report in the body.
        body: JSON or MessagePack.
    """
    algorithm = {"hmac": 1, "ed25519": 2}[key.algorithm]
    letter = bytes([0xC1, algorithm, key.number]) + seq.to_bytes(8) + body
    return letter + key.sign(topic.encode() + b"\0" + letter)


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What `cordon device provision --json` prints of a device that signs; `key` in hexadecimal."""

    password: str = ""
    sign: Literal["hmac", "ed25519"]
    key_number: int
    key: str

    def signing(self) -> Key:
        """The key.

        Raises:
            ValueError: It is not hexadecimal.
        """
        return Key(secret=bytes.fromhex(self.key), number=self.key_number, algorithm=self.sign)


class Broker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the devices connect, and with what.

    Attributes:
        username, password: Of all devices; without them they come as strangers.
        passwords: Each device's own, by its id, which is then its user name. Never shown.
        keys: With what devices sign, by their ids. Never shown.
        ca_file: PEM of whom they trust; with it they speak TLS.
        certificates: Folder with ``DEVICE.crt`` and ``DEVICE.key`` of those that show one.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    passwords: dict[str, str] = {}
    keys: dict[str, Key] = {}
    ca_file: str = ""
    certificates: str = ""

    def __repr__(self) -> str:
        """Without what is secret."""
        return f"Broker({self.host}:{self.port})"

    def user_of(self, device: str) -> tuple[str | None, str | None]:
        """Name and password that a device gives."""
        own = self.passwords.get(device)
        return (self.username, self.password) if own is None else (device, own)

    def tls_of(self, device: str) -> ssl.SSLContext | None:
        """With what a device comes; None: in clear.

        Raises:
            ingest.tls.TlsFilesError: A file is missing or does not fit.
        """
        if not self.ca_file:
            return None
        own = Path(self.certificates) / device
        if self.certificates and own.with_suffix(".crt").exists():
            return client_context(
                self.ca_file, str(own.with_suffix(".crt")), str(own.with_suffix(".key"))
            )
        return client_context(self.ca_file)


class FixMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fix. What the device does not know is left out, never written as 0."""

    seq: int
    time: str
    lat: float
    lon: float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    kind: str = "gnss"
    battery_pct: int | None = None
    buffered: bool = False


class EventMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event, for example ``panic``."""

    seq: int
    time: str
    type: str
    peer: str | None = None
    detail: dict[str, Any] = {}


class StatusMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the device is there; retained, and spoken by the broker as its last will."""

    online: bool
    time: str


class ReceiptMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command."""

    id: str
    state: ReceiptState
    time: str


encode = msgspec.json.Encoder().encode


def topic(device: str, name: str) -> str:
    """Topic `name` of a device: fix, event, status, receipt or command."""
    return f"{ROOT}/{device}/{name}"


def known(value: float, digits: int) -> float | None:
    """The value as it is written, rounded; None, and so left out, when it is NaN."""
    return None if math.isnan(value) else round(value, digits)


def status(online: bool, time_us: int) -> bytes:  # noqa: FBT001 - one word of the contract
    """Payload of a status message."""
    return encode(StatusMessage(online=online, time=to_iso(time_us)))
