"""What waits to be sent, by channel: the most urgent first, then the oldest. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from typing import get_args

from alerts.deliveries import ChannelName, Delivery

CHANNELS: tuple[ChannelName, ...] = get_args(ChannelName)

_Queue = OrderedDict[str, None]
_Tiers = tuple[_Queue, _Queue, _Queue, _Queue]


class Lanes:
    """Deliveries that are not finished; some of them are in somebody's hands."""

    def __init__(self) -> None:
        self._waiting: dict[str, Delivery] = {}
        self._by_tier: dict[ChannelName, _Tiers] = {name: _tiers() for name in CHANNELS}
        self._ready: dict[ChannelName, _Tiers] = {name: _tiers() for name in CHANNELS}

    def __contains__(self, delivery_id: str) -> bool:
        return delivery_id in self._waiting

    def find(self, delivery_id: str) -> Delivery | None:
        """The delivery of this id."""
        return self._waiting.get(delivery_id)

    def all(self) -> Collection[Delivery]:
        """In the order in which they came."""
        return self._waiting.values()

    def add(self, delivery: Delivery) -> None:
        """It is in nobody's hands."""
        self._waiting[delivery.id] = delivery
        self._by_tier[delivery.channel][delivery.tier - 1][delivery.id] = None
        self.put_back(delivery)

    def put_back(self, delivery: Delivery) -> None:
        """It is in nobody's hands any more."""
        self._ready[delivery.channel][delivery.tier - 1][delivery.id] = None

    def put_all_back(self, channel: ChannelName) -> None:
        """Nothing of this channel is in anybody's hands any more."""
        for ready, waiting in zip(self._ready[channel], self._by_tier[channel], strict=True):
            ready.clear()
            ready.update(waiting)

    def next(self, channel: ChannelName) -> Delivery | None:
        """The most urgent one that is in nobody's hands; now it is in yours."""
        for tier in self._ready[channel]:
            if tier:
                found, _ = tier.popitem(last=False)
                return self._waiting[found]
        return None

    def beyond(self, channel: ChannelName, limit: int) -> Delivery | None:
        """The oldest of the least urgent, where more than so many wait."""
        tiers = self._by_tier[channel]
        if sum(map(len, tiers)) <= limit:
            return None
        least = next(tier for tier in reversed(tiers) if tier)
        return self._waiting[next(iter(least))]

    def remove(self, delivery: Delivery) -> None:
        """It is finished."""
        self._waiting.pop(delivery.id, None)
        for tiers in (self._by_tier, self._ready):
            tiers[delivery.channel][delivery.tier - 1].pop(delivery.id, None)


def _tiers() -> _Tiers:
    return OrderedDict(), OrderedDict(), OrderedDict(), OrderedDict()
