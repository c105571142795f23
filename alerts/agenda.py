"""The agenda: at which instant which alert must be looked at next.

It holds nothing that the book does not say; after a start it is made anew from there.
"""

from __future__ import annotations

import heapq

from alerts.book import Book
from alerts.escalation import Escalation

NOTED_AT_ONCE = 2_000
"""Changed alerts that are planned anew in one tick; the others wait for the next."""

DUE_AT_ONCE = 500
"""Alerts looked at in one tick: about a tenth of a second. When thousands are due, positions and new
alerts are not kept waiting for them."""


class Agenda:
    """Instants by alert, the next one first. One counts for each alert."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def note(self, book: Book, escalation: Escalation) -> None:
        """Plan anew for all alerts that have changed."""
        for alert_id in book.take_touched(NOTED_AT_ONCE):
            entry = book.get(alert_id)
            self.plan(alert_id, None if entry is None else escalation.next_us(entry.alert))

    def plan(self, alert_id: str, at_us: int | None) -> None:
        """Look at an alert at an instant; None for never."""
        if at_us is None:
            self._next.pop(alert_id, None)
        elif self._next.get(alert_id) != at_us:
            self._next[alert_id] = at_us
            heapq.heappush(self._heap, (at_us, alert_id))

    def due(self, now_us: int) -> list[str]:
        """Ids of the alerts to be looked at by now, each once, in the order of their instants.

        Not more than `DUE_AT_ONCE`; the others come at the next call.
        """
        found: list[str] = []
        while self._heap and self._heap[0][0] <= now_us and len(found) < DUE_AT_ONCE:
            at_us, alert_id = heapq.heappop(self._heap)
            if self._next.get(alert_id) == at_us:
                del self._next[alert_id]
                found.append(alert_id)
        return found
