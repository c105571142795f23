"""Plays the town's people: every device reads its place regularly and reports it."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence

from devices.instants import Clock
from simulators.player import Pace, Reporter
from simulators.receiver import ReceiverState
from simulators.story import Role
from simulators.town import to_degrees


class TownPlayer:
    """Lets people live, and their devices report, for ever.

    Args:
        roles: The people and their devices.
        reporters: Who reports for each.
        clock: Read once, at the beginning.
        pace: How to wait.
        interval_s: From one fix of a device to its next.
        seed: Of the receivers' chance.
    """

    def __init__(
        self,
        roles: Sequence[Role],
        reporters: Sequence[Reporter],
        *,
        clock: Clock,
        pace: Pace,
        interval_s: float,
        seed: int,
    ) -> None:
        self._roles = roles
        self._reporters = reporters
        self._clock = clock
        self._pace = pace
        self._interval_s = interval_s
        self._receivers = [
            ReceiverState(role.receiver, random.Random(f"{seed} {role.device}"))  # noqa: S311
            for role in roles
        ]

    async def run(self) -> None:
        """Live, until cancelled. Devices take turns, so that they do not all report at once."""
        start_us = self._clock()  # read first, so that no fix is dated after its publication
        start_s = self._pace.now_s()
        share_s = self._interval_s / len(self._roles)
        due = [(number * share_s, number) for number in range(len(self._roles))]
        while True:
            moment_s, number = due[0]
            await self._pace.sleep(max(0.0, moment_s - (self._pace.now_s() - start_s)))
            heapq.heapreplace(due, (moment_s + self._interval_s, number))
            self._report(number, moment_s, start_us + int(moment_s * 1e6))

    def _report(self, number: int, moment_s: float, time_us: int) -> None:
        place = self._roles[number].person.place(moment_s)
        reading = self._receivers[number].read(place.east_m, place.north_m, self._interval_s)
        if reading is None:
            return
        lat_deg, lon_deg = to_degrees(reading.east_m, reading.north_m)
        self._reporters[number].fix(
            time_us,
            lat_deg,
            lon_deg,
            accuracy_m=reading.accuracy_m,
            speed_mps=place.speed_mps,
            course_deg=place.course_deg,
        )
