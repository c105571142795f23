"""The live stream: what happens is made into a frame once and handed to every open page.

Two kinds of news travel differently.

*Events* (an alert changed, the caseload changed) must not be missed. Each has a number; the last
`RING_EVENTS` are kept. A page that reconnects names the last event it saw, ``<boot>-<number>``,
and is given what it missed. When that is not possible (another boot, too long ago, or a reader so
slow that its queue overflowed) it is told to `resync`: to fetch the picture anew. Either way no
page believes it is up to date when it is not.

*State* (positions, the service's health) is worth only its newest value. It is never replayed. A
reader that has not taken the previous positions loses them and is given all positions when it
next reads, so a slow reader costs the memory of its queue and nothing more.

The hub knows nothing of HTTP: `Subscription.frames` yields the bytes of server-sent events.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from alerts.model import Alert
from console.views import DeviceView, ServiceView, WatchView
from devices.instants import Clock, to_iso

RING_EVENTS = 1024
"""Events kept for pages that come back."""

QUEUE_EVENTS = 256
"""Events that may wait for one reader before it is told to resync."""

SUBSCRIPTIONS = 256
"""Open pages at once."""

BEAT_S = 5.0
"""Every page is sent a beat this often: without one, no news could not be told from no line."""

RETRY_MS = 1000
"""After which a browser reconnects by itself."""


class HubFullError(Exception):
    """`SUBSCRIPTIONS` pages are open already."""


@dataclass(slots=True)
class HubCounts:
    """What the hub has done since it began."""

    events: int = 0
    frames_sent: int = 0
    positions_dropped: int = 0
    replays: int = 0
    resyncs: int = 0
    refused: int = 0


def frame(event: str, data: Any, event_id: str = "") -> bytes:
    """One server-sent event. JSON holds no line break, so the data is a single line."""
    head = f"id: {event_id}\n" if event_id else ""
    return f"{head}event: {event}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a reader starts.

    Attributes:
        event_id: The newest event it has seen.
        missed: Frames of the events since then.
        resumed: It goes on where it was; else it must fetch the picture.
        lost: It asked to go on and cannot: it is told to resync.
    """

    event_id: str
    missed: Sequence[bytes] = ()
    resumed: bool = False
    lost: bool = False


