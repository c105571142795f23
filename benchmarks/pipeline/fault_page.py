"""Puts a generated table into a page that people write, between two marks."""

from __future__ import annotations

from pathlib import Path

from cordon.generated_page import put_between

BEGIN = "<!-- faults: written by `cordon bench faults --write` -->"
END = "<!-- /faults -->"


def put_table(page: Path, table: str) -> None:
    """Replace what stands between the marks.

    Raises:
        CordonError: The page does not have both marks, in order.
    """
    put_between(page, BEGIN, END, table)
