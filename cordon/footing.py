"""Since when something of the service itself weakens her protection."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.protection import Footing

GRACE_US = 5_000_000
"""What is over within so long is not told: a connection made anew, a part started again. Her status
holds longer than this, and ends by itself when the service does."""


@dataclass(frozen=True, slots=True)
class Signs:
    """How the service is at an instant; see `alerts.protection.Footing`."""

    broken: bool
    late: bool
    unrecorded: bool


class FootingWatch:
    """Remembers when each sign began. Time may not go backwards by more than `GRACE_US`."""

    def __init__(self) -> None:
        self._since_us: dict[str, int] = {}

    def note(self, signs: Signs, now_us: int) -> Footing:
        """Take in the signs of an instant; what has lasted for `GRACE_US` counts."""
        return Footing(
            broken_us=self._note("broken", now_us, holds=signs.broken),
            late_us=self._note("late", now_us, holds=signs.late),
            unrecorded_us=self._note("unrecorded", now_us, holds=signs.unrecorded),
        )

    def _note(self, name: str, now_us: int, *, holds: bool) -> int | None:
        if not holds:
            self._since_us.pop(name, None)
            return None
        since_us = self._since_us.setdefault(name, now_us)
        return since_us if now_us - since_us >= GRACE_US else None