class Hub:
    """Hands what happens to every subscription. All methods belong to one event loop.

    Args:
        boot: Names this run of the service; event numbers begin again with each.
        clock: Gives the present instant.
        build: Version of the service, told to each page that opens.
    """

    def __init__(
        self,
        boot: str,
        clock: Clock,
        *,
        build: str = "",
        ring_events: int = RING_EVENTS,
        queue_events: int = QUEUE_EVENTS,
        subscriptions: int = SUBSCRIPTIONS,
        beat_s: float = BEAT_S,
    ) -> None:
        if not boot or "-" in boot or not boot.isascii() or not boot.isalnum():
            raise ValueError(f"boot {boot!r} must be letters and digits: it stands in event ids")
        self.boot = boot
        self.build = build
        self.beat_s = beat_s
        self.queue_events = queue_events
        self.counts = HubCounts()
        self.closed = False
        self._clock = clock
        self._limit = subscriptions
        self._number = 0
        self._ring: deque[tuple[int, bytes]] = deque(maxlen=ring_events)
        self._subscriptions: set[Subscription] = set()
        self._devices: dict[str, DeviceView] = {}
        self._watches: dict[str, WatchView] = {}
        self._service: bytes = b""
        self._everything: bytes = b""

    def __len__(self) -> int:
        """Open subscriptions."""
        return len(self._subscriptions)

    @property
    def newest_id(self) -> str:
        """Id of the newest event."""
        return f"{self.boot}-{self._number}"

    def now(self) -> str:
        """The server's time, as every frame states it."""
        return to_iso(self._clock())

    def publish_alert(self, alert: Alert, kind: str) -> None:
        """An alert changed; `kind` as in `alerts.model.ChangeKind`."""
        self._event("alert", {"server_time": self.now(), "kind": kind, "alert": alert})

    def publish_plan(self) -> None:
        """The caseload changed: every page fetches the picture anew."""
        self._event("plan", {"server_time": self.now()})

    def publish_positions(self, devices: list[DeviceView], watches: list[WatchView]) -> None:
        """All devices and all watches as they are now; call about once a second.

        Readers are sent what differs from the last call. It may be left out while nobody reads.
        """
        known, seen = self._devices, self._watches
        self._devices = {view.id: view for view in devices}
        self._watches = {view.key: view for view in watches}
        change = {
            "server_time": self.now(),
            "full": False,
            "devices": [view for view in devices if known.get(view.id) != view],
            "watches": [view for view in watches if seen.get(view.key) != view],
            "gone_devices": [key for key in known if key not in self._devices],
            "gone_watches": [key for key in seen if key not in self._watches],
        }
        if not any(change[key] for key in change if key != "server_time"):
            return
        self._everything = b""
        data = frame("positions", change)
        for subscription in self._subscriptions:
            subscription.offer_positions(data)

    def publish_service(self, service: ServiceView) -> None:
        """How the service is; call when it changes and every few seconds."""
        self._service = frame("service", {"server_time": self.now(), "service": service})
        for subscription in self._subscriptions:
            subscription.offer_service()

    def subscribe(self, last_event_id: str | None = None) -> Subscription:
        """A new reader, which last saw `last_event_id` (None for a page that just opened).

        Raises:
            HubFullError: There are `SUBSCRIPTIONS` already.
        """
        self.require_room()
        subscription = Subscription(self, self._resume(last_event_id))
        self._subscriptions.add(subscription)
        return subscription

    def require_room(self) -> None:
        """Refuse a page that could not be served.

        Raises:
            HubFullError: There are `SUBSCRIPTIONS` already.
        """
        if len(self._subscriptions) >= self._limit:
            self.counts.refused += 1
            raise HubFullError(f"{self._limit} pages are open, which is the limit")

    def forget(self, subscription: Subscription) -> None:
        """The reader has gone. State that nobody looks at is let go: it may not be kept up."""
        self._subscriptions.discard(subscription)
        if not self._subscriptions:
            self._devices, self._watches = {}, {}
            self._everything = self._service = b""

    def open(self) -> None:
        """Take subscriptions, again after a `close`."""
        self.closed = False

    def close(self) -> None:
        """End every stream; pages reconnect when the service is back."""
        self.closed = True
        for subscription in self._subscriptions:
            subscription.wake()

    def everything(self) -> bytes:
        """All positions as one frame, built once for all readers that need it.

        Empty before the first `publish_positions`: an empty list would say that nobody is there.
        """
        if not self._everything and (self._devices or self._watches):
            data = {
                "server_time": self.now(),
                "full": True,
                "devices": list(self._devices.values()),
                "watches": list(self._watches.values()),
                "gone_devices": [],
                "gone_watches": [],
            }
            self._everything = frame("positions", data)
        return self._everything

    @property
    def service_frame(self) -> bytes:
        """The newest state of the service; empty when there is none yet."""
        return self._service

    def _event(self, name: str, data: Any) -> None:
        self._number += 1
        self.counts.events += 1
        built = frame(name, data, self.newest_id)
        self._ring.append((self._number, built))
        for subscription in self._subscriptions:
            subscription.offer_event(built)

    def _resume(self, last_event_id: str | None) -> _Start:
        if not last_event_id:
            return _Start(self.newest_id)
        boot, _, text = last_event_id.rpartition("-")
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else -1
        oldest = self._ring[0][0] if self._ring else self._number + 1
        if boot != self.boot or not oldest - 1 <= number <= self._number:
            self.counts.resyncs += 1
            return _Start(self.newest_id, lost=True)
        missed = [built for n, built in self._ring if n > number]
        self.counts.replays += bool(missed)
        return _Start(f"{boot}-{number}", missed, resumed=True)


