"""Open alerts in the order in which people should look at them, kept in order as they change.

What nobody has taken in hand stands before what somebody has; within each, the worst tier first, the
oldest first within it. So the most urgent few of very many are found without looking at the others.
Alerts of the synthetic pair are not ranked: nobody is to look at them.
"""

from __future__ import annotations

from bisect import bisect_left, insort

from alerts.model import Alert

FRESH, OVER, IN_HAND, SHELVED = range(4)
"""Lanes: it lasts and nobody has it; it is over and nobody has seen it; somebody has it; put aside."""

_TIERS = 4
_Place = list[tuple[str, str]]


class Ranking:
    """Ids of open alerts by lane and tier, each list in the order of the instants of raising."""

    def __init__(self) -> None:
        self._places: tuple[_Place, ...] = tuple([] for _ in range(4 * _TIERS))

    def change(self, before: Alert | None, after: Alert | None) -> None:
        """An alert has come, gone, or changed. `before` is as it was given last."""
        old, new = _place_of(before), _place_of(after)
        if old == new:
            return  # neither tier nor lane: the instant of raising never changes
        if before is not None and old is not None:
            place = self._places[old]
            del place[bisect_left(place, (before.raised_at, before.alert_id))]
        if after is not None and new is not None:
            insort(self._places[new], (after.raised_at, after.alert_id))

    def first(self, limit: int, offset: int = 0) -> list[str]:
        """Ids of the most urgent, without so many at the front."""
        found: list[str] = []
        for place in self._places:
            wanted = place[offset : offset + limit - len(found)]
            found += [alert_id for _, alert_id in wanted]
            offset = max(0, offset - len(place))
        return found

    def __len__(self) -> int:
        """How many are ranked."""
        return sum(map(len, self._places))

    def by_tier(self) -> tuple[int, ...]:
        """How many of each tier, 1 to 4."""
        return tuple(sum(map(len, self._places[tier::_TIERS])) for tier in range(_TIERS))

    def raised_before(self, instant: str) -> int:
        """How many were raised before an instant, as `Alert.raised_at` writes it."""
        return sum(bisect_left(place, (instant, "")) for place in self._places)


def lane_of(alert: Alert) -> int:
    """The lane of an alert as it stands."""
    if alert.shelved_until is not None:
        return SHELVED
    if alert.acknowledged_by is not None:
        return IN_HAND
    return OVER if alert.state == "returned" else FRESH


def _place_of(alert: Alert | None) -> int | None:
    """Where an alert is ranked; None: nowhere."""
    if alert is None or alert.synthetic:
        return None
    return lane_of(alert) * _TIERS + alert.tier - 1
