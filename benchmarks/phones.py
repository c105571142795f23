"""Phones carried in cars with a reference track beside them, as MobilityNet publishes them.

Two CSV files, plain or gzip: what the phones wrote down (phone, range, ts, lat, lon, acc), and
where they were (trip, leg, ts, latitude, longitude), once a second. Both are read as they are;
times are seconds since 1970.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.recordings import SECOND_US, Recording
from geofence.plan import FloatArray
from simulators.recording import TrackError, accuracy_or_unknown, read_bytes

FIX_COLUMNS = ("ts", "lat", "lon", "acc")
TRUTH_COLUMNS = ("ts", "latitude", "longitude")

GAP_S = 5.0
"""A reference track with a longer gap is two: a line across it would be no truth."""

LEAST_S = 60.0
LEAST_FIXES = 20
"""Pieces shorter than this are left out: they would show how a track begins and nothing else."""

_NO_NUMBER = {"", "nan", "none", "null"}


def read_phones(fixes: Path, reference: Path) -> list[Recording]:
    """One recording for each phone and each unbroken piece of the reference track.

    Phones are named by the first part of `Recording.name`, up to the slash.

    Raises:
        TrackError: A file cannot be read, or not as such a file; names line and column.
    """
    pieces = [
        (leg, piece)
        for leg, rows in _groups(reference, ("trip", "leg"), TRUTH_COLUMNS).items()
        for piece in _unbroken(rows)
    ]
    return [
        found
        for (phone, _range), rows in _groups(fixes, ("phone", "range"), FIX_COLUMNS).items()
        for (_trip, leg), piece in pieces
        if (found := _recording(f"{phone}/{leg}", rows, piece)) is not None
    ]


def phone_of(recording: Recording) -> str:
    """Which phone a recording of `read_phones` comes from."""
    return recording.name.partition("/")[0]


def _groups(
    path: Path, keys: tuple[str, str], columns: tuple[str, ...]
) -> dict[tuple[str, str], FloatArray]:
    """Rows of numbers by the two columns that name them, in order of time."""
    found: dict[tuple[str, str], list[tuple[float, ...]]] = defaultdict(list)
    for line, row in _rows(path, (*keys, *columns)):
        numbers = tuple(_number(path, line, name, row[name]) for name in columns)
        found[row[keys[0]], row[keys[1]]].append(numbers)
    sorted_rows = {key: np.array(rows) for key, rows in found.items()}
    return {key: rows[np.argsort(rows[:, 0], kind="stable")] for key, rows in sorted_rows.items()}


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TrackError(path, "is not UTF-8 text; convert it first") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in needed if name not in (reader.fieldnames or ())]
    if missing:
        raise TrackError(path, f"the header has no {' and no '.join(missing)}", line=1)
    for row in reader:
        if any(row[name] is None for name in needed):
            raise TrackError(path, "has fewer cells than the header", line=reader.line_num)
        yield reader.line_num, row


def _number(path: Path, line: int, column: str, text: str) -> float:
    if column == "acc" and text.strip().lower() in _NO_NUMBER:
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise TrackError(path, f"{text!r} is not a number", line=line, column=column)
    return value


def _unbroken(rows: FloatArray) -> list[FloatArray]:
    return np.split(rows, np.flatnonzero(np.diff(rows[:, 0]) > GAP_S) + 1)


def _recording(name: str, fixes: FloatArray, truth: FloatArray) -> Recording | None:
    """What a phone wrote down along a piece of the reference track; None where that is too little.

    A phone writes some fixes twice, with another time of writing; they stay, as duplicates.
    """
    along = fixes[(fixes[:, 0] >= truth[0, 0]) & (fixes[:, 0] <= truth[-1, 0])]
    if len(along) < LEAST_FIXES or along[-1, 0] - along[0, 0] <= LEAST_S:
        return None
    # One row beyond the last fix, so that the truth at that fix lies between two.
    truth = truth[: np.searchsorted(truth[:, 0], along[-1, 0], side="right") + 1]
    start_s = along[0, 0]
    return Recording(
        name,
        np.rint((along[:, 0] - start_s) * SECOND_US).astype(np.int64),
        along[:, 1],
        along[:, 2],
        np.array([accuracy_or_unknown(one) for one in along[:, 3].tolist()]),
        np.rint((truth[:, 0] - start_s) * SECOND_US).astype(np.int64),
        truth[:, 1],
        truth[:, 2],
    )
