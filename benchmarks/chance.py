"""``cordon bench conduct``: who "follows" whom by chance, and what a look at two tracks costs.

Recordings of people, or of vehicles taken as people, of whom nobody follows anybody: what is found is
chance. Each two are looked at both ways, as `cordon.conduct_watch` looks at a wearer and whom he is
kept away from. The cost is that of the worst case: days without a rest, two abreast.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import permutations

import msgspec
import numpy as np

from alerts.conduct import DAY_US, MINUTE_US
from alerts.conduct_rules import ConductRules
from alerts.conduct_tracks import MinuteTrack, acts_of_tracks, minute_track
from benchmarks.printed import Result, shown
from geofence.plan import IntArray
from simulators.recording import Track

LAGS_MIN = (15, 5)
"""Values of `follow_lag_min`: what is shipped, and a shorter one."""

DAYS = 8
"""Days of tracks that a look reads: seven of which places are learnt, and today."""

LOOKS = 5


class LagRow(msgspec.Struct, frozen=True):
    """With one value of `follow_lag_min`.

    Attributes:
        pairs: Ordered pairs of which one "follows" the other, once or more.
        acts: How often in all.
    """

    lag_min: int
    pairs: int
    acts: int


class ChanceReport(msgspec.Struct, frozen=True):
    """What ``cordon bench conduct`` prints.

    Attributes:
        pairs: Ordered pairs of all.
        look_s: Of a core, one look at the tracks of two people, the least of some.
    """

    tracks: int
    pairs: int
    rows: list[LagRow]
    look_s: float


def run_chance(tracks: Sequence[Track], tell: Callable[[str], None]) -> Result:
    """Look at every two of some tracks, and measure a long look."""
    tell(f"{len(tracks)} tracks, each after each")
    minutes = _on_one_clock(tracks)
    rows = [_with_lag(minutes, lag_min) for lag_min in LAGS_MIN]
    tell(f"{DAYS} days of two people")
    pairs = len(tracks) * (len(tracks) - 1)
    report = ChanceReport(len(tracks), pairs, rows, _look_s())
    table = [[str(row.lag_min), str(row.pairs), str(row.acts)] for row in rows]
    line = f"of {pairs} ordered pairs; a look at {DAYS} days: {shown(report.look_s)} s of a core"
    return Result(report, line, [(["follow_lag_min", "pairs", "acts"], table)])


def _on_one_clock(tracks: Sequence[Track]) -> list[MinuteTrack]:
    start_us = min(int(track.times_us[0]) for track in tracks) // DAY_US * DAY_US
    end_us = max(int(track.times_us[-1]) for track in tracks)
    count = (end_us - start_us) // MINUTE_US + 1
    return [
        minute_track(
            track.name,
            start_us,
            count,
            zip(
                track.times_us.tolist(),
                track.lat_deg.tolist(),
                track.lon_deg.tolist(),
                strict=True,
            ),
        )
        for track in tracks
    ]


def _with_lag(tracks: Sequence[MinuteTrack], lag_min: int) -> LagRow:
    rules = ConductRules(follow_lag_min=lag_min)
    found = [
        sum(act.kind == "following" for act in acts_of_tracks(his, hers, rules, 0))
        for his, hers in permutations(tracks, 2)
    ]
    return LagRow(lag_min, sum(map(bool, found)), sum(found))


def _look_s() -> float:
    """Two who walk to and fro for days, one three minutes behind the other."""
    minute = np.arange(DAYS * DAY_US // MINUTE_US)
    took = []
    for _ in range(LOOKS):
        began_s = time.thread_time()
        his, hers = (_walk(name, minute - behind) for name, behind in (("he", 3), ("she", 0)))
        acts_of_tracks(his, hers, ConductRules(), 0)
        took.append(time.thread_time() - began_s)
    return min(took)


def _walk(person: str, minute: IntArray) -> MinuteTrack:
    """About 130 m a minute, within a degree."""
    lat_deg = 54 + np.abs(minute % 1_600 - 800) / 800
    times_us = np.arange(minute.size) * MINUTE_US
    fixes = zip(
        times_us.tolist(), lat_deg.tolist(), np.full(minute.size, 4.0).tolist(), strict=True
    )
    return minute_track(person, 0, minute.size, fixes)
