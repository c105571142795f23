"""The engine's pass over anomalies: every fix of a followed device, whatever else became of it.

It goes over a batch after `geofence.passes.take_fixes`, which leaves the places that companions
are compared by (see `geofence.companions`): those the tracks believed in right after each fix, so
that it does not matter how fixes are split into batches.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.anomalies import note_fix
from geofence.anomaly_rules import AnomalyLimits
from geofence.anomaly_state import KINDS, Anomaly, AnomalyArray
from geofence.companions import CompanionArray, note_companions
from geofence.kernel import kernel
from geofence.memory import RowArray, fetch
from geofence.plan import FloatArray, IntArray, Plan
from geofence.proximity import SIGMAS_PER_R68
from geofence.track import Mark, MarkArray, stated_sigma_m

_USED = int(Mark.USED)
_OUTLIER = int(Mark.OUTLIER)
_MOVED = int(Mark.MOVED)
_STAYS_BEHIND = int(Anomaly.STAYS_BEHIND)

_AHEAD = 4
_LINES = 3
"""How many fixes ahead how many cache lines are fetched: what is read for every fix."""

NO_COMPANION = -1

ANOMALY_CHANGE_DTYPE = np.dtype(
    [
        ("track", np.int64),
        ("companion", np.int64),  # index of the pair, or NO_COMPANION
        ("kind", np.int64),
        ("began", np.int64),
        ("onset_us", np.int64),
        ("quantity", np.float64),
        ("count", np.int64),
        ("number", np.int64),
    ],
    align=True,
)
"""One beginning or end, as `geofence.anomaly_changes.AnomalyChange` without the names."""

AnomalyChangeArray = NDArray[np.void]
"""(C,) of `ANOMALY_CHANGE_DTYPE`."""


class Company(NamedTuple):
    """C pairs of companions among T tracks, as the pass reads them.

    Attributes:
        worn, carried: (C,) tracks.
        start: (T + 1,) offsets into `pair`.
        pair: Pairs of each track, growing.
    """

    worn: IntArray
    carried: IntArray
    start: IntArray
    pair: IntArray


def lay_company(plan: Plan) -> Company:
    """Arrange the companions of a plan for the pass.

    Raises:
        ValueError: A pair points at no track, at one track twice, or is there twice.
    """
    worn = np.array(plan.companions.worn, np.int64)
    carried = np.array(plan.companions.carried, np.int64)
    both = np.concatenate([worn, carried])
    count = len(plan.tracks)
    if worn.shape != carried.shape or not np.all((both >= 0) & (both < count)):
        raise ValueError(f"plan {plan.version!r} has companions that are no two of its tracks")
    if np.any(worn == carried) or len(set(plan.companion_keys)) != worn.size:
        raise ValueError(f"plan {plan.version!r} has companions that are no two tracks, or twice")
    pairs = np.tile(np.arange(worn.size, dtype=np.int64), 2)
    order = np.lexsort((pairs, both))
    start = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(both, minlength=count), out=start[1:])
    return Company(worn, carried, start, pairs[order])


@kernel
def _write_one(
    changes: AnomalyChangeArray, count: int, track: int, kind: int, row: np.void
) -> None:
    change = changes[count]
    change["track"] = track
    change["companion"] = NO_COMPANION
    change["kind"] = kind
    change["began"] = (row["active"] >> kind) & 1
    change["onset_us"] = row["onset_us"][kind]
    change["quantity"] = row["quantity"][kind]
    change["count"] = row["count"][kind]
    change["number"] = row["number"][kind]


@kernel
def _write_pair(
    changes: AnomalyChangeArray, count: int, track: int, pair: int, row: np.void
) -> None:
    change = changes[count]
    change["track"] = track
    change["companion"] = pair
    change["kind"] = _STAYS_BEHIND
    change["began"] = row["active"]
    change["onset_us"] = row["onset_us"]
    change["quantity"] = row["distance_m"]
    change["count"] = row["standing"]
    change["number"] = row["number"]


@kernel
def _compare(
    companions: CompanionArray, company: Company, track: int, time_us: int, place: FloatArray,
    limits: AnomalyLimits, changes: AnomalyChangeArray, count: int,
) -> int:  # fmt: skip
    """Compare a device that has a new place with its companions; the new number of changes."""
    for k in range(company.start[track], company.start[track + 1]):
        pair = company.pair[k]
        row = companions[pair]
        side = 0 if company.worn[pair] == track else 1
        row["last_us"][side] = time_us
        row["last_sigma_m"][side] = place[3]
        for axis in range(3):
            row["last_m"][side, axis] = place[axis]
        before = row["active"]
        note_companions(
            companions, pair,
            row["last_m"][0], row["last_sigma_m"][0], row["last_us"][0],
            row["last_m"][1], row["last_sigma_m"][1], row["last_us"][1],
            limits,
        )  # fmt: skip
        if row["active"] != before:
            _write_pair(changes, count, company.worn[pair], pair, row)
            count += 1
    return count


@kernel
def take_oddities(
    state: AnomalyArray,
    companions: CompanionArray,
    company: Company,
    places: FloatArray,
    anomaly_limits_row: RowArray,
    limits_row: RowArray,
    track: IntArray,
    time_us: IntArray,
    accuracy_cm: IntArray,
    fix_m: FloatArray,
    marks: MarkArray,
    now_us: int,
    start: int,
    oddities: MarkArray,
    changes: AnomalyChangeArray,
) -> tuple[int, int]:
    """Work through fixes in the order given, from `start`.

    Args:
        state: (T,) of `ANOMALY_DTYPE`.
        companions: (C,) of `COMPANION_DTYPE`.
        company: The pairs.
        places: (n, 4) place, Earth-centred, and sigma that the track had right after each fix
            that was used; (0, 4) without companions.
        anomaly_limits_row: Parameters of the anomalies.
        limits_row: Parameters of the tracks.
        track: (n,) as in `Engine.update`, and so the next two.
        time_us: See track.
        accuracy_cm: See track.
        fix_m: (3, n) Earth-centred places of the fixes.
        marks: (n,) what became of each fix.
        now_us: When the batch was received.
        start: The first fix to work on.
        oddities: (n,) written: values of `Oddity`.
        changes: Written; must hold `KINDS` and all pairs of one track at least.

    Returns:
        The fix to go on with (n when done), and the number of changes written.
    """
    anomaly_limits, limits = anomaly_limits_row[0], limits_row[0]
    count = 0
    for i in range(start, track.size):
        coming = track[min(i + _AHEAD, track.size - 1)]
        if coming >= 0:
            fetch(state, coming, _LINES)
        who = track[i]
        if who < 0:
            continue
        if count + KINDS + company.start[who + 1] - company.start[who] > changes.size:
            return i, count
        x, y, z = fix_m[0, i], fix_m[1, i], fix_m[2, i]
        radius_m = stated_sigma_m(accuracy_cm[i], limits) / SIGMAS_PER_R68
        before = state[who]["active"]
        after, oddities[i] = note_fix(
            state, who, time_us[i], x, y, z, radius_m, now_us, anomaly_limits
        )
        for kind in range(KINDS):
            if ((before ^ after) >> kind) & 1:
                _write_one(changes, count, who, kind, state[who])
                count += 1
        moved = marks[i] == _USED or marks[i] == _OUTLIER or marks[i] == _MOVED
        if moved and i < places.shape[0]:
            count = _compare(
                companions, company, who, time_us[i], places[i], anomaly_limits, changes, count
            )
    return track.size, count


def new_places(count: int, company: Company) -> FloatArray:
    """Room for the places of `count` fixes, if there are companions to compare."""
    return np.full((count if company.worn.size else 0, 4), math.nan)
