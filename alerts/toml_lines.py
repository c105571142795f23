"""At which line of a TOML file a field stands. The parser gives values without their places."""

from __future__ import annotations

import re

_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:"[^"]*"|[\w-]+)(?:\s*\.\s*(?:"[^"]*"|[\w-]+))*)\s*=""")


class TomlLines:
    """Lines by dotted path; an array of tables has its index in it (`escalation.2.tier`).

    Args:
        text: Of a file that the parser took.
    """

    def __init__(self, text: str) -> None:
        self._lines: dict[str, int] = {}
        counts: dict[str, int] = {}
        table = ""
        for number, line in enumerate(text.splitlines(), 1):
            found = _TABLE.match(line)
            if found is not None:
                table = _clean(found[2])
                if found[1] == "[[":
                    counts[table] = counts.get(table, -1) + 1
                    table = f"{table}.{counts[table]}"
                self._lines.setdefault(table, number)
            elif (key := _KEY.match(line)) is not None:
                path = _clean(key[1])
                self._lines.setdefault(f"{table}.{path}" if table else path, number)

    def of(self, path: str) -> int | None:
        """The line of a field, or of the nearest table around it; None when there is none."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path.rpartition(".")[0]
        return None


def _clean(path: str) -> str:
    return ".".join(part.strip().strip('"') for part in path.split("."))
