"""Many batches in one call: what a replay takes in, with the sweeps between them.

Between two decisions nothing has to be told to anybody, so a kernel goes on from batch to batch until
there is one. Calling sweep, fixes and oddities of each batch by itself costs more than most batches do;
and as kernels hold no lock, others may work meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_keeper import Columns, Kept
from geofence.anomaly_pass import AnomalyChangeArray, take_oddities
from geofence.distance import to_cartesians_m
from geofence.engine import Engine
from geofence.kernel import kernel
from geofence.layout import Layout
from geofence.levels import Transition
from geofence.memory import RowArray
from geofence.naming import named_transition
from geofence.passes import CHANGE_DTYPE, ChangeArray, take_fixes
from geofence.plan import FloatArray, IntArray, Plan
from geofence.sweeps import take_times
from geofence.track import MarkArray, TrackArray
from geofence.watch import WatchArray

SWEEP = 0
FIXES = 1
ODDITIES = 2
"""What is done for a batch, in this order."""

BATCH, STAGE, START, SWEEP_US, FILLED, TOLD = range(6)
"""Places in a cursor: the batch that is worked on, what is done for it, the watch or fix to go on with,
the next sweep; how many changes are written, and how many rows tell of them."""

CHANGES_KEPT = 8192
"""Changes that are written before they are fetched; more only costs another call."""

TOLD_DTYPE = np.dtype(
    [("batch", np.int64), ("stage", np.int64), ("at_us", np.int64), ("count", np.int64)]
)
"""So many of the changes that follow were found at one instant, for a batch, in one of its stages."""

ToldArray = NDArray[np.void]
"""(R,) of `TOLD_DTYPE`."""


class Many(NamedTuple):
    """B batches of n fixes, and what becomes of these.

    Attributes:
        fixes: One batch behind the other.
        fix_m: (3, n) their Earth-centred places.
        ends: (B,) the fixes behind the last of each batch.
        received_us: (B,) when they came, growing.
        step_us: From one sweep to the next.
        marks, oddities, places: Written; see `take_fixes` and `take_oddities`.
    """

    fixes: Columns
    fix_m: FloatArray
    ends: IntArray
    received_us: IntArray
    step_us: int
    marks: MarkArray
    oddities: MarkArray
    places: FloatArray


class Found(NamedTuple):
    """Room for what is found.

    Attributes:
        changes: Of level.
        anomalies: Of one stage at the most.
        told: Rows that tell of them.
        least: So many changes a step of a pass may write.
    """

    changes: ChangeArray
    anomalies: AnomalyChangeArray
    told: ToldArray
    least: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided at one instant.

    Attributes:
        batch: For which of the batches.
        swept: In a sweep before it was taken in, and not by its fixes.
    """

    batch: int
    swept: bool
    transitions: list[Transition]
    anomalies: list[AnomalyChange]


@kernel
def _tell(told: ToldArray, cursor: IntArray, at_us: int, count: int) -> None:
    if not count:
        return
    row = told[cursor[TOLD]]
    row["batch"], row["stage"], row["at_us"], row["count"] = (
        cursor[BATCH], cursor[STAGE], at_us, count,
    )  # fmt: skip
    cursor[TOLD] += 1


