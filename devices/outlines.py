"""Zones and their corridors as the engine is given them, and what is wrong once they are measured.

Sizes are taken where the engine takes distances: on the zone's own plane (`geofence.planes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
import shapely
from shapely.geometry import LineString, MultiPolygon, Point, Polygon
from shapely.geometry.base import BaseGeometry

from devices.caseload import Circle, Exclusion, Inclusion
from devices.geometry import MIN_RADIUS_M, FloatArray, read_line, read_zone, rings_of
from geofence.plan import Corridors, IntArray, TooDetailedError, Zones

MAX_EXTENT_M = 100_000.0
"""Width and height of a zone: twice the largest radius. Straight edges between far vertices are
read differently by different maps (great circle, rhumb line, straight on the map)."""

Path = tuple[FloatArray, FloatArray]
"""Latitudes and longitudes in degrees of a ring or a line."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A zone's shape in degrees.

    Attributes:
        rings: Of a polygon, shells and holes, each closed; none of a circle.
        circle: None of a polygon.
        corridors: Lines, and how wide each corridor is from side to side, metres.
    """

    rings: tuple[Path, ...] = ()
    circle: Circle | None = None
    corridors: tuple[tuple[Path, float], ...] = ()


def outline_of(zone: Exclusion | Inclusion) -> Outline:
    """The shape of a condition.

    Raises:
        GeometryError: Its geometry or that of a corridor cannot be used; `devices.rules` says
            where.
    """
    lines = [(read_line(corridor.geometry), corridor.width_m) for corridor in zone.corridors]
    return Outline(
        rings=() if zone.geometry is None else tuple(rings_of(read_zone(zone.geometry))),
        circle=zone.circle,
        corridors=tuple(((line[:, 1], line[:, 0]), width_m) for line, width_m in lines),
    )


def joined(
    outlines: Sequence[Outline],
    *,
    keys: tuple[str, ...],
    track: IntArray,
    kind: IntArray,
    buffer_m: FloatArray,
) -> Zones:
    """The zones of a plan; every argument has one item for each."""
    rings = [ring for outline in outlines for ring in outline.rings]
    lines = [line for outline in outlines for line, _width_m in outline.corridors]
    ring_vertex, lat_deg, lon_deg = _flat(rings)
    line_vertex, line_lat_deg, line_lon_deg = _flat(lines)
    corridor_counts = [len(outline.corridors) for outline in outlines]
    widths_m = [width_m for outline in outlines for _line, width_m in outline.corridors]
    circles = [
        (one.circle.lat, one.circle.lon, one.circle.radius_m) if one.circle else (np.nan,) * 3
        for one in outlines
    ]
    return Zones(
        keys=keys,
        track=track,
        kind=kind,
        buffer_m=buffer_m,
        circle=np.array(circles, dtype=np.float64).reshape(len(outlines), 3),
        zone_ring=np.cumsum([0, *(len(one.rings) for one in outlines)], dtype=np.int64),
        ring_vertex=ring_vertex,
        lat_deg=lat_deg,
        lon_deg=lon_deg,
        corridors=Corridors(
            zone=np.repeat(np.arange(len(outlines), dtype=np.int64), corridor_counts),
            half_width_m=np.array(widths_m, dtype=np.float64) / 2,
            line_vertex=line_vertex,
            lat_deg=line_lat_deg,
            lon_deg=line_lon_deg,
        ),
    )


def _flat(paths: Sequence[Path]) -> tuple[IntArray, FloatArray, FloatArray]:
    """Offsets, latitudes and longitudes of paths one after another."""
    return (
        np.cumsum([0, *(lat.size for lat, _lon in paths)], dtype=np.int64),
        _concatenated(lat for lat, _lon in paths),
        _concatenated(lon for _lat, lon in paths),
    )


def _concatenated(arrays: Iterable[FloatArray]) -> FloatArray:
    return np.concatenate([np.zeros(0), *arrays])


def size_problem(zone: MultiPolygon) -> str | None:
    """Why an area is too large or too small to be decided about; None if it is neither."""
    outline = Outline(rings=tuple(rings_of(zone)))
    large = f"wider or higher than {MAX_EXTENT_M / 1000:.0f} km; split it into several zones"
    try:
        area, _lines = _on_plane(outline)
    except TooDetailedError:
        return "its outline is too long for its many turns; simplify it"
    except ValueError:
        return large
    west, south, east, north = area.bounds
    if max(east - west, north - south) > MAX_EXTENT_M:
        return large
    if _is_too_narrow(area):
        return (
            f"nowhere {2 * MIN_RADIUS_M:.0f} m wide, so no fix can show that someone is inside; "
            f"make it larger, or draw a circle with a radius_m of {MIN_RADIUS_M:.0f} or more"
        )
    return None


def corridor_problems(outline: Outline) -> Iterator[tuple[int | None, str]]:
    """What is wrong with the corridors of a sound zone: the number of one, or None for them all."""
    ways = []
    for number, corridor in enumerate(outline.corridors):
        try:
            area, (line,) = _on_plane(replace(outline, corridors=(corridor,)))
        except TooDetailedError:
            yield number, "is too long for its many turns; simplify it"
            continue
        except ValueError:
            yield number, "reaches far beyond its zone; keep to the part that leads through it"
            continue
        half_width_m = corridor[1] / 2
        if area.distance(line) >= half_width_m:
            yield number, "does not meet its zone, so it would allow nothing; correct one of them"
        ways.append(line.buffer(half_width_m))
    if len(ways) < len(outline.corridors):
        return
    try:
        area, _lines = _on_plane(outline)
    except ValueError:
        yield None, "are too long for their many turns, together with the zone; simplify them"
        return
    if _is_too_narrow(area.difference(shapely.unary_union(ways))):
        width = f"{2 * MIN_RADIUS_M:.0f} m wide"
        yield None, f"leave nothing of the zone that is {width}; make them narrower, or end it"


def _is_too_narrow(area: BaseGeometry) -> bool:
    """No point of it is far enough from its boundary: the same limit as for a circle."""
    return bool(area.buffer(-MIN_RADIUS_M).is_empty)


def _on_plane(outline: Outline) -> tuple[BaseGeometry, list[LineString]]:
    """Area and corridors' lines of a zone in metres, as the engine sees them.

    Raises:
        ValueError: It cannot be laid out, see `geofence.planes.lay_flat`.
    """
    from geofence.planes import edge_count, lay_flat, unpacked  # noqa: PLC0415 - heavy: imports Numba

    one = np.zeros(1, np.int64)
    zones = joined([outline], keys=("zone",), track=one, kind=one, buffer_m=np.zeros(1))
    planes = lay_flat(zones)
    counts = [edge_count(*path) for path in (*outline.rings, *(c[0] for c in outline.corridors))]
    pieces = np.split(unpacked(planes)[:4].T, np.cumsum(counts)[:-1]) if counts else []
    paths = [np.concatenate([piece[:, :2], piece[-1:, 2:]]) for piece in pieces]
    rings, lines = paths[: len(outline.rings)], paths[len(outline.rings) :]
    if outline.circle is not None:
        area = Point(0, 0).buffer(outline.circle.radius_m, quad_segs=64)
    else:
        # By the even-odd rule, as the engine takes them.
        area = reduce(shapely.symmetric_difference, [Polygon(ring).buffer(0) for ring in rings])
    return area, [LineString(line) for line in lines]
