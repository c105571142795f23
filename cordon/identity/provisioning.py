"""Makes credentials for devices and puts them into the registry."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from devices.credential_store import OpenCredentials
from devices.credentials import (
    PASSWORD_BYTES,
    SALT_BYTES,
    Credential,
    CredentialError,
    check_new,
    password_from,
    password_hash,
)
from devices.instants import MICROSECONDS
from devices.signing import KEY_BYTES, Algorithm, SigningKey

DAY_US = 86_400 * MICROSECONDS


def new_password(
    device: str, *, by: str, now_us: int, days: float | None = None
) -> tuple[Credential, str]:
    """A credential with a password, and the password, which is kept nowhere.

    Raises:
        devices.credentials.CredentialError: No device can have this id.
    """
    check_new(device)
    salt = secrets.token_bytes(SALT_BYTES)
    password = password_from(secrets.token_bytes(PASSWORD_BYTES))
    credential = Credential(
        device=device,
        kind="password",
        salt=salt,
        hash=password_hash(password, salt),
        valid_from_us=now_us,
        valid_to_us=_end_us(now_us, days),
        issued_us=now_us,
        issued_by=by,
    )
    return credential, password


def new_certificate(
    device: str, fingerprint: bytes, *, by: str, now_us: int, days: float | None = None
) -> Credential:
    """A credential of a certificate; its own end is checked by the broker.

    Raises:
        devices.credentials.CredentialError: No device can have this id.
    """
    check_new(device)
    return Credential(
        device=device,
        kind="certificate",
        fingerprint=fingerprint,
        valid_from_us=now_us,
        valid_to_us=_end_us(now_us, days),
        issued_us=now_us,
        issued_by=by,
    )


def new_signing_key(
    device: str, algorithm: Algorithm, *, by: str, now_us: int, public: bytes = b""
) -> tuple[SigningKey, bytes]:
    """A key to sign with, still without its number, and what the device is to be given of it.

    Args:
        device: Whose.
        algorithm: ``none``: it need not sign any more.
        by: Who makes it.
        now_us: The present instant.
        public: Of an Ed25519 pair that the device made; empty: a pair is made here.

    Returns:
        The key and its secret, which of an Ed25519 key is kept nowhere; the secret is empty where
        the device has it already.

    Raises:
        devices.credentials.CredentialError: No device can have this id.
    """
    check_new(device)
    secret, key = b"", public
    if algorithm == "hmac":
        secret = key = secrets.token_bytes(KEY_BYTES)
    elif algorithm == "ed25519" and not public:
        made = Ed25519PrivateKey.generate()
        secret, key = made.private_bytes_raw(), made.public_key().public_bytes_raw()
    found = SigningKey(device=device, algorithm=algorithm, key=key, issued_us=now_us, issued_by=by)
    return found, secret


def public_key_from(text: str) -> bytes:
    """The 32 bytes of an Ed25519 public key that is written in hexadecimal or base64.

    Raises:
        devices.credentials.CredentialError: It is not.
    """
    text = text.strip()
    try:
        if len(text) == 2 * KEY_BYTES:
            key = bytes.fromhex(text)
        else:
            padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
            key = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise CredentialError(
            "An Ed25519 public key has 32 bytes: give them with --signing-key as 64 hexadecimal "
            "digits or as base64."
        )
    return key


async def give_passwords(
    database: OpenCredentials, devices: Sequence[str], *, by: str, now_us: int
) -> tuple[dict[str, str], int]:
    """New passwords for devices, in place of what they had.

    Returns:
        The passwords by device, and the version of the registry that knows them.
    """
    made = {device: new_password(device, by=by, now_us=now_us) for device in devices}
    await database.issue([credential for credential, _ in made.values()], replace=True)
    return {device: password for device, (_, password) in made.items()}, await database.version()


def _end_us(now_us: int, days: float | None) -> int | None:
    return None if days is None else now_us + int(days * DAY_US)
