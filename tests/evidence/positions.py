"""Where a device was, for what is asked about it."""

from __future__ import annotations

import numpy as np

from evidence.transitions import FIXES_DTYPE, DeviceFixes
from tests.cordon.running import HOME, METRE_DEG
from tests.evidence.samples import NOW_US

SECOND_US = 1_000_000


def fixes_at(*rows: tuple[float, float, float]) -> DeviceFixes:
    """Fixes as (seconds, metres north of `HOME`, accuracy in metres)."""
    table = np.zeros(len(rows), FIXES_DTYPE)
    for index, (at_s, north_m, accuracy_m) in enumerate(rows):
        table[index]["time_us"] = NOW_US + round(at_s * SECOND_US)
        table[index]["lat_e7"] = round((HOME[0] + north_m * METRE_DEG) * 1e7)
        table[index]["lon_e7"] = round(HOME[1] * 1e7)
        table[index]["accuracy_cm"] = round(accuracy_m * 100)
    return table
