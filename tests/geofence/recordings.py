"""Other people's recordings as rows a kernel can be fed with. Skipped where they are not at hand."""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from geofence.distance import to_cartesian_m

Point = tuple[float, float, float]


class Row(NamedTuple):
    """One fix in order of arrival; `error_m` is NaN where the truth is not known."""

    time_us: int
    lat: float
    lon: float
    radius_m: float
    received_us: int
    error_m: float

    @property
    def place(self) -> Point:
        return to_cartesian_m(round(self.lat * 1e7) / 1e7, round(self.lon * 1e7) / 1e7)


Recording = dict[str, list[Row]]

UNKNOWN_RADIUS_M = 100.0
FLOOR_RADIUS_M = 3.0
SENT_AFTER_S = 1.0
"""Where a recording does not say when a fix was received."""


def make_row(
    time_s: float,
    lat: str,
    lon: str,
    radius_m: float = float("nan"),
    received_s: float | None = None,
    error_m: str = "nan",
) -> Row:
    known = radius_m > 0
    return Row(
        round(time_s * 1e6),
        float(lat),
        float(lon),
        max(FLOOR_RADIUS_M, radius_m) if known else UNKNOWN_RADIUS_M,
        round((time_s + SENT_AFTER_S if received_s is None else received_s) * 1e6),
        float(error_m or "nan"),
    )


def grouped(rows: Iterable[tuple[str, Row]]) -> Recording:
    """By device, in order of arrival."""
    found: Recording = defaultdict(list)
    for name, row in rows:
        found[name].append(row)
    return {name: sorted(rows, key=lambda row: row.received_us) for name, rows in found.items()}


def instant_s(text: str) -> float:
    when = datetime.fromisoformat(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def walks(data_dir: Path) -> Recording:
    """13 walks and rides in Oxford, one fix a second, with the truth."""
    with (data_dir / "oxford_walks" / "fixes_truth_dev.csv").open(newline="") as file:
        return grouped(
            (
                row["id"],
                make_row(
                    instant_s(row["time"]),
                    row["lat"],
                    row["lon"],
                    # From 50 % to 68 %: both by Rayleigh's law.
                    1.2821 * float(row["confidence_50pct_m"] or "nan"),
                    error_m=row["error_m"],
                ),
            )
            for row in csv.DictReader(file)
        )


def phones(data_dir: Path, name: str) -> Recording:
    """Phones round San Jose: `car_scooter_brex_san_jose`, or one of two sets that lay still."""
    with gzip.open(data_dir / "sf_phones" / f"fixes_{name}.csv.gz", "rt") as file:
        return grouped(
            (
                f"{row['phone']} {row['range']}",
                make_row(
                    float(row["ts"]),
                    row["lat"],
                    row["lon"],
                    float(row["acc"] or "nan"),
                    float(row["write_ts"]),
                ),
            )
            for row in csv.DictReader(file)
        )


def austin_buses(data_dir: Path) -> Recording:
    """279 buses, one fix in two minutes, one day."""
    with gzip.open(data_dir / "austin_buses" / "2016-12-16.csv.gz", "rt") as file:
        return grouped(
            (
                row["vehicle_id"],
                make_row(instant_s(row["timestamp"]), row["latitude"], row["longitude"]),
            )
            for row in csv.DictReader(file)
        )


def liverpool_buses(data_dir: Path) -> Recording:
    """Eight buses, one fix in 24 s."""
    with (data_dir / "liverpool_buses" / "route14_outbound.csv").open(newline="") as file:
        return grouped(
            (
                row["vehicle_id"],
                make_row(instant_s(row["timestamp"]), row["latitude"], row["longitude"]),
            )
            for row in csv.DictReader(file)
        )


def bicycle(data_dir: Path) -> Recording:
    """Seven receivers on one bicycle, one fix in 1 to 101 s."""
    point = re.compile(
        r'<trkpt lat="([^"]+)" lon="([^"]+)">(?:(?!</trkpt>).)*?<time>([^<]+)</time>', re.DOTALL
    )
    return {
        path.stem: [
            make_row(instant_s(time), lat, lon)
            for lat, lon, time in point.findall(path.read_text())
        ]
        for path in sorted((data_dir / "whitchurch_bike").glob("*.gpx"))
        if path.stem != "planned-route"
    }
