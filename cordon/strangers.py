"""Counts what devices send that nobody carries: unknown ones, and known ones that lie in a drawer.

Their reports are stored like all others and move nobody. Staff see which they are in the console,
from the history; here they are only counted, for the metrics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from devices.reports import Batch, Event, Receipt, Status

MAX_STRANGERS = 1_000
"""Devices told apart since the start of the process; what others send is counted all the same."""


class Strangers:
    """Reports of devices that nobody carries.

    Args:
        is_carried: Whether somebody carries this device now.

    Attributes:
        reports: Fixes, events, receipts and statuses since the start of the process.
    """

    def __init__(self, is_carried: Callable[[str], bool]) -> None:
        self.reports = 0
        self._is_carried = is_carried
        self._devices: set[str] = set()

    @property
    def devices(self) -> int:
        """How many devices have been heard, since the start, that nobody carries at present."""
        return sum(not self._is_carried(device) for device in self._devices)

    def note(self, batch: Batch) -> None:
        """Take in a batch."""
        unknown = [n for n, name in enumerate(batch.devices) if not self._is_carried(name)]
        rows: list[Event | Receipt | Status]
        rows = [*batch.events, *batch.receipts, *batch.statuses]
        if not unknown and not rows:
            return  # what nearly every batch is
        heard = Counter(row.device for row in rows)
        if unknown:
            counts = np.bincount(batch.fixes["device"], minlength=len(batch.devices))
            heard.update({batch.devices[n]: int(counts[n]) for n in unknown})
        for device, count in heard.items():
            if self._is_carried(device):
                continue
            self.reports += count
            if len(self._devices) < MAX_STRANGERS:
                self._devices.add(device)
