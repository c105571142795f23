"""What a command hands to the one that prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Header and rows."""


class Result(NamedTuple):
    """A report for programs, and a line and tables for people."""

    report: msgspec.Struct
    line: str
    tables: Sequence[Table]


def shown(value: float | str | None) -> str:
    """A number or a word as it stands in a table."""
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.6g}"
