"""What is wrong with a caseload, in words for the person who has to put it right."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

MAX_SHOWN = 50
"""Problems spelt out in the text of one `CaseloadError`; `problems` holds all of them."""


class Problem(msgspec.Struct, frozen=True):
    """One thing to put right.

    Attributes:
        line: Line in the file, from 1; None when the caseload did not come from a file.
        field: Path of the field, for example ``orders[2].conditions[0].alert_m``; empty for the
            whole caseload.
        message: What is wrong and what to do. Never contains a coordinate.
    """

    line: int | None
    field: str
    message: str

    def __str__(self) -> str:
        where = [] if self.line is None else [f"line {self.line}"]
        where += [self.field] if self.field else []
        return f"{', '.join(where)}: {self.message}" if where else self.message


class CaseloadError(ValueError):
    """A caseload that must not be used, with every problem found in it.

    Attributes:
        name: The file's name, or what else the caseload came from.
        problems: At least one.
    """

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems = tuple(problems)
        shown = [f"  {problem}" for problem in self.problems[:MAX_SHOWN]]
        more = len(self.problems) - len(shown)
        shown += [f"  and {more} more"] if more else []
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        heading = f"{name}: {count}; nothing was loaded"
        super().__init__("\n".join([heading, *shown]))
