"""The curve of ``cordon bench engine``, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks.engine_speed import CurvePoint

FILE = "engine_curve.png"


def draw_curve(curve: Sequence[CurvePoint], folder: Path) -> Path | None:
    """Draw the time of a batch by the number of pairs in the plan.

    Args:
        curve: What was measured.
        folder: Made if it is not there.

    Returns:
        The picture; None where matplotlib is not installed.

    Raises:
        OSError: The folder cannot be written to.
    """
    try:
        import_module("matplotlib").use("Agg")
        pyplot = import_module("matplotlib.pyplot")
    except ImportError:
        return None
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    axes.plot([one.pairs for one in curve], [one.batch_s * 1e3 for one in curve], "o-")
    axes.set(xscale="log", xlabel="pairs in the plan", ylabel="time of a batch, ms")
    axes.set_title(f"{curve[0].batch} fixes in a batch", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    figure.savefig(path, dpi=150)
    pyplot.close(figure)
    return path
