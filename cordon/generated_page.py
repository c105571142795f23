"""Puts what a command has made into a page that people write, between two marks."""

from __future__ import annotations

from pathlib import Path

from cordon.errors import CordonError


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Replace what stands between the marks.

    Raises:
        CordonError: The page does not have both marks, in order.
    """
    whole = page.read_text()
    before, found, rest = whole.partition(begin)
    _old, ended, after = rest.partition(end)
    if not (found and ended):
        raise CordonError(f"{page} has no place for it: it must hold {begin} and {end}")
    page.write_text(f"{before}{begin}\n{text}{end}{after}")
