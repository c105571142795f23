"""An instant as an option of a command."""

from __future__ import annotations

import click

from devices.instants import from_iso


def instant(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """Callback of an option: microseconds since 1970, UTC, of a text in ISO 8601."""
    if text is None:
        return None
    try:
        return from_iso(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is not an instant. Write it with its offset: 2026-11-23T18:00:00Z"
        ) from error


FROM = click.option(
    "--from", "from_us", required=True, metavar="INSTANT", callback=instant, help="First instant."
)
TO = click.option(
    "--to", "to_us", required=True, metavar="INSTANT", callback=instant, help="Behind the last one."
)
"""A window of time, where one has to be named."""


def intervals(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> tuple[tuple[int, int], ...]:
    """Callback of an option that may come often: instants ``FROM/TO``."""
    found = []
    for text in texts:
        start, end = (instant(context, option, one) or 0 for one in text.partition("/")[::2])
        if start >= end:
            raise click.BadParameter(
                f"{text!r} ends before it begins. Write the earlier instant first."
            )
        found.append((start, end))
    return tuple(found)
