"""White noise of a receiver, drawn as the rules describe it."""

from __future__ import annotations

import numpy as np

from geofence.plan import FloatArray
from geofence.rules import DEFAULT_RULES


def gaussian(rng: np.random.Generator, sigma_m: float) -> FloatArray:
    """(2,) of one kind."""
    error: FloatArray = rng.normal(0.0, sigma_m, 2)
    return error


def with_tail(rng: np.random.Generator, sigma_m: float) -> FloatArray:
    """(2,) of which some come from the tail; none is wild or stray, which are rare."""
    rules = DEFAULT_RULES
    return gaussian(rng, sigma_m * (rules.tail_factor if rng.random() < rules.tail_share else 1.0))
