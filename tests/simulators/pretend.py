"""Stand-ins: time that passes only when somebody waits, and a device that only writes down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.player import Pace

START_US = 1_800_000_000_000_000


class FakeTime:
    """A clock whose time passes by sleeping, plus a little for every glance at it."""

    def __init__(self, glance_s: float = 0.0) -> None:
        self.elapsed_s = 0.0
        self.sleeps = 0
        self._glance_s = glance_s

    @property
    def pace(self) -> Pace:
        return Pace(self._glance, self._sleep)

    def now_us(self) -> int:
        return START_US + round(self.elapsed_s * 1e6)

    def _glance(self) -> float:
        self.elapsed_s += self._glance_s
        return self.elapsed_s

    async def _sleep(self, delay_s: float) -> None:
        assert delay_s >= 0
        self.sleeps += 1
        self.elapsed_s += delay_s
        await asyncio.sleep(0)


async def turns_until(condition: Callable[[], bool]) -> None:
    """Let the loop turn, without time passing, until the condition holds."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


@dataclass
class Notebook:
    """A reporter that writes down what it is told, and when."""

    time: FakeTime
    fixes: list[tuple[int, float, float]] = field(default_factory=list)
    speeds_mps: list[float] = field(default_factory=list)
    told_us: list[int] = field(default_factory=list)

    def fix(
        self,
        time_us: int,
        lat_deg: float,
        lon_deg: float,
        *,
        accuracy_m: float = float("nan"),  # noqa: ARG002
        speed_mps: float = float("nan"),
        course_deg: float = float("nan"),  # noqa: ARG002
    ) -> int:
        self.fixes.append((time_us, lat_deg, lon_deg))
        self.speeds_mps.append(speed_mps)
        self.told_us.append(self.time.now_us())
        return len(self.fixes)
