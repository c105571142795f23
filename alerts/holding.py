"""What is held back for one person, until it is told in one message or overtaken by something urgent.

Nothing that is held is forgotten: it stays until her handset has said that it has the digest that held
it, or until a newer notice of the same alert reaches her. Pure: time is given.
"""

from __future__ import annotations

import msgspec

from devices.instants import MICROSECONDS

HELD_LIMIT = 200
"""Alerts held for one person. Beyond it the oldest is counted only, and the digest says how many."""

ITEMS_SHOWN = 12
"""Alerts in one digest, so that it fits into one command; the others come with the next."""

ANSWER_LIMIT_S = 600
"""Without a receipt for so long a digest is made again, with what has come since; twice as long after
each, up to `ANSWER_LONGEST_S`."""

ANSWER_LONGEST_S = 6 * 3_600


class Held(msgspec.Struct, frozen=True, array_like=True):
    """The newest notice of one alert that was held back.

    Attributes:
        count: Notices of this alert that were.
    """

    alert_id: str
    version: int
    tier: int
    time: str
    title: str
    text: str
    count: int


class Sent(msgspec.Struct, array_like=True):
    """A digest that was made and that no handset has answered yet."""

    id: str
    made_us: int
    items: list[Held]
    more: int


class Holding(msgspec.Struct, array_like=True):
    """All that is held for one person.

    Attributes:
        items: By alert, the oldest first.
        more: Alerts let go at `HELD_LIMIT`.
        due_us: When the next digest is to be made; None while nothing is held.
        sent: The digest under way.
        number: Digests made.
        tries: Digests in a row that nobody answered.
    """

    items: dict[str, Held] = {}
    more: int = 0
    due_us: int | None = None
    sent: Sent | None = None
    number: int = 0
    tries: int = 0

    def hold(self, held: Held, due_us: int) -> None:
        """Hold a notice; it takes the place of an older one of its alert."""
        before = self.items.pop(held.alert_id, None)
        if before is not None:
            held = msgspec.structs.replace(held, count=before.count + held.count)
        self.items[held.alert_id] = held
        if len(self.items) > HELD_LIMIT:
            del self.items[next(iter(self.items))]
            self.more += 1
        self.due_us = due_us if self.due_us is None else min(due_us, self.due_us)

    def overtake(self, alert_id: str) -> None:
        """A newer notice of this alert is told at once."""
        self.items.pop(alert_id, None)
        if not self.items and not self.more:
            self.due_us = None

    def replan(self, due_us: int) -> None:
        """Her choices have changed: what is held becomes due then."""
        if self.items or self.more:
            self.due_us = due_us

    def is_due(self, now_us: int) -> bool:
        """Whether a digest is to be made now. One at a time."""
        return self.sent is None and self.due_us is not None and now_us >= self.due_us

    def next_items(self) -> tuple[list[Held], int]:
        """What the digest has: the newest, and how many alerts it has no room for."""
        newest = list(self.items.values())[-ITEMS_SHOWN:]
        return newest, self.more

    def make(self, digest_id: str, number: int, items: list[Held], more: int, made_us: int) -> None:
        """A digest of these was made. One that is known changes nothing."""
        if number <= self.number:
            return
        self.number = number
        for item in items:
            known = self.items.get(item.alert_id)
            if known is not None and known.version <= item.version:
                del self.items[item.alert_id]
        self.more = max(0, self.more - more)
        self.sent = Sent(digest_id, made_us, items, more)
        # What did not fit follows when this one has arrived.
        self.due_us = made_us if self.items or self.more else None

    def arrived(self, digest_id: str) -> None:
        """A handset has the digest. One that is not awaited changes nothing."""
        if self.sent is not None and self.sent.id == digest_id:
            self.sent, self.tries = None, 0

    def give_back(self, now_us: int) -> None:
        """Hold again what nobody has answered in time."""
        if self.sent is None:
            return
        patience_s = min(ANSWER_LIMIT_S * 2**self.tries, ANSWER_LONGEST_S)
        if now_us - self.sent.made_us < patience_s * MICROSECONDS:
            return
        sent, self.sent, self.tries = self.sent, None, min(self.tries + 1, 32)
        newer, self.items = self.items, {item.alert_id: item for item in sent.items}
        for item in newer.values():
            self.hold(item, now_us)
        self.more += sent.more
        self.due_us = now_us
