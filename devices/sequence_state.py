"""Which numbers of one device's reports have arrived.

A device counts its fixes and events in one row and never uses a number twice. So a number that is
passed over is a report that is still to come or lost, and a number that comes again is a
repetition. Kept are the newest number and the ranges that are missing: a few bytes, however long a
device reports.
"""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from devices.health_state import NEVER_US
from devices.sequence_changes import GapChange, GapState

MAX_RANGES = 64
"""Missing ranges of one device. Beyond it the lowest is not followed further: it is reported as
merged, and counted as a number only."""

LONGEST_GAP = 100_000
"""A leap by more numbers than a device makes in a day (86,400 at one a second) is no gap: it has
begun to count anew."""


class Gap(msgspec.Struct, array_like=True):
    """One gap: what was passed over at once.

    Attributes:
        missing: How many of its numbers are missing now.
        told: It has been reported.
    """

    number: int
    first: int
    last: int
    opened_us: int
    missing: int
    told: bool = False


class Range(msgspec.Struct, array_like=True):
    """Missing numbers from `first` to `last`, of one gap. A late report may split a range."""

    first: int
    last: int
    gap: int


class DeviceSequence(msgspec.Struct, array_like=True):
    """What is known of the numbers of one device.

    Attributes:
        floor: Lowest number known of the present count; before it nothing is known.
        newest: Highest number that has arrived; -1 before the first.
        latest_us: Latest time of its own that it gave with a number.
        gaps: Open ones, by their numbers.
        ranges: What is missing, lowest first, none touching another.
        opened: Gaps there were.
        duplicates: Reports that came again.
        filled: Reports that came late into a gap.
        earlier: Reports from before the first that is known.
        again: Number of the last report that looked as if it counted anew; -2: none.
        unnumbered: Reports without a number.
        restarts: It began to count anew.
        merged: Gaps not followed further.
        merged_missing: Numbers missing in those when they were let go.
        merged_last: The highest of these; what comes late up to it may be a repetition or not.
        uncertain: Reports that came so.
        late: Fixes that arrived late.
        latest_late_us: By how much the latest of them was late.
    """

    floor: int = -1
    newest: int = -1
    latest_us: int = NEVER_US
    gaps: dict[int, Gap] = {}
    ranges: list[Range] = []
    opened: int = 0
    duplicates: int = 0
    filled: int = 0
    earlier: int = 0
    again: int = -2
    unnumbered: int = 0
    restarts: int = 0
    merged: int = 0
    merged_missing: int = 0
    merged_last: int = -1
    uncertain: int = 0
    late: int = 0
    latest_late_us: int = 0

    @property
    def missing(self) -> int:
        """Numbers that are missing now, in gaps that are followed."""
        return sum(gap.missing for gap in self.gaps.values())


def take_run(
    name: str, device: DeviceSequence, first: int, last: int, latest_us: int, now_us: int
) -> list[GapChange] | None:
    """Take the numbers `first` to `last`, which arrived one after the other, if they go on.

    Returns:
        None when they do not begin above all that is known; then `take` each.
    """
    if first <= device.newest or device.newest < 0:
        return None
    changes = take(name, device, first, latest_us, now_us)
    device.newest = last
    return changes


def take(name: str, device: DeviceSequence, seq: int, time_us: int, now_us: int) -> list[GapChange]:
    """Take one report; a number below 0 is none.

    Args:
        name: Device id.
        device: What is known of it; changes.
        seq: The report's number.
        time_us: Its time by the device.
        now_us: When it arrived.
    """
    if seq < 0:
        device.unnumbered += 1
        return []
    newer = time_us > device.latest_us
    device.latest_us = max(device.latest_us, time_us)
    if seq > device.newest:
        return _go_on(name, device, seq, now_us)
    place = bisect_right(device.ranges, seq, key=lambda one: one.first) - 1
    if place >= 0 and seq <= device.ranges[place].last:
        return _fill(name, device, place, seq, now_us)
    # Later by its own clock than all before, with a number that was used: two such reports that
    # follow each other count anew. One alone may be a repetition whose time was put right.
    if newer and seq == device.again + 1:
        return _restart(name, device, seq, now_us)
    device.again = seq if newer else -2
    if seq < device.floor:
        device.earlier += 1
    elif seq <= device.merged_last:
        device.uncertain += 1
    else:
        device.duplicates += 1
    return []


def _go_on(name: str, device: DeviceSequence, seq: int, now_us: int) -> list[GapChange]:
    first, last = device.newest + 1, seq - 1
    if device.newest < 0:
        device.floor = seq
    elif last - first >= LONGEST_GAP:
        return _restart(name, device, seq, now_us)
    device.newest = seq
    if first > last or device.floor == seq:
        return []
    device.opened += 1
    device.gaps[device.opened] = Gap(device.opened, first, last, now_us, last - first + 1)
    device.ranges.append(Range(first, last, device.opened))
    return _merge(name, device, now_us)


def _fill(name: str, device: DeviceSequence, place: int, seq: int, now_us: int) -> list[GapChange]:
    found = device.ranges[place]
    halves = [Range(found.first, seq - 1, found.gap), Range(seq + 1, found.last, found.gap)]
    device.ranges[place : place + 1] = [half for half in halves if half.first <= half.last]
    gap = device.gaps[found.gap]
    gap.missing -= 1
    device.filled += 1
    if gap.missing:
        return _merge(name, device, now_us)
    return _close(name, device, gap, "filled", now_us)


def _merge(name: str, device: DeviceSequence, now_us: int) -> list[GapChange]:
    """Let the lowest gap go when there are more than `MAX_RANGES` ranges."""
    changes: list[GapChange] = []
    while len(device.ranges) > MAX_RANGES:
        gap = device.gaps[device.ranges[0].gap]
        device.ranges = [one for one in device.ranges if one.gap != gap.number]
        device.merged += 1
        device.merged_missing += gap.missing
        device.merged_last = max(device.merged_last, gap.last)
        changes += _close(name, device, gap, "merged", now_us)
    return changes


def _restart(name: str, device: DeviceSequence, seq: int, now_us: int) -> list[GapChange]:
    device.restarts += 1
    device.again = -2
    device.floor = device.newest = seq
    device.ranges, device.merged_last = [], -1
    gaps = list(device.gaps.values())
    return [one for gap in gaps for one in _close(name, device, gap, "abandoned", now_us)]


def _close(
    name: str, device: DeviceSequence, gap: Gap, state: GapState, now_us: int
) -> list[GapChange]:
    del device.gaps[gap.number]
    return [change_of(name, gap, state, now_us)] if gap.told else []


def change_of(name: str, gap: Gap, state: GapState, now_us: int) -> GapChange:
    """The record of a gap that has come to a state."""
    return GapChange(
        device=name,
        number=gap.number,
        first_seq=gap.first,
        last_seq=gap.last,
        state=state,
        missing=gap.missing,
        opened_us=gap.opened_us,
        decided_at_us=now_us,
    )
