"""Order and repetition of what devices send: gaps, duplicates, lateness. No I/O, no clock.

Late reports are ordinary: devices keep what they cannot send, for days. So a gap is reported only
when it has stayed open for a minute, and its end is reported when late reports fill it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

import msgspec

from devices.instants import LATEST_US, MICROSECONDS
from devices.layouts import unpacked
from devices.reports import Batch
from devices.sequence_changes import GapChange
from devices.sequence_state import DeviceSequence, change_of, take, take_run

SETTLE_US = 60 * MICROSECONDS
"""A gap that closes within this time was only reports overtaking each other."""

LATE_US = 120 * MICROSECONDS
"""A fix that arrives so long after it was made was kept back on the way."""

LATENESS_S = (10, 60, 600, 3_600, 86_400)
"""Bounds of the counts of lateness, seconds; the last count has what is later still."""


@dataclass(slots=True)
class SequenceCounts:
    """Counted since the start of the process, over all devices.

    Attributes:
        gaps_opened, gaps_closed: Of those reported.
        duplicates: Reports that came again.
        filled: Reports that came late into a gap.
        restarts: Devices that began to count anew.
        within_10s, within_1m, within_10m, within_1h, within_1d, later: Fixes by how long after
            they were made they arrived.
    """

    gaps_opened: int = 0
    gaps_closed: int = 0
    duplicates: int = 0
    filled: int = 0
    restarts: int = 0
    within_10s: int = 0
    within_1m: int = 0
    within_10m: int = 0
    within_1h: int = 0
    within_1d: int = 0
    later: int = 0


_LATENESS_US = tuple(bound_s * MICROSECONDS for bound_s in LATENESS_S)
_LATENESS = tuple(field.name for field in fields(SequenceCounts))[-len(LATENESS_S) - 1 :]


class Run(msgspec.Struct, frozen=True, gc=False):
    """The numbers of the fixes of one device in one batch.

    Attributes:
        in_row: Each is the one before and 1.
        first, last: Of them.
        newest_us: Latest time of its own that it gave with one.
        late: How many came so late that they were kept back on the way.
        most_late_us: By how much the latest of them was late.
    """

    in_row: bool
    first: int
    last: int
    newest_us: int
    late: int
    most_late_us: int


class SequenceStateError(ValueError):
    """Bytes that are not a state of a layout this version reads."""


_FORMAT = b"CQ1"  # Cordon sequences, layout 1: `DeviceSequence` by device, as MessagePack.
_decoder = msgspec.msgpack.Decoder(dict[str, DeviceSequence])


class Sequences:
    """The numbers of all devices of a caseload."""

    def __init__(self) -> None:
        self.devices: dict[str, DeviceSequence] = {}
        self.counts = SequenceCounts()
        self._untold: deque[tuple[int, str, int]] = deque()  # due, device, gap: by time

    def plan(self, devices: Collection[str]) -> None:
        """Follow these devices. What is known of others is forgotten."""
        known = self.devices
        self.devices = {name: known.get(name) or DeviceSequence() for name in sorted(devices)}

    def take(self, batch: Batch, runs: Mapping[str, Run] | None = None) -> list[GapChange]:
        """Take in the reports of a batch, in the order in which they stand in it.

        The fixes of a device come before its events: one connection sends both, but they are kept
        apart in a batch. A gap that this opens is closed by the same batch.

        Args:
            batch: What has arrived.
            runs: By device, where that is known. Fixes whose numbers just go on are then not
                counted by their lateness over all devices.
        """
        now_us = batch.received_us
        changes = self.advance(now_us)
        odd = None if runs is None else self._go_on(runs)
        if odd is None or odd:
            for index, (seqs, times_us) in _by_device(batch).items():
                name = batch.devices[index]
                device = self.devices.get(name)
                if device is not None and (odd is None or name in odd):
                    changes += self._take_fixes(name, device, seqs, times_us, now_us)
        for event in batch.events:
            device = self.devices.get(event.device)
            if device is not None:
                before = _numbers(device)
                changes += take(event.device, device, event.seq, event.time_us, now_us)
                self._count(event.device, device, before, now_us)
        return self._told(changes)

    def _go_on(self, runs: Mapping[str, Run]) -> set[str]:
        """Take in the numbers that go on where those before ended; whose do not is returned."""
        odd = set[str]()
        for name, run in runs.items():
            device = self.devices.get(name)
            if device is None:
                continue
            if not run.in_row or run.first != device.newest + 1 or device.newest < 0:
                odd.add(name)
                continue
            device.newest = run.last
            device.latest_us = max(device.latest_us, run.newest_us)
            device.late += run.late
            device.latest_late_us = max(device.latest_late_us, run.most_late_us)
        return odd

    def _take_fixes(
        self, name: str, device: DeviceSequence, seqs: list[int], times_us: list[int], now_us: int
    ) -> list[GapChange]:
        before = _numbers(device)
        changes: list[GapChange] | None = None
        first, last = seqs[0], seqs[-1]
        if first < last == first + len(seqs) - 1 and seqs == list(range(first, last + 1)):
            changes = take_run(name, device, first, last, max(times_us), now_us)
        if changes is None:
            reports = zip(seqs, times_us, strict=True)
            changes = [
                one for seq, at_us in reports for one in take(name, device, seq, at_us, now_us)
            ]
        self._count(name, device, before, now_us)
        for time_us in times_us:
            late_us = now_us - time_us
            device.late += late_us > LATE_US
            counted = _LATENESS[bisect_left(_LATENESS_US, late_us)]
            setattr(self.counts, counted, getattr(self.counts, counted) + 1)
        device.latest_late_us = max(device.latest_late_us, now_us - min(times_us))
        return changes

    def _count(
        self, name: str, device: DeviceSequence, before: tuple[int, int, int, int], now_us: int
    ) -> None:
        opened, duplicates, filled, restarts = before
        self.counts.duplicates += device.duplicates - duplicates
        self.counts.filled += device.filled - filled
        self.counts.restarts += device.restarts - restarts
        fresh = range(opened + 1, device.opened + 1)
        self._untold += [(now_us + SETTLE_US, name, gap) for gap in fresh if gap in device.gaps]

    def advance(self, now_us: int) -> list[GapChange]:
        """Let time pass: gaps that have stayed open are reported, as of when they had."""
        changes: list[GapChange] = []
        while self._untold and self._untold[0][0] <= now_us:
            at_us, name, number = self._untold.popleft()
            device = self.devices.get(name)
            gap = None if device is None else device.gaps.get(number)
            if gap is not None and not gap.told:
                gap.told = True
                self.counts.gaps_opened += 1
                changes.append(change_of(name, gap, "opened", at_us))
        return changes

    @property
    def due_us(self) -> int:
        """Before this instant `advance` finds nothing, if nothing happens meanwhile."""
        return self._untold[0][0] if self._untold else LATEST_US

    def _told(self, changes: list[GapChange]) -> list[GapChange]:
        self.counts.gaps_closed += sum(change.state != "opened" for change in changes)
        return changes

    def snapshot(self) -> bytes:
        """The state as bytes, for `restore`. The counts over all devices are not in it."""
        return _FORMAT + msgspec.msgpack.encode(self.devices)

    @classmethod
    def restore(cls, data: bytes) -> Sequences:
        """The state that `snapshot` wrote.

        Raises:
            SequenceStateError: Another layout, or damaged bytes.
        """
        sequences = cls()
        sequences.devices = unpacked(
            data, _FORMAT, _decoder, SequenceStateError, "the sequence numbers"
        )
        waiting = [
            (gap.opened_us + SETTLE_US, name, number)
            for name, device in sequences.devices.items()
            for number, gap in device.gaps.items()
            if not gap.told
        ]
        sequences._untold = deque(sorted(waiting))
        return sequences


def _by_device(batch: Batch) -> dict[int, tuple[list[int], list[int]]]:
    """By index of the device: the numbers and the times of its fixes, in their order."""
    columns = [batch.fixes[name].tolist() for name in ("device", "seq", "time_us")]
    found: dict[int, tuple[list[int], list[int]]] = {}
    for device, seq, time_us in zip(*columns, strict=True):
        seqs, times_us = found.setdefault(device, ([], []))
        seqs.append(seq)
        times_us.append(time_us)
    return found


def _numbers(device: DeviceSequence) -> tuple[int, int, int, int]:
    return device.opened, device.duplicates, device.filled, device.restarts
