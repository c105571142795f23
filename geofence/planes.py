"""Zones laid out on planes: each outline on a plane of its own, so that a point costs no trigonometry.

The plane of a zone stands on the ellipsoid's normal at the zone's middle. A point in Earth-centred
Cartesian coordinates falls onto it straight along that normal (orthographic projection): two dot
products with the plane's east and north axes. Neither poles nor the antimeridian are special there.

**Distance.** A projection never lengthens: a distance on the plane is at most the chord, and that
at most the geodesic. It shortens a chord by at most the cosine of the angle between its slope and
the plane, which within r of the middle is

    1 - cos(r / R) = r^2 / 2 R^2        0.008 % at 80 km, 0.05 % at 200 km, 0.08 % at 250 km

So the plane's distance to an outline is right to 0.1 % as long as point and outline lie within
`REACH_M` of the middle: for every zone of up to 480 km across (`MAX_RADIUS_M`) and points within
10 km of it.

**Edges.** They are straight in longitude and latitude (RFC 7946), which on the plane is a curve. An
edge is cut into n equal parts, each then taken as straight on the plane. With latitude p, longitude
l and position r on the ellipsoid, linear interpolation over a part is off by at most

    1/8 |d2r/dt2| / n^2,   d2r/dt2 = (dp)^2 r_pp + 2 dp dl r_pl + (dl)^2 r_ll
    |r_pp| <= 1.0001 M     |r_pl| <= M     |r_ll| = N cos p     M, N <= a / sqrt(1 - e^2)

and n is chosen so that this is at most `SAG_M`. An edge shorter than 1.6 km stays whole, except at
high latitudes, where a line along a parallel is bent the most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.distance import ARC_RADIUS_M, ECCENTRICITY2, SEMI_MAJOR_M, to_cartesian_m
from geofence.kernel import kernel
from geofence.plan import FloatArray, IntArray, TooDetailedError, Zones

SAG_M = 0.05
"""How far a straight edge on the plane may run beside the edge as drawn: a hundredth of the error
of the best receiver worn."""

REACH_M = 250_000.0
"""Farther from its middle than this, a zone's plane is not used."""

MAX_RADIUS_M = 240_000.0
"""Greatest distance of an outline from its middle; leaves 10 km to `REACH_M`."""

MAX_ZONE_EDGES = 100_000
"""Straight pieces of one zone's outline and corridors: 100 000 km at 1 km a piece."""

MAX_EDGES = 5_000_000
"""Straight pieces of all zones of a plan: a quarter of a gigabyte."""

_GREATEST_CURVATURE_RADIUS_M = 1.0001 * SEMI_MAJOR_M / (1 - ECCENTRICITY2) ** 0.5

COLUMNS = 6
X_1, Y_1, X_2, Y_2, PER_LENGTH2, SLOPE = range(COLUMNS)
"""What there is of an edge: ends in metres, 1 / length^2 (0 for no length), dx / dy (0 for dy = 0)."""


ZONE_DTYPE = np.dtype(
    [
        ("middle_m", np.float64, (3,)),  # Earth-centred, on the ellipsoid; a circle's centre
        ("east", np.float64, (3,)),  # unit vectors of the plane
        ("north", np.float64, (3,)),
        ("outer_radius_m", np.float64),  # no point of the zone is farther from the middle
        ("first_edge", np.int64),  # of the outline; a circle has none
        ("end_edge", np.int64),
        ("first_corridor", np.int64),
        ("end_corridor", np.int64),
    ],
    align=True,
)
"""A zone on its plane. The outer radius is a geodesic distance; a circle's is its radius."""

CORRIDOR_DTYPE = np.dtype(
    [("first_edge", np.int64), ("end_edge", np.int64), ("half_width_m", np.float64)], align=True
)
"""A corridor on its zone's plane."""


class Planes(NamedTuple):
    """Zones as `geofence.zones` measures them.

    Attributes:
        zones: (Z,) of `ZONE_DTYPE`.
        corridors: (C,) of `CORRIDOR_DTYPE`.
        edges: (6 E,) one outline after the other, then the corridors. The n edges of each stand
            together, so that one stretch of memory is read: n of `X_1`, n of `Y_1` and so on.
    """

    zones: NDArray[np.void]
    corridors: NDArray[np.void]
    edges: FloatArray


