"""Which entries stood where in a stream, lately: to notice that its positions are given away again.

A stream that has lost its end (a power cut, at a broker that forces its files to the disk once a
second) counts on from what is left. By the time somebody looks, it may be longer than before, and
only what stands at a position tells that it is another entry.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping

MESSAGE_ID = "Nats-Msg-Id"

REMEMBERED = 4096
"""Positions. A broker loses the last second; of streams that had more in it, more is read again."""


def name_of(headers: Mapping[str, str] | None, data: bytes) -> str:
    """What tells an entry from others: the name that its writer gave it, else its content."""
    return (headers or {}).get(MESSAGE_ID) or hashlib.sha256(data).hexdigest()


class Trail:
    """See the module. No I/O."""

    def __init__(self) -> None:
        self._names: OrderedDict[int, str] = OrderedDict()
        self._broken_after: int | None = None

    def note(self, position: int, name: str) -> None:
        """This entry stands there."""
        self._names[position] = name
        self._names.move_to_end(position)
        if len(self._names) > REMEMBERED:
            self._names.popitem(last=False)

    def contradicts(self, position: int, name: str) -> bool:
        """Whether it is known that another entry stood there."""
        return self._names.get(position, name) != name

    def knows(self, position: int) -> bool:
        """Whether it is known what stood there."""
        return position in self._names

    def positions(self) -> list[int]:
        """Those that are known, growing."""
        return sorted(self._names)

    def break_before(self, position: int) -> None:
        """Somebody has learnt that this position was given away again: the reader begins there."""
        self.forget_after(position - 1)
        before = self._broken_after
        self._broken_after = position - 1 if before is None else min(before, position - 1)

    def take_break(self) -> int | None:
        """The position behind which to begin again; None: nowhere. It is told once."""
        found, self._broken_after = self._broken_after, None
        return found

    def forget_after(self, position: int) -> None:
        """What is behind it is gone from the stream."""
        for later in [one for one in self._names if one > position]:
            del self._names[later]
