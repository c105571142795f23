"""``cordon device``: who may speak for which device."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Literal

import click
import msgspec

from cordon.clock import wall_clock_us
from cordon.database_access import dsn_of, run_on_database
from cordon.device_health_commands import health
from cordon.errors import CordonError
from cordon.identity.provisioning import public_key_from
from cordon.provisioned import Made, Wanted, provide, show
from cordon.settings import Settings
from devices.caseload import Caseload, Device
from devices.credential_store import CredentialStore
from devices.credentials import Credential, CredentialError
from devices.instants import to_iso
from devices.signing import Algorithm, SigningKey, SigningKeyError, held_by_device
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
@click.option(
    "--sign",
    type=click.Choice(["hmac", "ed25519", "none"]),
    help="It signs what it sends, from now on without exception; none: not any more.",
)
@click.option("--signing-key", help="Ed25519 public key, where the device made the pair itself.")
@click.option("--key-only", is_flag=True, help="With --sign: its password or certificate stays.")
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
    sign: Algorithm | None,
    signing_key: str | None,
    *,
    everyone: bool,
    keep: bool,
    key_only: bool,
    as_json: bool,
) -> None:
    """Make credentials for DEVICES. What is secret in them is shown now and never again.

    \b
    Examples:
      cordon device provision tag-7 --kind tag --sheet tag-7.html
      cordon device provision --all --json > passwords.json
      cordon device provision phone-7 --certificate certificates/
      cordon device provision tag-7 --sign ed25519 --sheet tag-7.html
      cordon device provision tag-7 --sign hmac --key-only --keep
    """  # noqa: D301
    if not devices and not everyone:
        raise CordonError("Name a device, or --all for those of the caseload that have none yet.")
    if (key_only and sign is None) or (signing_key and sign != "ed25519"):
        raise CordonError("--signing-key goes with --sign ed25519, --key-only with --sign.")
    if signing_key and (len(devices) != 1 or everyone):
        raise CordonError("--signing-key is the key of one device: name that one alone.")
    store = CredentialStore(dsn_of(settings))

    async def work() -> list[Made]:
        if kind is not None:
            await _into_caseload(settings, devices, kind)
        public = public_key_from(signing_key) if signing_key else b""
        wanted = Wanted(by, days, folder, sign, public, keep=keep, key_only=key_only)
        async with store.open() as database:
            names = list(devices)
            if everyone:
                held = {c.device for c in (await database.load()).credentials if not c.revoked_us}
                names += [d for d in await database.caseload_kinds() if d not in held]
            return await provide(settings, database, list(dict.fromkeys(names)), wanted)

    try:
        made = run_on_database(settings, work())
    except (CredentialError, SigningKeyError) as error:
        raise CordonError(str(error)) from error
    show(settings, made, sheet_file, as_json=as_json)


async def _into_caseload(settings: Settings, devices: tuple[str, ...], kind: DeviceKind) -> None:
    caseload = CaseloadStore(dsn_of(settings))
    try:
        await caseload.migrate()
        await caseload.save(Caseload(devices=tuple(Device(id=name, kind=kind) for name in devices)))
    finally:
        await caseload.close()


@device.command()
@click.argument("devices", nargs=-1, required=True)
@click.option("--reason", required=True, help="Kept with the credential and shown to staff.")
@click.option(
    "--key", "number", type=click.IntRange(0, 255), help="Only the signing key of this number."
)
@BY
@click.pass_obj
def revoke(
    settings: Settings, devices: tuple[str, ...], reason: str, number: int | None, by: str
) -> None:
    """Shut DEVICES out: what they have opens no door any more, and open sessions are cut.

    What is signed with a revoked key is refused. With --key they stay in, and sign with another.
    """
    if not reason.strip():
        raise CordonError("Say why with --reason: it is kept, and shown to staff.")
    store = CredentialStore(dsn_of(settings))

    async def work() -> tuple[int, int]:
        now_us, who = wall_clock_us(), by or "unknown"
        async with store.open() as database, database.at_once():
            keys = await database.revoke_keys(
                devices, now_us=now_us, by=who, reason=reason, number=number
            )
            if number is not None:
                return 0, keys
            return await database.revoke(devices, now_us=now_us, by=who, reason=reason), keys

    credentials, keys = run_on_database(settings, work())
    if not credentials and not keys:
        raise CordonError("None of them has a credential in force: `cordon device list`.")
    if credentials:
        click.echo(
            f"{credentials} credentials revoked. A running service cuts their sessions at once."
        )
    if keys:
        click.echo(f"{keys} signing keys revoked. What is signed with them is refused.")


@device.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_obj
def list_command(settings: Settings, *, as_json: bool) -> None:
    """Show all credentials, then all signing keys: whose, since when, until when, and why not."""
    store = CredentialStore(dsn_of(settings))

    async def work() -> tuple[list[Credential], list[SigningKey], dict[str, str]]:
        async with store.open() as database:
            credentials, keys, _ = await database.load()
            return credentials, keys, await database.caseload_kinds()

    credentials, keys, kinds = run_on_database(settings, work())
    now_us = wall_clock_us()
    unheard = sorted(name for name, held in held_by_device(keys).items() if held.lacks_key)
    rows = [
        _row(c, kinds, c.kind, _state(c, now_us))
        | {"valid_to": to_iso(c.valid_to_us) if c.valid_to_us else None}
        for c in credentials
    ]
    rows += [
        _row(key, kinds, f"{key.algorithm} {key.number}", "revoked" if key.revoked_us else "valid")
        for key in keys
        if key.algorithm != "none"
    ]
    if as_json:
        listed = [{**row, "lacks_key": row["device"] in unheard} for row in rows]
        click.echo(msgspec.json.format(msgspec.json.encode(listed), indent=2).decode())
        return
    for row in rows:
        ends = f" until {row['valid_to']}" if row.get("valid_to") else ""
        why = f", by {row['revoked_by']}: {row['reason']}" if row["revoked"] else ""
        known = row["in_caseload"] or "not in the caseload"
        click.echo(
            f"{row['device']:24} {known:20} {row['credential']:12} {row['state']:8} "
            f"since {row['issued']}{ends}{why}"
        )
    bare = sorted(set(kinds) - {c.device for c in credentials})
    for name in bare:
        click.echo(f"{name:24} {kinds[name]:20} {'none':12} cannot connect")
    for name in unheard:
        known = kinds.get(name, "not in the caseload")
        click.echo(f"{name:24} {known:20} {'no key':12} has to sign: whatever it sends is refused")


def _row(
    one: Credential | SigningKey, kinds: dict[str, str], what: str, state: str
) -> dict[str, str | None]:
    return {
        "device": one.device,
        "in_caseload": kinds.get(one.device),
        "credential": what,
        "state": state,
        "issued": to_iso(one.issued_us),
        "issued_by": one.issued_by,
        "revoked": to_iso(one.revoked_us) if one.revoked_us else None,
        "revoked_by": one.revoked_by,
        "reason": one.revoked_reason,
    }


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
    context.invoke(
        provision, devices=(name,), kind=kind, by=by, everyone=False, keep=False, key_only=False
    )
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


device.add_command(health)