@dataclass(frozen=True, slots=True)
class _Paths:
    """Rings, then corridors' lines, all alike.

    Attributes:
        rings: How many of the P paths are rings.
        zone: (P,) the zone of each path.
        start: (P + 1,) offsets into the vertices.
        lat_deg, lon_deg: (V,) vertices.
    """

    rings: int
    zone: IntArray
    start: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray


def lay_flat(zones: Zones) -> Planes:
    """Put every zone on its plane.

    Raises:
        TooDetailedError: One zone, or all of them, become too many straight pieces.
        ValueError: A zone has no outline or two, a ring is not closed or too short, or a zone or a
            corridor is too large.
    """
    _check(zones)
    paths = _paths(zones)
    parts = _parts(paths.lat_deg, paths.lon_deg, paths.start[1:] - 1)
    _limit(zones, paths, parts)
    points_m, start = _points(paths, parts)
    edge_start = start - np.arange(start.size)  # a path has one edge less than points
    table = _zone_table(zones, points_m, start[zones.zone_ring])
    table["first_edge"] = edge_start[zones.zone_ring[:-1]]
    table["end_edge"] = edge_start[zones.zone_ring[1:]]
    corridors = np.zeros(zones.corridors.zone.size, CORRIDOR_DTYPE)
    corridors["first_edge"] = edge_start[paths.rings : -1]
    corridors["end_edge"] = edge_start[paths.rings + 1 :]
    corridors["half_width_m"] = zones.corridors.half_width_m
    zone_of_point = np.repeat(paths.zone, np.diff(start))
    own = table[zone_of_point]
    away_m = np.linalg.norm(points_m - own["middle_m"], axis=1)
    if np.any(away_m > REACH_M):  # outlines have been found smaller
        raise ValueError(
            f"a corridor of zone {zones.keys[zone_of_point[np.argmax(away_m)]]!r} reaches more "
            f"than {REACH_M / 1000:.0f} km from its middle"
        )
    first = np.concatenate([table["first_edge"], corridors["first_edge"]])
    return Planes(table, corridors, _packed(_edges(_project(points_m, own), start), first))


def unpacked(planes: Planes) -> FloatArray:
    """(6, E) the edges of all outlines, then those of all corridors; rows as `X_1` and following."""
    paths = (*planes.zones, *planes.corridors)
    blocks = [
        planes.edges[COLUMNS * path["first_edge"] : COLUMNS * path["end_edge"]].reshape(COLUMNS, -1)
        for path in paths
    ]
    return np.concatenate([np.zeros((COLUMNS, 0)), *blocks], axis=1)


def edge_count(lat_deg: FloatArray, lon_deg: FloatArray) -> int:
    """How many straight pieces a ring or line of these (n,) vertices becomes."""
    return int(_parts(lat_deg, lon_deg, np.array([lat_deg.size - 1])).sum()) - 1


def _check(zones: Zones) -> None:
    round_ = ~np.isnan(zones.circle[:, 2])
    outlined = np.diff(zones.zone_ring) > 0
    if np.any(round_ == outlined):
        at = zones.keys[int(np.flatnonzero(round_ == outlined)[0])]
        raise ValueError(f"zone {at!r} needs either a circle or an outline")
    first, last = zones.ring_vertex[:-1], zones.ring_vertex[1:] - 1
    if np.any(last - first < 3):
        raise ValueError("a ring has fewer than four vertices, the last like the first")
    turns = (zones.lon_deg[last] - zones.lon_deg[first]) % 360.0
    if np.any(zones.lat_deg[last] != zones.lat_deg[first]) or np.any(turns):
        raise ValueError("a ring is not closed")
    corridors = zones.corridors
    if np.any(np.diff(corridors.line_vertex) < 2):
        raise ValueError("a corridor has fewer than two vertices")
    if np.any(np.diff(corridors.zone) < 0):
        raise ValueError("the corridors are not in the order of their zones")