@kernel
def follow(
    tracks: TrackArray,
    watches: WatchArray,
    layout: Layout,
    limits_row: RowArray,
    scratch_row: RowArray,
    kept: Kept,
    many: Many,
    found: Found,
    cursor: IntArray,
) -> None:
    """Go on with batches until the room for what is found may not do, or there are no more."""
    fixes, told = many.fixes, found.told
    while cursor[BATCH] < many.ends.size and cursor[TOLD] < told.size:
        batch, stage, start = cursor[BATCH], cursor[STAGE], cursor[START]
        now_us, end = many.received_us[batch], many.ends[batch]
        began = 0 if batch == 0 else many.ends[batch - 1]
        rest = found.changes[cursor[FILLED] :]
        if stage != ODDITIES and rest.size < found.least:
            return
        if stage == SWEEP:
            last_us = now_us - now_us % many.step_us
            if cursor[SWEEP_US] > last_us:
                cursor[STAGE], cursor[START] = FIXES, began
                continue
            at_us, upto, count = take_times(
                tracks, watches, layout, limits_row, scratch_row, cursor[SWEEP_US], start, last_us,
                many.step_us, rest,
            )  # fmt: skip
            _tell(told, cursor, at_us, count)
            done = upto == watches.size
            cursor[START] = 0 if done else upto
            cursor[SWEEP_US] = at_us + many.step_us if done else at_us
            cursor[FILLED] += count
        elif stage == FIXES:
            upto, count = take_fixes(
                tracks, watches, layout, limits_row, scratch_row, fixes.track[:end],
                fixes.time_us[:end], fixes.lat_e7[:end], fixes.lon_e7[:end],
                fixes.accuracy_cm[:end], many.fix_m, now_us, start, many.marks, many.places, rest,
            )  # fmt: skip
            _tell(told, cursor, now_us, count)
            cursor[START] = upto
            cursor[FILLED] += count
            if upto == end:
                cursor[STAGE], cursor[START] = ODDITIES, began
        else:
            upto, count = take_oddities(
                kept.anomalies, kept.companions, kept.company, many.places, kept.limits_row,
                limits_row, fixes.track[:end], fixes.time_us[:end], fixes.accuracy_cm[:end],
                many.fix_m, many.marks, now_us, start, many.oddities, found.anomalies,
            )  # fmt: skip
            _tell(told, cursor, now_us, count)
            cursor[START] = upto
            if upto == end:
                cursor[BATCH], cursor[STAGE], cursor[START] = batch + 1, SWEEP, 0
            if count:
                return


class FollowingEngine(Engine):
    """An engine that takes many batches at once. It decides what `Engine` decides."""

    def follow(
        self, fixes: Columns, ends: IntArray, received_us: IntArray, sweeps: tuple[int, int]
    ) -> list[Decided]:
        """Take in batches, and make every sweep before each of them.

        Args:
            fixes: Of all batches, one behind the other, as `update` takes them.
            ends: (B,) the fix behind the last of each batch.
            received_us: (B,) when each came, growing.
            sweeps: The next sweep, and from one to the next: all up to the arrival of a batch are
                made before its fixes are taken.

        Returns:
            What was decided, in its order.
        """
        size, keeper = fixes.track.size, self._keeper
        fix_m = np.empty((3, size))
        to_cartesians_m(fixes.lat_e7, fixes.lon_e7, fix_m)
        marks, oddities = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
        places, next_us, step_us = keeper.places(size), *sweeps
        many = Many(fixes, fix_m, ends, received_us, step_us, marks, oddities, places)
        least = self._changes.size
        changes = np.zeros(least + CHANGES_KEPT, CHANGE_DTYPE)
        found = Found(changes, keeper.changes, np.zeros(CHANGES_KEPT, TOLD_DTYPE), least)
        cursor = np.array([0, SWEEP, 0, next_us, 0, 0])
        decided: list[Decided] = []
        while cursor[BATCH] < ends.size:
            cursor[[FILLED, TOLD]] = 0
            follow(*self._arrays(), keeper.kept, many, found, cursor)
            decided += self._told(found.told[: cursor[TOLD]], changes[: cursor[FILLED]])
        return decided

    def _told(self, told: ToldArray, changes: ChangeArray) -> list[Decided]:
        found, rows = [], iter(changes.tolist())
        for batch, stage, at_us, count in told.tolist():
            swept = stage == SWEEP
            if stage == ODDITIES:
                found.append(Decided(batch, swept, [], self._keeper.named(count, at_us)))
                continue
            some = islice(rows, count)
            named = [named_transition(row, self._keys, at_us, swept=swept) for row in some]
            found.append(Decided(batch, swept, named, []))
        return found


def warm_up() -> None:
    """Compile what batches are followed with, or load it; all else: `geofence.engine.warm_up`."""
    none = np.zeros(0, np.int64)
    engine = FollowingEngine(Plan("warm-up", ()), now_us=0)
    engine.follow(Columns(*[none] * 5), np.zeros(1, np.int64), np.ones(1, np.int64), (1, 1))
