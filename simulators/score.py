"""What a run has shown: which fixes were published and acknowledged, which alerts came back, how soon."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
import numpy as np

from devices.commands import HandsetCommand, Notify
from devices.instants import from_iso
from simulators.device import Observer
from simulators.outbox import Item

FIXES_REMEMBERED = 2_000_000
"""Fixes whose fate is kept, about 500 MB. Beyond it the oldest are forgotten and counted, and the set
of what was published is no longer complete."""

PUBLICATIONS_REMEMBERED = 200_000
"""Publishing moments kept for latencies: at 1,000 fixes a second, more than three minutes."""

LATENCIES_REMEMBERED = 100_000
ALERTS_REMEMBERED = 100_000
"""Alerts and latencies kept; beyond them the oldest are forgotten."""

_DANGER = {"pre_alert": 1, "alert": 2, "contact": 3}
"""Levels that a fix brings about, in order. Others, such as unknown, come with the passing of time and
say nothing about how long a fix takes."""


class Key(NamedTuple):
    """Names a fix, as the database does."""

    device: str
    time_us: int
    seq: int


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """From the PUBLISH of the later of the two fixes to the arrival on the handset, milliseconds."""

    p50: float | None
    p99: float | None
    count: int


@dataclass(slots=True)
class _Seen:
    """An alert as a handset knows it."""

    version: int = 0
    danger: int = 0
    raised: bool = False
    returned: bool = False


@dataclass(slots=True)
class Ledger(Observer):
    """Keeps the score of all devices of a run. Moments are seconds of the loop's clock.

    Attributes:
        published: Fixes handed to a connection, counted once each.
        acknowledged: Fixes the broker has acknowledged.
        alerts_raised, alerts_returned: Distinct alerts some handset was told of.
        notices: Commands to notify, each counted once.
        forgotten: Fixes no longer in `published_keys`, see `FIXES_REMEMBERED`.
        first_us, last_us: Earliest and latest time of a published fix; None before the first.
    """

    published: int = 0
    acknowledged: int = 0
    alerts_raised: int = 0
    alerts_returned: int = 0
    notices: int = 0
    forgotten: int = 0
    first_us: int | None = None
    last_us: int | None = None
    _fixes: dict[Key, bool] = field(default_factory=dict)  # True once acknowledged
    _published_s: dict[int, float] = field(default_factory=dict)  # by fix time
    _alerts: dict[str, _Seen] = field(default_factory=dict)
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES_REMEMBERED))

    def on_published(self, device: str, item: Item, at_s: float) -> None:
        """A fix is on its way."""
        self.published += 1
        self.first_us = min(item.time_us, self.first_us or item.time_us)
        self.last_us = max(item.time_us, self.last_us or item.time_us)
        self._fixes[Key(device, item.time_us, item.seq)] = False
        # Fixes of one instant are published together; the first of them is the fair beginning.
        self._published_s.setdefault(item.time_us, at_s)
        if len(self._fixes) > FIXES_REMEMBERED:
            del self._fixes[next(iter(self._fixes))]
            self.forgotten += 1
        if len(self._published_s) > PUBLICATIONS_REMEMBERED:
            del self._published_s[next(iter(self._published_s))]

    def on_acknowledged(self, device: str, item: Item, at_s: float) -> None:  # noqa: ARG002
        """The broker has a fix."""
        key = Key(device, item.time_us, item.seq)
        if key in self._fixes:
            self._fixes[key] = True
        self.acknowledged += 1

    def on_command(self, device: str, command: HandsetCommand, at_s: float) -> None:  # noqa: ARG002
        """A handset is told something; of interest is what it is told of alerts."""
        if not isinstance(command, Notify):
            return
        self.notices += 1
        alert = self._alerts.setdefault(command.alert_id, _Seen())
        if len(self._alerts) > ALERTS_REMEMBERED:
            del self._alerts[next(iter(self._alerts))]
        # The first that is heard of an alert may be that it became worse: it was raised in a run
        # before this one.
        on = command.kind in {"raised", "level", "tier"}
        self.alerts_raised += on and not alert.raised
        self.alerts_returned += command.kind == "returned" and not alert.returned
        alert.raised |= on
        alert.returned |= command.kind == "returned"
        if command.version > alert.version:
            alert.version = command.version
            danger = _DANGER.get(command.level, 0)
            if on and danger > alert.danger:
                self._time(command, at_s)
            alert.danger = danger

    def published_keys(self) -> set[Key]:
        """All fixes published."""
        return set(self._fixes)

    def unacknowledged(self) -> list[Key]:
        """Fixes published but not acknowledged, oldest first."""
        return [key for key, acknowledged in self._fixes.items() if not acknowledged]

    def latency(self) -> Latency:
        """Over the rises in danger whose fixes were published here."""
        if not self._latencies_ms:
            return Latency(p50=None, p99=None, count=0)
        p50, p99 = np.percentile(np.array(self._latencies_ms), [50, 99]).tolist()
        return Latency(p50=round(p50, 2), p99=round(p99, 2), count=len(self._latencies_ms))

    def _time(self, notice: Notify, at_s: float) -> None:
        """Measure from the later PUBLISH: before it the service could not have known."""
        times_us = [from_iso(text) for text in notice.fix_times.values()]
        moments_s = [self._published_s.get(time_us) for time_us in times_us]
        known_s = [moment_s for moment_s in moments_s if moment_s is not None]
        if known_s and len(known_s) == len(times_us):
            self._latencies_ms.append((at_s - max(known_s)) * 1_000)
