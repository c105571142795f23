"""Looks at how the service is, once a second, and tells its technical contacts what is degraded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from alerts.channels import Channel
from alerts.contacts import Contacts
from alerts.degraded import Degraded, News
from alerts.deliveries import ChannelName
from alerts.escalation_rules import AskedRole
from cordon.direct_asking import DirectAsking
from devices.instants import Clock, to_iso

log = structlog.get_logger("troubles")

CHECK_S = 1.0
ROLES: tuple[AskedRole, ...] = ("technical", "supervisor")
"""Where no technical contact is named, supervisors are told."""

_TITLES = {
    "broker": "Cordon: the broker",
    "database": "Cordon: the database",
    "engine": "Cordon: alerts are late",
    "fleet": "Cordon: many devices are silent",
}


class TroubleWatch:
    """Keeps the states up, and asks.

    Args:
        degraded: Where the states are kept for whoever shows them.
        present: By name, what is wrong now.
        asking: Over channels that need no broker.
        clock: The time.
    """

    def __init__(
        self,
        degraded: Degraded,
        present: Callable[[], Mapping[str, str]],
        asking: DirectAsking,
        clock: Clock,
    ) -> None:
        self._degraded = degraded
        self._present = present
        self._asking = asking
        self._clock = clock

    async def run(self) -> None:
        """Watch until cancelled. Asking holds up no look."""
        async with asyncio.TaskGroup() as group:
            while True:
                now_us = self._clock()
                for news in self._degraded.update(self._present(), now_us):
                    log.warning("degraded", state=news.name, kind=news.kind, detail=news.detail)
                    group.create_task(self._tell(news, now_us))
                await asyncio.sleep(CHECK_S)

    async def _tell(self, news: News, now_us: int) -> None:
        title = _TITLES.get(news.name, f"Cordon: {news.name}")
        since = to_iso(news.since_us)
        if news.kind == "over":
            text = f"It is over; it lasted from {since}."
        else:
            text = f"{news.detail[0].upper()}{news.detail[1:]}. Since {since}."
        await self._asking.ask(ROLES, f"degraded_{news.kind}", title, text, now_us)


def watch_of(
    degraded: Degraded,
    present: Callable[[], Mapping[str, str]],
    contacts: Contacts,
    channels: Mapping[ChannelName, Channel],
    clock: Clock,
) -> TroubleWatch:
    """The watch over a service that has these contacts, and these channels to them."""
    return TroubleWatch(degraded, present, DirectAsking(contacts, channels), clock)
