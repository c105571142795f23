"""Judges the synthetic pair's walks: whether each one's alert came, by every way, in time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from devices.instants import MICROSECONDS
from devices.synthetic import NEAR_UNTIL_S, WALK_S

Way = Literal["agency", "handset"]
WAYS: tuple[Way, ...] = ("agency", "handset")

LATE_S = 15.0
"""After they have been near for so long in vain, the alert is late. A tamper must be with the centre
within 15 s in Spain (telecinco.es 2025-09-22); we ask no less of nearness."""

_DUE_US = int((NEAR_UNTIL_S + LATE_S) * MICROSECONDS)
_STANDS_US = int(2 * WALK_S * MICROSECONDS)


@dataclass(slots=True)
class SelfTestCounts:
    """What became of the walks."""

    walks: int = 0
    late: int = 0


class Judge:
    """Hears of walks and of alerts, and says what is wrong.

    Args:
        now_us: The present instant.
    """

    def __init__(self, now_us: int) -> None:
        self.counts = SelfTestCounts()
        self.latency_s: float | None = None
        self._walk_us = now_us
        self._walking = False
        self._judged = True
        self._missing: tuple[Way, ...] = ()
        self._heard_us: dict[Way, int] = {}

    def begin(self, now_us: int) -> None:
        """A walk begins."""
        self._settle(now_us)
        self._walk_us, self._walking, self._judged = now_us, True, False
        self.counts.walks += 1

    def heard(self, way: Way, fix_us: int, now_us: int) -> None:
        """An alert of the pair at level alert or worse came by one way.

        Args:
            way: Which.
            fix_us: Time of the newest fix it rests on.
            now_us: The present instant.
        """
        self._heard_us[way] = now_us
        self.latency_s = (now_us - fix_us) / MICROSECONDS
        if self._walking and not self._missed():
            self._judged, self._missing = True, ()

    def heard_by(self) -> set[Way]:
        """The ways by which an alert of the walk under way, or of the last one, has come."""
        return set(WAYS) - set(self._missed())

    def problem(self, now_us: int) -> str:
        """What is wrong, for staff; empty when nothing is."""
        self._settle(now_us)
        if now_us - self._walk_us > _STANDS_US:
            return (
                "the self-test cannot walk: it has no connection to the broker. Alerts may not come"
            )
        if self._missing:
            ways = " and ".join(f"by the way of the {way}" for way in self._missing)
            return f"the alert of the self-test did not come {ways}. Real ones may not come either"
        return ""

    def _settle(self, now_us: int) -> None:
        """Judge the walk under way, once its time is over."""
        if self._walking and not self._judged and now_us >= self._walk_us + _DUE_US:
            self._judged, self._missing = True, self._missed()
            self.counts.late += bool(self._missing)

    def _missed(self) -> tuple[Way, ...]:
        return tuple(way for way in WAYS if self._heard_us.get(way, 0) < self._walk_us)
