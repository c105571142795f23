"""Which sweeps are due."""

from __future__ import annotations

MAX_TICKS_AT_ONCE = 120
"""After a silence (a night switched off) only the last ticks are made up for. The levels do not
depend on the others: they follow from the ages at the last one."""


def ticks_due(ticked_us: int, now_us: int, tick_us: int) -> range:
    """The whole multiples of an interval after the last sweep up to now, `MAX_TICKS_AT_ONCE` at most."""
    last_us = now_us - now_us % tick_us
    first_us = max(ticked_us + tick_us, last_us - (MAX_TICKS_AT_ONCE - 1) * tick_us)
    return range(first_us, last_us + 1, tick_us)