class Subscription:
    """One reader's queue. Made by `Hub.subscribe`.

    Args:
        hub: Where it reads from.
        start: Where the reader starts.
    """

    def __init__(self, hub: Hub, start: _Start) -> None:
        self._hub = hub
        self._events: deque[bytes] = deque()
        self._lost = start.lost
        self._positions = b""
        self._all_positions = True
        self._service_due = True
        self._woken = asyncio.Event()
        # The id is the reader's own until it has what it missed: were the connection to break
        # between the greeting and the replay, it must ask for the same events again.
        self._greeting = self._greet(start)
        self._missed = deque(start.missed)

    def _greet(self, start: _Start) -> bytes:
        hub = self._hub
        data = {
            "server_time": hub.now(),
            "boot": hub.boot,
            "build": hub.build,
            "resumed": start.resumed,
        }
        return f"retry: {RETRY_MS}\n".encode() + frame("hello", data, start.event_id)

    def offer_event(self, built: bytes) -> None:
        """Queue an event, or give up on this reader's history when it is too far behind."""
        if self._lost:
            return
        if len(self._events) >= self._hub.queue_events:
            self._lost = True
            self._events.clear()
            self._missed.clear()
            self._hub.counts.resyncs += 1
        else:
            self._events.append(built)
        self._woken.set()

    def offer_positions(self, built: bytes) -> None:
        """Hold the newest change of positions; a second one before the first is read: all."""
        if self._positions or self._all_positions:
            self._hub.counts.positions_dropped += bool(self._positions)
            self._positions = b""
            self._all_positions = True
        else:
            self._positions = built
        self._woken.set()

    def offer_service(self) -> None:
        """The newest state of the service is to be sent."""
        self._service_due = True
        self._woken.set()

    def wake(self) -> None:
        """Let the reader see that the hub has closed."""
        self._woken.set()

    def take(self) -> bytes:
        """What to send next; empty when there is nothing. Events go before positions."""
        hub = self._hub
        if self._greeting:
            data, self._greeting = self._greeting, b""
        elif self._lost:
            self._lost = False
            data = frame("resync", {"server_time": hub.now()}, hub.newest_id)
        elif self._missed:
            data = self._missed.popleft()
        elif self._events:
            data = self._events.popleft()
        elif self._service_due:
            self._service_due = False
            data = hub.service_frame
        elif self._all_positions:
            self._all_positions = False
            data = hub.everything()
        else:
            data, self._positions = self._positions, b""
        return data

    @property
    def waiting_events(self) -> int:
        """Events that wait to be read; at most the queue's limit and the ring's."""
        return len(self._missed) + len(self._events)

    @property
    def waiting(self) -> bool:
        """Whether `take` may have something to send."""
        return bool(
            self._greeting
            or self._lost
            or self.waiting_events
            or self._service_due
            or self._all_positions
            or self._positions
        )

    def close(self) -> None:
        """The reader has gone. Harmless when called twice."""
        self._hub.forget(self)

    async def frames(self) -> AsyncGenerator[bytes]:
        """Frames as they come and a beat every `beat_s`, until the hub closes.

        A beat is made when it is sent, so its `server_time` is fresh; that of other frames may
        have waited.
        """
        hub, loop = self._hub, asyncio.get_running_loop()
        beat_at = loop.time() + hub.beat_s
        try:
            while not hub.closed:
                self._woken.clear()
                if loop.time() >= beat_at:
                    beat_at = loop.time() + hub.beat_s
                    yield frame("beat", {"server_time": hub.now()})
                elif data := self.take():
                    hub.counts.frames_sent += 1
                    yield data
                elif not self.waiting:
                    await self._news(beat_at)
        finally:
            self.close()

    async def _news(self, until: float) -> None:
        """Wait for news, but not beyond this instant of the loop's clock."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._woken.wait()
