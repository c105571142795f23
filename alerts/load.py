"""How heavy the alerts are on those who work with them: the figures of EEMUA 191 and ISA-18.2.

A pure structure: it is told of changes and deliveries with their time, and answers for an instant. It
covers what happened since the start of the service, at most a day. `alerts.load_parts` has the
definitions, their limits and the sources of these.
"""

from __future__ import annotations

from collections import Counter, deque

import msgspec

from alerts.deliveries import DeliveryRecord
from alerts.load_parts import (
    RAISED_KEPT,
    STALE_US,
    Flood,
    Responses,
    Shares,
    Source,
    Spread,
    comebacks,
    shares_by_tier,
    source_of,
    top_sources,
)
from alerts.model import AlertChange
from alerts.ranking import Ranking
from devices.instants import MICROSECONDS, from_iso, to_iso

DAY_US = 86_400 * MICROSECONDS


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
    by_tier: Shares
    top_sources: tuple[Source, ...]
    to_acknowledge: Spread
    to_dispatch: Spread
    to_deliver: Spread


class Load:
    """Takes in what happens, and gives the figures.

    Args:
        now_us: The present instant.
    """

    def __init__(self, now_us: int) -> None:
        self._since_us = now_us
        self._raised: deque[tuple[int, int, str]] = deque(maxlen=RAISED_KEPT)
        self._flood = Flood()
        self._responses = Responses()

    def take(self, change: AlertChange, operators: int) -> None:
        """A change of an alert, and how many consoles are open."""
        alert = change.data
        if alert.synthetic:
            return
        if change.kind == "raised":
            at_us = from_iso(change.time)
            self._raised.append((at_us, alert.tier, source_of(alert)))
            self._flood.raised(at_us, source_of(alert), operators)
        self._responses.take(change)

    def delivered(self, record: DeliveryRecord) -> None:
        """What became of a delivery."""
        self._responses.delivered(record)

    def flood_since_us(self, now_us: int, operators: int) -> int | None:
        """Since when there is a flood; None when there is none."""
        self._flood.pass_to(now_us, operators)
        return self._flood.since_us

    def figures(self, now_us: int, ranking: Ranking, operators: int) -> LoadFigures:
        """All figures at an instant; the ranking is that of the open alerts."""
        operators = max(1, operators)
        flood_us = self.flood_since_us(now_us, operators)
        while self._raised and self._raised[0][0] <= now_us - DAY_US:
            self._raised.popleft()
        recent = len(self._flood.recent)
        covered_us = max(1, now_us - self._since_us)
        return LoadFigures(
            since=to_iso(max(self._since_us, now_us - DAY_US)),
            operators=operators,
            raised_10_min=recent,
            per_operator_10_min=recent / operators,
            raised_day=len(self._raised),
            flood_since=None if flood_us is None else to_iso(flood_us),
            flood_share=min(1.0, self._flood.lasted_us(now_us) / covered_us),
            chattering=self._chattering(),
            stale=ranking.raised_before(to_iso(now_us - STALE_US)),
            by_tier=shares_by_tier(Counter(tier for _, tier, _ in self._raised)),
            top_sources=top_sources(Counter(source for _, _, source in self._raised)),
            to_acknowledge=self._responses.acknowledge.spread(),
            to_dispatch=self._responses.dispatch.spread(),
            to_deliver=self._responses.deliver.spread(),
        )

    def _chattering(self) -> tuple[str, ...]:
        instants: dict[str, list[int]] = {}
        for at_us, source in self._flood.recent:
            instants.setdefault(source, []).append(at_us)
        return tuple(
            sorted(source for source, found in instants.items() if comebacks(sorted(found)))
        )
