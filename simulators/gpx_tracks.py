"""Tracks in GPX 1.1 files.

Read with expat itself: it knows the line of every mistake, and a document type declaration can be
refused the moment it begins, before any entity in it is defined. GPX needs none, and entities are
how a small file becomes a large one.
"""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from pyproj import Geod

from devices.instants import from_datetime
from simulators.recording import (
    TRACKS_LIMIT,
    Point,
    Track,
    TrackError,
    accuracy_or_unknown,
    track_of,
)

RANGE_ERROR_M = 5.0
"""Standard deviation of one satellite range of a cheap single-frequency receiver among trees and
houses, metres. GPX states only the dilution, and dilution times range error is the position's
error; values from 4 to 7 are in use, so 5 is an assumption, not a measurement."""

ACCURACY_PER_HDOP_M = RANGE_ERROR_M * math.sqrt(-math.log(1 - 0.68))
"""Radius of 68 % per unit of horizontal dilution: hdop times range error is the root mean square
of the error's length, and a Rayleigh length stays within sqrt(-ln(1 - p)) of that with
probability p."""

HDOP_LIMIT = 1_000.0
"""Receivers write 99.99 or the like for a hopeless sky; more than this is a damaged file."""

PLANNED_SPEED_MPS = 4.0
"""How fast a route without times is travelled: an unhurried bicycle."""

_SEPARATOR = " "
_WGS84 = Geod(ellps="WGS84")
_NAN = float("nan")


def read_gpx(path: Path, data: bytes) -> list[Track]:
    """The tracks (`trk`) of a GPX file; their segments are joined, the gap between them stays.

    A file whose points have no times at all is a planned route: it is travelled at
    `PLANNED_SPEED_MPS` from time 0.

    Raises:
        TrackError: Naming the line.
    """
    reader = _Reader(path)
    reader.read(data)
    parts = [points for points in reader.tracks if points]
    if not parts:
        raise TrackError(path, "has no track points (trk/trkseg/trkpt); nothing to play")
    stem = path.name.split(".")[0]
    names = [stem] if len(parts) == 1 else [f"{stem}-{n}" for n in range(1, len(parts) + 1)]
    return [_track(path, name, points) for name, points in zip(names, parts, strict=True)]


class _Draft:
    """A track point while its elements are being read."""

    def __init__(self, line: int, lat_deg: float, lon_deg: float) -> None:
        self.line = line
        self.lat_deg = lat_deg
        self.lon_deg = lon_deg
        self.accuracy_m = _NAN
        self.time_us: int | None = None


def _track(path: Path, name: str, drafts: list[_Draft]) -> Track:
    untimed = [draft for draft in drafts if draft.time_us is None]
    planned = len(untimed) == len(drafts)
    if untimed and not planned:
        what = "this point has no time but others have; remove it or give it one"
        raise TrackError(path, what, line=untimed[0].line)
    times_us = _travel_times_us(drafts) if planned else [draft.time_us or 0 for draft in drafts]
    points = [
        Point(time_us, draft.lat_deg, draft.lon_deg, draft.accuracy_m, _NAN, _NAN)
        for time_us, draft in zip(times_us, drafts, strict=True)
    ]
    return track_of(name, points, planned=planned)


def _travel_times_us(drafts: list[_Draft]) -> list[int]:
    """When each point of a route is reached, counting from 0 at the first."""
    lons_deg = [draft.lon_deg for draft in drafts]
    lats_deg = [draft.lat_deg for draft in drafts]
    legs_m = _WGS84.line_lengths(lons_deg, lats_deg) if len(drafts) > 1 else []
    reached_s = np.concatenate([[0.0], np.cumsum(np.asarray(legs_m))]) / PLANNED_SPEED_MPS
    return [round(moment_s * 1e6) for moment_s in reached_s.tolist()]


class _Reader:
    """Collects `trkpt` elements, with the few of their children that matter here."""

    def __init__(self, path: Path) -> None:
        self.tracks: list[list[_Draft]] = []
        self._path = path
        self._open: list[str] = []
        self._text: list[str] = []
        self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append

    def read(self, data: bytes) -> None:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            what = (
                f"is not well-formed XML ({expat.ErrorString(error.code)}); repair or re-export it"
            )
            raise TrackError(self._path, what, line=error.lineno) from error

    def _fail(self, message: str) -> TrackError:
        return TrackError(self._path, message, line=self._parser.CurrentLineNumber)

    def _refuse_doctype(self, *_declaration: Any) -> None:
        raise self._fail("has a DOCTYPE, which GPX never needs and is refused; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(_SEPARATOR)[2]
        if not self._open and name != "gpx":
            raise self._fail(f"begins with <{name}>, not <gpx>; only GPX is read")
        self._open.append(name)
        self._text.clear()
        if name == "trk":
            if len(self.tracks) >= TRACKS_LIMIT:
                raise self._fail(f"has more than {TRACKS_LIMIT} tracks; split it")
            self.tracks.append([])
        elif self._open == ["gpx", "trk", "trkseg", "trkpt"]:
            self.tracks[-1].append(
                _Draft(
                    self._parser.CurrentLineNumber,
                    self._degrees(attributes, "lat", 90),
                    self._degrees(attributes, "lon", 180),
                )
            )

    def _end(self, _tag: str) -> None:
        if self._open[:-1] == ["gpx", "trk", "trkseg", "trkpt"]:
            draft, text = self.tracks[-1][-1], "".join(self._text).strip()
            if self._open[-1] == "time":
                draft.time_us = self._time_us(text)
            elif self._open[-1] == "hdop":
                hdop = self._number(text, "hdop", 0, HDOP_LIMIT)
                draft.accuracy_m = accuracy_or_unknown(hdop * ACCURACY_PER_HDOP_M)
        self._open.pop()

    def _degrees(self, attributes: dict[str, str], name: str, limit_deg: float) -> float:
        return self._number(attributes.get(name, ""), name, -limit_deg, limit_deg)

    def _number(self, text: str, name: str, low: float, high: float) -> float:
        try:
            value = float(text)
        except ValueError:
            value = _NAN
        if not low <= value <= high:
            raise self._fail(f"{name} is not a number from {low} to {high}; correct the point")
        return value

    def _time_us(self, text: str) -> int:
        try:
            moment = datetime.fromisoformat(text)
            return from_datetime(moment)
        except ValueError as error:
            what = f"time {text!r} is not ISO 8601 with an offset, for example 2026-11-23T18:04:05Z"
            raise self._fail(what) from error
