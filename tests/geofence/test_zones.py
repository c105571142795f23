from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.plan import FloatArray
from geofence.zones import nearest_turn_deg
from tests.geofence.polygons import Rings

WGS84 = Geod(ellps="WGS84")


def star(seed: int, vertices: int, lat: float, lon: float, size_deg: float) -> FloatArray:
    """A closed ring round a point, with spikes; (n, 2) longitude and latitude."""
    rng = np.random.default_rng(seed)
    # One vertex in each sector: the ring goes round its middle once and never crosses itself.
    angle = 2 * np.pi * (np.arange(vertices) + rng.uniform(0.05, 0.95, vertices)) / vertices
    radius = size_deg * rng.uniform(0.35, 1.0, vertices)
    ring = np.stack(
        [lon + radius * np.cos(angle) / np.cos(np.radians(lat)), lat + radius * np.sin(angle)], 1
    )
    return np.concatenate([ring, ring[:1]])


def boundary_m(rings: Rings, lat: float, lon: float) -> float:
    """Distance to the boundary by pyproj: dense points on each edge, twice refined."""
    nearest = math.inf
    for first, end in zip(rings.ring_vertex[:-1], rings.ring_vertex[1:], strict=True):
        for v in range(first, end - 1):
            low, high = 0.0, 1.0
            for _ in range(3):
                t = np.linspace(low, high, 101)
                lons = rings.lon_deg[v] + t * (rings.lon_deg[v + 1] - rings.lon_deg[v])
                lats = rings.lat_deg[v] + t * (rings.lat_deg[v + 1] - rings.lat_deg[v])
                _, _, d = WGS84.inv(np.full(101, lon), np.full(101, lat), lons, lats)
                best = int(np.argmin(d))
                nearest = min(nearest, float(d[best]))
                step = (high - low) / 100
                low, high = max(0.0, t[best] - step), min(1.0, t[best] + step)
    return nearest


@given(
    seed=st.integers(0, 10**6),
    vertices=st.integers(3, 8),
    lat=st.floats(-79.8, 79.8),
    lon=st.floats(-180, 180),
    size_deg=st.floats(0.0005, 0.08),
    away=st.tuples(st.floats(0, 360), st.floats(0, 10_000)),
)
def test_distance_to_the_boundary_is_pyprojs(
    seed: int, vertices: int, lat: float, lon: float, size_deg: float, away: tuple[float, float]
) -> None:
    rings = Rings.of([star(seed, vertices, lat, lon, size_deg)])
    point_lon, point_lat, _ = WGS84.fwd(lon, lat, *away)
    expected_m = boundary_m(rings, point_lat, point_lon)
    assume(expected_m <= 10_000)
    assert abs(rings.signed_m(point_lat, point_lon)) == pytest.approx(
        expected_m, rel=1e-4, abs=0.001
    )


@given(
    seed=st.integers(0, 10**6),
    lat=st.floats(-85, 85),
    lon=st.sampled_from([-180.0, -179.99, -0.13, 12.5, 179.995, 180.0]),
    x=st.floats(-1.2, 4.2),
    y=st.floats(-1.2, 1.2),
)
def test_inside_is_shapelys(seed: int, lat: float, lon: float, x: float, y: float) -> None:
    size = 0.05
    wide = size / math.cos(math.radians(lat))
    shell, hole = star(seed, 12, lat, lon, size), star(seed, 12, lat, lon, size)
    middle = np.array([lon, lat])
    hole = middle + 0.5 * (hole - middle)
    island = middle + 0.2 * (shell - middle)
    other = star(seed + 1, 5, lat, lon + 3 * wide, size)
    zone = shapely.MultiPolygon(
        [shapely.Polygon(shell, [hole]), shapely.Polygon(island), shapely.Polygon(other)]
    )
    assert zone.is_valid
    point = shapely.Point(lon + x * wide, lat + y * size)
    assume(zone.boundary.distance(point) > 1e-9)
    rings = Rings.of_geometry(zone)
    # A device reports longitudes from -180 to 180, wherever the zone's run.
    reported_lon = (point.x + 180.0) % 360.0 - 180.0
    signed_m = rings.signed_m(point.y, reported_lon)
    assert (signed_m < 0) == zone.contains(point)


@given(st.integers(0, 10**6), st.integers(3, 9), st.floats(0.001, 0.999))
def test_on_the_boundary_the_distance_vanishes(seed: int, vertices: int, t: float) -> None:
    # Long edges at a high latitude, where a great circle would pass hundreds of metres off.
    ring = star(seed, vertices, 60.0, 10.0, 2.0)
    lon, lat = ring[0] + t * (ring[1] - ring[0])
    assert abs(Rings.of([ring]).signed_m(lat, lon)) < 0.001


