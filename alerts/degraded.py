"""Degraded states of the service: since when each lasts, and when those who mend it must be told. Pure.

A state counts from its first sight, is told when it has lasted a little (a restart of a part takes
seconds and is no news), is told again while it lasts, and its end is told where its beginning was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from devices.instants import MICROSECONDS

TOLD_AFTER_S = 10.0
OVER_AFTER_S = 10.0
"""Away for so long, it is over; what comes and goes faster is one state."""

REMIND_S = 900.0

NewsKind = Literal["begins", "lasts", "over"]


class Lasting(msgspec.Struct):
    """A state that goes on.

    Attributes:
        detail: What is wrong and what it means, in words for staff.
        seen_us: When it was seen last.
        told_us: When those who mend it were told last; None: not yet.
    """

    name: str
    detail: str
    since_us: int
    seen_us: int
    told_us: int | None = None


class News(msgspec.Struct, frozen=True):
    """Somebody must be told of a state."""

    kind: NewsKind
    name: str
    detail: str
    since_us: int


class Degraded:
    """The states that go on, by their names."""

    def __init__(self) -> None:
        self._lasting: dict[str, Lasting] = {}

    @property
    def going_on(self) -> list[Lasting]:
        """All of them, the longest first."""
        return list(self._lasting.values())

    def update(self, present: Mapping[str, str], now_us: int) -> list[News]:
        """Take in how things are.

        Args:
            present: By its name, what is wrong with each state that is seen now.
            now_us: The present instant.

        Returns:
            What those who mend it must be told.
        """
        for name, detail in present.items():
            known = self._lasting.setdefault(name, Lasting(name, detail, now_us, now_us))
            known.detail, known.seen_us = detail, now_us
        found = [news for one in self._lasting.values() if (news := _due(one, now_us))]
        for news in found:
            if news.kind == "over":
                del self._lasting[news.name]
        self._lasting = {
            name: one for name, one in self._lasting.items() if not _is_over(one, now_us)
        }
        return found


def _is_over(one: Lasting, now_us: int) -> bool:
    return now_us - one.seen_us >= OVER_AFTER_S * MICROSECONDS


def _due(one: Lasting, now_us: int) -> News | None:
    if _is_over(one, now_us):
        return _news("over", one) if one.told_us is not None else None
    if one.told_us is None:
        due = one.seen_us - one.since_us >= TOLD_AFTER_S * MICROSECONDS
        kind: NewsKind = "begins"
    else:
        due = now_us - one.told_us >= REMIND_S * MICROSECONDS and one.seen_us == now_us
        kind = "lasts"
    if not due:
        return None
    one.told_us = now_us
    return _news(kind, one)


def _news(kind: NewsKind, one: Lasting) -> News:
    return News(kind, one.name, one.detail, one.since_us)
