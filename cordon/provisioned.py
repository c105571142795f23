"""What ``cordon device provision`` makes for devices, and how it is shown, once."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.identity.certificates import (
    DEVICE_DAYS,
    CertificateError,
    fingerprint,
    read_certificate,
)
from cordon.identity.listener import ca_file_of, device_address, own_authority
from cordon.identity.provisioning import new_certificate, new_password, new_signing_key
from cordon.identity.sheet import Setup, sheet
from cordon.settings import Settings
from devices.credential_store import OpenCredentials
from devices.credentials import Credential
from devices.durable import write_durably
from devices.signing import Algorithm, SigningKey

_KEYLESS = (
    "{device} has to sign and has no key in force: whatever it sends is refused. Give it a key with "
    "`cordon device provision {device} --key-only --sign hmac` (or ed25519), or take its word unsigned "
    "from now on with `--sign none`."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made for devices.

    Attributes:
        by: Who asks for it.
        days: How long passwords and certificates are valid; None: passwords without end.
        folder: For the files of certificates; None: passwords.
        sign: With what they sign from now on; None: as before.
        public: Ed25519 public key of the one device that made a pair itself.
        keep: What they have stays good.
        key_only: Neither password nor certificate.
    """

    by: str
    days: float | None
    folder: Path | None
    sign: Algorithm | None
    public: bytes
    keep: bool
    key_only: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What was made for one device: password, the certificate's files, key to sign with.

    Attributes:
        lacks_key: It has to sign and has no key in force: whatever it sends is refused.
    """

    device: str
    credential: Credential | None = None
    password: str = ""
    folder: Path | None = None
    signing: SigningKey | None = None
    signing_secret: bytes = b""
    lacks_key: bool = False


async def provide(
    settings: Settings, database: OpenCredentials, names: list[str], wanted: Wanted
) -> list[Made]:
    """Make and register what is wanted, all of it or nothing.

    Raises:
        devices.credentials.CredentialError: A name that no device can have.
        devices.signing.SigningKeyError: Too many keys are in force.
    """
    made = [Made(name) if wanted.key_only else _make(settings, name, wanted) for name in names]
    async with database.at_once():
        credentials = [m.credential for m in made if m.credential is not None]
        if credentials:
            await database.issue(credentials, replace=not wanted.keep)
        if wanted.sign is not None:
            return await _with_keys(database, made, wanted, wanted.sign)
    registry = await database.registry()
    return [dataclasses.replace(m, lacks_key=registry.signs(m.device).lacks_key) for m in made]


async def _with_keys(
    database: OpenCredentials, made: list[Made], wanted: Wanted, sign: Algorithm
) -> list[Made]:
    now_us = wall_clock_us()
    new = [
        new_signing_key(m.device, sign, by=wanted.by, now_us=now_us, public=wanted.public)
        for m in made
    ]
    replace = not wanted.keep or sign == "none"
    keys = await database.issue_keys([key for key, _ in new], replace=replace)
    return [
        dataclasses.replace(m, signing=key, signing_secret=secret)
        for m, key, (_, secret) in zip(made, keys, new, strict=True)
    ]


def _make(settings: Settings, name: str, wanted: Wanted) -> Made:
    by, days, folder, now_us = wanted.by, wanted.days, wanted.folder, wall_clock_us()
    if folder is None:
        credential, password = new_password(name, by=by, now_us=now_us, days=days)
        return Made(name, credential, password)
    new_certificate(name, b"", by=by, now_us=now_us)  # whether it may have one at all
    authority = own_authority(settings, now_us)
    issued = authority.device(name, now_us, int(days or DEVICE_DAYS))
    issued.write(folder / f"{name}.crt", folder / f"{name}.key")
    (folder / "ca.crt").write_bytes(authority.certificate_file.read_bytes())
    credential = new_certificate(
        name, issued.fingerprint, by=by, now_us=now_us, days=days or DEVICE_DAYS
    )
    return Made(name, credential, folder=folder)


def show(settings: Settings, made: list[Made], sheet_file: Path | None, *, as_json: bool) -> None:
    """Print what was made, or write the page for it. Nothing of it can be shown again.

    Raises:
        cordon.identity.certificates.CertificateError: The page cannot be written.
    """
    address, ca_file = device_address(settings), ca_file_of(settings)
    _warn(made)
    if sheet_file is not None:
        ca = fingerprint(read_certificate(ca_file)) if ca_file else b""
        setups = [_setup(m, address, ca, tls=settings.broker.mqtt_tls) for m in made]
        try:
            write_durably(sheet_file, sheet(setups).encode())
        except OSError as error:
            raise CertificateError(f"{sheet_file} cannot be written: {error.strerror}.") from error
    if as_json:
        click.echo(msgspec.json.encode(_secrets(made)).decode())
        return
    for m in made:
        click.echo(f"{m.device}: connect to {address} as user {m.device}, client id {m.device}.")
        if m.folder is not None:
            click.echo(f"  Its certificate: {m.folder / m.device}.crt, with {m.device}.key, ca.crt")
        elif sheet_file is None and m.password:
            click.echo(f"  Its password, shown only now: {m.password}")
        if m.signing is not None:
            click.echo(_signing_line(m.signing, m.signing_secret if sheet_file is None else b""))
    if sheet_file is not None:
        click.echo(
            f"{sheet_file} says how to set up {len(made)} devices. Print it, then delete it."
        )
    if settings.broker.mqtt_tls and ca_file:
        click.echo(f"The CA to trust: {ca_file}")


def _warn(made: list[Made]) -> None:
    for name in (m.device for m in made if m.lacks_key):
        click.echo(_KEYLESS.format(device=name), err=True)


def _setup(made: Made, address: str, ca: bytes, *, tls: bool) -> Setup:
    setup = Setup(made.device, address, tls, ca, made.password)
    key = made.signing
    if key is None or key.algorithm == "none":
        return setup
    secret = made.signing_secret.hex()
    return dataclasses.replace(setup, sign=key.algorithm, key_number=key.number, signing_key=secret)


def _secrets(made: list[Made]) -> dict[str, object]:
    """By device its password; for one that was given a key to sign with, both."""
    found: dict[str, object] = {m.device: m.password for m in made if m.password}
    for m in made:
        if m.signing is not None and m.signing.algorithm != "none":
            found[m.device] = {
                "password": m.password,
                "sign": m.signing.algorithm,
                "key_number": m.signing.number,
                "key": m.signing_secret.hex(),
            }
    return found


def _signing_line(key: SigningKey, secret: bytes) -> str:
    if key.algorithm == "none":
        return "  It need not sign any more: whoever gets in under its name is believed."
    line = f"  It has to sign from now on: {key.algorithm}, key number {key.number}."
    return line + (f" The key, shown only now: {secret.hex()}" if secret else "")
