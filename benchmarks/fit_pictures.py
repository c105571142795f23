"""What a fit looks like: receivers' errors, calibration, and how sharp each parameter is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.fit_report import FitReport
from benchmarks.fit_tracks import KNOBS, Sets, objective
from benchmarks.pictures import ESTIMATE, RING, SERIES, TRUTH, page
from benchmarks.recordings import SECOND_US
from benchmarks.tracking import Sample, follow, share_within
from geofence.distance import to_cartesian_m
from geofence.plan import FloatArray
from geofence.rules import DEFAULT_RULES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FACTORS = (0.25, 0.5, 1 / math.sqrt(2), 1.0, math.sqrt(2), 2.0, 4.0)
_BINS = 9
_BIN_LEAST = 60
_SHARES = (0.5, 0.68, 0.95)


def draw_fit(
    folder: Path, sets: Sets, report: FitReport, *, tell: Callable[[str], None] = lambda _: None
) -> list[Path]:
    """Write ``receivers.png``, ``calibration.png`` and ``parameters.png``; the paths.

    Raises:
        CordonError: See `benchmarks.pictures.page`.
    """
    paths = [folder / f"{name}.png" for name in ("receivers", "calibration", "parameters")]
    tell("Drawing receivers and calibration")
    draw_receivers(paths[0], once_each(sets))
    draw_calibration(paths[1], sets)
    tell("Moving each parameter, and drawing that")
    draw_parameters(paths[2], sets, report)
    return paths


def once_each(sets: Sets) -> dict[str, Sequence[Sample]]:
    """The data sets without those that are thinned out of another: of each carrier the first."""
    seen: set[str] = set()
    found: dict[str, Sequence[Sample]] = {}
    for name, samples in sets.items():
        names = {sample.name for sample in samples}
        if not names & seen:
            found[name.partition(",")[0]] = samples
        seen |= names
    return found


def errors_of(sample: Sample) -> tuple[FloatArray, FloatArray]:
    """Stated 68 % radius and true error of each fix, metres; those that state none are left out."""
    time_us, lat_e7, lon_e7, accuracy_cm = sample.columns
    seconds = np.arange(len(sample.truth_m)) * float(SECOND_US)
    stated = (accuracy_cm > 0) & (time_us <= seconds[-1])
    where = np.array(
        [
            to_cartesian_m(lat / 1e7, lon / 1e7)
            for lat, lon in zip(lat_e7.tolist(), lon_e7.tolist(), strict=True)
        ]
    )
    truth = np.stack([np.interp(time_us, seconds, axis) for axis in sample.truth_m.T], axis=1)
    return accuracy_cm[stated] / 100.0, np.linalg.norm(where - truth, axis=1)[stated]


def draw_receivers(path: Path, sets: Mapping[str, Sequence[Sample]]) -> None:
    """Errors against the accuracy stated: what an honest receiver would show, and what is."""
    with page(path, width_in=11.0, height_in=4.6) as figure:
        axes_of: Sequence[Axes] = figure.subplots(
            1, max(1, len(sets)), sharex=True, sharey=True, squeeze=False
        )[0]
        figure.suptitle(
            "Errors of fixes against the accuracy that the receiver states", x=0.01, ha="left"
        )
        for axes, (name, samples) in zip(axes_of, sets.items(), strict=False):
            both = [errors_of(sample) for sample in samples]
            stated_m = np.concatenate([one for one, _ in both])
            error_m = np.concatenate([other for _, other in both])
            _receiver(axes, stated_m, error_m)
            axes.set_title(f"{name}: {stated_m.size} fixes", loc="left", fontsize=10)
            axes.set_xlabel("stated radius of 68 %, m")
        axes_of[0].set_ylabel("true error, m")
        axes_of[0].legend(fontsize=8.5)


def _receiver(axes: Axes, stated_m: FloatArray, error_m: FloatArray) -> None:
    edges = np.unique(np.quantile(stated_m, np.linspace(0, 1, _BINS + 1)))
    bins = [(stated_m >= low) & (stated_m <= high) for low, high in itertools.pairwise(edges)]
    bins = [one for one in bins if np.count_nonzero(one) >= _BIN_LEAST] or [stated_m > 0]
    middle_m = [float(np.median(stated_m[one])) for one in bins]
    for share, colour in zip(_SHARES, SERIES, strict=False):
        held_m = [float(np.quantile(error_m[one], share)) for one in bins]
        axes.plot(middle_m, held_m, "o-", color=colour, label=f"{100 * share:g} % are below")
        honest = math.sqrt(math.log(1 - share) / math.log(1 - 0.68))
        axes.plot(middle_m, [honest * one for one in middle_m], ":", color=colour)
    axes.plot([], [], ":", color=TRUTH, label="were the statement true")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter("{x:g}")


def draw_calibration(path: Path, sets: Sets) -> None:
    """Share of truths within the radius claimed for each probability."""
    claimed = np.concatenate([np.linspace(0.02, 0.98, 25), [0.99, 0.995]])
    limits = DEFAULT_RULES.limits()
    with page(path, width_in=7.0, height_in=6.0) as figure:
        axes = figure.subplots()
        axes.plot([0, 100], [0, 100], color=TRUTH, linewidth=1, label="as claimed")
        for colour, (name, samples) in zip(SERIES, sets.items(), strict=False):
            followed = [follow(sample, limits) for sample in samples]
            held = []
            for probability in claimed.tolist():
                counts = np.array([share_within(one, probability) for one in followed]).sum(axis=0)
                held.append(100.0 * counts[0] / counts[1])
            axes.plot(100 * claimed, held, color=colour, linewidth=1.8, label=name)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 100)
        axes.set_xlabel("the engine claims that so many per cent lie within its radius")
        axes.set_ylabel("so many do, per cent")
        axes.set_title(
            "Calibration: above the line it claims too little, below too much", loc="left",
            fontsize=11,
        )  # fmt: skip
        axes.legend()


def draw_parameters(path: Path, sets: Sets, report: FitReport) -> None:
    """The surprise as one parameter after the other moves, all others as shipped."""
    columns = 5
    rows = -(-len(KNOBS) // columns)
    base = objective(sets, DEFAULT_RULES)
    with page(path, width_in=12.0, height_in=2.2 * rows) as figure:
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        figure.suptitle(
            "Surprise (log V + e²/2V, mean of the data sets) less that of the shipped rules, as one "
            "parameter moves\nline: shipped; band: fits to the folds", x=0.01, ha="left",
        )  # fmt: skip
        for axes, knob, fitted in zip(grid, KNOBS, report.parameters, strict=False):
            moved = [knob.moved(DEFAULT_RULES, factor) for factor in _FACTORS]
            tried = [rules for rules in moved if rules is not None]
            axes.plot(
                [knob.value(rules) for rules in tried],
                [objective(sets, rules) - base for rules in tried],
                "o-", color=ESTIMATE, markersize=3,
            )  # fmt: skip
            axes.axvspan(fitted.fold_least * 0.99, fitted.fold_most * 1.01, color=RING, alpha=0.15)
            axes.axvline(fitted.shipped, color=TRUTH, linewidth=1)
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
            axes.set_title(knob.label, fontsize=9, loc="left")
            axes.set_ylim(-0.05, 0.3)
        for axes in grid[len(KNOBS) :]:
            axes.set_visible(False)
