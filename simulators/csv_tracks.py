"""Tracks in CSV files: any header, through a mapping of columns.

The mapping is given by the caller or, for two layouts that need no explanation, found in the
header. Guessing stops there: a wrong guess would play a wrong person.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from devices.instants import from_datetime
from simulators.recording import (
    SPEED_LIMIT_MPS,
    TRACKS_LIMIT,
    Point,
    Track,
    TrackError,
    accuracy_or_unknown,
    track_of,
)

RADIUS_68_PER_50 = math.sqrt(math.log(1 - 0.68) / math.log(1 - 0.5))
"""Radius of 68 % over radius of 50 %, about 1.28: the error's length is Rayleigh distributed when
its two components are normal and alike, P(error < r) = 1 - exp(-r^2 / 2 s^2)."""

EARTH_M = 4e7
"""Once round the earth: no accuracy is worse. Down to -1, which some receivers write for unknown."""

_NAN = float("nan")


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column of a CSV file holds what. Empty: the file does not have it.

    Attributes:
        time: ISO 8601; without an offset only when a time zone is given as well.
        lat, lon: WGS84 degrees.
        id: Tells the tracks of one file apart; without it the file is one track.
        accuracy: Radius of 68 %, metres.
        accuracy_50: Radius of 50 %, metres; converted by `RADIUS_68_PER_50`.
        speed: Metres per second.
        course: Degrees clockwise from north.
    """

    time: str
    lat: str
    lon: str
    id: str = ""
    accuracy: str = ""
    accuracy_50: str = ""
    speed: str = ""
    course: str = ""


_KNOWN_HEADERS = (
    Columns(id="id", time="time", lat="lat", lon="lon", accuracy_50="confidence_50pct_m"),
    Columns(id="id", time="time", lat="lat", lon="lon", accuracy="accuracy_m"),
    Columns(id="id", time="time", lat="lat", lon="lon"),
    Columns(time="time", lat="lat", lon="lon", accuracy="accuracy_m"),
    Columns(time="time", lat="lat", lon="lon"),
)
"""Headers understood without being told, the most telling first."""

EXAMPLE = "id=vehicle_id,time=timestamp,lat=latitude,lon=longitude"


def parse_columns(text: str) -> Columns:
    """The mapping written as ``id=vehicle_id,time=timestamp,lat=latitude,lon=longitude``.

    Raises:
        ValueError: It is not of that form, names an unknown field or leaves out a needed one.
    """
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    mapping = {field.strip(): column.strip() for field, _, column in pairs}
    if len(mapping) != len(pairs) or not all(mapping.values()):
        raise ValueError(f"write each field once, as field=column, for example {EXAMPLE}")
    try:
        return msgspec.convert(mapping, Columns)
    except msgspec.ValidationError as error:
        fields = ", ".join(Columns.__struct_fields__)
        raise ValueError(
            f"{error}; fields are {fields} (time, lat and lon are needed), for example {EXAMPLE}"
        ) from error