def _paths(zones: Zones) -> _Paths:
    corridors = zones.corridors
    ring_zone = np.repeat(np.arange(zones.track.size), np.diff(zones.zone_ring))
    return _Paths(
        rings=ring_zone.size,
        zone=np.concatenate([ring_zone, corridors.zone]),
        start=np.concatenate(
            [zones.ring_vertex, zones.ring_vertex[-1] + corridors.line_vertex[1:]]
        ),
        lat_deg=np.concatenate([zones.lat_deg, corridors.lat_deg]),
        lon_deg=np.concatenate([zones.lon_deg, corridors.lon_deg]),
    )


def _parts(lat_deg: FloatArray, lon_deg: FloatArray, last: IntArray) -> IntArray:
    """(V,) parts that the edge from each vertex to the next is cut into; 1 for `last` of a path."""
    up = np.radians(np.abs(np.diff(lat_deg, append=lat_deg[-1:])))
    along = np.radians(np.abs(np.diff(lon_deg, append=lon_deg[-1:])))
    cosine = np.cos(np.radians(lat_deg))
    following = np.append(lat_deg[1:], lat_deg[-1:])
    widest = np.maximum(cosine, np.append(cosine[1:], cosine[-1:]))
    widest[lat_deg * following < 0] = 1.0  # over the equator
    bend_m = _GREATEST_CURVATURE_RADIUS_M * (up * up + 2 * up * along + along * along * widest)
    parts: IntArray = np.maximum(1, np.ceil(np.sqrt(bend_m / (8 * SAG_M)))).astype(np.int64)
    parts[last] = 1
    return parts


def _limit(zones: Zones, paths: _Paths, parts: IntArray) -> None:
    pieces = parts.copy()
    pieces[paths.start[1:] - 1] = 0
    vertex_zone = np.repeat(paths.zone, np.diff(paths.start))
    count = np.bincount(vertex_zone, weights=pieces, minlength=zones.track.size)
    if np.any(count > MAX_ZONE_EDGES):
        raise TooDetailedError(
            f"the outline of zone {zones.keys[int(np.argmax(count))]!r} needs more than "
            f"{MAX_ZONE_EDGES:,} straight pieces; simplify it"
        )
    if count.sum() > MAX_EDGES:
        raise TooDetailedError(
            f"the outlines of all zones need more than {MAX_EDGES:,} straight pieces; "
            "simplify them or split the caseload over several sites"
        )


def _points(paths: _Paths, parts: IntArray) -> tuple[FloatArray, IntArray]:
    """(N, 3) Cartesian points of all paths, cut into parts, and (P + 1,) offsets by path."""
    begin = np.concatenate([np.zeros(1, np.int64), np.cumsum(parts)])
    vertex = np.repeat(np.arange(parts.size), parts)
    way = (np.arange(vertex.size) - begin[vertex]) / parts[vertex]
    # After the last vertex of a path there is no way to go: `way` is 0 there.
    lat_deg = paths.lat_deg[vertex] + way * np.diff(paths.lat_deg, append=0.0)[vertex]
    lon_deg = paths.lon_deg[vertex] + way * np.diff(paths.lon_deg, append=0.0)[vertex]
    points_m = np.empty((vertex.size, 3))
    _to_cartesians_m(lat_deg, lon_deg, points_m)
    start = begin[paths.start]
    # Exactly closed, whatever 360 degrees more do to a cosine.
    points_m[start[1 : paths.rings + 1] - 1] = points_m[start[: paths.rings]]
    return points_m, start


@kernel
def _to_cartesians_m(lat_deg: FloatArray, lon_deg: FloatArray, out_m: FloatArray) -> None:
    # Not by NumPy: its sines may differ in the last bit with a point's place in the array.
    for i in range(lat_deg.size):
        out_m[i, 0], out_m[i, 1], out_m[i, 2] = to_cartesian_m(lat_deg[i], lon_deg[i])


