"""``cordon device``: who may speak for which device."""

from __future__ import annotations

import getpass
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
from cordon.errors import CordonError
from cordon.identity.certificates import (
    DEVICE_DAYS,
    CertificateError,
    fingerprint,
    read_certificate,
    write_secret,
)
from cordon.identity.listener import ca_file_of, device_address, own_authority
from cordon.identity.provisioning import new_certificate, new_password
from cordon.identity.sheet import Setup, sheet
from cordon.settings import Settings
from devices.caseload import Caseload, Device
from devices.credential_store import CredentialStore
from devices.credentials import Credential, CredentialError
from devices.instants import to_iso
from devices.store import CaseloadStore
from evidence.reader import HistoryUnavailableError, Reader
from evidence.turned_away import Stranger
from evidence.unassigned import MOST_LISTED, HeardDevice

DeviceKind = Literal["tag", "handset", "home_unit"]
NEW_FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
BY = click.option("--by", default=getpass.getuser, help="Who does it. Default: you.")


@click.group()
def device() -> None:
    """Credentials of tags and handsets: give, take away, list, adopt.

    A device comes in with a password or a certificate of its own and can then speak for itself
    alone. A running service takes a change over within seconds, the broker needs no restart.
    """


@dataclass(frozen=True, slots=True)
class _Made:
    """What was made for one device: the password or the certificate's files."""

    device: str
    credential: Credential
    password: str = ""
    folder: Path | None = None


@device.command()
@click.argument("devices", nargs=-1)
@click.option("--all", "everyone", is_flag=True, help="All of the caseload that have none yet.")
@click.option(
    "--kind",
    type=click.Choice(["tag", "handset", "home_unit"]),
    help="Put it into the caseload as well, as one of these.",
)
@click.option("--days", type=click.FloatRange(min=0.01), help="Valid for so long; default: no end.")
@click.option("--keep", is_flag=True, help="What it has already stays good, until revoked.")
@click.option(
    "--certificate", "folder", type=FOLDER, help="A certificate instead: its files go here."
)
@click.option("--sheet", "sheet_file", type=NEW_FILE, help="Write a page to print, with QR codes.")
@click.option("--json", "as_json", is_flag=True, help="Print the passwords as one JSON object.")
@BY
@click.pass_obj
def provision(
    settings: Settings,
    devices: tuple[str, ...],
    kind: DeviceKind | None,
    days: float | None,
    folder: Path | None,
    sheet_file: Path | None,
    by: str,
    *,
    everyone: bool,
    keep: bool,
    as_json: bool,
) -> None:
    """Make credentials for DEVICES. A password is shown now and never again.

    \b
    Examples:
      cordon device provision tag-7 --kind tag --sheet tag-7.html
      cordon device provision --all --json > passwords.json
      cordon device provision phone-7 --certificate certificates/
    """  # noqa: D301
    if not devices and not everyone:
        raise CordonError("Name a device, or --all for those of the caseload that have none yet.")
    store = CredentialStore(dsn_of(settings))

    async def work() -> list[_Made]:
        if kind is not None:
            await _into_caseload(settings, devices, kind)
        async with store.open() as database:
            wanted = list(devices)
            if everyone:
                held = {c.device for c in (await database.load())[0] if c.revoked_us is None}
                wanted += [d for d in await database.caseload_kinds() if d not in held]
            made = [_make(settings, name, by, days, folder) for name in dict.fromkeys(wanted)]
            await database.issue([m.credential for m in made], replace=not keep)
            return made

    try:
        made = run_on_database(settings, work())
    except CredentialError as error:
        raise CordonError(str(error)) from error
    _show(settings, made, sheet_file, as_json=as_json)


async def _into_caseload(settings: Settings, devices: tuple[str, ...], kind: DeviceKind) -> None:
    caseload = CaseloadStore(dsn_of(settings))
    try:
        await caseload.migrate()
        await caseload.save(Caseload(devices=tuple(Device(id=name, kind=kind) for name in devices)))
    finally:
        await caseload.close()


def _make(settings: Settings, name: str, by: str, days: float | None, folder: Path | None) -> _Made:
    now_us = wall_clock_us()
    if folder is None:
        credential, password = new_password(name, by=by, now_us=now_us, days=days)
        return _Made(name, credential, password)
    new_certificate(name, b"", by=by, now_us=now_us)  # whether it may have one at all
    authority = own_authority(settings, now_us)
    issued = authority.device(name, now_us, int(days or DEVICE_DAYS))
    issued.write(folder / f"{name}.crt", folder / f"{name}.key")
    (folder / "ca.crt").write_bytes(authority.certificate_file.read_bytes())
    credential = new_certificate(
        name, issued.fingerprint, by=by, now_us=now_us, days=days or DEVICE_DAYS
    )
    return _Made(name, credential, folder=folder)


def _show(settings: Settings, made: list[_Made], sheet_file: Path | None, *, as_json: bool) -> None:
    address, ca_file = device_address(settings), ca_file_of(settings)
    if sheet_file is not None:
        ca = fingerprint(read_certificate(ca_file)) if ca_file else b""
        tls = settings.broker.mqtt_tls
        setups = [Setup(m.device, address, tls, ca, m.password) for m in made]
        try:
            write_secret(sheet_file, sheet(setups).encode())
        except OSError as error:
            raise CertificateError(f"{sheet_file} cannot be written: {error.strerror}.") from error
    if as_json:
        click.echo(msgspec.json.encode({m.device: m.password for m in made if m.password}).decode())
        return
    for m in made:
        click.echo(f"{m.device}: connect to {address} as user {m.device}, client id {m.device}.")
        if m.folder is not None:
            click.echo(f"  Its certificate: {m.folder / m.device}.crt, with {m.device}.key, ca.crt")
        elif sheet_file is None:
            click.echo(f"  Its password, shown only now: {m.password}")
    if sheet_file is not None:
        click.echo(
            f"{sheet_file} says how to set up {len(made)} devices. Print it, then delete it."
        )
    if settings.broker.mqtt_tls and ca_file:
        click.echo(f"The CA to trust: {ca_file}")


