"""Device ids for tracks whose names may be anything."""

from __future__ import annotations

import re
from collections.abc import Sequence

ID_LIMIT = 64
"""Longest identifier, see `devices.caseload.Id`."""

_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_-]+")


def identifiers(names: Sequence[str], *, room: int = 0) -> list[str]:
    """One valid, distinct identifier per name, as like the name as possible.

    Args:
        names: Anything, repetitions included.
        room: Characters to leave free for a prefix.

    Returns:
        Letters, digits, - and _; at most `ID_LIMIT` - `room` of them; the second of a kind ends
        in ``-2``, and so on. Ids differ in more than case, since people read them aloud.
    """
    taken: set[str] = set()
    found = []
    for name in names:
        base = _NOT_ALLOWED.sub("-", name).strip("-_")[: ID_LIMIT - room] or "track"
        candidate, number = base, 1
        while candidate.lower() in taken:
            number += 1
            ending = f"-{number}"
            candidate = base[: ID_LIMIT - room - len(ending)] + ending
        taken.add(candidate.lower())
        found.append(candidate)
    return found
