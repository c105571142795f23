"""The agenda: at which instant which alert must be looked at next.

It holds nothing that the book does not say; after a start it is made anew from there. What a look costs
follows from what is due, not from what is open; and however much is due, one look is short: what is left
is for the next, tier 1 first (`Desk.is_behind`).
"""

from __future__ import annotations

import heapq

from alerts.book import Book
from alerts.escalation import Escalation
from alerts.model import Alert
from devices.instants import from_iso

NOTED_AT_ONCE = 250
"""Changed alerts that are planned anew in one look: a few milliseconds."""

DUE_AT_ONCE = 25
"""Alerts that are asked of in one look: with all that is sent, about ten milliseconds."""

STALE_LEAST = 10_000
"""Instants that hold no longer are let go of when there are more of them than of those that hold, and
more than this."""


class Agenda:
    """Instants by alert, the next one first within each tier. One counts for each alert."""

    def __init__(self) -> None:
        self._next: dict[str, tuple[int, int]] = {}
        self._heaps: tuple[list[tuple[int, str]], ...] = ([], [], [], [])

    def note(self, book: Book, escalation: Escalation) -> None:
        """Plan anew for alerts that have changed, as many as are noted at once."""
        for alert_id in book.take_touched(NOTED_AT_ONCE):
            entry = book.get(alert_id)
            if entry is None:
                self._next.pop(alert_id, None)
            else:
                self.plan(entry.alert, next_us(entry.alert, escalation))

    def plan(self, alert: Alert, at_us: int | None) -> None:
        """Look at an alert at an instant; None for never."""
        if at_us is None:
            self._next.pop(alert.alert_id, None)
            return
        wanted = (at_us, alert.tier - 1)
        if self._next.get(alert.alert_id) != wanted:
            self._next[alert.alert_id] = wanted
            heapq.heappush(self._heaps[alert.tier - 1], (at_us, alert.alert_id))
            self._let_go_of_stale()

    def _let_go_of_stale(self) -> None:
        held = sum(map(len, self._heaps))
        if held <= STALE_LEAST + 2 * len(self._next):
            return
        self._heaps = ([], [], [], [])
        for alert_id, (at_us, tier) in self._next.items():
            self._heaps[tier].append((at_us, alert_id))
        for heap in self._heaps:
            heapq.heapify(heap)

    def due(self, now_us: int) -> list[str]:
        """Ids of the alerts to be looked at by now, each once: tier 1 first, then by their instants.

        Not more than `DUE_AT_ONCE`; the others come at the next call.
        """
        found: list[str] = []
        for tier, heap in enumerate(self._heaps):
            while heap and heap[0][0] <= now_us and len(found) < DUE_AT_ONCE:
                at_us, alert_id = heapq.heappop(heap)
                if self._next.get(alert_id) == (at_us, tier):
                    del self._next[alert_id]
                    found.append(alert_id)
        return found

    def has_due(self, now_us: int) -> bool:
        """Whether something may be left to be looked at by now."""
        return any(heap and heap[0][0] <= now_us for heap in self._heaps)


def next_us(alert: Alert, escalation: Escalation, after_us: int | None = None) -> int | None:
    """When an alert must be looked at next: it comes off the shelf, or others may have to be asked."""
    if alert.shelved_until is not None:
        return from_iso(alert.shelved_until)
    return escalation.next_us(alert, after_us)
