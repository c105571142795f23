"""How far the past is known, so that what comes again raises nothing again.

Per subject the number of the last transition and the newest onset: what the engine decides again after
a crash is known by them. Per event of a device the newest sequence number and time. Where devices give
no numbers, the content and the time of arrival take their place (`Mark.knows`).
"""

from __future__ import annotations

import msgspec

RECENT_EVENTS = 16
"""Contents of events without a number that are known again, of one device and type. What is sent
once more after so many others, under a clock that was set back, raises an alert again."""


class Passed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far one subject has come: its last transition and its newest onset."""

    number: int
    onset_us: int

    def has(self, number: int, onset_us: int) -> bool:
        """Whether a transition is one that was applied already.

        Numbers alone do not tell: an engine that lost its state counts from 1 again, and what it
        then says must not be taken for a repetition. Its episodes are newer than any known.
        """
        return number <= self.number and onset_us <= self.onset_us


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The newest event of one type from one device.

    Attributes:
        seq: The highest number; -1: none had one.
        time_us: The latest time, by the device.
        received_us: The latest arrival; -1: an older version did not note it.
        recent: Of events without a number the last few that were derived from their content.
    """

    seq: int
    time_us: int
    received_us: int = -1
    recent: tuple[int, ...] = ()

    def has(self, seq: int, time_us: int) -> bool:
        """Whether an event is this one or older.

        Older by number *and* by time: a device whose counter or whose clock was set back must
        still be heard. Where one of the two has no number, time alone decides.
        """
        counted = seq >= 0 and self.seq >= 0
        return time_us <= self.time_us and (not counted or seq <= self.seq)

    def knows(self, seq: int, time_us: int, received_us: int, *, doubted: bool) -> bool:
        """Whether an event was taken in already.

        Without numbers to go by, the same content is the same event, sent again; another content
        that has arrived later is another one, whatever the device's clock says: it may have been
        set back, and no call for help may be taken for an old one. What arrived before is known by
        its time: a journal that is read again. Where the time was not believed (`doubted`) the
        content does not tell, as two presses of a button may be the same bytes; its time is then
        that of its arrival.
        """
        if seq >= 0 and self.seq >= 0:
            return self.has(seq, time_us)
        if not doubted and seq in self.recent:
            return True
        arrived_before = self.received_us < 0 or received_us <= self.received_us
        return time_us <= self.time_us and arrived_before

    def with_(self, other: Mark) -> Mark:
        """The mark of both."""
        recent = dict.fromkeys((*self.recent, *other.recent))
        return Mark(
            max(self.seq, other.seq),
            max(self.time_us, other.time_us),
            max(self.received_us, other.received_us),
            tuple(recent)[-RECENT_EVENTS:],
        )


def mark_of(seq: int, time_us: int, received_us: int) -> Mark:
    """The mark of one event; a number below 0 was derived from its content."""
    return Mark(max(seq, -1), time_us, received_us, (seq,) if seq < -1 else ())