def _zone_table(zones: Zones, points_m: FloatArray, zone_start: IntArray) -> NDArray[np.void]:
    """(Z,) of `ZONE_DTYPE`, but for the edges. `zone_start`: (Z + 1,) offsets of the outlines."""
    table = np.zeros(zones.track.size, ZONE_DTYPE)
    outlined = np.diff(zone_start) > 0
    for zone in np.flatnonzero(~outlined):
        lat_deg, lon_deg, table["outer_radius_m"][zone] = zones.circle[zone]
        table["middle_m"][zone] = to_cartesian_m(lat_deg, lon_deg)
    if outlined.any():
        # What follows the last ring are corridors: they do not count.
        rings_m, first = points_m[: zone_start[-1]], zone_start[:-1][outlined]
        table["middle_m"][outlined] = _middles(rings_m, first)
        centre_m = np.repeat(table["middle_m"], np.diff(zone_start), axis=0)
        chord_m = np.maximum.reduceat(np.linalg.norm(rings_m - centre_m, axis=1), first)
        half = np.minimum(0.5 * chord_m / ARC_RADIUS_M, 1.0)
        table["outer_radius_m"][outlined] = 2 * ARC_RADIUS_M * np.arcsin(half) + SAG_M
        large = np.flatnonzero(outlined & (table["outer_radius_m"] > MAX_RADIUS_M))
        if large.size:
            raise ValueError(
                f"the outline of zone {zones.keys[large[0]]!r} reaches more than "
                f"{MAX_RADIUS_M / 1000:.0f} km from its middle"
            )
    table["east"], table["north"] = _axes(table["middle_m"])
    table["first_corridor"] = np.searchsorted(zones.corridors.zone, np.arange(table.size))
    table["end_corridor"] = np.searchsorted(zones.corridors.zone, np.arange(table.size), "right")
    return table


def _middles(rings_m: FloatArray, first: IntArray) -> FloatArray:
    """The middle of each outline's box in space, brought onto the ellipsoid."""
    low_m = np.minimum.reduceat(rings_m, first)
    box_m = 0.5 * (low_m + np.maximum.reduceat(rings_m, first))
    polar2 = SEMI_MAJOR_M**2 * (1 - ECCENTRICITY2)
    level2 = (box_m[:, 0] ** 2 + box_m[:, 1] ** 2) / SEMI_MAJOR_M**2 + box_m[:, 2] ** 2 / polar2
    # A box round the centre of the Earth has no middle; that zone will be found too large.
    return np.asarray(box_m / np.sqrt(np.maximum(level2, 1e-12))[:, None])


def _axes(middle_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(Z, 3) east and north; at a pole, where there is no east, any direction will do."""
    normal = middle_m / np.array([1.0, 1.0, 1 - ECCENTRICITY2])
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-12)[:, None]
    across = np.hypot(normal[:, 0], normal[:, 1])
    polar = across == 0.0
    across[polar] = 1.0
    east = np.stack([-normal[:, 1] / across, normal[:, 0] / across, np.zeros(across.size)], 1)
    east[polar, 1] = 1.0
    return east, np.cross(normal, east)


def _project(points_m: FloatArray, own: NDArray[np.void]) -> FloatArray:
    """(2, N) coordinates on the planes, to the nanometre.

    Rounded, so that an edge is either level or clearly not: a slope of 1e300 would be of no use.
    """
    way = points_m - own["middle_m"]
    axes = (own["east"], own["north"])
    return np.stack([np.round(np.sum(way * axis, axis=1), 9) for axis in axes])


def _packed(edges: FloatArray, first: IntArray) -> FloatArray:
    """The edges as `Planes` has them, of (6, E) and the first of every outline and corridor."""
    every = np.arange(edges.shape[1])
    begin = np.unique(first)
    count = np.diff(begin, append=every.size)
    block = np.searchsorted(begin, every, "right") - 1
    place = (COLUMNS - 1) * begin[block] + every
    packed = np.empty(edges.size)
    for column in range(COLUMNS):
        packed[place + column * count[block]] = edges[column]
    return packed


def _edges(plane_m: FloatArray, start: IntArray) -> FloatArray:
    first = np.delete(np.arange(plane_m.shape[1]), start[1:] - 1)
    edges = np.zeros((COLUMNS, first.size))
    edges[[X_1, Y_1]] = plane_m[:, first]
    edges[[X_2, Y_2]] = plane_m[:, first + 1]
    dx_m, dy_m = edges[X_2] - edges[X_1], edges[Y_2] - edges[Y_1]
    length2 = dx_m * dx_m + dy_m * dy_m
    np.divide(1.0, length2, out=edges[PER_LENGTH2], where=length2 > 0)
    np.divide(dx_m, dy_m, out=edges[SLOPE], where=dy_m != 0)
    return edges
