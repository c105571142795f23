"""What a worker has taken in lately, by name, and how far the journal has confirmed it. No I/O."""

from __future__ import annotations

from collections import OrderedDict

REMEMBERED_NAMES = 20_000
"""Names of batches applied lately. One that is forgotten and comes again is applied again, which
changes nothing (see `docs/decisions/0003-journal-read-twice.md`)."""

MAX_CONFIRMED = 10_000
"""Confirmed positions remembered behind a hole; the stream has those beyond it, too."""


class Applied:
    """Names of batches that were taken in, and positions confirmed behind a hole."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()
        self._confirmed: set[int] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._names

    @property
    def has_hole(self) -> bool:
        """Whether something is confirmed behind a position that is not."""
        return bool(self._confirmed)

    def remember(self, name: str) -> None:
        """A batch was taken in."""
        self._names[name] = None
        if len(self._names) > REMEMBERED_NAMES:
            self._names.popitem(last=False)

    def confirm(self, position: int, after: int) -> int:
        """The journal has a batch that was taken in; how far it has all, beginning at `after`."""
        if len(self._confirmed) < MAX_CONFIRMED:
            self._confirmed.add(position)
        while after + 1 in self._confirmed:
            after += 1
            self._confirmed.discard(after)
        return after

    def passed(self, position: int) -> None:
        """The stream was read up to a position."""
        self._confirmed.discard(position)

    def forget_positions(self) -> None:
        """The journal begins elsewhere; names stay."""
        self._confirmed.clear()
