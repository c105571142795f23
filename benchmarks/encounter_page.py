"""A page for one encounter: distances, probability and levels over time. No places."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.contenders import PRE_ALERT_FACTOR, START_US
from benchmarks.encounters import LEAVE_FACTOR, Spell
from benchmarks.pictures import ESTIMATE, FIXES, RING, TRUTH, page
from benchmarks.recordings import SECOND_US
from benchmarks.stories import Story, Timeline
from geofence.levels import Cause, Level
from geofence.rules import DEFAULT_RULES
from geofence.sensitivity import DEFAULT_SENSITIVITY, SPARSE_S

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEVEL_COLOURS = {
    Level.CLEAR: "#dfe9df",
    Level.PRE_ALERT: "#f2c14e",
    Level.ALERT: "#d1495b",
    Level.CONTACT: "#7b1e3a",
    Level.UNKNOWN: "#8d99ae",
}

_NEAR_ENOUGH = 2.6
"""Distances are drawn up to so many radii; what is farther away decides nothing."""

_PAPER = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.8}
"""Behind words that stand on lines."""

_CAUSES = {
    Cause.POSITION: "by where they were",
    Cause.AHEAD: "by where they were heading",
    Cause.PATH: "by the way between two fixes",
    Cause.BEACON: "a beacon was heard",
    Cause.SILENCE: "nothing heard for too long",
    Cause.CALM: "away for long enough",
    Cause.PLAN: "no longer asked for",
}


def draw_story(
    path: Path, story: Story, line: Timeline, *, radius_m: float, interval_s: float
) -> None:
    """Write a page for one encounter.

    Raises:
        CordonError: See `benchmarks.pictures.page`.
    """
    at_s = np.arange(story.start_s, story.end_s + 1)
    with page(path, width_in=11.0, height_in=7.8) as figure:
        title = "\n".join(textwrap.wrap(story.title, 105))
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        top, middle, low = figure.subplots(
            3, 1, sharex=True, gridspec_kw={"height_ratios": [6, 2.2, 2.4]}
        )
        _distances(top, at_s, line, radius_m)
        _probabilities(middle, at_s, line, radius_m, interval_s)
        _levels(low, story, line)
        for axes in (top, middle):
            _shade(axes, line.true)
        low.set_xlim(story.start_s, story.end_s)
        low.xaxis.set_major_formatter(_clock)
        low.set_xticks(_round_seconds(story))
        low.set_xlabel("minutes and seconds since both recordings began")
        figure.supxlabel(
            f"A fix every {interval_s:g} s. Grey background: truly within {radius_m:g} m (until "
            f"beyond {LEAVE_FACTOR * radius_m:g} m). Engine rules {DEFAULT_RULES.version}.",
            fontsize=8.5, x=0.01, ha="left", color="#555555",
        )  # fmt: skip


def _clock(second: float, _position: object = None) -> str:
    return f"{int(second) // 60}:{int(second) % 60:02d}"


def _round_seconds(story: Story) -> list[int]:
    """Where the clock is written: about twelve times, at seconds that people count in."""
    span_s = story.end_s - story.start_s
    step_s = next((step for step in (5, 10, 15, 30, 60, 120) if span_s <= 12 * step), 300)
    return list(range(-(-story.start_s // step_s) * step_s, story.end_s + 1, step_s))


def _shade(axes: Axes, true: Sequence[Spell]) -> None:
    for spell in true:
        axes.axvspan(spell.start_s, spell.end_s, color="#000000", alpha=0.07, linewidth=0)


def _distances(axes: Axes, at_s: Any, line: Timeline, radius_m: float) -> None:
    shown = slice(at_s[0], at_s[-1] + 1)
    most_m = _NEAR_ENOUGH * radius_m
    axes.fill_between(
        at_s, line.low_m[shown], line.high_m[shown], color=ESTIMATE, alpha=0.22, linewidth=0,
        label="95 % interval of the engine",
    )  # fmt: skip
    axes.plot(
        at_s, line.fixes_m[shown], ".", color=FIXES, markersize=3.5,
        label="distance of the last fixes, as received",
    )  # fmt: skip
    axes.plot(
        at_s, line.distance_m[shown], color=ESTIMATE, linewidth=1.8, label="engine's estimate"
    )
    axes.plot(at_s, line.truth_m[shown], color=TRUTH, linewidth=1.6, label="true distance")
    beyond = int(np.count_nonzero(line.fixes_m[shown] > most_m))
    warning_m, leave_m = PRE_ALERT_FACTOR * radius_m, LEAVE_FACTOR * radius_m
    for ring_m, style, text, side in (
        (radius_m, "-", f"alert ring {radius_m:g} m", "top"),
        (leave_m, ":", f"an encounter ends beyond {leave_m:g} m", "bottom"),
        (warning_m, "--", f"warning ring {warning_m:g} m", "bottom"),
    ):
        axes.axhline(ring_m, color=RING, linestyle=style, linewidth=1.1)
        axes.annotate(
            text, (1.0, ring_m), xycoords=("axes fraction", "data"), ha="right", va=side,
            xytext=(-3, 2 if side == "bottom" else -3), textcoords="offset points", color=RING,
            fontsize=9, bbox=_PAPER,
        )  # fmt: skip
    axes.set_ylim(0, most_m)
    axes.set_ylabel("distance, m")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, fontsize=9)
    if beyond:
        axes.annotate(
            f"{beyond} s with the last fixes farther apart than shown", (0.005, 0.985),
            xycoords="axes fraction", va="top", fontsize=8.5, color="#444444", bbox=_PAPER,
        )  # fmt: skip


def _probabilities(
    axes: Axes, at_s: Any, line: Timeline, radius_m: float, interval_s: float
) -> None:
    shown = slice(at_s[0], at_s[-1] + 1)
    axes.plot(at_s, line.probability[shown], color=ESTIMATE, linewidth=1.5)
    axes.axhline(asked_at(interval_s), color=RING, linewidth=1.0)
    axes.axhline(DEFAULT_SENSITIVITY.clear_probability, color=RING, linewidth=1.0, linestyle=":")
    # fmt: off
    for level, text in ((asked_at(interval_s), "enters above"),
                        (DEFAULT_SENSITIVITY.clear_probability, "may leave below")):
        axes.annotate(text, (1.0, level), xycoords=("axes fraction", "data"), ha="right",
                      va="bottom", xytext=(-3, 1), textcoords="offset points", color=RING,
                      fontsize=8.5, bbox=_PAPER)
    # fmt: on
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.5, 1], ["0", "½", "1"])
    axes.set_ylabel(f"probability of\nbeing within {radius_m:g} m")


def asked_at(interval_s: float) -> float:
    """The probability that entering takes with so many seconds between fixes."""
    share = min(1.0, float(np.log(max(1.0, interval_s)) / np.log(SPARSE_S)))
    often = DEFAULT_SENSITIVITY.enter_probability
    return often + share * (DEFAULT_SENSITIVITY.sparse_probability - often)


def _levels(axes: Axes, story: Story, line: Timeline) -> None:
    """Bars: what was true, what the engine showed, what the rule by raw distance would have."""
    _bars(axes, 2, line.true, TRUTH)
    shown = _runs(line.level[: story.end_s + 1].tolist())
    for level, colour in LEVEL_COLOURS.items():
        spells = [spell for spell, value in shown if value == level]
        _bars(axes, 1, spells, colour)
    _bars(axes, 0, line.raw, FIXES)
    axes.set_yticks([2, 1, 0], ["truth", "engine", "raw distance"])
    axes.set_ylim(-1.7, 2.5)
    axes.grid(visible=False, axis="y")
    present = [level for level in LEVEL_COLOURS if any(value == level for _, value in shown)]
    handles = [_patch(LEVEL_COLOURS[level], level.label.replace("_", "-")) for level in present]
    axes.legend(handles=handles, loc="lower right", ncols=5, fontsize=9)
    rises = [
        change
        for change in line.changes
        if change.level in {Level.ALERT, Level.CONTACT} and change.level > change.previous
    ]
    seconds = [(change.decided_at_us - START_US) // SECOND_US for change in rises]
    inside = [
        (second, change)
        for second, change in zip(seconds, rises, strict=True)
        if story.start_s <= second <= story.end_s
    ]
    words = [
        f"{_clock(second)} alert {_CAUSES[change.cause]} (probability {change.probability:.2f})"
        for second, change in inside[:2]
    ]
    axes.annotate(
        "; ".join(words), (0.005, 0.06), xycoords="axes fraction", fontsize=9, va="bottom",
    )  # fmt: skip


def _bars(axes: Axes, row: float, spells: Sequence[Spell], colour: str) -> None:
    for spell in spells:
        width_s = max(1, spell.end_s - spell.start_s)
        axes.broken_barh([(spell.start_s, width_s)], (row - 0.36, 0.72), color=colour)


def _runs(levels: Sequence[int]) -> list[tuple[Spell, int]]:
    """Runs of equal levels."""
    found: list[tuple[Spell, int]] = []
    start_s = 0
    for second in range(1, len(levels) + 1):
        if second == len(levels) or levels[second] != levels[start_s]:
            found.append((Spell(start_s, second), levels[start_s]))
            start_s = second
    return found


def _patch(colour: str, label: str) -> Any:
    from matplotlib.patches import Patch  # noqa: PLC0415 - optional

    return Patch(color=colour, label=label)
