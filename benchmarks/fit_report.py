"""What ``cordon bench fit`` prints, as structs and as tables."""

from __future__ import annotations

import msgspec

from benchmarks.printed import Result, Table


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A number of `geofence.rules.Rules`: as shipped, fitted to everything, and over the folds."""

    name: str
    shipped: float
    fitted: float
    fold_least: float
    fold_most: float


class SetScore(msgspec.Struct, frozen=True, kw_only=True):
    """Mean of log V + e^2/2V over the seconds of one data set. Less is better.

    Attributes:
        name: Of the data set.
        recordings, seconds: What it holds.
        shipped: By the shipped rules.
        fitted: By the fit to everything, which has seen all of it.
        left_out: Each recording by the fit that has not seen it.
        shipped_behind: `shipped` minus `left_out`: above 0, the shipped rules are worse than a fit
            is where it has not looked.
        shipped_behind_error: Its standard error over recordings.
    """

    name: str
    recordings: int
    seconds: int
    shipped: float
    fitted: float
    left_out: float
    shipped_behind: float
    shipped_behind_error: float | None


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Shares of the truths that the radii of the shipped rules should hold, and do hold."""

    name: str
    claimed: list[float]
    held: list[float]


class FitReport(msgspec.Struct, frozen=True, kw_only=True):
    """All of it; `rules` is the version of what is shipped."""

    rules: str
    folds: int
    parameters: list[Parameter]
    sets: list[SetScore]
    calibration: list[Calibration]


def result_of(report: FitReport) -> Result:
    """For `cordon bench fit`."""
    line = f"Engine {report.rules}; {report.folds} folds of recordings left out in turn"
    tables = (parameter_table(report), score_table(report), calibration_table(report))
    return Result(report, line, tables)


def parameter_table(report: FitReport) -> Table:
    """What is shipped beside what a fit finds."""
    return (
        ["parameter", "shipped", "fit to all", "over the folds"],
        [
            [
                one.name,
                f"{one.shipped:g}",
                f"{one.fitted:.3g}",
                f"{one.fold_least:.3g} to {one.fold_most:.3g}",
            ]
            for one in report.parameters
        ],
    )


def score_table(report: FitReport) -> Table:
    """How little the truth was expected: log V + e^2/2V, less is better."""
    return (
        [
            "surprise",
            "recordings",
            "seconds",
            "shipped",
            "fit to all",
            "left out",
            "shipped behind",
        ],
        [
            [
                one.name,
                str(one.recordings),
                str(one.seconds),
                f"{one.shipped:.3f}",
                f"{one.fitted:.3f}",
                f"{one.left_out:.3f}",
                f"{one.shipped_behind:+.3f}"
                + (
                    f" +- {one.shipped_behind_error:.3f}"
                    if one.shipped_behind_error is not None
                    else ""
                ),
            ]
            for one in report.sets
        ],
    )


def calibration_table(report: FitReport) -> Table:
    """Shares of the truths within the radii claimed by the shipped rules."""
    claimed = report.calibration[0].claimed if report.calibration else []
    return (
        ["truth within the radius of", *(f"{100 * one:g} %" for one in claimed)],
        [[one.name, *(f"{100 * held:.1f} %" for held in one.held)] for one in report.calibration],
    )
