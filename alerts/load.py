"""How heavy the alerts are on those who work with them: the figures of EEMUA 191 and ISA-18.2.

A pure structure: it is told of changes and deliveries with their time, and answers for an instant. It
covers what happened since the start of the service, at most a day.

Sources of the limits: EEMUA 191 asks for less than one alarm in ten minutes for each operator (read in
controlglobal.com, "safety instrumented systems" 11382017); ISA-18.2 has a flood begin with more than 10
in ten minutes and end under 5 (prosys.com, "Eliminate alarm floods"), and about 80 / 15 / 5 % of low,
medium and high priority (exida.com); an alarm that comes back three times in a minute chatters
(resources.pas.com). That what stands open for a day is stale, and that there should be fewer than 5 of
them, is how these are usually summarised; we have not read it in the standards.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

import msgspec

from alerts.deliveries import DeliveryRecord
from alerts.model import Alert, AlertChange
from alerts.ranking import Ranking
from devices.instants import MICROSECONDS, from_iso, to_iso

WINDOW_US = 600 * MICROSECONDS
FLOOD_BEGINS_ABOVE = 10
FLOOD_ENDS_BELOW = 5
TARGET_PER_WINDOW = 1.0

CHATTER_US = 60 * MICROSECONDS
CHATTER_TIMES = 3

STALE_US = 86_400 * MICROSECONDS
DAY_US = 86_400 * MICROSECONDS

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
        share: Of all alerts of the day, 0 to 1.
    """

    name: str
    count: int
    share: float


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures at an instant.

    Attributes:
        since: What they cover, from here on.
        operators: Open consoles, at least 1.
        raised_10_min, per_operator_10_min: In the last ten minutes.
        raised_day: In the last day.
        flood_since: None when there is no flood.
        flood_share: Of the time covered, in which there was a flood.
        chattering: Sources that came back three times within a minute, in the last ten minutes.
        stale: Open for more than a day.
        by_tier: Shares of the day's alerts, tier 1 to 4.
        top_sources: The ten that most alerts came from.
        to_acknowledge, to_dispatch, to_deliver: Since it asked for a person, since it was raised,
            since it was told.
    """

    since: str
    operators: int
    raised_10_min: int
    per_operator_10_min: float
    raised_day: int
    flood_since: str | None
    flood_share: float
    chattering: tuple[str, ...]
    stale: int
    by_tier: tuple[float, float, float, float]
    top_sources: tuple[Source, ...]
    to_acknowledge: Spread
    to_dispatch: Spread
    to_deliver: Spread


@dataclass(slots=True)
class _Times:
    values: deque[float] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))

    def note(self, start: str | None, end: str) -> None:
        if start:
            self.values.append(max(0.0, (from_iso(end) - from_iso(start)) / MICROSECONDS))

    def spread(self) -> Spread:
        ordered = sorted(self.values)
        if not ordered:
            return Spread(count=0, median_s=None, p95_s=None, longest_s=None)
        return Spread(
            count=len(ordered),
            median_s=ordered[len(ordered) // 2],
            p95_s=ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))],
            longest_s=ordered[-1],
        )


class Load:
    """Takes in what happens, and gives the figures.

    Args:
        now_us: The present instant.
    """

    def __init__(self, now_us: int) -> None:
        self._since_us = now_us
        self._raised: deque[tuple[int, int, str]] = deque(maxlen=RAISED_KEPT)
        self._recent: deque[tuple[int, str]] = deque(maxlen=RAISED_KEPT)
        self._flood_since_us: int | None = None
        self._flooded_us = 0
        self._acknowledge, self._dispatch, self._deliver = _Times(), _Times(), _Times()
        self._told: OrderedDict[str, str] = OrderedDict()

    def take(self, change: AlertChange, operators: int) -> None:
        """A change of an alert, and how many consoles are open."""
        alert = change.data
        if alert.synthetic:
            return
        if change.kind == "raised":
            at_us = from_iso(change.time)
            self._raised.append((at_us, alert.tier, source_of(alert)))
            self._recent.append((at_us, source_of(alert)))
            self._judge_flood(at_us, operators)
        elif change.kind == "acknowledged":
            self._acknowledge.note(alert.asks_since, change.time)
        elif change.kind == "dispatched":
            self._dispatch.note(alert.raised_at, change.time)
        if alert.told_at is not None and alert.told_version == alert.version:
            self._told[change.id] = change.time
            while len(self._told) > TOLD_KEPT:
                self._told.popitem(last=False)

    def delivered(self, record: DeliveryRecord) -> None:
        """What became of a delivery: her handset's first receipt counts."""
        if record.channel == "handset" and record.state in {"received", "shown", "answered"}:
            self._deliver.note(self._told.pop(record.change_id, None), record.time)

    def flood_since_us(self, now_us: int, operators: int) -> int | None:
        """Since when there is a flood; None when there is none."""
        self._judge_flood(now_us, operators)
        return self._flood_since_us

    def figures(self, now_us: int, ranking: Ranking, operators: int) -> LoadFigures:
        """All figures at an instant; the ranking is that of the open alerts."""
        operators = max(1, operators)
        flood_us = self.flood_since_us(now_us, operators)
        while self._raised and self._raised[0][0] <= now_us - DAY_US:
            self._raised.popleft()
        day = len(self._raised)
        tiers = Counter(tier for _, tier, _ in self._raised)
        sources = Counter(source for _, _, source in self._raised).most_common(SOURCES_SHOWN)
        covered_us = max(1, now_us - self._since_us)
        flooded_us = self._flooded_us + (0 if flood_us is None else now_us - flood_us)
        return LoadFigures(
            since=to_iso(max(self._since_us, now_us - DAY_US)),
            operators=operators,
            raised_10_min=len(self._recent),
            per_operator_10_min=len(self._recent) / operators,
            raised_day=day,
            flood_since=None if flood_us is None else to_iso(flood_us),
            flood_share=min(1.0, flooded_us / covered_us),
            chattering=self._chattering(),
            stale=ranking.raised_before(to_iso(now_us - STALE_US)),
            by_tier=tuple(tiers[tier] / day if day else 0.0 for tier in range(1, 5)),  # type: ignore[arg-type]
            top_sources=tuple(
                Source(name=name, count=count, share=count / day) for name, count in sources
            ),
            to_acknowledge=self._acknowledge.spread(),
            to_dispatch=self._dispatch.spread(),
            to_deliver=self._deliver.spread(),
        )

    def _judge_flood(self, now_us: int, operators: int) -> None:
        while self._recent and self._recent[0][0] <= now_us - WINDOW_US:
            self._recent.popleft()
        each = len(self._recent) / max(1, operators)
        if self._flood_since_us is None and each > FLOOD_BEGINS_ABOVE:
            self._flood_since_us = now_us
        elif self._flood_since_us is not None and each < FLOOD_ENDS_BELOW:
            self._flooded_us += now_us - self._flood_since_us
            self._flood_since_us = None

    def _chattering(self) -> tuple[str, ...]:
        instants: dict[str, list[int]] = {}
        for at_us, source in self._recent:
            instants.setdefault(source, []).append(at_us)
        return tuple(
            sorted(source for source, found in instants.items() if _comes_back(sorted(found)))
        )


def source_of(alert: Alert) -> str:
    """Where an alert comes from, in the caseload's own names."""
    return alert.condition_id or f"{alert.device or alert.agency}: {alert.level}"


def _comes_back(instants_us: list[int]) -> bool:
    """Whether one comes `CHATTER_TIMES` times after the first within `CHATTER_US`."""
    ends = instants_us[CHATTER_TIMES:]
    return any(end - start <= CHATTER_US for start, end in zip(instants_us, ends, strict=False))
