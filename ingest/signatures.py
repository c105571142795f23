"""Signed payloads: who wrote a report, checked without trusting the way it came.

The broker knows who *connected*. A signature says who *wrote*: it holds behind a gateway of somebody
else's, in the journal and in the history, where the signed bytes lie exactly as they were received.
A device that signs puts around what it would send anyway, JSON or MessagePack::

    C1 | algorithm | key number | sequence number, 8 bytes, high byte first | body | signature

``C1`` begins neither JSON nor MessagePack. What is signed is the topic, a zero byte, and everything
from ``C1`` to the end of the body; so a report cannot be moved to another device or another topic.
Algorithm 1 is HMAC-SHA-256 (FIPS 198-1) with a secret of the device's own: 32 bytes behind the body.
Algorithm 2 is Ed25519 (RFC 8032), whose private half never leaves the device: 64 bytes. The key
decides which of them holds for its number: a message cannot choose.

The sequence number counts as `seq` does: it is that of the body's first report, and the reports
behind it in an array count up from there; where a report has a `seq` of its own, that holds. A signed
message that somebody records and sends again therefore carries numbers that are known, and is a
duplicate to everyone who counts.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from devices.reports import Signature
from ingest import native
from ingest.refusals import Code, Refused

MARK = b"\xc1"
HMAC_SHA256 = 1
ED25519 = 2
HEAD_BYTES = 11
SIGNATURE_BYTES = {HMAC_SHA256: 32, ED25519: 64}
"""Length of a signature, by the number of its algorithm."""

LEAST_KEY_BYTES = 16
"""A shorter secret could be guessed; 32 random bytes are as good as HMAC-SHA-256 gets."""

LAST_SEQ = 2**63 - 1 - native.MAX_FIXES


class VerifyingKey(Protocol):
    """Tells whether a signature is its own.

    Attributes:
        algorithm: Which one it is for.
    """

    algorithm: int

    def holds(self, signed: bytes, signature: bytes) -> bool:
        """Whether this key made the signature over these bytes."""


class HmacKey:
    """A secret shared with the device.

    Raises:
        ValueError: It is so short that it can be guessed.
    """

    algorithm = HMAC_SHA256

    def __init__(self, secret: bytes) -> None:
        if len(secret) < LEAST_KEY_BYTES:
            raise ValueError(f"a secret of fewer than {LEAST_KEY_BYTES} bytes can be guessed")
        self._secret = secret

    def holds(self, signed: bytes, signature: bytes) -> bool:
        """See `VerifyingKey.holds`."""
        wanted = hmac.digest(self._secret, signed, hashlib.sha256)
        return hmac.compare_digest(wanted, signature)


class Ed25519Key:
    """The public half of a device's key pair: 32 bytes.

    Raises:
        ValueError: It is not so long.
    """

    algorithm = ED25519

    def __init__(self, public: bytes) -> None:
        self._public = Ed25519PublicKey.from_public_bytes(public)

    def holds(self, signed: bytes, signature: bytes) -> bool:
        """See `VerifyingKey.holds`."""
        try:
            self._public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class DeviceKeys:
    """What one device signs with.

    Attributes:
        by_number: Keys by the number that the envelope names, 0 to 255: two while one replaces
            the other.
        required: What is not signed with one of them is refused.
    """

    by_number: Mapping[int, VerifyingKey]
    required: bool = False


class Keys(Protocol):
    """Where the keys of devices are found. Answers from memory."""

    def of(self, device: str) -> DeviceKeys | None:
        """The device's keys; None when it has none."""


class KeyRing:
    """Keys from a mapping by device id. The mapping may change while it is used."""

    def __init__(self, by_device: Mapping[str, DeviceKeys]) -> None:
        self._by_device = by_device

    def of(self, device: str) -> DeviceKeys | None:
        """See `Keys.of`."""
        return self._by_device.get(device)


NO_KEYS: Keys = KeyRing({})


class Opened(NamedTuple):
    """A payload out of its envelope.

    Attributes:
        seq: Number of the first report; None when there is no envelope.
        body: What the adapter reads.
        refusal: Why the message must not be accepted; None where it may be.
    """

    signature: Signature
    seq: int | None
    body: bytes
    refusal: Refused | None = None


def opened(topic: str, payload: bytes, keys: DeviceKeys | None) -> Opened:
    """Take a payload out of its envelope, if it is in one, and check the signature.

    Args:
        topic: As received.
        payload: As received.
        keys: Of the device that the topic names.
    """
    required = keys is not None and keys.required
    if payload[:1] != MARK:
        return Opened(Signature.UNSIGNED, None, payload, NOT_SIGNED if required else None)
    length = SIGNATURE_BYTES.get(payload[1]) if len(payload) > HEAD_BYTES else None
    if length is None or len(payload) < HEAD_BYTES + length:
        return Opened(Signature.INVALID, None, payload, _BROKEN)
    key = keys.by_number.get(payload[2]) if keys else None
    seq = int.from_bytes(payload[3:HEAD_BYTES])
    body = payload[HEAD_BYTES:-length]
    if key is None:
        return Opened(Signature.UNKNOWN_KEY, _usable(seq), body, NOT_SIGNED if required else None)
    signed = b"\0".join((topic.encode(errors="surrogatepass"), payload[:-length]))
    if key.algorithm != payload[1] or not key.holds(signed, payload[-length:]):
        return Opened(Signature.INVALID, None, body, _FORGED)
    return Opened(Signature.VALID, _usable(seq), body)


def _usable(seq: int) -> int | None:
    """A number that leaves room for the reports behind the first one."""
    return seq if seq <= LAST_SEQ else None


NOT_SIGNED = Refused(
    Code.NOT_SIGNED,
    "This device has to sign what it sends, with a key of its own that is in force.",
)
_BROKEN = Refused(
    Code.BAD_SIGNATURE, "The envelope of a signature that is cut off, or of an unknown algorithm."
)
_FORGED = Refused(
    Code.BAD_SIGNATURE,
    "The signature does not fit: forged, damaged on the way, or made with another key.",
)
