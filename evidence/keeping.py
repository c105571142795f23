"""Which records go and which stay: intervals of time, without a database.

A plan says for each table and subject (a device, an alert) in which intervals its records go. What is
under hold has been taken out of it. Messages are special: the bytes of a message hold what the rows
made from it hold, so one goes with its fixes and stays with them, whenever it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evidence.log.canonical import decode
from evidence.log.leaves import FIX_PAYLOAD, chain_of
from evidence.partitions import DAY_US

Interval = tuple[int, int]
"""Microseconds since 1970: from the first to before the second."""

MessageKey = tuple[int, int, int]
"""Of a message: received at, microseconds; journal position; item."""

MESSAGE = "message"

Windows = Mapping[str, Mapping[str, tuple[Interval, ...]]]
"""Intervals by table and subject; sorted and apart."""


def union(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    """The same instants in as few intervals as there can be; empty ones are left out."""
    found: list[Interval] = []
    for start, end in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def without(intervals: Iterable[Interval], taken: Iterable[Interval]) -> tuple[Interval, ...]:
    """The instants of the first that are not in the second."""
    found: list[Interval] = []
    holes = union(taken)
    for start, end in union(intervals):
        at = start
        for hole_start, hole_end in holes:
            if hole_end > at and hole_start < end:
                found.append((at, hole_start))
                at = max(at, hole_end)
        found.append((at, end))
    return union(found)


def within(intervals: Iterable[Interval], window: Interval) -> tuple[Interval, ...]:
    """The instants that are in the window as well."""
    return union((max(start, window[0]), min(end, window[1])) for start, end in intervals)


def days_of(intervals: Iterable[Interval]) -> set[int]:
    """Days since 1970-01-01 that the intervals touch. They must have an end."""
    return {
        day for start, end in intervals for day in range(start // DAY_US, (end - 1) // DAY_US + 1)
    }


def time_of(payload: bytes) -> int:
    """The own time of a record that begins with it, microseconds since 1970."""
    if payload[0] == 1:
        return int.from_bytes(
            payload[33:41], "big", signed=True
        )  # FIX_PAYLOAD: version, chain, time
    time_us = decode(payload)[2]
    assert isinstance(time_us, int), "records that can be erased begin with their time"
    return time_us


assert FIX_PAYLOAD.format.startswith(">B32sq"), "as time_of reads it"


def key_of(payload: bytes) -> MessageKey:
    """The key of a message."""
    received_us, position, item = decode(payload)[2:5]
    assert isinstance(received_us, int)
    assert isinstance(position, int)
    assert isinstance(item, int)
    return received_us, position, item


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes.

    Attributes:
        windows: Where the records of a table and subject go.
        extra: Messages that go at any time, by device.
        kept: Messages that stay, wherever they are.
    """

    windows: Windows
    extra: Mapping[str, frozenset[MessageKey]] = field(default_factory=dict)
    kept: frozenset[MessageKey] = frozenset()

    def chains(self) -> dict[bytes, tuple[str, str]]:
        """Table and subject of every chain that is touched."""
        named = [(table, subject) for table, part in self.windows.items() for subject in part]
        named += [(MESSAGE, device) for device in self.extra]
        return {chain_of(table, subject): (table, subject) for table, subject in named}

    def days(self, table: str, subject: str) -> set[int]:
        """Days whose records are touched, so that their key has to go."""
        found = days_of(self.windows.get(table, {}).get(subject, ()))
        if table == MESSAGE:
            found |= {key[0] // DAY_US for key in self.extra.get(subject, ())}
        return found

    def takes(self, table: str, subject: str, payload: bytes, day: int) -> bool:
        """Whether a record goes.

        Args:
            table: Its kind.
            subject: Whom it is about.
            payload: As it was sealed.
            day: Of its own time, days since 1970-01-01.
        """
        intervals = self.windows.get(table, {}).get(subject, ())
        if table == MESSAGE and (self.kept or subject in self.extra):
            key = key_of(payload)
            if key in self.kept:
                return False
            if key in self.extra.get(subject, ()):
                return True
        midnight = day * DAY_US
        near = within(intervals, (midnight, midnight + DAY_US))
        if near == ((midnight, midnight + DAY_US),):
            return True
        return bool(near) and any(start <= time_of(payload) < end for start, end in near)
