"""``cordon profile``: look at jurisdiction profiles before they are in force."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from alerts.errors import ProfileError
from alerts.explain import explain
from alerts.profile import EXTENDS, Profile, Profiles, load_profiles, parse_profile
from alerts.rehearsal import START_US, Rehearsal
from alerts.stories import STORIES, story_for
from alerts.story_page import markdown, plain
from cordon.errors import CordonError
from cordon.generated_page import put_between
from cordon.policy import Policy
from cordon.settings import Settings

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
STORIES_BEGIN = "<!-- stories: written by `cordon profile rehearse --write docs/profiles.md` -->"
STORIES_END = "<!-- /stories -->"
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
    profiles = Policy(settings.alerts).profiles
    click.echo(explain(_named(name_or_file, profiles), language), nl=False)


@profile.command("rehearse")
@click.argument("name_or_file", default="")
@click.option(
    "--write",
    "page",
    type=FILE,
    help="Put the tables of all shipped profiles into this page, between its two marks.",
)
@click.pass_obj
def rehearse_command(settings: Settings, name_or_file: str, page: Path | None) -> None:
    """Play a story under a profile: who is told what, when, by which channel.

    Nothing is sent to anybody. A profile of yours is played the story of the one it extends; of a
    step that it leaves nothing for, the table says why.
    """
    if page is not None:
        put_between(page, STORIES_BEGIN, STORIES_END, shipped_tables())
        return
    profiles = Policy(settings.alerts).profiles
    found = _named(name_or_file, profiles)
    base = (
        str(tomllib.loads(Path(name_or_file).read_text()).get(EXTENDS, ""))
        if _is_file(name_or_file)
        else ""
    )
    played = Rehearsal(
        story_for(found.name, base), Profiles({**profiles.by_name, found.name: found})
    )
    click.echo(plain(played.story, played.play(), START_US), nl=False)


def shipped_tables() -> str:
    """The tables of the shipped profiles, as docs/profiles.md has them."""
    profiles = load_profiles()
    plays = [Rehearsal(story, profiles) for story in STORIES.values()]
    return "\n".join(markdown(played.story, played.play(), START_US) for played in plays)


def _is_file(name_or_file: str) -> bool:
    path = Path(name_or_file)
    return path.suffix == ".toml" and path.exists()


def _named(name_or_file: str, profiles: Profiles) -> Profile:
    if _is_file(name_or_file):
        return _read(Path(name_or_file))
    if name_or_file not in profiles.by_name:
        raise CordonError(
            f"There is no profile {name_or_file!r}. There are: "
            f"{', '.join(sorted(profiles.by_name))}; or name a file that ends in .toml."
        )
    return profiles.by_name[name_or_file]


def _read(file: Path) -> Profile:
    try:
        return parse_profile(file.read_bytes(), str(file))
    except ProfileError as error:
        raise CordonError(str(error)) from error
