"""``cordon bench encounters``: the score, the pages and the curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.contenders import EncounterReport, Watched, report_on, watch_encounters
from benchmarks.cover import Cover
from benchmarks.curve import SEED, CurveReport, Point, cost, draw_curve, run_curve
from benchmarks.encounter_page import draw_story
from benchmarks.encounters import Score
from benchmarks.printed import Result, Table, shown
from benchmarks.stories import stories, timeline
from cordon.errors import CordonError

_COLUMNS = (
    "true",
    "found",
    "false",
    "reported",
    "alerts_per_encounter",
    "delay_p50_s",
    "delay_p95_s",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The options that score and curve share.

    Attributes:
        path, radius_m, interval_s, geodesic: See `benchmarks.contenders.watch_encounters`.
        plot: Folder for pictures; None for none.
        tell: Called with what is done next.
    """

    path: Path
    radius_m: float
    interval_s: float
    geodesic: bool
    plot: Path | None
    tell: Callable[[str], None]

    @property
    def line(self) -> str:
        """Radius and interval, as they begin every report."""
        return f"{self.radius_m:g} m, a fix every {self.interval_s:g} s"


def score(asked: Asked) -> Result:
    """Score the engine beside the plain rules; draw what is worth it.

    Raises:
        CordonError: There is no pair to score, or a picture cannot be drawn.
        TrackError: The file cannot be used.
    """
    watched = watch_encounters(
        asked.path,
        radius_m=asked.radius_m,
        interval_s=asked.interval_s,
        geodesic=asked.geodesic,
        tell=asked.tell,
    )
    _refuse_nothing(asked.path, len(watched.meetings))
    report = report_on(watched, radius_m=asked.radius_m, interval_s=asked.interval_s)
    if asked.plot is not None:
        _draw(asked.plot, asked, watched)
    line = (
        f"{report.pairs} pairs of {report.recordings} recordings, {asked.line}, {report.metric}; "
        f"engine {report.rules}"
    )
    return Result(report, line, (_rules_table(report), _cover_table(report.cover)))


def _refuse_nothing(path: Path, pairs: int) -> None:
    if not pairs:
        raise CordonError(
            f"{path} has no two recordings with at least 60 s in common, so there is nothing to "
            "score. Name a file with more or longer recordings."
        )


def _draw(folder: Path, asked: Asked, watched: Watched) -> None:
    chosen = stories(
        watched.recordings, watched.meetings, watched.alerts, asked.radius_m, asked.interval_s
    )
    for number, story in enumerate(chosen, start=1):
        asked.tell(f"Drawing page {number} of {len(chosen)}")
        line = timeline(
            watched.recordings, watched.meetings[story.meeting], asked.radius_m, story.end_s
        )
        name = f"{number:02d}-{story.kind}-{asked.radius_m:g}m-{asked.interval_s:g}s.png"
        draw_story(folder / name, story, line, radius_m=asked.radius_m, interval_s=asked.interval_s)


def curve(asked: Asked, placements: int, seed: int | None) -> Result:
    """The curve of found against false, and its picture.

    Raises:
        CordonError: There is no pair to score, or the picture cannot be drawn.
        TrackError: The file cannot be used.
    """
    try:
        report = run_curve(
            asked.path,
            radius_m=asked.radius_m,
            interval_s=asked.interval_s,
            geodesic=asked.geodesic,
            placements=placements,
            seed=SEED if seed is None else seed,
            tell=asked.tell,
        )
    except ValueError as error:
        raise CordonError(f"{asked.path} cannot be used for this: {error}") from error
    _refuse_nothing(asked.path, report.pairs)
    if asked.plot is not None:
        asked.tell("Drawing the curve")
        made_up = "-placements" if placements else ""
        name = f"curve-{asked.radius_m:g}m-{asked.interval_s:g}s{made_up}.png"
        draw_curve(asked.plot / name, report)
    pairs = f"{placements} made-up meetings" if placements else f"{report.pairs} pairs"
    line = f"{pairs} of {report.recordings} recordings, {asked.line}, {report.metric}; engine {report.rules}"
    return Result(report, line, (_curve_table(report), _halves_table(report)))


def _cells(score: Score) -> list[str]:
    return [shown(getattr(score, column)) for column in _COLUMNS]


def _rules_table(report: EncounterReport) -> Table:
    engine = msgspec.convert(
        {name: getattr(report, name) for name in Score.__struct_fields__}, Score
    )
    rows = [("engine", engine), ("raw", report.raw), ("gated", report.gated)]
    return ["", *_COLUMNS], [[name, *_cells(row)] for name, row in rows]


def _cover_table(cover: Cover) -> Table:
    """What the engine showed in true encounters, and elsewhere."""
    levels = ("alert", "unknown", "pre_alert", "clear")

    def row(name: str, field: str) -> list[str]:
        return [name, *(str(getattr(cover, field.format(level))) for level in levels)]

    return ["shown", *levels], [
        row("seconds of true encounters", "{}_s"),
        row("true encounters, by the highest", "{}"),
        row("seconds elsewhere", "elsewhere_{}_s"),
    ]


def _curve_table(report: CurveReport) -> Table:
    def row(point: Point) -> list[str]:
        name = "shipped" if point.probability is None else f"{point.probability:g}"
        return [name, *_cells(point.score), str(cost(point.score))]

    points = [*report.points, report.shipped]
    return ["probability", *_COLUMNS, "cost"], [row(point) for point in points]


def _halves_table(report: CurveReport) -> Table:
    rows: list[list[str]] = []
    for number, half in enumerate(report.halves, start=1):
        name = f"half {number}: {half.recordings} recordings, {half.pairs} pairs"
        best = f"best on the other: {half.chosen:g}"
        rows += [
            [f"{name}, {best}", *_cells(half.score), str(cost(half.score))],
            [f"{name}, shipped", *_cells(half.shipped), str(cost(half.shipped))],
        ]
    return ["left out", *_COLUMNS, "cost"], rows
