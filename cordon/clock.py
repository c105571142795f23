"""The only place where the time is read. Everything else is handed a clock or an instant."""

from __future__ import annotations

import time


def wall_clock_us() -> int:
    """Microseconds since 1970, UTC, by this machine's clock."""
    return time.time_ns() // 1000
