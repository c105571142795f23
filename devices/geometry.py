"""GeoJSON areas and lines as the engine needs them: valid, continuous across the antimeridian.

Longitudes on a map jump from 180 to -180. Within a ring each vertex is moved by whole turns to
within 180 degrees of the one before it; a ring that does not come back to its own longitude after
that runs around a pole, where longitude and latitude describe no plane, and is refused. Holes and
further parts are moved by whole turns towards the first shell, so that a zone which another
program has cut in two at 180 degrees grows together again.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon

FloatArray = NDArray[np.float64]

MAX_VERTICES = 10_000
"""Vertices of one zone; a coastline drawn finer than receivers measure only costs time."""

MAX_LATITUDE_DEG = 89.0
"""Nearer to a pole, degrees of longitude are too short to draw a zone in."""

MIN_RADIUS_M = 20.0
"""Below the error of an ordinary fix (15 m at the median for a worn receiver, 48 m at 95 %)
nothing can be told about being inside."""

_PLACE = re.compile(r"(?P<what>[^\[]*)\[(?P<lon>\S+) (?P<lat>\S+)\]")


class GeometryError(ValueError):
    """A geometry that cannot be a zone. The text names vertices by number, never by place.

    Attributes:
        field: Path below the geometry, for example ``coordinates[0]``; empty for all of it.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def read_zone(geometry: Mapping[str, Any]) -> MultiPolygon:
    """The area of a GeoJSON Polygon or MultiPolygon (RFC 7946).

    Returns:
        x is the longitude in degrees, running on across 180; y the latitude in degrees. The
        middle of the first shell lies in [-180, 180).

    Raises:
        GeometryError: Not such a geometry, not valid, or around a pole.
    """
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Polygon":
        parts = [(coordinates, "coordinates")]
    elif kind == "MultiPolygon":
        parts = [
            (part, f"coordinates[{number}]")
            for number, part in enumerate(_list(coordinates, "coordinates", "polygons"))
        ]
    else:
        advice = "take the geometry member of a GeoJSON Feature"
        raise GeometryError("type", f"expected Polygon or MultiPolygon; {advice}")
    _limit_vertices([part for part, _field in parts])
    polygons = [_polygon(part, field) for part, field in parts]
    first = polygons[0]
    moved = [first, *(_near(polygon, _middle(first)) for polygon in polygons[1:])]
    return _united(moved)


def read_line(geometry: Mapping[str, Any]) -> FloatArray:
    """(n, 2) longitudes and latitudes in degrees of a GeoJSON LineString, longitudes running on.

    Raises:
        GeometryError: Not such a geometry, without length, or too near to a pole.
    """
    if geometry.get("type") != "LineString":
        raise GeometryError("type", "expected LineString, the middle of the way")
    field = "coordinates"
    coordinates = _list(geometry.get(field), field, "positions")
    if len(coordinates) > MAX_VERTICES:
        raise GeometryError(field, f"{len(coordinates):,} positions; {_vertices_allowed()}")
    line = _positions(coordinates, field)
    line[:, 0] = _running_on(line[:, 0])
    if (line == line[0]).all():
        raise GeometryError(field, "the line has no length; draw it from one end to the other")
    _limit_latitudes(line, field)
    return line


def rings_of(zone: MultiPolygon) -> list[tuple[FloatArray, FloatArray]]:
    """Latitudes and longitudes in degrees of every ring, shells and holes, each closed."""
    rings = []
    for polygon in zone.geoms:
        for ring in (polygon.exterior, *polygon.interiors):
            lon_lat = shapely.get_coordinates(ring)
            rings.append((lon_lat[:, 1].copy(), lon_lat[:, 0].copy()))
    return rings


def _limit_vertices(parts: Sequence[Any]) -> None:
    """Raises GeometryError when there are too many, before any array is made of them."""
    rings = [ring for part in parts if isinstance(part, list | tuple) for ring in part]
    count = sum(len(ring) for ring in rings if isinstance(ring, list | tuple))
    if count > MAX_VERTICES:
        raise GeometryError("coordinates", f"{count:,} vertices; {_vertices_allowed()}")


def _vertices_allowed() -> str:
    return f"at most {MAX_VERTICES:,} are allowed; simplify it"


