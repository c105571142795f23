"""Recordings with the truth beside them: what a receiver wrote down, and where it really was."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geofence.plan import FloatArray, IntArray
from simulators.csv_tracks import Columns, read_csv
from simulators.recording import Track, TrackError, read_bytes

FIXES = Columns(id="id", time="time", lat="lat", lon="lon", accuracy_50="confidence_50pct_m")
TRUTH = Columns(id="id", time="time", lat="truth_lat", lon="truth_lon")
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording on a clock of its own, which starts at 0 with its first fix.

    Attributes:
        name: The recording's own name.
        time_us: (n,) fix times since the first fix, never falling.
        lat_deg, lon_deg: (n,) what the receiver said, WGS84 degrees.
        accuracy_m: (n,) radius of 68 %; NaN where unknown.
        truth_time_us: (m,) times of the truth, never falling.
        truth_lat_deg, truth_lon_deg: (m,) where it really was.
    """

    name: str
    time_us: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray
    accuracy_m: FloatArray
    truth_time_us: IntArray
    truth_lat_deg: FloatArray
    truth_lon_deg: FloatArray

    @property
    def whole_s(self) -> int:
        """Whole seconds from the first to the last row that has a truth, however thinned."""
        return int(self.truth_time_us[-1]) // SECOND_US

    def held(self, grid_us: IntArray) -> IntArray:
        """For each instant, from 0 on, the index of the last fix that is not after it."""
        return np.searchsorted(self.time_us, grid_us, side="right") - 1

    def truth_at(self, grid_us: IntArray) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude of the truth at these instants, on a line between two rows."""
        continuous_deg = np.unwrap(self.truth_lon_deg, period=360)
        return (
            np.interp(grid_us, self.truth_time_us, self.truth_lat_deg),
            np.interp(grid_us, self.truth_time_us, continuous_deg),
        )


def read_recordings(path: Path) -> list[Recording]:
    """The recordings of a CSV file with the columns of `FIXES` and `TRUTH`; others are ignored.

    A row without a truth cannot be scored and is left out before a recording's clock is started.

    Raises:
        TrackError: The file cannot be read, or not as such a file; names line and column.
    """
    data = _scorable(path, read_bytes(path))
    fixes = read_csv(path, data, FIXES, None)
    truths = read_csv(path, data, TRUTH, None)
    return [_recording(fix, truth) for fix, truth in zip(fixes, truths, strict=True)]


def _scorable(path: Path, data: bytes) -> bytes:
    """The file with empty lines for rows without truth, so that errors name the right lines."""
    lines = data.split(b"\n")
    header = _cells(lines[0].removeprefix(b"\xef\xbb\xbf"))
    missing = [name for name in (TRUTH.lat, TRUTH.lon) if name not in header]
    if missing:
        what = f"the header has no {' and no '.join(missing)}; without the truth nothing is scored"
        raise TrackError(path, what, line=1)
    needed = [header.index(TRUTH.lat), header.index(TRUTH.lon)]
    return b"\n".join([lines[0], *(_with_truth(line, needed) for line in lines[1:])])


def _with_truth(line: bytes, needed: list[int]) -> bytes:
    cells = _cells(line)
    blank = any(i < len(cells) and cells[i].lower() in {"", "nan"} for i in needed)
    return b"" if blank else line


def _cells(line: bytes) -> list[str]:
    # Bytes that are no UTF-8 are for the reader of tracks to complain about.
    return [cell.strip() for cell in next(csv.reader([line.decode("utf-8", "replace")]), [])]


def _recording(fixes: Track, truth: Track) -> Recording:
    start_us = fixes.times_us[0]
    return Recording(
        fixes.name,
        fixes.times_us - start_us,
        fixes.lat_deg,
        fixes.lon_deg,
        fixes.accuracy_m,
        truth.times_us - start_us,
        truth.lat_deg,
        truth.lon_deg,
    )


def thinned(recording: Recording, interval_s: float) -> Recording:
    """The recording as a device that reports every `interval_s` would have sent it.

    Kept is the first fix of each interval, counted from the start in whole seconds, so that fixes
    a few milliseconds early fall where they belong. The truth stays whole. A recording that is
    made no more often than that stays as it is.
    """
    steps_us = np.diff(recording.time_us)
    if steps_us.size == 0 or interval_s <= max(1.0, float(np.median(steps_us)) / SECOND_US):
        return recording
    interval = np.floor(np.rint(recording.time_us / SECOND_US) / interval_s)
    _, kept = np.unique(interval, return_index=True)
    return replace(
        recording,
        time_us=recording.time_us[kept],
        lat_deg=recording.lat_deg[kept],
        lon_deg=recording.lon_deg[kept],
        accuracy_m=recording.accuracy_m[kept],
    )
