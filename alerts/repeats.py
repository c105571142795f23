"""Events of devices about which there is an alert: those that end it, and those that come again."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from alerts.book import Entry
from alerts.making import Making
from alerts.model import AlertChange
from devices.instants import to_iso
from devices.reports import Event


def clear_by(
    making: Making, event: Event, held: str, types: Iterable[str], now_us: int
) -> list[AlertChange]:
    """Have alerts of these types of event return, as another event says that the trouble is over.

    Args:
        making: Of the desk.
        event: The other event.
        held: Its device in one person's hands (`alerts.book.device_held`).
        types: What it ends.
        now_us: The present instant.
    """
    changes: list[AlertChange] = []
    for name in types:
        entry = making.book.of_event(held, name)
        if entry is None or entry.mark is None or entry.alert.state == "returned":
            continue
        if entry.mark.has(event.seq, event.time_us):
            continue  # a buffered event from before the trouble began
        entry = making.book.take_in(entry, event, now_us, repeats=0)
        changes += making.end(entry, {"decided_at": to_iso(now_us)}, now_us)
    return changes


def repeat(making: Making, entry: Entry, event: Event, now_us: int) -> list[AlertChange]:
    """The same event again. Only an alert that had returned changes: it holds again."""
    entry = making.book.take_in(entry, event, now_us, repeats=1)
    if entry.alert.state == "active":
        return []
    fields = {"state": "active", "decided_at": to_iso(now_us)}
    again = msgspec.structs.replace(entry.current(), **fields)
    return [making.change(again, "level", now_us)]
