"""Found against false encounters, over the probability that entering takes.

Entering a level asks for a probability (`geofence.sensitivity`); the lower it is, the fewer
encounters are missed and the more alerts are false. One engine watches every pair once for each of
`PROBABILITIES` and once as shipped.

Choosing the best point and scoring it on the same pairs flatters it. So the recordings are put in
two halves, and the point that is best on the meetings within one half is scored on those within the
other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.contenders import (
    Meeting,
    alerts_of,
    along_geodesics,
    changes_of,
    meet,
    plan_of,
    plane_of,
)
from benchmarks.encounters import Outcome, Score, judge, total
from benchmarks.pictures import ESTIMATE, RING, page
from benchmarks.placements import place
from benchmarks.recordings import Recording, read_recordings, thinned
from geofence.rules import DEFAULT_RULES
from geofence.sensitivity import DEFAULT_SENSITIVITY

PROBABILITIES = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8)

MISSED_WORTH = 10
"""So many false alerts are as bad as one missed encounter. A judgement, not a measurement: found
comes first; but an operator who is called in vain ten times is not there the eleventh time."""

SEED = 20261127
"""Of the placements, unless another is asked for."""


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the curve; `probability` is None for the rules as shipped."""

    probability: float | None
    score: Score


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """The meetings within one half of the recordings.

    Attributes:
        recordings, pairs: What it holds.
        chosen: The probability that is best on the other half.
        score: Of that one here.
        shipped: Of the rules as shipped, here.
    """

    recordings: int
    pairs: int
    chosen: float
    score: Score
    shipped: Score


class CurveReport(msgspec.Struct, frozen=True, kw_only=True):
    """What ``cordon bench encounters --curve`` prints.

    Attributes:
        points: Over the probability, growing.
        shipped: The operating point.
        halves: Cross-validation; empty where a half has no pairs.
        radius_m, interval_s, recordings, pairs, placements, metric, rules: As asked for, and found.
    """

    points: list[Point]
    shipped: Point
    halves: list[Half]
    radius_m: float
    interval_s: float
    recordings: int
    pairs: int
    placements: int
    metric: str
    rules: str


def run_curve(
    path: Path,
    *,
    radius_m: float,
    interval_s: float,
    geodesic: bool = False,
    placements: int = 0,
    seed: int = SEED,
    tell: Callable[[str], None] = lambda _step: None,
) -> CurveReport:
    """The curve for the recordings of a file, or for meetings made up from them.

    Args:
        path: See `benchmarks.recordings.read_recordings`.
        radius_m: R.
        interval_s: Seconds between two fixes of a device.
        geodesic: Measure the truth along geodesics.
        placements: So many made-up meetings (see `benchmarks.placements`) in place of the pairs
            that the file has; half of them within each half of the recordings.
        seed: Of the placements.
        tell: Called with what is done next.

    Raises:
        TrackError: The file cannot be used.
        ValueError: Too few recordings to make up meetings from.
    """
    tell("Reading the recordings")
    read = [thinned(recording, interval_s) for recording in read_recordings(path)]
    metric = along_geodesics if geodesic else plane_of(read)
    if placements:
        tell(f"Making up {placements} meetings")
        recordings: list[Recording] = []
        meetings: list[Meeting] = []
        side: list[int] = []
        for half in range(2):
            generator = np.random.default_rng([seed, half])
            count = (placements + 1 - half) // 2
            stretches, made = place(read[half::2], metric, radius_m, count, generator)
            offset = len(recordings)
            meetings += [replace(one, a=one.a + offset, b=one.b + offset) for one in made]
            recordings += stretches
            side += [half] * count
    else:
        recordings, meetings = read, meet(read, metric)
        side = [one.a % 2 if one.a % 2 == one.b % 2 else -1 for one in meetings]
    tell(f"Watching {len(meetings)} pairs at {len(PROBABILITIES) + 1} settings")
    outcomes = _outcomes(recordings, meetings, radius_m)
    return CurveReport(
        points=[
            Point(probability=probability, score=total(found))
            for probability, found in zip(PROBABILITIES, outcomes, strict=False)
        ],
        shipped=Point(probability=None, score=total(outcomes[-1])),
        halves=_halves(outcomes, side, len(read)),
        radius_m=radius_m,
        interval_s=interval_s,
        recordings=len(read),
        pairs=len(meetings),
        placements=placements,
        metric="geodesic" if geodesic else "plane",
        rules=DEFAULT_RULES.version,
    )


