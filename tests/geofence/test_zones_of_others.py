"""Zones that nobody here drew, with answers that nobody here gave."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import shapely

from geofence.plan import FloatArray
from geofence.planes import SAG_M
from tests.geofence.polygons import Outline
from tests.geofence.test_zones import boundary_m

LAT, LON = 51.75, 179.99


def on_earth(planar: FloatArray, extent: float) -> FloatArray:
    """Planar places, (n, 2) x and y, as longitudes and latitudes across the antimeridian.

    So small a piece of the Earth (2 km) that each edge stays whole.
    """
    degrees = np.asarray(planar, float) * (0.02 / extent)
    return np.stack([LON + degrees[:, 0] / math.cos(math.radians(LAT)), LAT + degrees[:, 1]], 1)


def places_of(signed_m: list[float]) -> tuple[bool, bool, bool]:
    """Whether any lies inside, on the boundary, outside."""
    return (
        any(one < -SAG_M for one in signed_m),
        any(abs(one) <= SAG_M for one in signed_m),
        any(one > SAG_M for one in signed_m),
    )


Case = tuple[str, shapely.Geometry, shapely.Geometry, tuple[bool, bool, bool]]


def jts_relations(folder: Path) -> Iterator[Case]:
    """Points, an area, and which of inside, boundary and outside the JTS says there are points in.

    That stands in a DE-9IM matrix: a row for points and area, a column for area and points.
    """
    for path in sorted(folder.glob("*/*.xml")):
        for case in ET.parse(path).getroot().iter("case"):
            texts = [" ".join((case.findtext(name) or "").split()) for name in ("a", "b")]
            kinds = sorted(text.partition("(")[0].strip().removeprefix("MULTI") for text in texts)
            matrices = [op.get("arg3", "") for op in case.iter("op") if op.get("name") == "relate"]
            if kinds != ["POINT", "POLYGON"] or not matrices:
                continue
            a, b = (shapely.from_wkt(text) for text in texts)
            points_first = a.geom_type.endswith("Point")
            cells = matrices[0][:3] if points_first else matrices[0][::3]
            points, area = (a, b) if points_first else (b, a)
            told = cells[0] != "F", cells[1] != "F", cells[2] != "F"
            yield f"{path.name}: {case.findtext('desc')}", points, area, told


def test_the_jts_says_where_points_lie(data_dir: Path) -> None:
    checked = 0
    for name, points, area, told in jts_relations(data_dir / "polygons" / "jts"):
        extent = float(np.ptp(shapely.get_coordinates(area)))
        outline = Outline.of_geometry(shapely.transform(area, lambda xy, e=extent: on_earth(xy, e)))
        places = on_earth(shapely.get_coordinates(points), extent)
        wrapped = [(lat, (lon + 180) % 360 - 180) for lon, lat in places]
        assert places_of([outline.signed_m(*place) for place in wrapped]) == told, name
        checked += 1
    assert checked >= 45


def jts_polygons(folder: Path) -> Iterator[tuple[str, shapely.Geometry]]:
    """Valid polygons of the JTS test files, brought to a square of 0.02 degrees of latitude."""
    for path in sorted(folder.glob("*/*.xml")):
        for node in ET.parse(path).iter():
            text = " ".join((node.text or "").split())
            if not text.startswith(("POLYGON", "MULTIPOLYGON")) or "NaN" in text:
                continue
            zone = shapely.from_wkt(text, on_invalid="ignore")
            if zone is None or zone.is_empty or not zone.is_valid:
                continue
            corner = np.array(zone.bounds[:2])
            extent = float(np.max(np.array(zone.bounds[2:]) - corner))
            yield (
                path.name,
                shapely.transform(zone, lambda xy, c=corner, e=extent: on_earth(xy - c, e)),
            )


def test_jts_polygons(data_dir: Path) -> None:
    checked = 0
    rng = np.random.default_rng(12)
    for name, zone in jts_polygons(data_dir / "polygons" / "jts"):
        outline = Outline.of_geometry(zone)
        west, south, east, north = zone.bounds
        for lon, lat in rng.uniform(
            (west - 0.005, south - 0.003), (east + 0.005, north + 0.003), (20, 2)
        ):
            signed_m = outline.signed_m(lat, (lon + 180) % 360 - 180)
            if abs(signed_m) > SAG_M:
                assert (signed_m < 0) == zone.contains(shapely.Point(lon, lat)), name
                checked += 1
    assert checked > 1000


def polygons_of(value: dict[str, object]) -> list[FloatArray]:
    geometry = value.get("geometry", value)
    assert isinstance(geometry, dict)
    several = geometry["type"] == "MultiPolygon"
    parts = geometry["coordinates"] if several else [geometry["coordinates"]]
    return [np.array(ring, float)[:, :2] for part in parts for ring in part]


def across(lon_lat: FloatArray) -> FloatArray:
    """Degrees made small about 180 degrees of longitude, so that a hemisphere becomes a zone."""
    middle = np.array([180.0, 10.0])
    return np.asarray(middle + 0.015 * (lon_lat - middle))


@pytest.mark.parametrize(
    "name",
    [
        "almost-180",
        "complex-split",
        "crossing-latitude",
        "issues-81",
        "multi-no-antimeridian",
        "multi-split",
        "one-hole",
        "over-180",
        "point-on-antimeridian",
        "simple",
        "split",
        "two-holes",
    ],
)
def test_zones_cut_at_the_antimeridian_by_another_library(data_dir: Path, name: str) -> None:
    """That library cuts in two what runs on with us; inside must be the same."""
    folder = data_dir / "polygons" / "antimeridian"
    rings = polygons_of(json.loads((folder / "input" / f"{name}.json").read_text()))
    cut = shapely.from_geojson((folder / "output" / "flat" / f"{name}.json").read_text())
    # Brought together round 180 degrees before they are made small, each ring for itself.
    together = [np.stack([np.unwrap(ring[:, 0], period=360), ring[:, 1]], 1) for ring in rings]
    together = [ring - [360 * round((ring[:, 0].mean() - 180) / 360), 0] for ring in together]
    outline = Outline.of([across(ring) for ring in together])
    rng = np.random.default_rng(11)
    left, bottom, right, top = shapely.total_bounds(cut)
    points = rng.uniform((left - 5, bottom - 5), (right + 5, top + 5), (600, 2))
    probe = cut.representative_point()
    points = np.concatenate([points, [(probe.x, probe.y)]])
    inside = 0
    for lon, lat in points:
        point = shapely.Point((lon + 180) % 360 - 180, lat)
        if cut.boundary.distance(point) > 0.01:
            inside += cut.contains(point)
            place = across(np.array([point.x % 360, lat]))
            signed_m = outline.signed_m(place[1], (place[0] + 180) % 360 - 180)
            assert (signed_m < 0) == cut.contains(point), (lon, lat)
    assert 0 < inside < 601


def test_oxford_wards(data_dir: Path) -> None:
    path = data_dir / "polygons" / "wards" / "wards_E07000178.json"
    zones = [
        shapely.from_geojson(json.dumps(feature["geometry"]))
        for feature in json.loads(path.read_text())["features"]
    ]
    left, bottom, right, top = shapely.total_bounds(np.array(zones))
    points = np.random.default_rng(13).uniform((left, bottom), (right, top), (200, 2))
    for zone in zones:
        outline = Outline.of_geometry(zone)
        for lon, lat in points:
            signed_m = outline.signed_m(lat, lon)
            if abs(signed_m) > SAG_M:
                assert (signed_m < 0) == zone.contains(shapely.Point(lon, lat))
        expected_m = boundary_m(outline.rings, points[0, 1], points[0, 0])
        assert abs(outline.signed_m(points[0, 1], points[0, 0])) == pytest.approx(
            expected_m, rel=1e-4, abs=SAG_M
        )
