"""A month of alerts in figures, beside what EEMUA 191 and ISA-18.2 ask for.

A pure structure like `alerts.load.Load`, and of the same parts, so that both say the same of the same
stretch of time. It is told of what the history holds, in the order of time.

How many operators shared the alerts does not stand in the history: it is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import get_args

import msgspec

from alerts.deliveries import PROTECTION, DeliveryRecord, DeliveryState
from alerts.load_parts import (
    FLOOD_BEGINS_ABOVE,
    STALE_US,
    WINDOW_US,
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
from alerts.model import SYSTEM, Alert, AlertChange
from devices.instants import from_iso, to_iso
from devices.synthetic import is_synthetic

TIMES_KEPT = 1_000_000
"""Of a month. Beyond it the oldest are forgotten."""

SOURCES_KEPT = 100_000
"""Sources whose chattering is followed; alerts of more are counted all the same."""

OPEN_KEPT = 200_000
"""Alerts whose end is waited for. Beyond it stale ones are missed, and it is said."""

FLOODS_SHOWN = 50

TRUE_OUTCOMES = ("breach", "breach_averted", "help_given")
BY_ITSELF = "closed_by_itself"

MISSED: tuple[DeliveryState, ...] = ("expired", "refused", "dropped")
"""What was due and did not get there."""

STEPS = (0, 1, 2, 5, FLOOD_BEGINS_ABOVE + 1)
"""Alerts for each operator in ten minutes: the classes of the windows, from so many on."""


class FloodSpell(msgspec.Struct, frozen=True, kw_only=True):
    """A flood; `until` is the end of the month where it went on."""

    since: str
    until: str


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts raised on one day, by tier 1 to 4."""

    date: str
    by_tier: tuple[int, int, int, int]


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries over one channel: how many records of each state."""

    channel: str
    states: dict[str, int]

    @property
    def missed(self) -> int:
        """Those that did not get there."""
        return sum(self.states.get(state, 0) for state in MISSED)


class MonthFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a stretch of time.

    Attributes:
        since, until: From an instant to before another.
        operators: Given: how many shared the alerts at any time.
        people: Names under which steps were taken.
        raised: Alerts raised.
        per_operator_10_min: On average.
        busiest_10_min: Most in any ten minutes, for each operator.
        windows: Of all ten minutes from the beginning on, how many had at least as many alerts for
            each operator as `STEPS` says and fewer than the next.
        days: Every day, in the time zone of the report.
        floods: The first `FLOODS_SHOWN`; `flood_count` says how many there were.
        flood_share: Of the time.
        by_tier: Shares of what was raised.
        chattering: Sources that came back three times within a minute, with how often they did.
        stale: Alerts that stood open for more than a day.
        stale_at_end: Those that did at the end.
        top_sources: The ten that most alerts came from.
        to_acknowledge, to_dispatch, to_deliver: As in `alerts.load.LoadFigures`.
        acknowledged_by_tier: `to_acknowledge`, by the tier the alert had then.
        deliveries: By channel.
        missed_reasons: Why deliveries did not get there, the most frequent first.
        outcomes: Of the alerts closed, by outcome; `closed_by_itself` where nobody gave one.
        left_out: Alerts that some figure does not know of, as there were too many.
    """

    since: str
    until: str
    operators: int
    people: int
    raised: int
    per_operator_10_min: float
    busiest_10_min: float
    windows: tuple[int, ...]
    days: tuple[Day, ...]
    floods: tuple[FloodSpell, ...]
    flood_count: int
    flood_share: float
    by_tier: Shares
    chattering: tuple[Source, ...]
    stale: int
    stale_at_end: int
    top_sources: tuple[Source, ...]
    to_acknowledge: Spread
    to_dispatch: Spread
    to_deliver: Spread
    acknowledged_by_tier: dict[int, Spread]
    deliveries: tuple[Delivered, ...]
    missed_reasons: tuple[Source, ...]
    outcomes: dict[str, int]
    left_out: int = 0