def _outcomes(
    recordings: Sequence[Recording], meetings: Sequence[Meeting], radius_m: float
) -> list[list[Outcome]]:
    """Outcome of every meeting at each probability, and as shipped last."""
    asked = [
        replace(DEFAULT_SENSITIVITY, enter_probability=one, sparse_probability=one)
        for one in PROBABILITIES
    ]
    settings = (*asked, DEFAULT_SENSITIVITY)
    plan = plan_of(recordings, meetings, radius_m, settings)
    changes = changes_of(plan, recordings, max((one.end_s for one in meetings), default=0))
    found = [
        judge(alerts_of(changes[key], meeting.end_s), meeting.truth_m, radius_m)
        for key, meeting in zip(plan.watch_keys, [*meetings] * len(settings), strict=True)
    ]
    count = len(meetings)
    return [found[i * count : (i + 1) * count] for i in range(len(settings))]


def cost(score: Score) -> int:
    """What is wrong with a score, in false alerts."""
    return MISSED_WORTH * (score.true - score.found) + score.false


def _best(scores: Sequence[Score]) -> int:
    """The cheapest of `PROBABILITIES`; of equal ones that which asks for most, the quietest."""
    costs = [cost(score) for score in scores[: len(PROBABILITIES)]]
    return max(i for i, one in enumerate(costs) if one == min(costs))


def _halves(
    outcomes: Sequence[Sequence[Outcome]], side: Sequence[int], recordings: int
) -> list[Half]:
    if not {0, 1} <= set(side):
        return []
    scores = [
        [
            total([one for one, mine in zip(at, side, strict=True) if mine == half])
            for at in outcomes
        ]
        for half in range(2)
    ]
    best = [_best(score) for score in scores]
    return [
        Half(
            recordings=len(range(half, recordings, 2)),
            pairs=side.count(half),
            chosen=PROBABILITIES[best[1 - half]],
            score=scores[half][best[1 - half]],
            shipped=scores[half][-1],
        )
        for half in range(2)
    ]


def draw_curve(path: Path, report: CurveReport) -> None:
    """Missed against false encounters, with the probability at each point.

    Raises:
        CordonError: See `benchmarks.pictures.page`.
    """
    what = f"{report.placements} made-up meetings" if report.placements else f"{report.pairs} pairs"
    with page(path, width_in=8.0, height_in=5.5) as figure:
        axes = figure.subplots()
        x = [point.score.false for point in report.points]
        y = [point.score.true - point.score.found for point in report.points]
        axes.plot(x, y, "o-", color=ESTIMATE)
        for point, at_x, at_y in zip(report.points, x, y, strict=True):
            axes.annotate(
                f"{point.probability:g}", (at_x, at_y), xytext=(6, 6), textcoords="offset points",
            )  # fmt: skip
        shipped = report.shipped.score
        axes.plot(
            [shipped.false], [shipped.true - shipped.found], "D", color=RING, markersize=11,
            fillstyle="none", markeredgewidth=2, label="as shipped",
        )  # fmt: skip
        axes.set_xlabel("false alerts")
        axes.set_ylabel(f"missed encounters, of {shipped.true}")
        axes.locator_params(integer=True)
        axes.margins(x=0.08)
        axes.legend(loc="upper right")
        axes.set_title(
            f"Missed against false within {report.radius_m:g} m, a fix every "
            f"{report.interval_s:g} s\n{what}; beside each point the probability asked for",
            loc="left", fontsize=11,
        )  # fmt: skip
