"""Seconds as people write them, microseconds as the engine counts them."""

from __future__ import annotations

SECOND_US = 1_000_000


def in_microseconds(duration_s: float) -> int:
    """A duration in whole microseconds."""
    return round(duration_s * SECOND_US)
