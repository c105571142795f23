"""A small made-up town: the same for the same seed, and nobody's home.

About two kilometres across, with two ring roads, eight radial roads, a grid of streets between them, a
river and two parks. It lies in the North Sea, so that no place in it can be taken for a real one.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, MultiLineString, Point, Polygon, mapping
from shapely.geometry.base import BaseGeometry

from simulators.streets import Streets

CENTRE_LAT_DEG = 54.0
CENTRE_LON_DEG = 4.0
RADIUS_M = 1_000.0
"""From the centre to the edge of the town."""

_RINGS_M = (380.0, 760.0)
_RADIALS = 8
_GRID_M = 120.0
_GRID_JITTER_M = 18.0
_GRID_TURN_DEG = 11.0
_RIVER_WIDTH_M = 60.0
_PAVEMENT_M = 9.0
_SMALLEST_BUILDING_M2 = 250.0

_SEMI_MAJOR_M = 6_378_137.0
_ECCENTRICITY_2 = 0.006_694_379_990_14  # WGS84

_NAMES = (  # noqa: SIM905 - sixty quoted words would be harder to read
    "Alder Ash Aspen Avocet Beech Birch Bittern Brambling Buckthorn Bunting Cedar Chaffinch Cherry "
    "Chestnut Curlew Cypress Dogwood Dunlin Elder Elm Fieldfare Gannet Goldcrest Hawthorn Hazel "
    "Heron Holly Hornbeam Juniper Kestrel Kingfisher Lapwing Larch Laurel Linden Linnet Maple "
    "Nightjar Oak Osprey Pine Pipit Plover Poplar Redwing Rowan Sandpiper Siskin Skylark Spruce "
    "Swift Sycamore Tern Thrush Wagtail Walnut Whimbrel Willow Wren Yew"
).split()


@dataclass(frozen=True, slots=True)
class Street:
    """One named street; `line` is in metres east and north of the centre."""

    name: str
    major: bool
    line: BaseGeometry


@dataclass(frozen=True)
class Town:
    """Streets to move on, and what to draw around them. Metres east and north of the centre."""

    seed: int
    streets: tuple[Street, ...]
    network: Streets
    river: BaseGeometry
    parks: tuple[BaseGeometry, ...]
    buildings: tuple[BaseGeometry, ...]

    def basemap_geojson(self) -> bytes:
        """The town as a GeoJSON FeatureCollection in WGS84 degrees.

        Property `kind` is water, park, building or street; a street has `name` and `major`.
        """
        areas = [("water", self.river), *(("park", park) for park in self.parks)]
        areas += [("building", building) for building in self.buildings]
        features = [_feature(shape, {"kind": kind}) for kind, shape in areas]
        features += [
            _feature(street.line, {"kind": "street", "name": street.name, "major": street.major})
            for street in self.streets
        ]
        return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def to_degrees(east_m: float, north_m: float) -> tuple[float, float]:
    """Latitude and longitude of a point of the town.

    Uses the ellipsoid's two radii of curvature at the centre; at the edge of the town the scale is
    off by less than 2 parts in 10,000.
    """
    lat = math.radians(CENTRE_LAT_DEG)
    w2 = 1 - _ECCENTRICITY_2 * math.sin(lat) ** 2
    meridian_m = _SEMI_MAJOR_M * (1 - _ECCENTRICITY_2) / w2**1.5
    parallel_m = _SEMI_MAJOR_M / math.sqrt(w2) * math.cos(lat)
    return (
        CENTRE_LAT_DEG + math.degrees(north_m / meridian_m),
        CENTRE_LON_DEG + math.degrees(east_m / parallel_m),
    )


@functools.lru_cache(maxsize=4)
def build_town(seed: int = 1) -> Town:
    """The town of this seed."""
    rng = random.Random(seed)  # noqa: S311 - a layout, not a secret
    edge = Point(0, 0).buffer(RADIUS_M)
    river = _river(rng).buffer(_RIVER_WIDTH_M / 2).intersection(edge)
    parks = tuple(park.difference(river) for park in _parks())
    closed = shapely.union_all([river.buffer(_PAVEMENT_M), *parks])
    names = rng.sample(_NAMES, len(_NAMES))
    major = _main_roads(rng, names)
    minor = [
        Street(street.name, False, line)
        for street in _grid(rng, names)
        if not (line := street.line.intersection(edge).difference(closed)).is_empty
    ]
    streets = (*major, *minor)
    noded = shapely.union_all([street.line for street in streets])
    return Town(seed, streets, _network(noded), river, parks, _buildings(noded, closed))


def _main_roads(rng: random.Random, names: list[str]) -> list[Street]:
    """Rings and radials; they cross the river on bridges."""
    roads = [
        Street(name, True, Point(0, 0).buffer(radius_m, quad_segs=16).exterior)
        for name, radius_m in zip(("Inner Ring", "Outer Ring"), _RINGS_M, strict=True)
    ]
    for number in range(_RADIALS):
        angle = 2 * math.pi * (number + rng.uniform(-0.15, 0.15)) / _RADIALS
        end = (RADIUS_M * math.cos(angle), RADIUS_M * math.sin(angle))
        roads.append(Street(f"{names.pop()} Road", True, LineString([(0, 0), end])))
    return roads


def _grid(rng: random.Random, names: list[str]) -> list[Street]:
    """Streets one way and lanes across, not quite evenly spaced."""
    turn = math.radians(_GRID_TURN_DEG)
    count = int(RADIUS_M // _GRID_M)
    found = []
    for kind, angle in (("Street", turn), ("Lane", turn + math.pi / 2)):
        along = np.array([math.cos(angle), math.sin(angle)])
        across = np.array([-math.sin(angle), math.cos(angle)])
        for number in range(-count, count + 1):
            offset_m = number * _GRID_M + rng.uniform(-_GRID_JITTER_M, _GRID_JITTER_M)
            ends = [offset_m * across - RADIUS_M * along, offset_m * across + RADIUS_M * along]
            found.append(Street(f"{names.pop()} {kind}", False, LineString(ends)))
    return found


def _river(rng: random.Random) -> LineString:
    """From west to east, south of the centre, winding."""
    phase = rng.uniform(0, 2 * math.pi)
    steps = range(-1_200, 1_201, 50)
    return LineString([(east_m, -230 + 90 * math.sin(east_m / 280 + phase)) for east_m in steps])


def _parks() -> list[Polygon]:
    north = [(-330, 560), (-150, 600), (-90, 740), (-200, 860), (-340, 790)]
    south = [(120, -620), (330, -560), (400, -690), (260, -830), (130, -770)]
    return [Polygon(north), Polygon(south)]


def _network(noded: BaseGeometry) -> Streets:
    """Every straight piece between two corners or crossings becomes an edge."""
    pieces: Sequence[Any] = list(noded.geoms) if isinstance(noded, MultiLineString) else [noded]
    corners = sorted({_millimetres(point) for piece in pieces for point in piece.coords})
    number = {corner: index for index, corner in enumerate(corners)}
    edges = set()
    for piece in pieces:
        ends = [number[_millimetres(point)] for point in piece.coords]
        edges |= {(min(a, b), max(a, b)) for a, b in itertools.pairwise(ends) if a != b}
    return Streets.connected(np.array(corners) / 1_000, sorted(edges))


def _millimetres(point: tuple[float, ...]) -> tuple[int, int]:
    """Crossings computed from different streets meet exactly when rounded."""
    return round(point[0] * 1_000), round(point[1] * 1_000)


def _buildings(noded: BaseGeometry, closed: BaseGeometry) -> tuple[BaseGeometry, ...]:
    """What the streets enclose, without pavements, water and parks."""
    blocks = shapely.polygonize([noded]).geoms
    shapes = [block.buffer(-_PAVEMENT_M).difference(closed) for block in blocks]
    large = [shape for shape in shapes if shape.area >= _SMALLEST_BUILDING_M2]
    return tuple(sorted(large, key=lambda shape: shape.bounds))


def _feature(shape: BaseGeometry, properties: dict[str, Any]) -> dict[str, Any]:
    if shape.geom_type == "LinearRing":  # GeoJSON knows rings as lines only
        shape = LineString(shape.coords)
    degrees = shapely.transform(
        shape,
        lambda points: np.round([to_degrees(*point)[::-1] for point in points.tolist()], 7),
    )
    return {"type": "Feature", "properties": properties, "geometry": mapping(degrees)}
