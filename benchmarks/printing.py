"""How reports of the benchmarks reach a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import click
import msgspec

from benchmarks.printed import Result, shown
from cordon.errors import CordonError
from cordon.terminal import Steps
from simulators.recording import TrackError


@contextmanager
def telling() -> Iterator[Callable[[str], None]]:
    """Where progress goes: to a person at a terminal. What is wrong with a file ends the command."""
    try:
        if sys.stderr.isatty():
            with Steps() as steps:
                yield steps.tell
        else:
            yield lambda _step: None
    except TrackError as error:
        raise CordonError(str(error)) from error


def print_json(report: msgspec.Struct) -> None:
    """One object on one line."""
    click.echo(msgspec.json.encode(report).decode())


def print_result(result: Result, *, as_json: bool) -> None:
    """A report, or what a person reads of it."""
    if as_json:
        print_json(result.report)
        return
    click.echo(result.line)
    for index, table in enumerate(result.tables):
        if index:
            click.echo()
        print_table(*table)


def print_rules(
    columns: tuple[str, ...], engine: msgspec.Struct, raw: msgspec.Struct, gated: msgspec.Struct
) -> None:
    """The engine's score and those of the plain rules, one a line."""
    fields = (*columns, "delay_p50_s", "delay_p95_s")
    rows = [("engine", engine), ("raw", raw), ("gated", gated)]
    print_table(
        ["", *fields],
        [[name, *(shown(getattr(row, field)) for field in fields)] for name, row in rows],
    )


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, the first to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        click.echo("  ".join([row[0].ljust(widths[0]), *cells]))
