"""Many batches at once: what each device says in each, without going through them fix by fix.

For a few fixes plain loops are faster (`devices.latest.latest_of`), and find the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from devices.health_state import NEVER_US
from devices.latest import Latest
from devices.reports import FIX_DTYPE, MISSING, Batch, FixArray, FixKind
from devices.sequences import LATE_US, Run

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Said:
    """What a batch says.

    Attributes:
        latest: By device that sent fixes, in the order of their first: see `devices.latest.latest_of`.
        runs: By the same devices, the numbers of their fixes.
    """

    latest: dict[str, Latest]
    runs: dict[str, Run]


_RAW = np.dtype((np.void, FIX_DTYPE.itemsize))
"""Rows as bytes: joining many arrays with fields compares the fields of each."""


class Together:
    """The fixes of many batches, one behind the other.

    Args:
        batches: In their order.

    Attributes:
        fixes: (n,) all of them.
        batch: (n,) which batch each is of.
        place: (n,) where its device stands among the devices of all batches, one behind the other.
    """

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        parts = [np.ascontiguousarray(batch.fixes).view(_RAW) for batch in batches]
        self.fixes: FixArray = np.concatenate(parts).view(FIX_DTYPE)
        self.batch = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        before = np.cumsum([0, *(len(batch.devices) for batch in batches)])
        self.place = before[self.batch] + self.fixes["device"]

    def said(self) -> list[Said]:
        """What each batch says."""
        said = [Said({}, {}) for _ in self.batches]
        if not len(self.fixes):
            return said
        order, starts = _by_first(self.place)
        rows, firsts = self.fixes[order], order[starts]
        received_us = np.array([batch.received_us for batch in self.batches])
        late_us = received_us[self.batch[order]] - rows["time_us"]
        found = zip(
            self.batch[firsts].tolist(),
            self.fixes["device"][firsts].tolist(),
            _latest(rows, starts),
            _runs(rows, starts, late_us),
            strict=True,
        )
        for group, device, one, run in found:
            name = self.batches[group].devices[device]
            said[group].latest[name] = one
            said[group].runs[name] = run
        return said


def _by_first(key: Indices) -> tuple[Indices, Indices]:
    """Rows of one key together, in their order; keys by the first row of each. And where each begins."""
    _, first, of_key = np.unique(key, return_index=True, return_inverse=True)
    place = np.empty(len(first), np.intp)
    place[np.argsort(first)] = np.arange(len(first))
    groups = place[of_key]
    order = np.argsort(groups, kind="stable")
    return order, np.flatnonzero(np.diff(groups[order], prepend=-1))


def _latest(rows: FixArray, starts: Indices) -> list[Latest]:
    battery, charging = rows["battery_pct"], rows["charging"]
    tells = (battery != MISSING) | (charging != MISSING)
    place_us, place = _newest(rows["time_us"], rows["kind"] != FixKind.LAST_KNOWN, starts)
    told_us, told = _newest(rows["time_us"], tells, starts)
    columns = (
        place_us,
        np.where(place < 0, 0, rows["lat_e7"][place]),
        np.where(place < 0, 0, rows["lon_e7"][place]),
        told_us,
        np.where(told < 0, MISSING, battery[told]),
        np.where(told < 0, MISSING, charging[told]),
    )
    return list(map(Latest, *(column.tolist() for column in columns)))


def _newest(
    time_us: NDArray[np.int64], counts: NDArray[np.bool_], starts: Indices
) -> tuple[NDArray[np.int64], Indices]:
    """Of each group the newest time among the rows that count, and the last row that has it.

    `NEVER_US` and -1 where none counts.
    """
    times = np.where(counts & (time_us >= NEVER_US), time_us, NEVER_US)
    newest = np.maximum.reduceat(times, starts)
    sizes = np.diff(starts, append=len(times))
    has_it = counts & (time_us == np.repeat(newest, sizes))
    return newest, np.maximum.reduceat(np.where(has_it, np.arange(len(times)), -1), starts)


def _runs(rows: FixArray, starts: Indices, late_us: NDArray[np.int64]) -> list[Run]:
    seq, time_us = rows["seq"].astype(np.int64), rows["time_us"].astype(np.int64)
    follows = np.diff(seq, prepend=0) == 1
    follows[starts] = True
    ends = np.append(starts[1:], len(seq))
    columns = (
        np.logical_and.reduceat(follows, starts),
        seq[starts],
        seq[ends - 1],
        np.maximum.reduceat(time_us, starts),
        np.add.reduceat(late_us > LATE_US, starts, dtype=np.int64),
        np.maximum.reduceat(late_us, starts),
    )
    return list(map(Run, *(column.tolist() for column in columns)))
