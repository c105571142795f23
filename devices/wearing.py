"""Who carries which device, now and at the time a report speaks of.

A report belongs to whoever carried its device when it was made, however late it comes. What is from
before the present bearer's time moves nothing of his or hers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from devices.caseload import Caseload
from devices.compiler import bearer_at
from devices.reports import Event, FixArray
from devices.watches import Bearer, Compiled
from geofence.plan import IntArray

_NO_PLACE = (-1, 0)
"""Track and since when, of a device that is not watched."""


class Wearing:
    """The assignments of one caseload, compiled for the present.

    Args:
        caseload: With all its assignments, those of the past, too.
        compiled: As it is in force now.
    """

    def __init__(self, caseload: Caseload, compiled: Compiled) -> None:
        self._caseload = caseload
        self._bearers = compiled.bearers
        self._places = {
            device: (index, self._bearers[device].since_us)
            for index, device in enumerate(compiled.plan.tracks)
        }

    @property
    def persons(self) -> dict[str, str | None]:
        """Who carries each device of the caseload."""
        return {name: bearer.person for name, bearer in self._bearers.items()}

    def bearer(self, device: str) -> Bearer:
        """Who carries it now; a stranger where it is in no caseload."""
        return self._bearers.get(device) or stranger(device)

    def track(self, device: str) -> int:
        """Index of the device's track in the plan; -1 where it has none."""
        return self._places.get(device, _NO_PLACE)[0]

    def moved(self, held: Mapping[str, str | None]) -> frozenset[str]:
        """The devices that somebody else carries now than the one who `held` them."""
        present = self.persons
        return frozenset(
            name for name, person in held.items() if name in present and present[name] != person
        )

    def tracks_of(self, devices: Sequence[str], fixes: FixArray) -> IntArray:
        """(n,) the track each of some fixes of a batch belongs to; -1 where it moves nobody.

        A fix from before its device was handed to the one who has it now is another's.
        """
        return self.tracks_at(self.places_of(devices), fixes["device"], fixes["time_us"])

    def places_of(self, devices: Sequence[str]) -> IntArray:
        """(D, 2) the track of each device, -1 for none, and from when on a fix of it is of that."""
        places = [self._places.get(device, _NO_PLACE) for device in devices]
        return np.array(places, np.int64).reshape(-1, 2)

    @staticmethod
    def tracks_at(places: IntArray, device: IntArray, time_us: IntArray) -> IntArray:
        """(n,) the track of each fix of these times, by its device among `places`."""
        track, since_us = places.T
        return np.where(time_us >= since_us[device], track[device], -1)

    def is_of_the_present(self, event: Event) -> bool:
        """Whether those who carry the event's devices now carried them then."""
        devices = (event.device, event.peer or event.device)
        return all(event.time_us >= self.bearer(name).since_us for name in devices)

    def bearers_of(self, event: Event, now_us: int) -> list[Bearer]:
        """Whom an event concerns: who carried the device when it happened.

        A call for help from before the device was handed over is told of both: with a clock that
        is behind it is the new bearer's, and nobody may be left without an answer.
        """
        present = self.bearer(event.device)
        holds = present.person is not None and event.time_us >= present.since_us
        if holds or event.device not in self._bearers:
            return [present]
        former = bearer_at(self._caseload, event.device, event.time_us, now_us)
        if former is None or former.person is None or former.person == present.person:
            return [present]
        is_shared = event.type == "panic" and present.person is not None
        return [former, present] if is_shared else [former]


def stranger(device: str) -> Bearer:
    """A device that is in no caseload. Its panic is told all the same."""
    return Bearer(device=device, kind="handset", person=None, role=None, fix_interval_s=60.0)
