"""Which records go and which stay: intervals of time, without a database.

A plan says for each table and subject (a device, an alert) in which intervals its records go. What is
under hold has been taken out of it. Messages are special: the bytes of a message hold what the rows
made from it hold, so where somebody is erased one goes with its fixes, and stays with those under hold,
whenever it came. Retention takes it by when it came: else each night would open the day behind, too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from evidence.log.canonical import decode_start
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
    time_us = decode_start(payload, 3)[2]
    assert isinstance(time_us, int), "records that can be erased begin with their time"
    return time_us


assert FIX_PAYLOAD.format.startswith(">B32sq"), "as time_of reads it"


def key_of(payload: bytes) -> MessageKey:
    """The key of a message."""
    received_us, position, item = decode_start(payload, 5)[2:5]
    assert isinstance(received_us, int)
    assert isinstance(position, int)
    assert isinstance(item, int)
    return received_us, position, item


class Touched(NamedTuple):
    """A chain that is touched: its table and subject, and the days whose records are."""

    table: str
    subject: str
    days: set[int]


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes.

    Attributes:
        windows: Where the records of a table and subject go.
        extra: Messages that go at any time, by device.
        kept: Messages that stay, wherever they are.
        holds: Those that it was made with: what these keep is in none of the windows.
    """

    windows: Windows
    extra: Mapping[str, frozenset[MessageKey]] = field(default_factory=dict)
    kept: frozenset[MessageKey] = frozenset()
    holds: frozenset[UUID] = frozenset()

    def chains(self) -> dict[bytes, Touched]:
        """Every chain that is touched."""
        named = [(table, subject) for table, part in self.windows.items() for subject in part]
        named += [(MESSAGE, device) for device in self.extra]
        return {
            chain_of(table, subject): Touched(table, subject, self.days(table, subject))
            for table, subject in named
        }

    def days(self, table: str, subject: str) -> set[int]:
        """Days whose records are touched, so that their key has to go."""
        found = days_of(self.windows.get(table, {}).get(subject, ()))
        if table == MESSAGE:
            found |= {key[0] // DAY_US for key in self.extra.get(subject, ())}
        return found

    def apart(self) -> set[MessageKey]:
        """The messages of `extra` that go and lie in no window of their device."""
        windows = self.windows.get(MESSAGE, {})
        return {
            key
            for device, keys in self.extra.items()
            for key in keys - self.kept
            if _around(windows.get(device, ()), key[0]) is None
        }

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
            return key in self.extra.get(subject, ()) or _around(intervals, key[0]) is not None
        midnight = day * DAY_US
        near = _around(intervals, midnight)
        if near and near[1] >= midnight + DAY_US:
            return True
        return bool(intervals) and _around(intervals, time_of(payload)) is not None


def _around(intervals: Sequence[Interval], instant: int) -> Interval | None:
    """The interval that an instant is in; they are sorted and apart."""
    index = bisect_right(intervals, instant, key=itemgetter(0)) - 1
    return intervals[index] if index >= 0 and instant < intervals[index][1] else None
