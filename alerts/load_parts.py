"""What the figures of the load are made of, for the page that is live and for the month on paper alike.

Sources of the limits: EEMUA 191 asks for less than one alarm in ten minutes for each operator (read in
controlglobal.com, "safety instrumented systems" 11382017); ISA-18.2 has a flood begin with more than 10
in ten minutes and end under 5 (prosys.com, "Eliminate alarm floods"), and about 80 / 15 / 5 % of low,
medium and high priority (exida.com); an alarm that comes back three times in a minute chatters
(resources.pas.com). That what stands open for a day is stale, and that there should be fewer than 5 of
them, is how these are usually summarised; we have not read it in the standards.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from alerts.deliveries import DeliveryRecord
from alerts.model import Alert, AlertChange
from devices.instants import MICROSECONDS, from_iso

WINDOW_US = 600 * MICROSECONDS
FLOOD_BEGINS_ABOVE = 10
FLOOD_ENDS_BELOW = 5
TARGET_PER_WINDOW = 1.0
TARGET_FLOOD_SHARE = 0.01
TARGET_SHARES = (0.05, 0.15, 0.80)
"""Of high, medium and low priority: tier 1, tier 2, tiers 3 and 4."""

CHATTER_US = 60 * MICROSECONDS
CHATTER_TIMES = 3

STALE_US = 86_400 * MICROSECONDS
TARGET_STALE = 5

RAISED_KEPT = 100_000
"""Alerts of a day whose time and source are kept. Beyond it the oldest are forgotten."""

TIMES_KEPT = 10_000
"""Newest times of each kind that the percentiles are taken over."""

TOLD_KEPT = 10_000
"""Notices whose receipts are waited for. Beyond it the oldest is forgotten."""

SOURCES_SHOWN = 10


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of durations in seconds; None where there are none."""

    count: int
    median_s: float | None
    p95_s: float | None
    longest_s: float | None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts come from: a condition of an order, or a device.

    Attributes:
        share: Of all alerts, 0 to 1.
    """

    name: str
    count: int
    share: float


Shares = tuple[float, float, float, float]
"""Of tiers 1 to 4, 0 to 1 each."""


class Times:
    """The newest durations of one kind."""

    def __init__(self, kept: int = TIMES_KEPT) -> None:
        self._values: deque[float] = deque(maxlen=kept)

    def note(self, start: str | None, end: str) -> None:
        """From one instant to another; nothing when it never began."""
        if start:
            self._values.append(max(0.0, (from_iso(end) - from_iso(start)) / MICROSECONDS))

    def spread(self) -> Spread:
        """How they are spread."""
        ordered = sorted(self._values)
        if not ordered:
            return Spread(count=0, median_s=None, p95_s=None, longest_s=None)
        return Spread(
            count=len(ordered),
            median_s=ordered[len(ordered) // 2],
            p95_s=ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
            longest_s=ordered[-1],
        )


class Responses:
    """How long people take: to acknowledge, to send somebody, and until she has the notice.

    Args:
        kept: Times of each kind.
    """

    def __init__(self, kept: int = TIMES_KEPT) -> None:
        self.acknowledge, self.dispatch, self.deliver = Times(kept), Times(kept), Times(kept)
        self._told: OrderedDict[str, str] = OrderedDict()

    def take(self, change: AlertChange) -> None:
        """A change of an alert."""
        alert = change.data
        if change.kind == "acknowledged":
            self.acknowledge.note(alert.asks_since, change.time)
        elif change.kind == "dispatched":
            self.dispatch.note(alert.raised_at, change.time)
        if alert.told_at is not None and alert.told_version == alert.version:
            self._told[change.id] = change.time
            while len(self._told) > TOLD_KEPT:
                self._told.popitem(last=False)

    def delivered(self, record: DeliveryRecord) -> None:
        """What became of a delivery: her handset's first receipt counts."""
        if record.channel == "handset" and record.state in {"received", "shown", "answered"}:
            self.deliver.note(self._told.pop(record.change_id, None), record.time)


@dataclass(slots=True)
class Flood:
    """Whether more comes than can be handled. The same whenever and however often it is asked.

    Attributes:
        recent: When and from where the alerts of the last ten minutes came.
        since_us: None when there is no flood.
        flooded_us: How long floods that are over have lasted.
        ended: Told of each flood that ends: from, to.
    """

    recent: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=RAISED_KEPT))
    since_us: int | None = None
    flooded_us: int = 0
    ended: Callable[[int, int], None] = lambda _from, _to: None

    def raised(self, at_us: int, source: str, operators: int) -> None:
        """An alert was raised."""
        self.pass_to(at_us, operators)
        self.recent.append((at_us, source))
        if self.since_us is None and len(self.recent) / max(1, operators) > FLOOD_BEGINS_ABOVE:
            self.since_us = at_us

    def pass_to(self, now_us: int, operators: int) -> None:
        """Time passes: what is ten minutes old leaves, and a flood ends when too few are left."""
        while self.recent and self.recent[0][0] <= now_us - WINDOW_US:
            left_us = self.recent.popleft()[0] + WINDOW_US
            each = len(self.recent) / max(1, operators)
            if self.since_us is not None and each < FLOOD_ENDS_BELOW:
                self.flooded_us += left_us - self.since_us
                self.ended(self.since_us, left_us)
                self.since_us = None

    def lasted_us(self, now_us: int) -> int:
        """All floods, the one that goes on included."""
        return self.flooded_us + (0 if self.since_us is None else now_us - self.since_us)


def source_of(alert: Alert) -> str:
    """Where an alert comes from, in the caseload's own names."""
    return alert.condition_id or f"{alert.device or alert.agency}: {alert.level}"


def comebacks(instants_us: Sequence[int]) -> int:
    """How often one comes back `CHATTER_TIMES` times within `CHATTER_US`; instants in order."""
    ends = instants_us[CHATTER_TIMES:]
    return sum(end - start <= CHATTER_US for start, end in zip(instants_us, ends, strict=False))


def shares_by_tier(tiers: Counter[int]) -> Shares:
    """Of how many alerts of each tier."""
    every = tiers.total()
    first, second, third, fourth = (tiers[tier] / every if every else 0.0 for tier in range(1, 5))
    return first, second, third, fourth


def top_sources(sources: Counter[str]) -> tuple[Source, ...]:
    """The ten that most alerts came from."""
    every = sources.total()
    return tuple(
        Source(name=name, count=count, share=count / every)
        for name, count in sources.most_common(SOURCES_SHOWN)
    )
