"""A file of recordings with the truth: people who stand, step aside and come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

HEADER = "id,time,lat,lon,confidence_50pct_m,truth_lat,truth_lon,error_m"
DEGREE_M = 111_320.0
LON = 1  # 0 N 0 E is where nobody stands: receivers without a position send it
BEGIN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def row(  # one line of the file, north of a point at the equator
    name: str,
    at_s: float,
    truth_m: float | None,
    *,
    fix_m: float | None = None,
    confidence_m: float | str = 5.0,
    day: int = 0,
) -> str:
    time = (BEGIN + timedelta(days=day, seconds=at_s)).isoformat()
    fix_m = fix_m if fix_m is not None else truth_m or 0.0
    truth = "," if truth_m is None else f"{truth_m / DEGREE_M:.9f},{LON}"
    return f"{name},{time},{fix_m / DEGREE_M:.9f},{LON},{confidence_m},{truth},0"


def write(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def encounter_rows(length_s: int = 300) -> list[str]:
    """One stands still; the other, a day later, is near him from second 100 up to 200."""
    standing = [row("stays", at_s, 0.0) for at_s in range(length_s)]
    passing = [
        row("comes", at_s, 20.0 if 100 <= at_s < 200 else 400.0, day=1) for at_s in range(length_s)
    ]
    return standing + passing