def _list(value: Any, field: str, of_what: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise GeometryError(field, f"expected a list of {of_what}, at least one")
    return value


def _polygon(coordinates: Any, field: str) -> Polygon:
    rings = [
        _ring(ring, f"{field}[{number}]")
        for number, ring in enumerate(_list(coordinates, field, "rings"))
    ]
    shell, holes = rings[0], rings[1:]
    shell[:, 0] -= 360.0 * math.floor((_centre(shell) + 180.0) / 360.0)
    for hole in holes:
        hole[:, 0] += _turns_towards(_centre(hole), _centre(shell))
    polygon = Polygon(shell, holes)
    if not polygon.is_valid:
        raise GeometryError(field, _reason(polygon))
    return polygon


def _ring(positions: Any, field: str) -> FloatArray:
    """(n, 2) longitudes and latitudes of a closed ring, longitudes running on."""
    if len(_list(positions, field, "positions")) < 4:
        raise GeometryError(field, "a ring has at least four positions, the last like the first")
    ring = _positions(positions, field)
    lon, lat = ring[:, 0], ring[:, 1]
    if lat[0] != lat[-1] or (lon[0] - lon[-1]) % 360.0 != 0.0:
        raise GeometryError(field, "the ring is not closed; repeat its first position at the end")
    steps = np.diff(lon)
    steps -= 360.0 * np.round(steps / 360.0)
    if abs(steps.sum()) > 180.0:
        raise GeometryError(
            field, "the ring runs around a pole; such zones are not supported, draw a circle"
        )
    _limit_latitudes(ring, field)
    ring[:, 0] = _running_on(lon)
    ring[-1] = ring[0]
    return ring


def _limit_latitudes(lon_lat: FloatArray, field: str) -> None:
    if np.abs(lon_lat[:, 1]).max() > MAX_LATITUDE_DEG:
        raise GeometryError(
            field, f"reaches beyond {MAX_LATITUDE_DEG:.0f} degrees of latitude; draw a circle"
        )


def _running_on(lon_deg: FloatArray) -> FloatArray:
    """Longitudes of which each is within half a turn of the one before."""
    # Whole turns are added to the longitudes as written, so that they are not rounded twice.
    turns = np.concatenate([[0.0], np.cumsum(-np.round(np.diff(lon_deg) / 360.0))])
    return np.asarray(lon_deg + 360.0 * turns)


def _positions(positions: Sequence[Any], field: str) -> FloatArray:
    """(n, 2) from a list of GeoJSON positions; heights are left out."""
    for number, position in enumerate(positions):
        if not _is_position(position):
            where = f"{field}[{number}]"
            raise GeometryError(where, "expected [longitude, latitude] in degrees, in this order")
    return np.array([position[:2] for position in positions], dtype=np.float64)


def _is_position(value: Any) -> bool:
    if not isinstance(value, list | tuple) or len(value) not in {2, 3}:
        return False
    if any(type(number) not in {int, float} for number in value):  # True is no degree
        return False
    return bool(abs(value[0]) <= 360 and abs(value[1]) <= 90)  # NaN compares false


def _centre(ring: FloatArray) -> float:
    return float(ring[:, 0].min() + ring[:, 0].max()) / 2


def _middle(polygon: Polygon) -> float:
    west, _south, east, _north = polygon.bounds
    return float(west + east) / 2


def _turns_towards(lon_deg: float, target_deg: float) -> float:
    """Whole turns in degrees that bring a longitude within 180 of another."""
    return 360.0 * math.floor((target_deg - lon_deg) / 360.0 + 0.5)


def _near(polygon: Polygon, lon_deg: float) -> Polygon:
    return affinity.translate(polygon, _turns_towards(_middle(polygon), lon_deg))


def _united(polygons: list[Polygon]) -> MultiPolygon:
    """One valid area of parts that may touch or overlap: being in any of them is being inside."""
    zone = MultiPolygon(polygons)
    if zone.is_valid:
        return zone
    union = shapely.unary_union(polygons)
    return union if isinstance(union, MultiPolygon) else MultiPolygon([union])


def _reason(polygon: Polygon) -> str:
    """Why a polygon is not valid, with the number of the nearest vertex in place of the place."""
    reason = str(shapely.is_valid_reason(polygon))
    match = _PLACE.match(reason)
    if match is None:
        return f"{reason.lower()}; redraw the outline so that it does not touch itself"
    place = np.array([float(match["lon"]), float(match["lat"])])
    rings = [polygon.exterior, *polygon.interiors]
    nearest = min(
        (float(distances.min()), number, int(distances.argmin()))
        for number, ring in enumerate(rings)
        for distances in [np.linalg.norm(shapely.get_coordinates(ring) - place, axis=1)]
    )
    where = f"near position {nearest[2]} of ring {nearest[1]} (counted from 0)"
    return f"{match['what'].strip().lower()} {where}; redraw the outline there"
