"""``cordon bench engine``: its tables, and the curve drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.engine_speed import CurvePoint, EngineReport
from benchmarks.pictures import ESTIMATE, page
from benchmarks.printed import Result, Table, shown

CURVE_FILE = "engine_curve.png"


def result_of(report: EngineReport) -> Result:
    """The report, and what a person reads of it."""
    fixes = [("ordinary", one) for one in report.ordinary]
    fixes += [("worst", one) for one in report.worst]
    sweeps = [("ordinary", report.sweep), ("worst", report.worst_sweep)]
    tables = [
        _table("batches", fixes, ("fixes", "fixes_per_s", "near_pairs", "near_zones")),
        _table("sweep", sweeps, ("pairs", "sweep_s", "due", "near_pairs")),
        _table("curve", [("", one) for one in report.curve], ("pairs", "batch", "batch_s")),
        _table("peers", [(one.name, one) for one in report.peers], ("fixes_per_s", "ratio")),
    ]
    if report.warm_up is not None:
        columns = ("cold_s", "kept_s", "two_at_once_s")
        tables.append(_table("warm-up", [("", report.warm_up)], columns))
    notes = [f"{peer.name}: {peer.note}" for peer in report.peers if peer.note]
    line = f"{report.fixes_per_s:,.0f} fixes a second on one core"
    return Result(report, "; ".join([line, *notes]), tables)


def _table(title: str, rows: Sequence[tuple[str, msgspec.Struct]], fields: Sequence[str]) -> Table:
    cells = [[name, *(shown(getattr(row, field)) for field in fields)] for name, row in rows]
    return [title, *fields], cells


def draw_curve(curve: Sequence[CurvePoint], folder: Path) -> Path:
    """Draw the time of a batch by the number of pairs in the plan; the picture's path.

    Raises:
        CordonError: matplotlib is not installed, or the picture cannot be written.
    """
    path = folder / CURVE_FILE
    with page(path, width_in=7.0, height_in=4.0) as figure:
        axes = figure.subplots()
        pairs, batch_ms = [one.pairs for one in curve], [one.batch_s * 1e3 for one in curve]
        axes.plot(pairs, batch_ms, "o-", color=ESTIMATE)
        axes.set(xscale="log", xlabel="pairs in the plan", ylabel="time of a batch, ms")
        axes.set_title(f"{curve[0].batch} fixes in a batch")
        axes.set_ylim(bottom=0)
    return path
