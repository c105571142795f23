"""Whatever is drawn: matplotlib, asked for only when something is, and how pages look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cordon.errors import CordonError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOKS: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 100,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same page on every machine
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 120,
}

TRUTH = "#111111"
ESTIMATE = "#1f6fb4"
FIXES = "#9a9a9a"
RING = "#c62828"
SERIES = ("#1f6fb4", "#3d9a50", "#8e5bb5", "#d97a1a", "#b23a48")
"""Told apart by the colour-blind too, in this order."""


@contextmanager
def page(path: Path, *, width_in: float = 10.0, height_in: float = 5.5) -> Iterator[Figure]:
    """An empty page, written to `path` (its suffix says how) when the block ends without an error.

    Raises:
        CordonError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415 - optional
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise CordonError(
            "drawing needs matplotlib, which is not installed. Install it with "
            "`pip install matplotlib` (or `pip install 'cordon[plots]'`) and try again."
        ) from error
    with mpl.rc_context(LOOKS):
        figure = Figure(figsize=(width_in, height_in), layout="constrained")
        yield figure
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(path)
        except OSError as error:
            raise CordonError(f"cannot write the picture {path}: {error}") from error
