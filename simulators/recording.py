"""A recorded track: what a receiver wrote down, whatever the file it was written to."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.plan import FloatArray, IntArray

FILE_LIMIT_BYTES = 256 * 1024 * 1024
"""Largest track file, after decompression. A day of 279 buses is 4 MB."""

TRACKS_LIMIT = 2_000
"""Most tracks in one file: each becomes a device with a connection of its own."""

WORST_ACCURACY_M = 100_000.0
"""A larger radius of 68 % is the same as not knowing; devices must not report one."""

SPEED_LIMIT_MPS = 500.0
"""Faster than an airliner in a jet stream: a mistake in the file or in the mapping."""

_GZIP_MAGIC = b"\x1f\x8b"


class TrackError(ValueError):
    """A track file that cannot be used: names the file, the place in it and what to do."""

    def __init__(self, path: Path, message: str, *, line: int = 0, column: str = "") -> None:
        place = str(path) + (f", line {line}" if line else "")
        super().__init__(f"{place}{f', column {column}' if column else ''}: {message}")


class Point(NamedTuple):
    """One recorded position. NaN stands for what the recording does not say."""

    time_us: int
    lat_deg: float
    lon_deg: float
    accuracy_m: float
    speed_mps: float
    course_deg: float


@dataclass(frozen=True, slots=True)
class Track:
    """What one receiver recorded, in order of time.

    Attributes:
        name: The recording's own name for it, which need not be a valid device id.
        times_us: (n,) fix times, never falling; equal ones stay, as recorded.
        lat_deg, lon_deg: (n,) WGS84 degrees.
        accuracy_m: (n,) radius of 68 %; NaN where the recording does not know it.
        speed_mps: (n,) NaN where unknown.
        course_deg: (n,) 0 up to 360, clockwise from north; NaN where unknown.
        planned: A route without times: the times are made up and count from 0.
    """

    name: str
    times_us: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray
    accuracy_m: FloatArray
    speed_mps: FloatArray
    course_deg: FloatArray
    planned: bool = False

    def __len__(self) -> int:
        return len(self.times_us)

    @property
    def interval_s(self) -> float:
        """Median time between two fixes, at least 1 s; 60 s for a single fix."""
        if len(self) < 2:
            return 60.0
        return max(1.0, float(np.median(np.diff(self.times_us))) / 1e6)


def track_of(name: str, points: list[Point], *, planned: bool = False) -> Track:
    """The track of these points, sorted by time; points of one instant keep their order."""
    rows: NDArray[np.float64] = np.array([point[1:] for point in points], dtype=np.float64)
    times_us = np.array([point.time_us for point in points], dtype=np.int64)
    order = np.argsort(times_us, kind="stable")
    lat_deg, lon_deg, accuracy_m, speed_mps, course_deg = np.ascontiguousarray(rows[order].T)
    return Track(
        name, times_us[order], lat_deg, lon_deg, accuracy_m, speed_mps, course_deg, planned
    )


def accuracy_or_unknown(accuracy_m: float) -> float:
    """The accuracy, or NaN when it says nothing: 0 and less, least of all perfection, or too much."""
    return accuracy_m if 0 < accuracy_m <= WORST_ACCURACY_M else float("nan")


def read_bytes(path: Path) -> bytes:
    """The content of a track file, decompressed when it is gzip.

    Raises:
        TrackError: It cannot be read, is damaged or is larger than `FILE_LIMIT_BYTES`.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == _GZIP_MAGIC
            file.seek(0)
            source = gzip.open(file) if packed else file  # noqa: SIM115 - closed with file
            data = source.read(FILE_LIMIT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TrackError(path, f"cannot be read ({error}); check the name and the file") from error
    if len(data) > FILE_LIMIT_BYTES:
        limit_mb = FILE_LIMIT_BYTES // (1024 * 1024)
        raise TrackError(path, f"is larger than {limit_mb} MB; split it into smaller files")
    return data