@device.command()
@click.argument("devices", nargs=-1, required=True)
@click.option("--reason", required=True, help="Kept with the credential and shown to staff.")
@BY
@click.pass_obj
def revoke(settings: Settings, devices: tuple[str, ...], reason: str, by: str) -> None:
    """Shut DEVICES out: what they have opens no door any more, and open sessions are cut."""
    if not reason.strip():
        raise CordonError("Say why with --reason: it is kept, and shown to staff.")
    store = CredentialStore(dsn_of(settings))

    async def work() -> int:
        async with store.open() as database:
            return await database.revoke(
                devices, now_us=wall_clock_us(), by=by or "unknown", reason=reason
            )

    revoked = run_on_database(settings, work())
    if not revoked:
        raise CordonError("None of them has a credential in force: `cordon device list`.")
    click.echo(f"{revoked} credentials revoked. A running service cuts their sessions at once.")


@device.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_command(settings: Settings, *, as_json: bool) -> None:
    """Show all credentials, newest last: of which device, since when, until when, and why not."""
    store = CredentialStore(dsn_of(settings))

    async def work() -> tuple[list[Credential], dict[str, str]]:
        async with store.open() as database:
            return (await database.load())[0], await database.caseload_kinds()

    credentials, kinds = run_on_database(settings, work())
    now_us = wall_clock_us()
    rows = [
        {
            "device": c.device,
            "in_caseload": kinds.get(c.device),
            "credential": c.kind,
            "state": _state(c, now_us),
            "issued": to_iso(c.issued_us),
            "issued_by": c.issued_by,
            "valid_to": to_iso(c.valid_to_us) if c.valid_to_us else None,
            "revoked": to_iso(c.revoked_us) if c.revoked_us else None,
            "revoked_by": c.revoked_by,
            "reason": c.revoked_reason,
        }
        for c in credentials
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    for row in rows:
        ends = f" until {row['valid_to']}" if row["valid_to"] else ""
        why = f", by {row['revoked_by']}: {row['reason']}" if row["revoked"] else ""
        known = row["in_caseload"] or "not in the caseload"
        click.echo(
            f"{row['device']:24} {known:20} {row['credential']:12} {row['state']:8} "
            f"since {row['issued']}{ends}{why}"
        )
    bare = sorted(set(kinds) - {c.device for c in credentials})
    for name in bare:
        click.echo(f"{name:24} {kinds[name]:20} {'none':12} cannot connect")


def _state(credential: Credential, now_us: int) -> str:
    if credential.revoked_us is not None:
        return "revoked"
    return "valid" if credential.valid(now_us) else "expired"


@device.command()
@click.argument("name", metavar="[DEVICE]", required=False)
@click.option(
    "--kind",
    type=click.Choice(["tag", "handset", "home_unit"]),
    help="What it is; needed to adopt.",
)
@BY
@click.pass_context
def adopt(context: click.Context, name: str | None, kind: DeviceKind | None, by: str) -> None:
    """List devices that were heard but are nobody's, or adopt one of them.

    Adopting gives it a credential and puts it into the caseload, and says what is missing there.
    """
    settings: Settings = context.obj
    if name is None:
        lines = _heard(settings)
        if not lines:
            click.echo("Nobody was heard of late whom nobody carries.")
            return
        click.echo("\n".join(lines))
        click.echo("Adopt one with: cordon device adopt DEVICE --kind tag|handset|home_unit")
        return
    if kind is None:
        raise CordonError("Say what it is: --kind tag, handset or home_unit.")
    context.invoke(provision, devices=(name,), kind=kind, by=by, everyone=False, keep=False)
    click.echo(
        f"{name} is in the caseload now, and nobody's yet. Say who carries it from when, with\n"
        "`cordon caseload load FILE`:\n\n"
        f"assignments:\n  - {{device: {name}, person: PERSON, from: {to_iso(wall_clock_us())}}}\n\n"
        "What it sent before it was adopted is kept, but nobody's."
    )


def _heard(settings: Settings) -> list[str]:
    """A line for each device that knocked without being known, or reports and is carried by nobody."""
    dsn, now_us = dsn_of(settings), wall_clock_us()
    reader = Reader(dsn)

    async def work() -> list[str]:
        async with CredentialStore(dsn).open() as database:
            known = await database.caseload_kinds()
            carried = await database.carried(now_us)
        knocked = [s for s in await reader.strangers(now_us) if s.device not in known]
        reporting = await reader.unassigned(carried, now_us, MOST_LISTED)
        return [
            *(_line(s.device, f"not let in {s.refused} times", s) for s in knocked),
            *(_line(h.device, f"{h.reports} reports kept, nobody's", h) for h in reporting),
        ]

    try:
        return run_on_database(settings, work())
    except HistoryUnavailableError as error:
        raise CordonError(f"{error} Is there a history yet? Start the service once.") from error


def _line(name: str, what: str, heard: Stranger | HeardDevice) -> str:
    return f"{name:32} {what}, {to_iso(heard.first_us)} to {to_iso(heard.last_us)}"
