"""Made-up recordings: somebody walks about, and a receiver errs as it states, or otherwise."""

from __future__ import annotations

import numpy as np

from benchmarks.recordings import SECOND_US, Recording
from geofence.proximity import SIGMAS_PER_R68
from tests.benchmarks.walks import DEGREE_M, LON


def walk(
    name: str, *, seed: int, length_s: int = 120, error: float = 1.0, stated_m: float = 10.0
) -> Recording:
    """A walk near the equator whose errors are normal, `error` times as large as stated."""
    generator = np.random.default_rng(seed)
    pace_mps = np.cumsum(generator.normal(0, 0.2, (2, length_s + 1)), axis=1) + 1.0
    truth_m = np.cumsum(pace_mps, axis=1)
    sigma_m = error * stated_m * SIGMAS_PER_R68
    fixes_m = truth_m + generator.normal(0, sigma_m, truth_m.shape)
    time_us = np.arange(length_s + 1, dtype=np.int64) * SECOND_US
    return Recording(
        name,
        time_us,
        fixes_m[0] / DEGREE_M,
        LON + fixes_m[1] / DEGREE_M,
        np.full(length_s + 1, stated_m),
        time_us,
        truth_m[0] / DEGREE_M,
        LON + truth_m[1] / DEGREE_M,
    )
