"""Who is told what the worker takes in: the picture, the strangers, open consoles, her status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from console.hub import Hub
from cordon.picture import Heard
from cordon.strangers import Strangers
from devices.reports import Batch


class Observer(Protocol):
    """Whoever shows what happens. Must not block."""

    def applied(self, batch: Batch) -> None:
        """A batch has been taken into the state."""

    def replanned(self) -> None:
        """The caseload, or what of it is in force, has changed."""


class Telling:
    """Passes on what the worker has taken in."""

    def __init__(
        self,
        heard: Heard,
        strangers: Strangers,
        hub: Hub,
        plan_changed: asyncio.Event,
        came_online: Callable[[str], None],
    ) -> None:
        self._came_online = came_online
        self._heard = heard
        self._strangers = strangers
        self._plan_changed = plan_changed
        self._hub = hub

    def applied(self, batch: Batch) -> None:
        """See `Observer.applied`."""
        self._heard.note(batch)
        self._strangers.note(batch)
        for status in batch.statuses:
            if status.online:
                self._came_online(status.device)

    def replanned(self) -> None:
        """See `Observer.replanned`."""
        self._plan_changed.set()
        self._hub.publish_plan()
