"""A rehearsal that may die after any entry of the alerts stream, and goes on from what was written."""

from __future__ import annotations

from alerts.deliveries import Delivery, decode_entry, encode_entry
from alerts.model import AlertChange
from alerts.rehearsal import START_US, Rehearsal
from alerts.stories import Beat, Story, Takes
from devices.instants import MICROSECONDS, from_iso
from devices.reports import Receipt
from tests.alerts.builders import PROFILES

WATCHES = ("proximity/tag-1", "exclusion/tag-1")


class Mortal(Rehearsal):
    """Plays only the seconds in which something happens.

    Args:
        seconds: Those.
    """

    def __init__(self, story: Story, seconds: list[int]) -> None:
        self.receipts: list[Receipt] = []
        self.heard: set[str] = set()
        super().__init__(story, PROFILES)
        self.seconds = seconds
        self.checkpoint = (self.desk.snapshot(), self.outbox.snapshot(), 0)

    def play_and_die_after(self, *entries: int, checkpointed: bool) -> None:
        """Play; each time that so many entries are written, die and go on."""
        deaths = list(entries)
        for second in self.seconds:
            before = (dict(self._numbers), dict(self._onsets), dict(self._levels), self._seq)
            written = len(self.entries)
            self.receipts.clear()
            self.go_to(second)
            if deaths and len(self.entries) >= deaths[0]:
                self._numbers, self._onsets, self._levels, self._seq = before
                self.die(max(deaths.pop(0), written), checkpointed=checkpointed)
                self.advance()
                for beat in self.story.beats:
                    if beat.at_s == second and not self.is_kept(beat):
                        self.do(beat.does)
            else:
                self.checkpoint = (
                    self.desk.snapshot(),
                    self.outbox.snapshot(),
                    len(self.entries),
                )

    def die(self, entry: int, *, checkpointed: bool) -> None:
        """What was not written is gone; what was sent has been heard all the same."""
        written = [decode_entry(encode_entry(one)) for one in self.entries[:entry]]
        self.entries = list(written)
        self.start()
        if checkpointed:
            desk, outbox, position = self.checkpoint
            self.desk.load_snapshot(desk)
            self.outbox.load_snapshot(outbox)
            written = written[position:]
        self.desk.restore(one for one in written if isinstance(one, AlertChange))
        self.entries += self.outbox.restore(written, now_us=self.now_us)
        for receipt in list(
            self.receipts
        ):  # devices' words are in the journal, which is read again
            super().hear(receipt)
        self.keep(self.desk.retire(WATCHES, now_us=self.now_us))

    def tell(self, delivery: Delivery) -> None:
        """Receivers know what came before a death by its id."""
        if delivery.id not in self.heard:
            self.heard.add(delivery.id)
            super().tell(delivery)

    def hear(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)
        super().hear(receipt)

    def is_kept(self, beat: Beat) -> bool:
        """Whether the step of a person is on disk; if not he is told so, and takes it again."""
        changes = [one for one in self.entries if isinstance(one, AlertChange)]
        return isinstance(beat.does, Takes) and any(
            change.actor == beat.does.operator
            and change.kind == beat.does.step.kind
            and _second(change) == beat.at_s
            for change in changes
        )


def _second(change: AlertChange) -> int:
    return (from_iso(change.time) - START_US) // MICROSECONDS
