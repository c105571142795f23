"""Ways through exclusion zones: measured as shapely cuts them out, and walked with the engine."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Proj

from geofence.engine import Engine
from geofence.plan import Corridors, FloatArray, Plan, ZoneKind, Zones
from geofence.planes import SAG_M, lay_flat
from tests.geofence.plans import (
    LAT,
    LON,
    NOW_US,
    circle_zone,
    levels,
    square_zones,
    walk,
    zone_plan,
)
from tests.geofence.polygons import Outline, circle_of, corridors_of, signed_m
from tests.geofence.test_zones import LATITUDES, LONGITUDES, SEEDS, star

DEGREE_M = 111_250.0


def bends(rng: np.random.Generator, lat: float, lon: float, size_m: float) -> FloatArray:
    """A way of some bends near a point; (n, 2) longitude and latitude."""
    places_m = rng.uniform(-size_m, size_m, (rng.integers(2, 5), 2))
    degree_m = np.array([DEGREE_M * math.cos(math.radians(lat)), DEGREE_M])
    return np.asarray(np.array([lon, lat]) + places_m / degree_m)


@given(
    seed=SEEDS,
    lat=LATITUDES.filter(lambda lat: abs(lat) <= 89.0),
    lon=LONGITUDES,
    count=st.integers(1, 3),
    around=st.booleans(),
)
def test_it_is_the_zone_less_its_corridors(
    seed: int,
    lat: float,
    lon: float,
    count: int,
    around: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    rng = np.random.default_rng(seed)
    widths_m = rng.uniform(40, 400, count)
    lines = [bends(rng, lat, lon, 1_500) for _ in range(count)]
    corridors = corridors_of(*zip(lines, widths_m.tolist(), strict=True))
    # PROJ's orthographic projection, the ellipsoidal one; 3 km from its middle nothing is bent.
    on_plane = Proj(proj="ortho", lat_0=lat, lon_0=lon, ellps="WGS84")

    def flat(lon_lat: FloatArray) -> FloatArray:
        """With 50 points on each edge, which is straight in degrees and bent on the plane."""
        steps = np.linspace(0, len(lon_lat) - 1, 50 * (len(lon_lat) - 1) + 1)
        lons, lats = (np.interp(steps, np.arange(len(lon_lat)), one) for one in lon_lat.T)
        return np.stack(on_plane(lons, lats), 1)

    if around:
        planes = lay_flat(circle_of(lat, lon, 1_000, corridors))
        area = shapely.Point(0, 0).buffer(1_000, quad_segs=256)
    else:
        ring = star(seed, 7, lat, lon, 1_500)
        planes = Outline.of([ring], corridors).planes
        area = shapely.Polygon(flat(ring)).buffer(0)
    ways = [
        shapely.LineString(flat(line)).buffer(width_m / 2, quad_segs=256)
        for line, width_m in zip(lines, widths_m, strict=True)
    ]
    forbidden = area.difference(shapely.unary_union(ways))
    for point in rng.uniform(-2_000, 2_000, (30, 2)):
        point_lon, point_lat = on_plane(point[0], point[1], inverse=True)
        found_m = signed_m(planes, point_lat, point_lon)
        place = shapely.Point(point)
        boundary_m = forbidden.boundary.distance(place) if not forbidden.is_empty else math.inf
        slack_m = 0.1 + 2 * SAG_M
        if forbidden.contains(place):
            assert found_m == pytest.approx(-boundary_m, abs=slack_m)
        else:
            assert -slack_m <= found_m <= boundary_m + slack_m


def with_way(zones: Zones, width_m: float, *, north_m: float = 0.0) -> Zones:
    """The first zone with a way through it from west to east."""
    east_deg = 0.02 / math.cos(math.radians(LAT))
    north_deg = LAT + north_m / DEGREE_M
    line = np.array([[LON - east_deg, north_deg], [LON + east_deg, north_deg]])
    return dataclasses.replace(zones, corridors=corridors_of((line, width_m)))


@pytest.mark.parametrize(
    "zones",
    [
        square_zones(("z", ZoneKind.EXCLUSION, 0), buffer_m=0.0),
        circle_zone("z", ZoneKind.EXCLUSION, 300.0),
    ],
)
def test_walking_through_a_corridor_raises_nothing(zones: Zones) -> None:
    through = range(-600, 600, 10)
    assert levels(walk(Engine(zone_plan(zones), now_us=NOW_US), through)) == ["alert", "clear"]
    assert walk(Engine(zone_plan(with_way(zones, 100.0)), now_us=NOW_US), through) == []
    beside = Engine(zone_plan(with_way(zones, 100.0, north_m=80.0)), now_us=NOW_US)
    assert levels(walk(beside, through)) == ["alert", "clear"]


def test_a_corridor_is_that_of_its_own_zone_only() -> None:
    two = square_zones(("a", ZoneKind.EXCLUSION, 0), ("b", ZoneKind.EXCLUSION, 0), buffer_m=0.0)
    way = with_way(two, 100.0).corridors
    for zone, watched in ((0, "b"), (1, "a")):
        moved = dataclasses.replace(way, zone=np.array([zone]))
        engine = Engine(Plan("two", ("t",), zones=dataclasses.replace(two, corridors=moved)),
                        now_us=NOW_US)  # fmt: skip
        changes = walk(engine, range(-600, 600, 10))
        assert {change.watch for change in changes} == {watched}


def test_the_probability_in_a_corridor_is_that_of_its_edges() -> None:
    zones = with_way(square_zones(("z", ZoneKind.EXCLUSION, 0), buffer_m=0.0), 100.0)
    engine = Engine(zone_plan(zones), now_us=NOW_US)
    walk(engine, [0])
    watches = engine.picture().watches
    assert watches.distance_m[0] == pytest.approx(50, abs=0.1)
    assert 0 < watches.probability[0] < 1e-3


def test_none_is_none() -> None:
    none = Corridors.none()
    assert (none.zone.size, none.line_vertex.tolist()) == (0, [0])
    assert Zones.none().corridors.zone.size == 0
