"""The kinds of anomaly, and what is remembered of a device to find them."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.kernel import kernel
from geofence.levels import UNKNOWN_TIME_US


class Anomaly(IntEnum):
    """What is wrong with a device, for a spell of time. Stored: never renumber.

    The comments say what `quantity` and `count` hold for each kind.
    """

    FROZEN = 0  # for how long the position has repeated, s; fixes at it
    SPEED = 1  # speed that the jump implies, m/s; fixes in a row that could not be reached
    CLONE = 2  # distance of the two places, m; changes between them
    CLOCK = 3  # how far the clock is ahead, s (below 0: behind); windows that agree
    CLOCK_GPS = 4  # the same
    MINUTES = 5  # distance of the last damaged fix from the place it meant, m; damaged fixes
    STAYS_BEHIND = 6  # distance of the two devices, m; which one stands: 0 worn, 1 carried

    @property
    def label(self) -> str:
        """The name used in payloads and on screens, for example ``clock_gps``."""
        return self.name.lower()

    @property
    def bit(self) -> int:
        """Its bit in a mask of active anomalies."""
        return 1 << self.value


class Oddity(IntFlag):
    """What is odd about one fix; it is kept all the same. Stored: never renumber."""

    NONE = 0
    IMPLAUSIBLE = 1
    """The device cannot have got there from where it was."""
    MINUTES = 2
    """Far away, and where the device was once the minutes are written with two digits."""
    BLANK = 4
    """0 N 0 E or a pole: what receivers send that have no position."""


class Fix(NamedTuple):
    """One fix as the kernels hand it on: time, place (Earth-centred) and 68 % radius."""

    time_us: int
    x_m: float
    y_m: float
    z_m: float
    radius_m: float


KINDS = int(Anomaly.STAYS_BEHIND)
"""Anomalies of one device; those of two stand behind them."""

ANOMALY_DTYPE = np.dtype(
    [
        # Read for every fix, so kept together:
        ("active", np.int64),  # mask
        ("time_us", np.int64),  # newest fix time seen
        ("here_us", np.int64),  # the place believed: the last fix that could be reached
        ("here_m", np.float64, (3,)),
        ("here_radius_m", np.float64),
        ("at_there", np.int64),  # 1: the fix before was at the other place
        ("wild", np.int64),  # fixes in a row that could not be reached, in order of time
        ("frozen_m", np.float64, (3,)),  # where the present run of equal positions is
        ("frozen_since_us", np.int64),
        ("frozen_count", np.int64),
        ("window_since_us", np.int64),  # the window of delays under way: first receipt,
        ("window_fixes", np.int64),
        ("window_delay_us", np.int64),  # least delay,
        ("window_onset_us", np.int64),  # and the time of that fix
        # The rest when something is odd:
        ("onset_us", np.int64, (KINDS,)),  # fix time it began, of the present or last spell
        ("number", np.int64, (KINDS,)),  # of spells so far
        ("quantity", np.float64, (KINDS,)),  # see Anomaly
        ("count", np.int64, (KINDS,)),
        ("before_kind", np.int64),  # what the window before spoke for,
        ("before_delay_us", np.int64),
        ("before_onset_us", np.int64),
        ("prior_us", np.int64),  # the place before a step that only errors explain
        ("prior_m", np.float64, (3,)),
        ("prior_radius_m", np.float64),
        ("there_us", np.int64),  # the other place: the last fix that could not be reached
        ("there_m", np.float64, (3,)),
        ("there_radius_m", np.float64),
        ("there_count", np.int64),  # fixes of the present run that agree with it
        ("there_since_us", np.int64),
        ("wild_since_us", np.int64),
        ("wild_us", np.int64),  # the last of them
        ("wild_mps", np.float64),
        ("switches", np.int64),  # changes between here and there
        ("switch_since_us", np.int64),
        ("switch_us", np.int64),
        ("minutes_us", np.int64),  # last fix with damaged minutes
    ],
    align=True,
)
"""State of one track."""

AnomalyArray = NDArray[np.void]
"""(T,) of `ANOMALY_DTYPE`, one for each track."""

NO_KIND = -1


def new_anomalies(count: int) -> AnomalyArray:
    """State of `count` devices not heard yet."""
    state = np.zeros(count, ANOMALY_DTYPE)
    for name in ANOMALY_DTYPE.names or ():
        if name.endswith("_us"):
            state[name] = UNKNOWN_TIME_US
    state["quantity"] = np.nan
    state["before_kind"] = NO_KIND
    return state


@kernel
def is_active(row: np.void, kind: int) -> bool:
    """Whether an anomaly goes on."""
    active: int = row["active"]
    return (active >> kind) & 1 == 1


@kernel
def begin(row: np.void, kind: int, onset_us: int) -> None:
    """An anomaly begins; nothing if it goes on already."""
    if not is_active(row, kind):
        row["active"] |= 1 << kind
        row["onset_us"][kind] = onset_us
        row["number"][kind] += 1


@kernel
def end(row: np.void, kind: int) -> None:
    """An anomaly ends; its onset and numbers stay to be told."""
    row["active"] &= ~(1 << kind)


@kernel
def square_m2(place_m: NDArray[np.float64], fix: Fix) -> float:
    """Squared chord in square metres from a place, given as (3,), to a fix."""
    dx = place_m[0] - fix.x_m
    dy = place_m[1] - fix.y_m
    dz = place_m[2] - fix.z_m
    distance_m2: float = dx * dx + dy * dy + dz * dz
    return distance_m2


@kernel
def between_m2(a: Fix, b: Fix) -> float:
    """Squared chord in square metres between two fixes."""
    dx, dy, dz = a.x_m - b.x_m, a.y_m - b.y_m, a.z_m - b.z_m
    return dx * dx + dy * dy + dz * dz


@kernel
def put(place_m: NDArray[np.float64], fix: Fix) -> None:
    """Overwrite a place, given as (3,)."""
    place_m[0] = fix.x_m
    place_m[1] = fix.y_m
    place_m[2] = fix.z_m


@kernel
def is_in_order(row: np.void, fix: Fix) -> bool:
    """Whether a fix is newer than every one before it."""
    newest_us: int = row["time_us"]
    return fix.time_us > newest_us
