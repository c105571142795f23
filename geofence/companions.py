"""One of two devices of a person stays while the other moves away: STAYS_BEHIND.

A wearer's tag has a companion (a phone or beacon unit he must carry), a protected person's handset
may have one too. A tag that lies at home while its companion travels, or was fitted on something
that can be taken off, has to be found out from positions alone.

The two are *apart* when their distance is more than their errors, the size of a house and the way
both may have made between the two fixes explain, and *together* when it is within half of that
house and their errors. A device *stands* while its fixes stay within errors of where it stopped;
a single wild fix of it ends that, and it has to stand anew. STAYS_BEHIND begins when they have
been apart for `apart_after_s` and one of them has stood for `stand_after_s`; the onset is the time
of the newer fix of those that first showed them apart. It ends when they have been together for
`together_after_s`, whoever came back to whom. In between, nothing changes. When one of the two has
not been heard for `pair_gap_s`, nothing changes either, and both counts start anew.

All times are fix times. Given the tracks' estimates, which never move back, late fixes and
duplicates cannot matter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geofence.anomaly_rules import AnomalyLimits
from geofence.durations import SECOND_US
from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US
from geofence.plan import FloatArray

COMPANION_DTYPE = np.dtype(
    [
        ("active", np.int64),  # 1 while STAYS_BEHIND goes on
        ("onset_us", np.int64),  # fix time it began, of the present or last spell
        ("number", np.int64),  # of spells so far
        ("distance_m", np.float64),  # chord, when last compared; NaN before
        ("standing", np.int64),  # which one stands or stood longer: 0 worn, 1 carried
        ("compared_us", np.int64),  # newer fix of the last comparison
        ("apart_us", np.int64),  # since when apart
        ("together_us", np.int64),  # since when together
        ("anchor_us", np.int64, (2,)),  # since when each stands where it is
        ("anchor_m", np.float64, (2, 3)),
        ("anchor_sigma_m", np.float64, (2,)),
        ("last_us", np.int64, (2,)),  # where each was seen last; kept here for whoever compares
        ("last_m", np.float64, (2, 3)),
        ("last_sigma_m", np.float64, (2,)),
    ],
    align=True,
)
"""State of one pair of companions."""

CompanionArray = NDArray[np.void]
"""(C,) of `COMPANION_DTYPE`."""


def new_companions(count: int) -> CompanionArray:
    """Pairs of devices not compared yet."""
    state = np.zeros(count, COMPANION_DTYPE)
    for name in ("onset_us", "compared_us", "apart_us", "together_us", "anchor_us", "last_us"):
        state[name] = UNKNOWN_TIME_US
    state["distance_m"] = np.nan
    return state


@kernel
def _distance2(a_m: FloatArray, b_m: FloatArray) -> float:
    dx, dy, dz = a_m[0] - b_m[0], a_m[1] - b_m[1], a_m[2] - b_m[2]
    distance2: float = dx * dx + dy * dy + dz * dz
    return distance2


@kernel
def _stand(
    row: np.void, which: int, xyz_m: FloatArray, sigma_m: float, time_us: int, limits: AnomalyLimits
) -> None:
    """Keep or move the place where a device stands."""
    anchor_m = row["anchor_m"][which]
    slack_m = limits.stand_m + limits.pair_sigmas * (sigma_m + row["anchor_sigma_m"][which])
    stood = row["anchor_us"][which] != UNKNOWN_TIME_US
    if stood and _distance2(anchor_m, xyz_m) <= slack_m * slack_m:
        return
    row["anchor_us"][which] = time_us
    row["anchor_sigma_m"][which] = sigma_m
    for axis in range(3):
        anchor_m[axis] = xyz_m[axis]


@kernel
def note_companions(
    state: CompanionArray,
    pair: int,
    worn_m: FloatArray,
    worn_sigma_m: float,
    worn_us: int,
    carried_m: FloatArray,
    carried_sigma_m: float,
    carried_us: int,
    limits: AnomalyLimits,
) -> bool:
    """Compare two devices of one person, after a fix of either.

    Args:
        state: (C,) as from `new_companions`.
        pair: Which of them.
        worn_m: (3,) place of the device on the body, Earth-centred metres.
        worn_sigma_m: Standard deviation per axis of its error.
        worn_us: Fix time of it, `UNKNOWN_TIME_US` if it has none yet.
        carried_m: (3,) the same of the device that is carried.
        carried_sigma_m: The same.
        carried_us: The same.
        limits: The parameters.

    Returns:
        Whether one of them stays behind.
    """
    row = state[pair]
    active: int = row["active"]
    if min(worn_us, carried_us) == UNKNOWN_TIME_US:
        return active == 1
    _stand(row, 0, worn_m, worn_sigma_m, worn_us, limits)
    _stand(row, 1, carried_m, carried_sigma_m, carried_us, limits)
    gap_us = abs(worn_us - carried_us)
    if gap_us > limits.pair_gap_us:
        return active == 1
    time_us = max(worn_us, carried_us)
    if time_us - row["compared_us"] > limits.pair_gap_us:
        row["apart_us"] = UNKNOWN_TIME_US
        row["together_us"] = UNKNOWN_TIME_US
    row["compared_us"] = time_us
    distance2 = _distance2(worn_m, carried_m)
    row["distance_m"] = np.sqrt(distance2)
    errors_m = limits.pair_sigmas * np.sqrt(
        worn_sigma_m * worn_sigma_m + carried_sigma_m * carried_sigma_m
    )
    apart_m = limits.apart_m + errors_m + limits.pair_mps * gap_us / SECOND_US
    near_m = limits.apart_m / 2.0 + errors_m
    if distance2 <= near_m * near_m:
        row["apart_us"] = UNKNOWN_TIME_US
        if row["together_us"] == UNKNOWN_TIME_US:
            row["together_us"] = time_us
        if active and time_us - row["together_us"] >= limits.together_after_us:
            row["active"] = 0
    elif distance2 > apart_m * apart_m:
        row["together_us"] = UNKNOWN_TIME_US
        if row["apart_us"] == UNKNOWN_TIME_US:
            row["apart_us"] = time_us
        _begin(row, time_us, limits)
    active = row["active"]
    return active == 1


@kernel
def _begin(row: np.void, time_us: int, limits: AnomalyLimits) -> None:
    """Begin, if they have been apart and one of them has stood for long enough."""
    standing = 0 if row["anchor_us"][0] <= row["anchor_us"][1] else 1
    stood_us = time_us - row["anchor_us"][standing]
    apart_us = time_us - row["apart_us"]
    if row["active"] or stood_us < limits.stand_after_us or apart_us < limits.apart_after_us:
        return
    row["active"] = 1
    row["onset_us"] = row["apart_us"]
    row["number"] += 1
    row["standing"] = standing
