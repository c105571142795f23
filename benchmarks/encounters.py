"""How well encounters are reported: true ones, reported ones, and the score of one by the other.

Everything here counts in whole seconds since both recordings of a pair began, and looks at
distances once a second.

- A true encounter begins when the true distance falls below R and ends when it exceeds 1.1 R, or
  with the recording.
- It is *found* when a reported one overlaps it, or begins at most 30 s after its end.
- A reported one is *false* when the true distance stays above 1.1 R from 30 s before its start to
  30 s after its end.
- The *delay* is the start of the first reported one that finds it, minus the true start. Below 0
  where the report came first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np

from geofence.plan import FloatArray, IntArray

LEAVE_FACTOR = 1.1
"""An encounter ends beyond this many radii."""

GRACE_S = 30
"""How much later than an encounter a report still finds it, and how far round a report an
encounter is looked for before it is called false."""

COMMON_LEAST_S = 60
"""Two recordings with less in common are no pair."""


class Spell(NamedTuple):
    """From one second to another, both included."""

    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one pair of recordings, or many together, came to.

    Attributes:
        true, found, false, reported: Numbers of encounters, see the module.
        delays_s: One for each found encounter.
    """

    true: int
    found: int
    false: int
    reported: int
    delays_s: tuple[int, ...]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """The sum over all pairs, as printed; None where there is nothing to divide by."""

    true: int
    found: int
    false: int
    reported: int
    alerts_per_encounter: float | None
    delay_p50_s: float | None
    delay_p95_s: float | None


def spells(distance_m: FloatArray, time_s: IntArray, radius_m: float) -> list[Spell]:
    """The spells within a radius, with 10 % hysteresis.

    Args:
        distance_m: (n,) distances; NaN is neither near nor far.
        time_s: (n,) growing seconds they belong to.
        radius_m: A spell begins below this, and ends above `LEAVE_FACTOR` times it or with the
            last second.
    """
    found: list[Spell] = []
    start_s: int | None = None
    for now_m, now_s in zip(distance_m.tolist(), time_s.tolist(), strict=True):
        if start_s is None and now_m < radius_m:
            start_s = now_s
        elif start_s is not None and now_m > LEAVE_FACTOR * radius_m:
            found.append(Spell(start_s, now_s))
            start_s = None
    if start_s is not None:
        found.append(Spell(start_s, int(time_s[-1])))
    return found


def judge(reported: Sequence[Spell], truth_m: FloatArray, radius_m: float) -> Outcome:
    """Score what was reported of one pair.

    Args:
        reported: In order of start.
        truth_m: (n,) true distance at each second from 0 on.
        radius_m: R.
    """
    true = spells(truth_m, np.arange(truth_m.size), radius_m)
    first = [first_that_finds(reported, encounter) for encounter in true]
    delays_s = tuple(
        report.start_s - encounter.start_s
        for report, encounter in zip(first, true, strict=True)
        if report is not None
    )
    false = sum(_is_false(report, truth_m, radius_m) for report in reported)
    return Outcome(len(true), len(delays_s), false, len(reported), delays_s)


def first_that_finds(reported: Sequence[Spell], encounter: Spell) -> Spell | None:
    """The first report that overlaps a true spell or begins at most `GRACE_S` after its end."""
    for report in reported:
        if report.end_s >= encounter.start_s and report.start_s <= encounter.end_s + GRACE_S:
            return report
    return None


def _is_false(report: Spell, truth_m: FloatArray, radius_m: float) -> bool:
    around_m = truth_m[max(0, report.start_s - GRACE_S) : report.end_s + GRACE_S + 1]
    return bool(np.all(around_m > LEAVE_FACTOR * radius_m))


def total(outcomes: Iterable[Outcome]) -> Score:
    """The score over all pairs."""
    every = list(outcomes)
    delays_s = [delay_s for outcome in every for delay_s in outcome.delays_s]
    true = sum(outcome.true for outcome in every)
    reported = sum(outcome.reported for outcome in every)
    return Score(
        true=true,
        found=sum(outcome.found for outcome in every),
        false=sum(outcome.false for outcome in every),
        reported=reported,
        alerts_per_encounter=round(reported / true, 3) if true else None,
        delay_p50_s=percentile_s(delays_s, 50),
        delay_p95_s=percentile_s(delays_s, 95),
    )


def percentile_s(delays_s: Sequence[int], percent: float) -> float | None:
    """A percentile of delays as printed; None when there are none."""
    return round(float(np.percentile(delays_s, percent)), 2) if delays_s else None