class Month:
    """Takes in what a stretch of time held, in its order, and gives the figures.

    Args:
        since_us: Beginning.
        until_us: End, itself not included.
        operators: How many share the alerts.
        date_of: The date of an instant, in the time zone of the report.
        open_before: Alerts that were open at the beginning.
    """

    def __init__(
        self,
        since_us: int,
        until_us: int,
        operators: int,
        date_of: Callable[[int], str],
        open_before: Iterable[Alert] = (),
    ) -> None:
        self._since_us, self._until_us = since_us, until_us
        self._operators = max(1, operators)
        self._date_of = date_of
        self._floods: list[tuple[int, int]] = []
        self._flood = Flood(ended=lambda start_us, end_us: self._floods.append((start_us, end_us)))
        self._responses = Responses(TIMES_KEPT)
        self._by_tier = {tier: Responses(TIMES_KEPT) for tier in range(1, 5)}
        self._tiers: Counter[int] = Counter()
        self._sources: Counter[str] = Counter()
        self._instants: dict[str, list[int]] = {}
        self._windows: Counter[int] = Counter()
        self._days: dict[str, list[int]] = {}
        self._busiest = 0
        self._people: set[str] = set()
        self._outcomes: Counter[str] = Counter()
        self._states: dict[str, Counter[str]] = {}
        self._reasons: Counter[str] = Counter()
        self._open = {alert.alert_id: from_iso(alert.raised_at) for alert in open_before}
        self._stale = 0
        self._left_out = 0

    def take(self, change: AlertChange) -> None:
        """A change of an alert."""
        alert = change.data
        if alert.synthetic:
            return
        if change.actor != SYSTEM:
            self._people.add(change.actor)
        if change.kind == "raised":
            self._raised(alert, from_iso(change.time))
        self._responses.take(change)
        self._by_tier[alert.tier].take(change)
        if alert.resolved_at is not None:
            self._resolved(alert)

    def delivered(self, record: DeliveryRecord) -> None:
        """What became of a delivery. Of the self-test's, and of her status, nothing is counted."""
        if is_synthetic(record.recipient) or record.change_id == PROTECTION:
            return
        self._responses.delivered(record)
        channel = record.channel or "nobody to be reached"
        self._states.setdefault(channel, Counter())[record.state] += 1
        if record.state in MISSED:
            self._reasons[record.reason or record.state] += 1

    def _raised(self, alert: Alert, at_us: int) -> None:
        source = source_of(alert)
        self._tiers[alert.tier] += 1
        self._sources[source] += 1
        self._flood.raised(at_us, source, self._operators)
        self._busiest = max(self._busiest, len(self._flood.recent))
        self._windows[(at_us - self._since_us) // WINDOW_US] += 1
        self._days.setdefault(self._date_of(at_us), [0] * 4)[alert.tier - 1] += 1
        if source in self._instants or len(self._instants) < SOURCES_KEPT:
            self._instants.setdefault(source, []).append(at_us)
        else:
            self._left_out += 1
        if len(self._open) < OPEN_KEPT:
            self._open[alert.alert_id] = at_us
        else:
            self._left_out += 1

    def _resolved(self, alert: Alert) -> None:
        self._outcomes[alert.outcome or BY_ITSELF] += 1
        raised_us = self._open.pop(alert.alert_id, None)
        if raised_us is not None and alert.resolved_at is not None:
            self._stale += from_iso(alert.resolved_at) - raised_us > STALE_US

    def figures(self) -> MonthFigures:
        """All figures. Nothing can be taken in after it."""
        self._flood.pass_to(self._until_us, self._operators)
        lasted_us = self._flood.lasted_us(self._until_us)
        if self._flood.since_us is not None:
            self._floods.append((self._flood.since_us, self._until_us))
        raised = self._tiers.total()
        span_us = self._until_us - self._since_us
        stale = sum(raised_us < self._until_us - STALE_US for raised_us in self._open.values())
        times = self._responses
        return MonthFigures(
            since=to_iso(self._since_us),
            until=to_iso(self._until_us),
            operators=self._operators,
            people=len(self._people),
            raised=raised,
            per_operator_10_min=raised / (span_us / WINDOW_US) / self._operators,
            busiest_10_min=self._busiest / self._operators,
            windows=self._classes(-(-span_us // WINDOW_US)),
            days=self._all_days(),
            floods=tuple(
                FloodSpell(since=to_iso(start), until=to_iso(end))
                for start, end in self._floods[:FLOODS_SHOWN]
            ),
            flood_count=len(self._floods),
            flood_share=min(1.0, lasted_us / max(1, span_us)),
            by_tier=shares_by_tier(self._tiers),
            chattering=self._chattering(),
            stale=self._stale + stale,
            stale_at_end=stale,
            top_sources=top_sources(self._sources),
            to_acknowledge=times.acknowledge.spread(),
            to_dispatch=times.dispatch.spread(),
            to_deliver=times.deliver.spread(),
            acknowledged_by_tier={
                tier: found.acknowledge.spread() for tier, found in self._by_tier.items()
            },
            deliveries=tuple(
                Delivered(
                    channel=channel,
                    states={state: states[state] for state in get_args(DeliveryState)},
                )
                for channel, states in sorted(self._states.items())
            ),
            missed_reasons=top_sources(self._reasons),
            outcomes=dict(self._outcomes.most_common()),
            left_out=self._left_out,
        )

    def _classes(self, windows: int) -> tuple[int, ...]:
        found = [0] * len(STEPS)
        for count in self._windows.values():
            found[sum(count / self._operators >= step for step in STEPS[1:])] += 1
        found[0] += windows - len(self._windows)
        return tuple(found)

    def _all_days(self) -> tuple[Day, ...]:
        """Days without an alert, too: looked for every half hour, as days may have 23 hours."""
        step_us = 3 * WINDOW_US
        dates = dict.fromkeys(
            self._date_of(at_us) for at_us in range(self._since_us, self._until_us, step_us)
        )
        empty = [0, 0, 0, 0]
        days = []
        for date in dates:
            first, second, third, fourth = self._days.get(date, empty)
            days.append(Day(date=date, by_tier=(first, second, third, fourth)))
        return tuple(days)

    def _chattering(self) -> tuple[Source, ...]:
        found = Counter({source: comebacks(sorted(at)) for source, at in self._instants.items()})
        return top_sources(+found)
