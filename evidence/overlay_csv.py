"""Location events of third parties as CSV: one line, one event. No I/O; docs/overlays.md has the format.

Nothing is lost: each line that is not blank becomes an event, or is refused with its reason. A line
break within quotes is not read, so that an unclosed quote costs its own line and not the rest.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from devices.instants import from_datetime

Kind = Literal["anpr", "cell", "photo"]

BYTES_LIMIT = 16 * 1024 * 1024
LINES_LIMIT = 50_000
LINE_LIMIT_CHARS = 10_000
COLUMNS_LIMIT = 100
CLOCK_ERROR_LIMIT_S = 86_400.0
REACH_LIMIT_M = 100_000.0
YEARS = (1980, 2100)

REQUIRED: Mapping[Kind, tuple[str, ...]] = {
    "anpr": ("time", "lat", "lon", "camera", "plate"),
    "cell": ("time", "lat", "lon", "azimuth_deg", "beam_deg", "range_m"),
    "photo": ("time", "lat", "lon"),
}
"""Columns that a file of each kind has to have."""

_REACH: Mapping[Kind, str] = {"anpr": "radius_m", "cell": "range_m", "photo": "accuracy_m"}
_NAME: Mapping[Kind, str] = {"anpr": "camera", "cell": "cell", "photo": "file"}
_READ = frozenset({"time", "lat", "lon", "clock_error_s", "place"})

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d{1,6})?(?P<offset>Z|[+-]\d\d(:?\d\d)?)?", re.ASCII
)
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d{1,15})?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = (",", ";", "\t")


class OverlayError(ValueError):
    """The file cannot be taken in, or not be used. The text is for people."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody or something was recorded at a place and time, by another system than ours.

    Attributes:
        line: In the file; its head is line 1.
        time_us: The instant.
        written: The time as written.
        clock_error_s: The clock was right to so many seconds.
        lat, lon: WGS84, degrees: the camera, the mast, or where a photo was taken.
        reach_m: Radius of the camera, range of the cell, stated accuracy of the photo (68 %); None
            where it is not stated.
        azimuth_deg, beam_deg: Middle and width of a sector, clockwise from true north; None for
            other kinds.
        name: Camera, cell or file.
        detail: Every other column, as written: plate, confidence, sha256 and those we do not know.
    """

    line: int
    time_us: int
    written: str
    clock_error_s: float
    lat: float
    lon: float
    reach_m: float | None = None
    azimuth_deg: float | None = None
    beam_deg: float | None = None
    name: str = ""
    place: str = ""
    detail: dict[str, str] = {}


class Refused(msgspec.Struct, frozen=True):
    """A line that could not be read, and why."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said of a file beside it.

    Attributes:
        zone: In which times without an offset are; None: there must be none.
        clock_error_s: Where a line does not say; None: each has to.
    """

    kind: Kind
    zone: ZoneInfo | None = None
    clock_error_s: float | None = None


@dataclass(slots=True)
class Parsed:
    """What a file holds."""

    events: list[Event] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


class _LineError(ValueError):
    """Why a line cannot be read."""


class _BareTimeError(ValueError):
    """A time without an offset, and no zone was named."""


def parse(content: bytes, terms: Terms) -> Parsed:
    """Read a whole file.

    Raises:
        OverlayError: It is too large, has no such head, or has times that name no instant.
    """
    if len(content) > BYTES_LIMIT:
        raise OverlayError(
            f"The file has {len(content)} bytes; {BYTES_LIMIT} are read. Cut it into several files."
        )
    lines = content.removeprefix(_BOM).split(b"\n")
    delimiter, head = _head(lines[0], terms)
    rest = [(number, line) for number, line in enumerate(lines[1:], 2) if line.strip()]
    if len(rest) > LINES_LIMIT:
        raise OverlayError(
            f"The file has {len(rest)} lines; {LINES_LIMIT} are read. Cut it into several files."
        )
    done = Parsed()
    bare: list[int] = []
    for number, line in rest:
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        try:
            line.decode()
            done.events.append(_event(number, _cells(text, delimiter, head), terms, delimiter))
        except _BareTimeError:
            bare.append(number)
        except UnicodeDecodeError:
            done.refused.append(Refused(number, "it is not UTF-8", text))
        except _LineError as error:
            done.refused.append(Refused(number, str(error), text))
    if bare:
        raise OverlayError(
            f"{len(bare)} lines, the first is line {bare[0]}, have a time without an offset. That names "
            "no instant. Name the time zone that the source wrote it in, as --zone Europe/Madrid, "
            "or ask them for times with offsets."
        )
    return done


def _head(line: bytes, terms: Terms) -> tuple[str, list[str]]:
    """Delimiter and names of the columns."""
    needed = ", ".join(REQUIRED[terms.kind])
    try:
        text = line.removesuffix(b"\r").decode()
    except UnicodeDecodeError as error:
        raise OverlayError("The file is not UTF-8. Save it as CSV, UTF-8.") from error
    for delimiter in _DELIMITERS:
        try:
            names = [name.strip().lower() for name in _split(text, delimiter)]
        except _LineError:
            continue
        if "time" in names:
            break
    else:
        raise OverlayError(f"The first line has to name the columns: {needed}.")
    missing = [name for name in REQUIRED[terms.kind] if name not in names]
    if missing:
        raise OverlayError(
            f"The columns {', '.join(missing)} are missing: a file of this kind needs {needed}."
        )
    if len(names) != len(set(names)) or len(names) > COLUMNS_LIMIT:
        raise OverlayError(
            f"Each column needs a name of its own, and there are at most {COLUMNS_LIMIT}."
        )
    if terms.clock_error_s is None and "clock_error_s" not in names:
        raise OverlayError(
            "Nothing is said of how right the clock was. Ask the source, and name it with "
            "--clock-error-s SECONDS or in a column clock_error_s."
        )
    return delimiter, names


def _split(text: str, delimiter: str) -> list[str]:
    if len(text) > LINE_LIMIT_CHARS:
        raise _LineError(f"it is longer than {LINE_LIMIT_CHARS} characters")
    try:
        [cells] = csv.reader([text], delimiter=delimiter, strict=True)
    except (csv.Error, ValueError) as error:
        raise _LineError(f"it is no line of CSV: {error}") from error
    return cells


def _cells(text: str, delimiter: str, head: Sequence[str]) -> dict[str, str]:
    cells = _split(text, delimiter)
    if len(cells) != len(head):
        raise _LineError(f"it has {len(cells)} cells, the head has {len(head)}")
    return {name: cell.strip() for name, cell in zip(head, cells, strict=True)}


def _event(line: int, cells: dict[str, str], terms: Terms, delimiter: str) -> Event:
    def number(name: str, low: float, high: float) -> float | None:
        text = cells.get(name, "")
        if delimiter != ",":
            text = text.replace(",", ".")
        return _number(name, text, low, high) if text else None

    kind = terms.kind
    clock_error_s = number("clock_error_s", 0, CLOCK_ERROR_LIMIT_S)
    if clock_error_s is None:
        clock_error_s = terms.clock_error_s
    reach_m = number(_REACH[kind], 0, REACH_LIMIT_M)
    if reach_m == 0:
        raise _LineError(f"{_REACH[kind]} is 0: leave it empty where it is not known")
    known = {*_READ, _REACH[kind], _NAME[kind]}
    sector: tuple[float | None, float | None] = (None, None)
    if kind == "cell":
        known |= {"azimuth_deg", "beam_deg"}
        sector = number("azimuth_deg", 0, 360), number("beam_deg", 1, 360)
    _check(kind, cells)
    if kind == "anpr":
        number("confidence", 0, 1)
    return Event(
        line=line,
        written=cells["time"],
        time_us=_instant(cells["time"], terms.zone),
        clock_error_s=_stated("clock_error_s", clock_error_s),
        lat=_stated("lat", number("lat", -90, 90)),
        lon=_stated("lon", number("lon", -180, 180)),
        reach_m=_stated("range_m", reach_m) if kind == "cell" else reach_m,
        azimuth_deg=_stated("azimuth_deg", sector[0]) if kind == "cell" else None,
        beam_deg=_stated("beam_deg", sector[1]) if kind == "cell" else None,
        name=cells.get(_NAME[kind], ""),
        place=cells.get("place", ""),
        detail={name: cell for name, cell in cells.items() if name not in known and cell},
    )


def _check(kind: Kind, cells: Mapping[str, str]) -> None:
    """What a kind asks for beside numbers."""
    if kind == "anpr" and not (cells["camera"] and cells["plate"]):
        raise _LineError("camera or plate is empty")
    digest = cells.get("sha256", "") if kind == "photo" else ""
    if digest and not _SHA256.fullmatch(digest):
        raise _LineError("sha256 is not 64 hexadecimal digits")


def _stated(name: str, value: float | None) -> float:
    if value is None:
        raise _LineError(f"{name} is empty")
    return value


def _number(name: str, text: str, low: float, high: float) -> float:
    if not _NUMBER.fullmatch(text):
        raise _LineError(f"{name} is {text!r}, which is no number")
    value = float(text)
    if not low <= value <= high or not math.isfinite(value):
        raise _LineError(f"{name} is {text}, and has to lie between {low:g} and {high:g}")
    return value


def _instant(text: str, zone: ZoneInfo | None) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise _LineError(f"time is {text!r}; write it as 2026-11-23T18:00:05+01:00")
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
        if moment.tzinfo is None:
            moment = _in_zone(moment, zone)
        in_utc = moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, _BareTimeError | _LineError):
            raise
        raise _LineError(f"time is {text!r}: there is no such time") from error
    if not YEARS[0] <= in_utc.year < YEARS[1]:
        raise _LineError(f"time is {text!r}, outside the years {YEARS[0]} to {YEARS[1]}")
    return from_datetime(in_utc)


def _in_zone(moment: datetime, zone: ZoneInfo | None) -> datetime:
    """The instant that a clock on the wall showed; not where it showed it twice, or never."""
    if zone is None:
        raise _BareTimeError
    first, second = (moment.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        there = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == moment
        what = "was shown twice" if there else "never came"
        raise _LineError(
            f"time is {moment.isoformat()}, which {what} in {zone.key} when the clocks were changed: "
            "write it with its offset"
        )
    return first
