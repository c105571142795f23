"""When very many devices fall silent at once, it is the way to them that is broken.

A device is *overdue* when it has missed one report and a little more. Of all devices that were
heard within the last two minutes or fell overdue within them, the share of the overdue tells how
much of what should be heard is missing, whatever mix of intervals the site has: a device that
reports every ten minutes counts only when its report was due. When the share is large, one incident
begins. Who falls overdue while it is still large belongs to it, and no silence of his own is told.
It ends when half of its members are back; those who are still silent a little later are then told
one by one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from devices.health_changes import HealthChange
from devices.instants import MICROSECONDS

OVERDUE_INTERVALS = 1.5
OVERDUE_GRACE_S = 15.0
"""A report may be late by half an interval and by what a slow network takes."""

WINDOW_US = 120 * MICROSECONDS
"""As long as telling takes to notice an outage by devices that report every minute."""

FLEET_SHARE = 0.3
"""Of what should be heard, so much missing begins an incident. Loss of single devices, even in a
bad night, stays far below it; the loss of one of three networks reaches it."""

FLEET_SHARE_GOING_ON = 0.15
"""While so much is missing, whoever falls overdue belongs to the incident."""

FLEET_LEAST = 10
"""With fewer missing there is no incident: so few alerts can be read one by one."""

RELEASE_US = 120 * MICROSECONDS
"""After the end of an incident each device has so long to be heard again: they come back one after
the other, as their networks let them in."""

FLUSH_US = 600 * MICROSECONDS
"""After the end of an incident devices send for so long what they have kept meanwhile, some of them
message by message: no flood of theirs is a trouble of the device."""


def overdue_after_us(interval_s: float) -> int:
    """After so long without a word a device of this interval is overdue."""
    return round((OVERDUE_INTERVALS * interval_s + OVERDUE_GRACE_S) * MICROSECONDS)


class Incident(msgspec.Struct, array_like=True):
    """Many devices are missing.

    Attributes:
        onset_us: When the share was reached.
        agencies: That were told.
        members: How many devices have belonged to it.
        missing: How many of them are not back.
    """

    onset_us: int
    agencies: list[str] = []
    members: int = 0
    missing: int = 0


class Fleet:
    """Who was heard lately, who is overdue, and whether that is an incident.

    Times may not go backwards from call to call.

    Args:
        numbers: Incidents there were, by agency; grows.
        incident: One that goes on.
        ended_us: When the last one ended; 0: there was none.
    """

    def __init__(
        self, numbers: dict[str, int], incident: Incident | None = None, ended_us: int = 0
    ) -> None:
        self.numbers = numbers
        self.incident = incident
        self.ended_us = ended_us
        self._heard: OrderedDict[str, int] = OrderedDict()
        self._overdue: OrderedDict[str, int] = OrderedDict()

    def hear(self, name: str, now_us: int) -> None:
        """A device was heard."""
        self._overdue.pop(name, None)
        self._heard[name] = now_us
        self._heard.move_to_end(name)

    def miss(self, name: str, now_us: int) -> bool:
        """A device has fallen overdue. Whether so many have that it is an incident."""
        self._heard.pop(name, None)
        self._overdue[name] = now_us
        self._overdue.move_to_end(name)
        _forget_before(self._heard, now_us - WINDOW_US)
        _forget_before(self._overdue, now_us - WINDOW_US)
        missing, due = len(self._overdue), len(self._overdue) + len(self._heard)
        if self.incident is not None:
            return missing >= FLEET_SHARE_GOING_ON * due
        return missing >= FLEET_LEAST and missing >= FLEET_SHARE * due

    def leave(self, name: str) -> None:
        """A device is no longer counted."""
        self._heard.pop(name, None)
        self._overdue.pop(name, None)

    def missing_now(self) -> tuple[str, ...]:
        """Who has fallen overdue within the window, in that order."""
        return tuple(self._overdue)

    def recall(self, name: str, overdue_us: int) -> None:
        """A device fell overdue then: as `miss`, and nothing follows from it now."""
        self._overdue[name] = overdue_us

    def join(self, agencies: Sequence[tuple[str, ...]], now_us: int) -> list[HealthChange]:
        """Devices, of these agencies each, belong to the incident, which begins if there is none.

        Returns:
            One beginning for each agency that was not concerned so far.
        """
        incident = self.incident or Incident(now_us)
        self.incident = incident
        incident.members += len(agencies)
        incident.missing += len(agencies)
        concerned = dict.fromkeys(agency for some in agencies for agency in some)
        told = [agency for agency in concerned if agency not in incident.agencies]
        for agency in told:
            incident.agencies.append(agency)
            self.numbers[agency] = self.numbers.get(agency, 0) + 1
        return [self._change(agency, now_us, began=True) for agency in told]

    def come_back(self, now_us: int) -> list[HealthChange]:
        """A member is heard again, or has left. With half of them back the incident is over."""
        incident = self.incident
        if incident is None:
            return []
        incident.missing -= 1
        if 2 * incident.missing > incident.members:
            return []
        changes = [self._change(agency, now_us, began=False) for agency in incident.agencies]
        self.incident, self.ended_us = None, now_us
        return changes

    def flushes(self, now_us: int) -> bool:
        """Whether what very many devices could not send meanwhile may come now."""
        return self.incident is not None or now_us < self.ended_us + FLUSH_US

    def going_on(self, now_us: int) -> list[HealthChange]:
        """The incident, as changes that began: one for each agency."""
        agencies = self.incident.agencies if self.incident else []
        return [self._change(agency, now_us, began=True) for agency in agencies]

    def _change(self, agency: str, now_us: int, *, began: bool) -> HealthChange:
        assert self.incident is not None, "what is told is an incident"
        return HealthChange(
            device="",
            agency=agency,
            kind="fleet_silent",
            began=began,
            onset_us=self.incident.onset_us,
            decided_at_us=now_us,
            cause="many",
            quantity=float(self.incident.missing),
            number=self.numbers[agency],
        )


def _forget_before(memory: OrderedDict[str, int], start_us: int) -> None:
    """Let go of what happened at `start_us` or before; the oldest stand first."""
    while memory and next(iter(memory.values())) <= start_us:
        memory.popitem(last=False)