def test_no_vertices_are_infinitely_far() -> None:
    assert Rings.of([]).signed_m(10.0, 10.0) == math.inf


def test_a_repeated_vertex_changes_nothing() -> None:
    ring = star(5, 6, 51.0, 0.0, 0.01)
    twice = np.repeat(ring, 2, axis=0)
    for lat, lon in ((51.0, 0.0), (51.02, 0.01), (50.995, -0.02)):
        assert Rings.of([ring]).signed_m(lat, lon) == Rings.of([twice]).signed_m(lat, lon)


@given(st.floats(-180, 180), st.floats(-400, 400))
def test_nearest_turn(lon: float, middle: float) -> None:
    turned = nearest_turn_deg(lon, middle)
    assert abs(turned - middle) <= 180.0 + 1e-9
    assert math.remainder(turned - lon, 360.0) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "almost-180",
        "complex-split",
        "crossing-latitude",
        "multi-no-antimeridian",
        "one-hole",
        "over-180",
        "point-on-antimeridian",
        "simple",
        "split",
        "two-holes",
    ],
)
def test_antimeridian_cases(data_dir: Path, name: str) -> None:
    folder = data_dir / "polygons" / "antimeridian"
    zone = json.loads((folder / "input" / f"{name}.json").read_text())
    cut = shapely.from_geojson((folder / "output" / "flat" / f"{name}.json").read_text())
    parts = zone["coordinates"] if zone["type"] == "MultiPolygon" else [zone["coordinates"]]
    rings = Rings.of([np.array(ring, float) for part in parts for ring in part])
    rng = np.random.default_rng(11)
    inside = 0
    for lon, lat in rng.uniform((-180, -85), (180, 85), (600, 2)):
        point = shapely.Point(lon, lat)
        if cut.boundary.distance(point) > 1e-6:
            inside += cut.contains(point)
            assert (rings.signed_m(lat, lon) < 0) == cut.contains(point)
    probe = cut.representative_point()
    assert rings.signed_m(probe.y, probe.x) < 0
    assert inside < 600


def jts_polygons(folder: Path) -> Iterator[tuple[str, shapely.Geometry]]:
    """Valid polygons of the JTS test files, brought to a square of 2 degrees."""
    for path in sorted(folder.glob("*/*.xml")):
        for node in ET.parse(path).iter():
            text = " ".join((node.text or "").split())
            if not text.startswith(("POLYGON", "MULTIPOLYGON")) or "NaN" in text:
                continue
            zone = shapely.from_wkt(text, on_invalid="ignore")
            if zone is None or zone.is_empty or not zone.is_valid:
                continue
            corner = np.array(zone.bounds[:2])
            scale = 2.0 / np.max(np.array(zone.bounds[2:]) - corner)
            yield path.name, shapely.transform(zone, lambda xy, c=corner, s=scale: (xy - c) * s)


def test_jts_polygons(data_dir: Path) -> None:
    checked = 0
    rng = np.random.default_rng(12)
    for name, zone in jts_polygons(data_dir / "polygons" / "jts"):
        rings = Rings.of_geometry(zone)
        for lon, lat in rng.uniform(-0.2, 2.2, (20, 2)):
            point = shapely.Point(lon, lat)
            if zone.boundary.distance(point) > 1e-9:
                assert (rings.signed_m(lat, lon) < 0) == zone.contains(point), name
                checked += 1
    assert checked > 1000


def test_oxford_wards(data_dir: Path) -> None:
    path = data_dir / "polygons" / "wards" / "wards_E07000178.json"
    zones = [
        shapely.from_geojson(json.dumps(feature["geometry"]))
        for feature in json.loads(path.read_text())["features"]
    ]
    left, bottom, right, top = shapely.total_bounds(np.array(zones))
    points = np.random.default_rng(13).uniform((left, bottom), (right, top), (200, 2))
    for zone in zones:
        rings = Rings.of_geometry(zone)
        for lon, lat in points:
            assert (rings.signed_m(lat, lon) < 0) == zone.contains(shapely.Point(lon, lat))
    lon, lat = points[0]
    rings = Rings.of_geometry(zones[0])
    assert abs(rings.signed_m(lat, lon)) == pytest.approx(boundary_m(rings, lat, lon), rel=1e-4)
