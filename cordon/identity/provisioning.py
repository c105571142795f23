"""Makes credentials for devices and puts them into the registry."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from devices.credential_store import OpenCredentials
from devices.credentials import (
    PASSWORD_BYTES,
    SALT_BYTES,
    Credential,
    check_new,
    password_from,
    password_hash,
)
from devices.instants import MICROSECONDS

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
