"""Puts a generated table into a page that people write, between two marks."""

from __future__ import annotations

from pathlib import Path

from cordon.errors import CordonError

BEGIN = "<!-- faults: written by `cordon bench faults --write` -->"
END = "<!-- /faults -->"


def put_table(page: Path, table: str) -> None:
    """Replace what stands between the marks.

    Raises:
        CordonError: The page does not have both marks, in order.
    """
    text = page.read_text()
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not (begin and end):
        raise CordonError(f"{page} has no place for the table: it must hold {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{table}{END}{after}")
