"""Options that several commands of the record have in common: who does it or asks, and why."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from evidence.inquiries import Inquiry

BY = click.option("--by", default="", help="Who does it. Default: the login of the database.")
ACTOR = click.option("--actor", required=True, help="Who asks.")
PURPOSE = click.option("--purpose", required=True, help="Why, for the record.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")
JSON_LINES = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


def asks(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say who asks, why and in which case of theirs: the argument `inquiry`."""

    @ACTOR
    @PURPOSE
    @click.option("--case", required=True, help="In which case of theirs.")
    @functools.wraps(command)
    def asking(*values: Any, actor: str, purpose: str, case: str, **more: Any) -> None:
        command(*values, inquiry=Inquiry(actor, purpose, case), **more)

    return asking
