"""Signed distances to zones, beside shapely and pyproj, anywhere on the Earth."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from geofence.distance import along_chord_m, geodesic_m, to_cartesian_m
from geofence.plan import FloatArray
from geofence.planes import MAX_RADIUS_M, REACH_M, SAG_M, lay_flat
from geofence.zones import polygon_m
from tests.geofence.polygons import Outline, circle_of, corridors_of, signed_m

WGS84 = Geod(ellps="WGS84")
EARTH_M = 6_371_000.0
LATITUDES = st.floats(-89.9, 89.9) | st.sampled_from([-89.9, -85.0, 0.0, 60.0, 89.0, 89.9])
LONGITUDES = st.floats(-180, 180) | st.sampled_from([-180.0, -179.99, 0.0, 179.995, 180.0])
SEEDS = st.integers(0, 10**6)


def star(seed: int, vertices: int, lat: float, lon: float, size_m: float) -> FloatArray:
    """A closed ring round a point, with spikes; (n, 2) longitude and latitude.

    It does not reach the pole, where it would run around all longitudes.
    """
    rng = np.random.default_rng(seed)
    # One vertex in each sector: the ring goes round its middle once and never crosses itself.
    angle = 360 * (np.arange(vertices) + rng.uniform(0.05, 0.95, vertices)) / vertices
    to_pole_m = WGS84.inv(lon, lat, lon, math.copysign(90, lat))[2]
    radius_m = min(size_m, 0.8 * to_pole_m) * rng.uniform(0.35, 1.0, vertices)
    lons, lats, _ = WGS84.fwd(np.full(vertices, lon), np.full(vertices, lat), angle, radius_m)
    lons = lon + (lons - lon + 180) % 360 - 180
    return np.stack([np.append(lons, lons[0]), np.append(lats, lats[0])], 1)


def boundary_m(rings: list[FloatArray], lat: float, lon: float) -> float:
    """Distance to the boundary by pyproj: dense points on each edge, twice refined."""
    nearest = math.inf
    for ring in rings:
        for one, other in itertools.pairwise(ring):
            low, high = 0.0, 1.0
            for _ in range(3):
                t = np.linspace(low, high, 101)
                lons, lats = one[:, None] + t * (other - one)[:, None]
                _, _, d = WGS84.inv(np.full(101, lon), np.full(101, lat), lons, lats)
                best = int(np.argmin(d))
                nearest = min(nearest, float(d[best]))
                step = (high - low) / 100
                low, high = max(0.0, t[best] - step), min(1.0, t[best] + step)
    return nearest


@given(
    seed=SEEDS,
    vertices=st.integers(3, 8),
    lat=LATITUDES,
    lon=LONGITUDES,
    size_m=st.floats(50, 70_000),
    vertex=st.integers(0, 7),
    away=st.tuples(st.floats(0, 360), st.floats(0, 10_000)),
)
@example(seed=1, vertices=4, lat=89.9, lon=180.0, size_m=70_000, vertex=0, away=(0, 9_000))
@example(seed=1, vertices=3, lat=-60.0, lon=179.9, size_m=70_000, vertex=1, away=(90, 9_000))
def test_distance_to_the_boundary_is_pyprojs(
    seed: int,
    vertices: int,
    lat: float,
    lon: float,
    size_m: float,
    vertex: int,
    away: tuple[float, float],
) -> None:
    ring = star(seed, vertices, lat, lon, size_m)
    outline = Outline.of([ring])
    from_lon, from_lat = ring[vertex % vertices]
    point_lon, point_lat, _ = WGS84.fwd(from_lon, from_lat, *away)
    expected_m = boundary_m(outline.rings, point_lat, point_lon)
    found_m = abs(outline.signed_m(point_lat, point_lon))
    # The bound of the planes' module: never longer, and shorter by 0.1 % of the way at the most.
    shortened = (outline.outer_radius_m + 10_000) ** 2 / (2 * EARTH_M**2) + 1e-5
    assert shortened < 1e-3
    assert expected_m * (1 - shortened) - SAG_M <= found_m <= expected_m + SAG_M + 1e-3


@given(
    seed=SEEDS,
    lat=st.floats(-89.8, 89.8),
    lon=st.sampled_from([-180.0, -179.99, -0.13, 12.5, 179.995, 180.0]),
    x=st.floats(-1.2, 4.2),
    y=st.floats(-1.2, 1.2),
)
def test_inside_is_shapelys(seed: int, lat: float, lon: float, x: float, y: float) -> None:
    high = 0.05
    wide = high / math.cos(math.radians(lat))
    rng = np.random.default_rng(seed)

    def ring(count: int, east: float = 0.0) -> FloatArray:
        angle = 2 * np.pi * (np.arange(count) + rng.uniform(0.05, 0.95, count)) / count
        radius = rng.uniform(0.35, 1.0, count)
        closed = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)[[*range(count), 0]]
        degrees: FloatArray = np.array([lon + east, lat]) + closed * np.array([wide, high])
        return degrees

    middle = np.array([lon, lat])
    shell = ring(12)
    hole = middle + 0.5 * (shell - middle)
    island = middle + 0.2 * (shell - middle)
    other = ring(5, east=3 * wide)
    zone = shapely.MultiPolygon(
        [shapely.Polygon(shell, [hole]), shapely.Polygon(island), shapely.Polygon(other)]
    )
    assert zone.is_valid
    point = shapely.Point(lon + x * wide, lat + y * high)
    # A device reports longitudes from -180 to 180, wherever the zone's run.
    reported_lon = (point.x + 180.0) % 360.0 - 180.0
    found_m = Outline.of_geometry(zone).signed_m(point.y, reported_lon)
    assume(abs(found_m) > SAG_M)
    assert (found_m < 0) == zone.contains(point)


@given(seed=SEEDS, lat=LATITUDES, lon=LONGITUDES, vertices=st.integers(3, 9), t=st.floats(0, 1))
def test_on_the_boundary_the_distance_vanishes(
    seed: int, lat: float, lon: float, vertices: int, t: float
) -> None:
    # Long edges at a high latitude, where a great circle would pass hundreds of metres off.
    ring = star(seed, vertices, lat, lon, 70_000)
    place = ring[0] + t * (ring[1] - ring[0])
    assert abs(Outline.of([ring]).signed_m(place[1], place[0])) <= SAG_M + 1e-6


POINTS = st.tuples(st.integers(-6, 6), st.integers(-6, 6))


def flat_edges(rings: list[list[tuple[float, float]]]) -> FloatArray:
    """Rings on a plane as the kernel takes them."""
    ends = np.array([(*a, *b) for ring in rings for a, b in itertools.pairwise([*ring, ring[0]])])
    x_1, y_1, x_2, y_2 = ends.T.astype(float)
    length2 = (x_2 - x_1) ** 2 + (y_2 - y_1) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        per_length2 = np.where(length2 > 0, 1 / length2, 0)
        slope = np.where(y_2 != y_1, (x_2 - x_1) / (y_2 - y_1), 0)
    return np.stack([x_1, y_1, x_2, y_2, per_length2, slope])


def reference_m(x: float, y: float, edges: FloatArray) -> float:
    """The same by the textbook, edge by edge."""
    nearest2, inside = math.inf, False
    for x_1, y_1, x_2, y_2, per_length2, slope in edges.T.tolist():
        if (y_1 > y) != (y_2 > y) and x - x_1 < (y - y_1) * slope:
            inside = not inside
        ex, ey = x_2 - x_1, y_2 - y_1
        t = ((x - x_1) * ex + (y - y_1) * ey) * per_length2
        t = min(max(t, 0.0), 1.0)
        nearest2 = min(nearest2, (x - x_1 - t * ex) ** 2 + (y - y_1 - t * ey) ** 2)
    return -math.sqrt(nearest2) if inside else math.sqrt(nearest2)


@given(
    st.lists(st.lists(POINTS, min_size=3, max_size=40), min_size=1, max_size=4),
    st.floats(-8, 8) | st.integers(-7, 7).map(float),
    st.floats(-8, 8) | st.integers(-7, 7).map(float),
)
def test_the_kernel_is_its_plain_twin(
    rings: list[list[tuple[float, float]]], x: float, y: float
) -> None:
    edges = flat_edges(rings)
    found = polygon_m(x, y, 0, edges.shape[1], edges.ravel())
    assert found == reference_m(x, y, edges)
    assert found == polygon_m.py_func(x, y, 0, edges.shape[1], edges.ravel())  # type: ignore[attr-defined]


HALF_CELLS = st.tuples(st.integers(-3, 2), st.integers(-3, 2), st.booleans())


@given(st.sets(HALF_CELLS, min_size=1, max_size=60))
def test_on_the_plane_it_is_shapelys(cells: set[tuple[int, int, bool]]) -> None:
    """Vertices and points on one grid, so that rays pass through vertices and along edges."""
    zone = shapely.unary_union(
        [
            shapely.Polygon([(x, y), (x + 1, y + 1), (x + (not upper), y + upper)])
            for x, y, upper in cells
        ]
    )
    rings = [
        list(ring.coords)[:-1]
        for part in shapely.get_parts(zone)
        for ring in (part.exterior, *part.interiors)
    ]
    edges = flat_edges(rings)
    for x, y in itertools.product(np.arange(-4, 4.5, 0.5), repeat=2):
        point = shapely.Point(x, y)
        found = polygon_m(x, y, 0, edges.shape[1], edges.ravel())
        assert abs(found) == pytest.approx(zone.boundary.distance(point), abs=1e-9)
        if abs(found) > 1e-9:
            assert (found < 0) == zone.contains(point)


def test_no_edges_are_infinitely_far() -> None:
    assert polygon_m(1.0, 1.0, 0, 0, np.zeros(0)) == math.inf


def test_a_repeated_vertex_changes_nothing() -> None:
    ring = star(5, 6, 51.0, 0.0, 1_000)
    once, twice = Outline.of([ring]), Outline.of([np.repeat(ring, 2, axis=0)])
    for lat, lon in ((51.0, 0.0), (51.02, 0.01), (50.995, -0.02)):
        assert once.signed_m(lat, lon) == twice.signed_m(lat, lon)


@given(
    seed=SEEDS,
    lat=LATITUDES,
    lon=LONGITUDES,
    size_m=st.floats(50, 70_000),
    point_lat=st.floats(-90, 90),
    point_lon=st.floats(-180, 180),
)
@example(seed=0, lat=0.0, lon=0.0, size_m=10_000, point_lat=0.0, point_lon=180.0)
@example(seed=0, lat=89.9, lon=0.0, size_m=10_000, point_lat=-90.0, point_lon=0.0)
@example(seed=0, lat=51.0, lon=0.0, size_m=60_000, point_lat=53.0, point_lon=0.0)
def test_from_anywhere_it_is_a_lower_bound(
    seed: int, lat: float, lon: float, size_m: float, point_lat: float, point_lon: float
) -> None:
    ring = star(seed, 5, lat, lon, size_m)
    found_m = Outline.of([ring]).signed_m(point_lat, point_lon)
    expected_m = boundary_m([ring], point_lat, point_lon)
    assume(expected_m > 100_000)  # inside, or near: the other tests
    # On the far side of the Earth a chord tells distances to 4 % only (see `geofence.distance`).
    slack = 1e-5 if expected_m < 900_000 else 0.04
    assert 0 < found_m <= expected_m * (1 + slack) + SAG_M
    assert found_m >= expected_m * (1 - 1e-3 - slack) - 2 * size_m


@given(seed=SEEDS, lat=LATITUDES, azimuth=st.floats(0, 360), size_m=st.floats(50, 70_000))
@settings(max_examples=30)
def test_where_the_plane_is_left_the_distance_stays_positive_and_jumps_downwards_only(
    seed: int, lat: float, azimuth: float, size_m: float
) -> None:
    outline = Outline.of([star(seed, 6, lat, 10.0, size_m)])
    near, far = (
        outline.signed_m(*WGS84.fwd(10.0, lat, azimuth, way_m)[1::-1])
        for way_m in (REACH_M - 2 * size_m, REACH_M + 2 * size_m)
    )
    # Upwards no more than one has moved, and than the plane had shortened the way.
    assert 0 < far <= near + 4 * size_m + 1e-3 * REACH_M


@given(seed=SEEDS, lat=st.floats(-89, 89), lon=LONGITUDES, turns=st.integers(-2, 2))
@settings(max_examples=30)
def test_whole_turns_change_nothing(seed: int, lat: float, lon: float, turns: int) -> None:
    ring = star(seed, 6, lat, lon, 5_000)
    moved = ring + np.array([360.0 * turns, 0.0])
    jumping = np.stack([(ring[:, 0] + 180) % 360 - 180, ring[:, 1]], 1)
    place = ring[0] + 0.3 * (ring[2] - ring[0])
    expected_m = Outline.of([ring]).signed_m(place[1], place[0])
    for other in (moved, jumping):
        for turn in (-360.0, 0.0, 360.0):
            found_m = Outline.of([other]).signed_m(place[1], place[0] + turn)
            assert found_m == pytest.approx(expected_m, abs=1e-5)


@given(
    lat=st.sampled_from([-90.0, -89.9999, 89.99, 90.0]) | LATITUDES,
    lon=LONGITUDES,
    radius_m=st.floats(20, 50_000),
    point_lat=st.floats(-90, 90),
    point_lon=LONGITUDES,
)
def test_a_circle_is_measured_from_its_centre_also_at_a_pole(
    lat: float, lon: float, radius_m: float, point_lat: float, point_lon: float
) -> None:
    planes = lay_flat(circle_of(lat, lon, radius_m))
    centre_m, point_m = to_cartesian_m(lat, lon), to_cartesian_m(point_lat, point_lon)
    gap_m = [point - centre for point, centre in zip(point_m, centre_m, strict=True)]
    assert signed_m(planes, point_lat, point_lon) == along_chord_m(*gap_m) - radius_m
    expected_m = geodesic_m(lat, lon, point_lat, point_lon) - radius_m
    assert signed_m(planes, point_lat, point_lon) == pytest.approx(expected_m, rel=1e-5, abs=1e-5)


@given(seed=SEEDS, lat=st.sampled_from([-90.0, 90.0]), azimuth=st.floats(0, 360))
@settings(max_examples=30)
def test_a_corridor_to_the_pole(seed: int, lat: float, azimuth: float) -> None:
    """The pole itself: north has no meaning on its plane, and longitudes none at all."""
    rng = np.random.default_rng(seed)
    along = rng.uniform(-180, 180)
    line = np.array([[along, lat], [along, math.copysign(89.0, lat)]])
    planes = lay_flat(circle_of(lat, 0.0, 50_000, corridors_of((line, 200.0))))
    point_lon, point_lat, _ = WGS84.fwd(0.0, lat, azimuth, rng.uniform(300, 49_000))
    from_pole_m = WGS84.inv(0.0, lat, point_lon, point_lat)[2]
    turn = math.radians(point_lon - along)
    beside_m = from_pole_m * (abs(math.sin(turn)) if math.cos(turn) > 0 else 1)
    assert signed_m(planes, point_lat, point_lon) == pytest.approx(
        max(from_pole_m - 50_000, 100 - beside_m), rel=1e-3, abs=0.1
    )


def test_every_size_that_is_admitted_stays_on_its_plane() -> None:
    assert MAX_RADIUS_M + 10_000 <= REACH_M
    assert 1 - math.cos(REACH_M / EARTH_M) < 1e-3
