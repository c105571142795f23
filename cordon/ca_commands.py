"""``cordon ca``: a certificate authority of one's own, for the MQTT listener and for devices."""

from __future__ import annotations

from pathlib import Path

import click

from cordon.clock import wall_clock_us
from cordon.errors import CordonError
from cordon.identity.certificates import (
    SERVER_DAYS,
    Authority,
    days_left,
    fingerprint,
    names_of,
    printed,
    read_certificate,
)
from cordon.identity.listener import AUTHORITY_NAME, authority_folder
from cordon.settings import Settings

FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group()
def ca() -> None:
    """Cordon's own certificate authority.

    The embedded broker makes one at its first start and issues its own certificate from it. Devices
    trust ca.crt alone; whoever has ca.key can pose as the broker, so guard and back it up.
    """


@ca.command()
@click.option("--name", default=AUTHORITY_NAME, show_default=True, help="What it calls itself.")
@click.pass_obj
def init(settings: Settings, name: str) -> None:
    """Make the authority, in the state directory."""
    authority = Authority.create(authority_folder(settings), name, wall_clock_us())
    click.echo(f"Made. Devices are to trust {authority.certificate_file}")
    click.echo(f"SHA-256 {printed(fingerprint(authority.certificate))}")


@ca.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--days", type=click.IntRange(1, 3_650), default=SERVER_DAYS, show_default=True)
@click.option(
    "--into", type=FOLDER, required=True, help="Folder for broker.crt, broker.key, ca.crt."
)
@click.pass_obj
def issue(settings: Settings, names: tuple[str, ...], days: int, into: Path) -> None:
    """Issue a certificate for the MQTT listener of a server of yours.

    NAMES are the host names and addresses that devices connect to. For devices see
    `cordon device provision --certificate`.
    """
    authority = Authority(authority_folder(settings))
    issued = authority.server(names, wall_clock_us(), days)
    issued.write(into / "broker.crt", into / "broker.key")
    (into / "ca.crt").write_bytes(authority.certificate_file.read_bytes())
    click.echo(f"{into} holds broker.crt for {', '.join(names)}, broker.key and ca.crt.")


@ca.command()
@click.pass_obj
def show(settings: Settings) -> None:
    """Say what there is: whom devices are to trust, and until when."""
    folder = authority_folder(settings)
    if not (folder / "ca.crt").exists():
        raise CordonError(
            f"There is no certificate authority in {folder}. `cordon ca init` makes one; so does "
            "the first start of `cordon serve` with an embedded broker."
        )
    now_us = wall_clock_us()
    for file in sorted(folder.glob("*.crt")):
        found = read_certificate(file)
        named = ", ".join(sorted(names_of(found)))
        click.echo(
            f"{file}\n  {found.subject.rfc4514_string()}{f' for {named}' if named else ''}\n"
            f"  {days_left(found, now_us):.0f} days left\n  SHA-256 {printed(fingerprint(found))}"
        )
