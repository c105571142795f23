"""What other parameters would have changed: decisions that come, go, or come at another time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from devices.instants import MICROSECONDS, to_iso
from geofence.levels import Transition

MOVED_WITHIN_S = 600
"""The same change of level within this time is the same decision at another time."""


class Changed(msgspec.Struct, frozen=True):
    """One decision that is not as it was.

    Attributes:
        kind: ``added``, ``gone`` or ``moved``.
        previous, level: Names of the levels before and after.
        at: When it was decided; of an added one: when it would have been.
        moved_s: By how much later; 0 unless it moved.
    """

    kind: str
    watch: str
    previous: str
    level: str
    at: str
    moved_s: float = 0.0

    def __str__(self) -> str:
        """For people."""
        moved = f" ({self.moved_s:+.1f} s)" if self.kind == "moved" else ""
        return f"{self.kind}: {self.watch} {self.previous} -> {self.level} at {self.at}{moved}"


def changes(stored: Sequence[Transition], computed: Sequence[Transition]) -> list[Changed]:
    """Decisions as they are stored, against those that other parameters make, in order of time."""
    by_watch: dict[str, tuple[list[Transition], list[Transition]]] = defaultdict(lambda: ([], []))
    for one in stored:
        by_watch[one.watch][0].append(one)
    for one in computed:
        by_watch[one.watch][1].append(one)
    found = [change for pair in by_watch.values() for change in _of_watch(*pair)]
    return sorted(found, key=lambda change: (change.at, change.watch, change.kind))


def _of_watch(stored: list[Transition], computed: list[Transition]) -> list[Changed]:
    same = {_exact(one) for one in stored} & {_exact(one) for one in computed}
    left = [one for one in computed if _exact(one) not in same]
    found = []
    for one in stored:
        if _exact(one) in same:
            continue
        other = next((c for c in left if _is_moved(one, c)), None)
        if other is None:
            found.append(_changed("gone", one))
            continue
        left.remove(other)
        moved_s = (other.decided_at_us - one.decided_at_us) / MICROSECONDS
        found.append(_changed("moved", one, moved_s))
    return found + [_changed("added", one) for one in left]


def _exact(one: Transition) -> tuple[int, int, int]:
    return one.decided_at_us, int(one.previous), int(one.level)


def _is_moved(one: Transition, other: Transition) -> bool:
    if (one.previous, one.level) != (other.previous, other.level):
        return False
    return abs(other.decided_at_us - one.decided_at_us) <= MOVED_WITHIN_S * MICROSECONDS


def _changed(kind: str, one: Transition, moved_s: float = 0.0) -> Changed:
    return Changed(
        kind,
        one.watch,
        one.previous.name.lower(),
        one.level.name.lower(),
        to_iso(one.decided_at_us),
        moved_s,
    )
