"""Options that several commands of the record have in common: who does it or asks, and why."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from evidence.readings import EMERGENCY, Claim

ROLES = click.Choice(["investigator", "prosecutor", "agency", "auditor"])
PURPOSES = (
    *("investigation", "prosecution", "safeguarding", "disclosure", "subject_access", "audit"),
)


def _purpose(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is not None and text not in {*PURPOSES, EMERGENCY}:
        raise click.BadParameter(
            f"{text!r} is none. It is the one of the grant: {', '.join(PURPOSES)}; or {EMERGENCY} with "
            "broken glass. Say in words what for with --note."
        )
    return text


BY = click.option("--by", default="", help="Who does it. Default: the login of the database.")
PURPOSE = click.option("--purpose", required=True, help="Why, for the record.")
GRANTED = click.option(
    "--purpose",
    required=True,
    callback=_purpose,
    metavar="PURPOSE",
    help=f"That of the grant: {', '.join(PURPOSES)}; {EMERGENCY} with broken glass.",
)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")
JSON_LINES = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say who asks, in which case and for what, as a grant has it: the argument `claim`."""

    @click.option("--case", required=True, help="Case of the grant: an order, or another file.")
    @GRANTED
    @_who_asks
    @functools.wraps(command)
    def asking(
        *values: Any, actor: str, role: str, case: str, purpose: str, note: str, **more: Any
    ) -> None:
        command(*values, claim=Claim(actor, role, case, purpose, note), **more)

    return asking


def may_ask(command: Callable[..., None]) -> Callable[..., None]:
    """The same options for a command that can be told by other means: nothing is required."""

    @click.option("--case", default="", help="Case of the grant: an order, or another file.")
    @click.option("--purpose", callback=_purpose, metavar="PURPOSE", help="That of the grant.")
    @_who_asks
    @functools.wraps(command)
    def asking(
        *values: Any, actor: str, role: str, case: str, purpose: str | None, note: str, **more: Any
    ) -> None:
        command(*values, claim=Claim(actor, role, case, purpose or "", note), **more)

    return asking


def _who_asks(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--actor", default="", help="Who asks. Default: the login of the database."),
        click.option("--role", type=ROLES, default="investigator", show_default=True),
        click.option("--note", default="", help="What for in words, for the record."),
    )
    return functools.reduce(lambda made, option: option(made), reversed(options), command)