def read_csv(
    path: Path, data: bytes, columns: Columns | None, time_zone: str | None
) -> list[Track]:
    """The tracks of a CSV file, in the order in which they first appear.

    Args:
        path: Named in errors.
        data: Content of the file.
        columns: The mapping; None to find it in the header.
        time_zone: IANA name for times that have no offset. In the hour that comes twice when
            clocks go back, such a time means the first one.

    Raises:
        TrackError: Naming line and column.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TrackError(path, "is not UTF-8 text; convert it first", line=line) from error
    rows = _rows(path, text)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    layout = _Layout(path, header, columns or _guess(path, header), time_zone)
    found: dict[str, list[Point]] = {}
    for line, row in rows:
        name, point = layout.point(line, row)
        if name not in found and len(found) >= TRACKS_LIMIT:
            what = f"has more than {TRACKS_LIMIT} tracks; is the id column right? else split it"
            raise TrackError(path, what, line=line)
        found.setdefault(name, []).append(point)
    if not found:
        raise TrackError(path, "has no rows below its header; nothing to play")
    return [track_of(name, points) for name, points in found.items()]


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number (of the row's last line) and cells of each row that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        what = f"is not valid CSV ({error}); look for an open quote"
        raise TrackError(path, what, line=reader.line_num) from error


def _guess(path: Path, header: Sequence[str]) -> Columns:
    for columns in _KNOWN_HEADERS:
        if set(_named(columns)) <= set(header):
            return columns
    seen = ", ".join(header[:20]) or "nothing"
    raise TrackError(
        path, f"its header ({seen}) is not a known one; say --columns {EXAMPLE}", line=1
    )


def _named(columns: Columns) -> list[str]:
    return [name for name in msgspec.structs.astuple(columns) if name]


class _Layout:
    """Turns rows of one file into points."""

    def __init__(
        self, path: Path, header: list[str], columns: Columns, time_zone: str | None
    ) -> None:
        for name in _named(columns):
            if header.count(name) != 1:
                what = f"the header has {header.count(name)} columns of this name, not one"
                raise TrackError(path, f"{what}; it has {', '.join(header)}", line=1, column=name)
        self._path = path
        self._columns = columns
        self._index = {name: header.index(name) for name in _named(columns)}
        self._width = len(header)
        self._zone = ZoneInfo(time_zone) if time_zone else None

    def point(self, line: int, row: Sequence[str]) -> tuple[str, Point]:
        """Name of the track and the point of one row.

        Raises:
            TrackError: A cell does not hold what its column should.
        """
        if len(row) != self._width:
            what = f"has {len(row)} cells where the header has {self._width}; repair the row"
            raise TrackError(self._path, what, line=line)
        columns = self._columns
        name = row[self._index[columns.id]].strip() if columns.id else self._path.name.split(".")[0]
        if not name:
            raise TrackError(
                self._path, "is empty; every row needs one", line=line, column=columns.id
            )
        return name, Point(
            self._time_us(line, row),
            self._number(line, row, columns.lat, low=-90, high=90, needed=True),
            self._number(line, row, columns.lon, low=-180, high=180, needed=True),
            self._accuracy_m(line, row),
            self._number(line, row, columns.speed, low=0, high=SPEED_LIMIT_MPS),
            self._number(line, row, columns.course, low=0, high=360) % 360,
        )

    def _time_us(self, line: int, row: Sequence[str]) -> int:
        column = self._columns.time
        text = row[self._index[column]].strip()
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            what = f"{text!r} is not a time; write ISO 8601, for example 2026-11-23T18:04:05Z"
            raise TrackError(self._path, what, line=line, column=column) from error
        if moment.tzinfo is None:
            if self._zone is None:
                what = f"{text!r} has no offset; name its zone, for example --time-zone UTC"
                raise TrackError(self._path, what, line=line, column=column)
            moment = moment.replace(tzinfo=self._zone)
        return from_datetime(moment)

    def _accuracy_m(self, line: int, row: Sequence[str]) -> float:
        columns = self._columns
        stated_m = self._number(line, row, columns.accuracy, low=-1, high=EARTH_M)
        if math.isnan(stated_m):
            half_m = self._number(line, row, columns.accuracy_50, low=-1, high=EARTH_M)
            stated_m = half_m * RADIUS_68_PER_50
        return accuracy_or_unknown(stated_m)

    def _number(
        self,
        line: int,
        row: Sequence[str],
        column: str,
        *,
        low: float,
        high: float,
        needed: bool = False,
    ) -> float:
        text = row[self._index[column]].strip() if column else ""
        if not needed and text.lower() in {"", "nan", "null", "none"}:
            return _NAN
        try:
            value = float(text)
        except ValueError:
            value = _NAN
        if not low <= value <= high:
            what = f"does not hold a number from {low} to {high}; correct it or leave the row out"
            raise TrackError(self._path, what, line=line, column=column)
        return value
