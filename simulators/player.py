"""Plays recorded tracks as if they were happening now.

The recordings' fixes are laid on one line of time, in seconds from the start of the play and divided
by the speed. Each is handed to its device when its moment comes, and carries that moment as its fix
time: gaps stay gaps, two fixes of one instant stay two fixes of one instant, and nothing is ever
dated in the future. The waiting goes by a clock that only runs forward, so a corrected wall clock
neither stops the play nor makes it race.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from devices.instants import Clock
from geofence.plan import FloatArray, IntArray
from simulators.recording import Track

REPEAT_PAUSE_S = 10.0
"""Between the end of a play and its repetition: everyone is suddenly where they began, which no
real person can do, so at least they do not do it at once."""

LONG_OFFSET_S = 86_400.0
"""Recordings that begin further apart than this were hardly meant to be played with their offsets."""


class Reporter(Protocol):
    """What plays a track: reports positions. `simulators.device.SimulatedDevice` is one."""

    def fix(
        self,
        time_us: int,
        lat_deg: float,
        lon_deg: float,
        *,
        accuracy_m: float = ...,
        speed_mps: float = ...,
        course_deg: float = ...,
    ) -> int:
        """Report a position; returns its sequence number."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How waiting is done, so that a test need not wait.

    Attributes:
        now_s: A clock in seconds that only runs forward.
        sleep: Waits for so many seconds of that clock.
    """

    now_s: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]


def real_pace() -> Pace:
    """The pace of the running event loop."""
    return Pace(asyncio.get_running_loop().time, asyncio.sleep)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All fixes of all tracks in the order of their moments.

    Attributes:
        due_us: (n,) microseconds of the play at speed 1 from its start, never falling.
        track: (n,) index of the track.
        row: (n,) index of the fix within the track.
        length_us: From the start to the last fix.
    """

    due_us: IntArray
    track: IntArray
    row: IntArray
    length_us: int


def schedule(tracks: Sequence[Track], *, start_together: bool) -> Schedule:
    """Lay the tracks on one line of time.

    Args:
        tracks: At least one fix each.
        start_together: Each recording begins at 0. Otherwise the earliest does and the others keep
            their offsets to it; planned routes have no time of their own and begin at 0 always.
    """
    begins_us = [int(track.times_us[0]) for track in tracks]
    recorded = [begin for begin, track in zip(begins_us, tracks, strict=True) if not track.planned]
    first_us = min(recorded, default=0)
    zeros_us = [
        begin if start_together or track.planned else first_us
        for begin, track in zip(begins_us, tracks, strict=True)
    ]
    due = np.concatenate([t.times_us - zero for t, zero in zip(tracks, zeros_us, strict=True)])
    track = np.concatenate([np.full(len(t), i, dtype=np.int64) for i, t in enumerate(tracks)])
    row = np.concatenate([np.arange(len(t), dtype=np.int64) for t in tracks])
    order = np.lexsort((row, track, due))
    return Schedule(due[order], track[order], row[order], int(due.max()))


def longest_offset_s(tracks: Sequence[Track]) -> float:
    """How far apart the recordings begin, seconds; 0 when at most one has times of its own."""
    begins_us = [int(track.times_us[0]) for track in tracks if not track.planned]
    return (max(begins_us) - min(begins_us)) / 1e6 if begins_us else 0.0


class Player:
    """Plays tracks through reporters.

    Args:
        tracks: What was recorded.
        reporters: Who plays each track.
        clock: Read once per round, when it begins.
        pace: How to wait.
        speed: Seconds of recording per second; fix times are compressed with it.
        start_together: See `schedule`.
        repeat: Begin again after the end, for ever.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        reporters: Sequence[Reporter],
        *,
        clock: Clock,
        pace: Pace,
        speed: float = 1.0,
        start_together: bool = False,
        repeat: bool = False,
    ) -> None:
        if not 0 < speed < float("inf"):
            raise ValueError(f"speed is {speed}; it must be a number above 0")
        if len(tracks) != len(reporters) or not tracks:
            raise ValueError("every track needs its reporter, and there must be one at least")
        self._tracks = tracks
        self._reporters = reporters
        self._clock = clock
        self._pace = pace
        self._repeat = repeat
        self._schedule = schedule(tracks, start_together=start_together)
        self._due_us: FloatArray = self._schedule.due_us / speed
        # What a device says of its speed has to fit how its position moves.
        self._speeds_mps = [track.speed_mps * speed for track in tracks]

    @property
    def length_s(self) -> float:
        """How long one round takes."""
        return float(self._due_us[-1]) / 1e6

    async def run(self) -> None:
        """Play to the end, or for ever if repeating."""
        await self._round()
        while self._repeat:
            await self._pace.sleep(REPEAT_PAUSE_S)
            await self._round()

    async def _round(self) -> None:
        start_us = self._clock()  # read first, so that no fix is dated after its publication
        start_s = self._pace.now_s()
        played, total = 0, len(self._due_us)
        while played < total:
            # Half a microsecond of grace: sums of floats may miss the exact moment for ever.
            elapsed_us = (self._pace.now_s() - start_s) * 1e6 + 0.5
            due = int(np.searchsorted(self._due_us, elapsed_us, side="right"))
            for index in range(played, due):
                self._report(index, start_us)
            played = max(played, due)
            if played < total:
                # At least a bare turn of the loop, or a late player would never let devices send.
                wait_s = float(self._due_us[played]) / 1e6 - (self._pace.now_s() - start_s)
                await self._pace.sleep(max(0.0, wait_s))

    def _report(self, index: int, start_us: int) -> None:
        which, row = self._schedule.track[index], self._schedule.row[index]
        track = self._tracks[which]
        self._reporters[which].fix(
            start_us + int(self._due_us[index]),
            float(track.lat_deg[row]),
            float(track.lon_deg[row]),
            accuracy_m=float(track.accuracy_m[row]),
            speed_mps=float(self._speeds_mps[which][row]),
            course_deg=float(track.course_deg[row]),
        )
