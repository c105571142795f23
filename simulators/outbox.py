"""What a device still has to get rid of: every fix is kept until the broker has acknowledged it.

Nothing here waits or sends; `simulators.device` does. Items are *waiting* until a parcel of them is
sent and *in flight* until that parcel is acknowledged. A lost connection puts everything that was in
flight back in front, in the old order, with the same bytes: the receiver sees a repetition as one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

FIXES_LIMIT = 10_000
"""Fixes a device keeps without acknowledgement: nearly three hours at one a second. When there are
more the oldest waiting one is given up and counted, as in a tag whose memory is full."""

URGENT_LIMIT = 1_000
"""Events and receipts kept likewise."""

WINDOW = 20
"""Parcels in flight at once. With fewer than 10 a broker that changes its leader stalls a device."""

FLUSH_FROM = 20
"""With more fixes waiting than this, several travel in one message: the buffer is being flushed."""

FLUSH_FIXES = 100
"""Fixes in one message at most: about 20 kB, far below a broker's usual limit of 64 kB or more.
The payload contract would allow 500."""


@dataclass(slots=True, eq=False)
class Item:
    """One fix, event or receipt.

    Attributes:
        name: Last level of its topic.
        body: Encoded once, so that a repetition is byte for byte the same.
        seq: Its sequence number; -1 for a receipt.
        time_us: Its own time.
        tried: It has been handed to a connection at least once.
    """

    name: str
    body: bytes
    seq: int = -1
    time_us: int = 0
    tried: bool = False


@dataclass(slots=True, eq=False)
class Parcel:
    """What travels as one message."""

    items: tuple[Item, ...]

    @property
    def name(self) -> str:
        """Last level of the topic."""
        return self.items[0].name

    @property
    def payload(self) -> bytes:
        """One item as it is, several as a JSON array."""
        if len(self.items) == 1:
            return self.items[0].body
        return b"[" + b",".join(item.body for item in self.items) + b"]"


@dataclass(slots=True)
class Outbox:
    """The device's memory.

    Attributes:
        given_up: Items that were forgotten because a limit was reached.
    """

    given_up: int = 0
    _fixes: deque[Item] = field(default_factory=deque)
    _urgent: deque[Item] = field(default_factory=deque)
    _in_flight: dict[int, Parcel] = field(default_factory=dict)  # by identity, oldest first

    def __len__(self) -> int:
        """Everything not acknowledged."""
        in_flight = sum(len(parcel.items) for parcel in self._in_flight.values())
        return len(self._fixes) + len(self._urgent) + in_flight

    def add(self, item: Item) -> None:
        """Keep an item; at the limit the oldest waiting one of its sort goes."""
        waiting, limit = (
            (self._fixes, FIXES_LIMIT) if item.name == "fix" else (self._urgent, URGENT_LIMIT)
        )
        waiting.append(item)
        if len(waiting) > limit:
            waiting.popleft()
            self.given_up += 1

    def take(self) -> Parcel | None:
        """The next parcel, now in flight; None when nothing waits or the window is full.

        Events and receipts go before fixes: a panic does not queue behind a flushed buffer.
        """
        if len(self._in_flight) >= WINDOW:
            return None
        if self._urgent:
            parcel = Parcel((self._urgent.popleft(),))
        elif self._fixes:
            count = min(len(self._fixes), FLUSH_FIXES) if len(self._fixes) > FLUSH_FROM else 1
            parcel = Parcel(tuple(self._fixes.popleft() for _ in range(count)))
        else:
            return None
        self._in_flight[id(parcel)] = parcel
        return parcel

    def acknowledge(self, parcel: Parcel) -> None:
        """The broker has this parcel: forget it."""
        del self._in_flight[id(parcel)]

    def take_back(self) -> None:
        """The connection is gone: what was in flight waits again, before everything newer."""
        for parcel in reversed(self._in_flight.values()):
            waiting = self._fixes if parcel.name == "fix" else self._urgent
            waiting.extendleft(reversed(parcel.items))
        self._in_flight.clear()
