"""What the shown records of a pack say, in the form that views and the report draw and print."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyproj import Geod

from devices.reports import ALTITUDE_MISSING, FixKind
from evidence.records import Record

CIRCLE_CORNERS = 72
_GEOD = Geod(ellps="WGS84")

Ring = list[tuple[float, float]]
"""Longitude and latitude in degrees; the last is the first again."""


@dataclass(frozen=True, slots=True)
class Fix:
    """A position as it was sent. None: the device did not say.

    Attributes:
        received_us: When it reached us.
        kind: `gnss`, `network`, `beacon` or `last_known`.
    """

    device: str
    time_us: int
    received_us: int
    seq: int
    lat_e7: int
    lon_e7: int
    accuracy_m: float | None
    speed_mps: float | None
    course_deg: float | None
    altitude_m: float | None
    satellites: int | None
    hdop: float | None
    kind: str
    battery_pct: int | None
    buffered: bool

    @property
    def place(self) -> tuple[float, float]:
        """Longitude and latitude in degrees."""
        return self.lon_e7 / 1e7, self.lat_e7 / 1e7

    @classmethod
    def of(cls, record: Record) -> Fix:
        """The fix that a record is."""
        values = record.values

        def measured(name: str, unit: float) -> float | None:
            value: int = values[name]
            return None if value == -1 else value / unit

        altitude_dm, satellites = values["altitude_dm"], values["satellites"]
        battery_pct = values["battery_pct"]
        return cls(
            device=record.subject,
            time_us=record.time_us,
            received_us=values["received_at"],
            seq=values["seq"],
            lat_e7=values["lat_e7"],
            lon_e7=values["lon_e7"],
            accuracy_m=measured("accuracy_cm", 100.0) or None,  # 0 is unknown, not perfect
            speed_mps=measured("speed_cms", 100.0),
            course_deg=measured("course_cdeg", 100.0),
            altitude_m=None if altitude_dm == ALTITUDE_MISSING else altitude_dm / 10.0,
            satellites=None if satellites == -1 else satellites,
            hdop=measured("hdop_c", 100.0),
            kind=FixKind(values["kind"]).name.lower(),
            battery_pct=None if battery_pct == -1 else battery_pct,
            buffered=bool(values["buffered"]),
        )


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of the order: exclusion or inclusion, its outlines with holes."""

    id: str
    name: str
    type: str
    polygons: Sequence[Sequence[Ring]]


@dataclass(slots=True)
class AlertStory:
    """An alert from its raising to its end: steps and deliveries, in order of time."""

    alert_id: str
    steps: list[Record] = field(default_factory=list)
    deliveries: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class OthersEvent:
    """What another system stated, beside the positions of the record: see `evidence.overlay_compare`.

    Attributes:
        kind: `anpr`, `cell` or `photo`.
        name: Of the camera, the cell or the photo.
        file: Of which it is a line.
        verdict: `supports`, `contradicts` or `says nothing`.
        error_us: How far the source's clock may be off.
        middle: Longitude and latitude of the camera, the mast or the photo.
        outline: Of the area that it speaks of.
    """

    kind: str
    name: str
    file: str
    verdict: str
    time_us: int
    error_us: int
    middle: tuple[float, float]
    outline: Ring


@dataclass(frozen=True, slots=True)
class Facts:
    """All that views show.

    Attributes:
        tracks: Fixes of each device, by time.
        conditions: Of the order, as last in force: what the caseload says of each.
        other: The shown records by kind.
        others: What other systems stated.
    """

    case: str
    side: str
    window_us: tuple[int, int]
    tracks: Mapping[str, Sequence[Fix]]
    zones: Sequence[Zone]
    conditions: Sequence[Mapping[str, Any]]
    alerts: Sequence[AlertStory]
    other: Mapping[str, Sequence[Record]]
    others: Sequence[OthersEvent] = ()

    @classmethod
    def of(
        cls,
        case: str,
        side: str,
        window_us: tuple[int, int],
        records: Iterable[Record],
        others: Sequence[OthersEvent] = (),
    ) -> Facts:
        """Sort the records out."""
        by_kind: dict[str, list[Record]] = {}
        for record in records:
            by_kind.setdefault(record.kind, []).append(record)
        for found in by_kind.values():
            found.sort(key=lambda record: (record.time_us, record.subject))
        tracks: dict[str, list[Fix]] = {}
        for record in by_kind.get("fix", ()):
            tracks.setdefault(record.subject, []).append(Fix.of(record))
        conditions = _conditions(by_kind.get("caseload_entry", ()))
        zones = [zone for zone in map(_zone, conditions) if zone is not None]
        alerts = _alerts(by_kind)
        return cls(case, side, window_us, tracks, zones, conditions, alerts, by_kind, others)


def _conditions(entries: Iterable[Record]) -> list[dict[str, Any]]:
    newest = {
        entry.subject: entry.document for entry in entries if entry.values["kind"] == "condition"
    }
    return [document for _, document in sorted(newest.items()) if document is not None]


def _zone(condition: Mapping[str, Any]) -> Zone | None:
    circle, geometry = condition.get("circle"), condition.get("geometry")
    if circle:
        polygons = [[circle_ring(circle["lon"], circle["lat"], circle["radius_m"])]]
    elif geometry:
        single = geometry["type"] == "Polygon"
        polygons = [geometry["coordinates"]] if single else geometry["coordinates"]
        polygons = [[[(p[0], p[1]) for p in ring] for ring in rings] for rings in polygons]
    else:
        return None
    return Zone(condition["id"], condition.get("name", ""), condition["type"], polygons)


def circle_ring(lon: float, lat: float, radius_m: float) -> Ring:
    """A circle on the ellipsoid as a ring of `CIRCLE_CORNERS` corners, counter-clockwise."""
    azimuths = [-360.0 * n / CIRCLE_CORNERS for n in range(CIRCLE_CORNERS)]
    count = len(azimuths)
    lons, lats, _ = _GEOD.fwd([lon] * count, [lat] * count, azimuths, [radius_m] * count)
    ring = [(round(a, 7), round(b, 7)) for a, b in zip(lons, lats, strict=True)]
    return [*ring, ring[0]]


def _alerts(by_kind: Mapping[str, Sequence[Record]]) -> list[AlertStory]:
    found: dict[str, AlertStory] = {}
    for record in by_kind.get("alert_change", ()):
        story = found.setdefault(record.subject, AlertStory(record.subject))
        story.steps.append(record)
    for record in by_kind.get("delivery", ()):
        story = found.setdefault(record.subject, AlertStory(record.subject))
        story.deliveries.append(record)
    for story in found.values():
        story.steps.sort(key=lambda record: record.values["version"])
    return list(found.values())
