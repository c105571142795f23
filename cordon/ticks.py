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


def stretch(due: range, busy_us: int, plan_us: int | None) -> range:
    """The first of these sweeps that may be made in one go; one at the least.

    Args:
        due: Sweeps that are due.
        busy_us: The first instant at which anything but the engine may find something: the sweep
            that reaches it is the last.
        plan_us: The instant from which another plan is in force; that sweep is another stretch.
    """
    count = 1 + max(0, -(-(busy_us - due.start) // due.step))
    if plan_us is not None:
        count = min(count, -(-(plan_us - due.start) // due.step))
    return due[: max(1, count)]
