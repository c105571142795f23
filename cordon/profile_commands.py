"""``cordon profile``: look at jurisdiction profiles before they are in force."""

from __future__ import annotations

from pathlib import Path

import click

from alerts.errors import ProfileError
from alerts.explain import explain
from alerts.profile import Profile, parse_profile
from cordon.errors import CordonError
from cordon.policy import Policy
from cordon.settings import Settings

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
LANGUAGE = click.option("--language", default="en", show_default=True, help="Of the texts shown.")


@click.group()
def profile() -> None:
    """Jurisdiction profiles: tiers, who is told, what staff do, who is asked when nobody acts.

    A profile of yours is a TOML file in the folder that alerts.profiles names. A running service
    takes a change over within seconds; one that cannot be used is refused and said.
    """


@profile.command("list")
@click.pass_obj
def list_command(settings: Settings) -> None:
    """Name the profiles there are, with their versions."""
    for _, found in sorted(Policy(settings.alerts).profiles.by_name.items()):
        click.echo(f"{found.version:28} {found.description}")


@profile.command("check")
@click.argument("file", type=FILE)
def check_command(file: Path) -> None:
    """Say what is wrong with FILE, by line and field, without bringing it into force."""
    found = _read(file)
    click.echo(f"{file} is sound: {found.version}, in {', '.join(sorted(found.texts))}.")


@profile.command("explain")
@click.argument("name_or_file")
@LANGUAGE
@click.pass_obj
def explain_command(settings: Settings, name_or_file: str, language: str) -> None:
    """Say in words what a profile (a name, or a file of yours) makes of everything."""
    path = Path(name_or_file)
    if path.suffix == ".toml" and path.exists():
        click.echo(explain(_read(path), language), nl=False)
        return
    profiles = Policy(settings.alerts).profiles.by_name
    if name_or_file not in profiles:
        raise CordonError(
            f"There is no profile {name_or_file!r}. There are: {', '.join(sorted(profiles))}; or "
            "name a file that ends in .toml."
        )
    click.echo(explain(profiles[name_or_file], language), nl=False)


def _read(file: Path) -> Profile:
    try:
        return parse_profile(file.read_bytes(), str(file))
    except ProfileError as error:
        raise CordonError(str(error)) from error
