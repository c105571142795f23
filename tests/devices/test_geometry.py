"""GeoJSON areas: validity, holes, the antimeridian, and limits on size."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import affinity
from shapely.geometry import MultiPolygon, Point, Polygon, mapping, shape

from devices import geometry
from devices.geometry import GeometryError, read_zone, rings_of
from devices.outlines import size_problem
from geofence import planes
from tests.devices.samples import square

SQUARE: list[list[float]] = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]
HOLE: list[list[float]] = [[0.5, 0.5], [1, 0.5], [1, 1], [0.5, 1], [0.5, 0.5]]


def polygon(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def wrapped(lon: float) -> float:
    return (lon + 180) % 360 - 180


def even_odd(zone: MultiPolygon, lon: float, lat: float) -> bool:
    """Whether a point is inside by crossing counts over all rings, as the engine combines them."""
    inside = False
    for lats, lons in rings_of(zone):
        for a, b in zip(range(len(lats) - 1), range(1, len(lats)), strict=True):
            if (lats[a] > lat) != (lats[b] > lat):
                crossing = lons[a] + (lat - lats[a]) * (lons[b] - lons[a]) / (lats[b] - lats[a])
                inside ^= lon < crossing
    return inside


def test_a_polygon_with_a_hole() -> None:
    zone = read_zone(polygon(SQUARE, HOLE))
    assert zone.area == 4 - 0.25
    rings = rings_of(zone)
    assert [len(lat) for lat, _lon in rings] == [5, 5]
    for lat, lon in rings:
        assert (lat[0], lon[0]) == (lat[-1], lon[-1])
        assert lat.flags.c_contiguous
        assert lon.flags.c_contiguous
    assert rings[1][0].tolist() == [p[1] for p in HOLE]
    assert rings[1][1].tolist() == [p[0] for p in HOLE]


def test_heights_are_left_out() -> None:
    flat = read_zone(polygon(SQUARE))
    assert read_zone(polygon([[*p, 12.5] for p in SQUARE])).equals(flat)


@pytest.mark.parametrize(
    ("value", "field", "message"),
    [
        ({}, "type", "Polygon"),
        ({"type": "Feature", "geometry": polygon(SQUARE)}, "type", "Feature"),
        ({"type": "Polygon"}, "coordinates", "rings"),
        ({"type": "Polygon", "coordinates": 5}, "coordinates", "rings"),
        ({"type": "MultiPolygon", "coordinates": []}, "coordinates", "polygons"),
        ({"type": "MultiPolygon", "coordinates": [[]]}, "coordinates[0]", "rings"),
        ({"type": "MultiPolygon", "coordinates": [None]}, "coordinates[0]", "rings"),
        (polygon([]), "coordinates[0]", "positions"),
        (polygon(SQUARE[:3]), "coordinates[0]", "four positions"),
        (polygon(SQUARE[:4]), "coordinates[0]", "repeat its first"),
        (polygon(SQUARE, HOLE[:4]), "coordinates[1]", "repeat its first"),
        (polygon([[0, 0], [2, "0"], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [2, True], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [2], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], None, [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [2, math.nan], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [2, math.inf], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [2, 91], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [10**400, 1], [2, 2], [0, 0]]), "coordinates[0][1]", "in this order"),
        (polygon([[0, 0], [2, 89.5], [2, 2], [0, 0]]), "coordinates[0]", "89 degrees"),
        (
            polygon([[0, 0], [2, 2], [2, 0], [0, 2], [0, 0]]),
            "coordinates",
            "self-intersection near position",
        ),
        (polygon([[0, 0], [1, 1], [2, 2], [0, 0]]), "coordinates", "redraw"),
        (polygon(HOLE, SQUARE), "coordinates", "redraw"),
        (polygon([[x, 80] for x in (0, 120, -120, 0)]), "coordinates[0]", "around a pole"),
    ],
)
def test_what_is_refused(value: Any, field: str, message: str | None) -> None:
    with pytest.raises(GeometryError, match=message) as caught:
        read_zone(value)
    assert caught.value.field == field


def test_texts_name_vertices_by_number_and_never_by_place() -> None:
    bow_tie = [
        [-1.2345, 51.75],
        [-1.2245, 51.76],
        [-1.2245, 51.75],
        [-1.2345, 51.76],
        [-1.2345, 51.75],
    ]
    with pytest.raises(GeometryError) as caught:
        read_zone(polygon(bow_tie))
    assert "of ring 0" in str(caught.value)
    assert "51." not in str(caught.value)
    assert "1.2" not in str(caught.value)


def test_too_many_vertices_are_refused_before_they_are_read() -> None:
    ring = [[0, 0]] * (geometry.MAX_VERTICES + 1)
    with pytest.raises(GeometryError, match="simplify"):
        read_zone(polygon(ring))
    with pytest.raises(GeometryError, match="simplify"):
        read_zone({"type": "MultiPolygon", "coordinates": [[ring[:6000]], [ring[:6000]]]})


def test_the_largest_zone_is_read() -> None:
    angles = np.linspace(0, 2 * np.pi, geometry.MAX_VERTICES - 1, endpoint=False)
    ring = [[0.3 * math.cos(a), 0.3 * math.sin(a)] for a in angles]
    zone = read_zone(polygon([*ring, ring[0]]))
    assert len(rings_of(zone)[0][0]) == geometry.MAX_VERTICES
    assert size_problem(zone) is None


@st.composite
def areas(draw: st.DrawFn) -> MultiPolygon:
    """One or two star-shaped polygons with holes, apart from each other, around (0, 0)."""
    parts = []
    for number in range(draw(st.integers(1, 2))):
        count = draw(st.integers(3, 8))
        radii = draw(st.lists(st.floats(0.3, 0.6), min_size=count, max_size=count))
        angles = [2 * math.pi * k / count for k in range(count)]
        star = [
            (number * 1.5 + r * math.cos(a), r * math.sin(a))
            for r, a in zip(radii, angles, strict=True)
        ]
        hole = [(number * 1.5 + 0.1 * math.cos(a), 0.1 * math.sin(a)) for a in angles]
        parts.append(Polygon(star, [hole] if draw(st.booleans()) else []))
    return MultiPolygon(parts)


POINTS = st.tuples(st.floats(-1, 2.5), st.floats(-0.8, 0.8))


@given(areas(), st.floats(-180, 179.99), st.floats(-60, 60), st.lists(POINTS, max_size=20))
def test_a_zone_is_the_same_anywhere_on_the_globe(
    area: Any, lon: float, lat: float, points: list[tuple[float, float]]
) -> None:
    """Written with longitudes that jump at 180, it covers what it covers without the jump."""
    moved = affinity.translate(area, lon, lat)
    outline = mapping(moved)
    coordinates = [
        [[[wrapped(x), y] for x, y in ring] for ring in part] for part in outline["coordinates"]
    ]
    zone = read_zone({"type": "MultiPolygon", "coordinates": coordinates})
    west, _south, east, _north = zone.bounds
    assert east - west < 3
    shift = 360 * round((zone.centroid.x - moved.centroid.x) / 360)
    for x, y in points:
        point = Point(lon + x, lat + y)
        if moved.boundary.distance(point) > 1e-6:
            assert even_odd(zone, lon + x + shift, lat + y) == moved.contains(point)


@given(areas(), st.floats(-0.25, 0.25))
def test_a_zone_cut_in_two_at_180_grows_together(area: Any, offset: float) -> None:
    whole = affinity.translate(area, 180 + offset, 10)
    west = whole.intersection(shapely.box(170, 0, 180, 20))
    east = affinity.translate(whole.intersection(shapely.box(180, 0, 190, 20)), -360)
    pieces = [p for side in (west, east) for p in getattr(side, "geoms", [side]) if p.area > 0]
    zone = read_zone(mapping(MultiPolygon(pieces)))
    home = affinity.translate(whole, 360 * round((zone.centroid.x - whole.centroid.x) / 360))
    assert zone.symmetric_difference(home).area < 1e-9


def test_overlapping_parts_are_one_area() -> None:
    # By the even-odd rule their overlap would be outside.
    parts = [square(0, 0)["coordinates"], square(0.005, 0.005)["coordinates"]]
    zone = read_zone({"type": "MultiPolygon", "coordinates": parts})
    assert even_odd(zone, 0.0075, 0.0075)


@pytest.mark.parametrize(
    ("width_m", "height_m", "message"),
    [
        (45, 45, None),
        (39, 5000, "nowhere 40 m wide"),
        (39, 39, "nowhere 40 m wide"),
        (98_000, 98_000, None),
        (102_000, 100, "100 km"),
        (100, 102_000, "100 km"),
    ],
)
@pytest.mark.parametrize("lat", [0.0, 60.0, -60.0])
def test_limits_on_size(width_m: float, height_m: float, message: str | None, lat: float) -> None:
    high = height_m / 111_320
    wide = width_m / 111_320 / math.cos(math.radians(lat + high / 2))
    ring = [[10, lat], [10 + wide, lat], [10 + wide, lat + high], [10, lat + high], [10, lat]]
    problem = size_problem(read_zone(polygon(ring)))
    assert (problem is None) if message is None else message in (problem or "")


@pytest.mark.parametrize("south", [88.0, -88.85])
@pytest.mark.parametrize(("widest_m", "decidable"), [(48, True), (38, False)])
def test_width_is_measured_where_it_is(south: float, widest_m: float, decidable: object) -> None:
    """A strip that narrows towards the pole; at its middle it is 38 m or 30 m wide."""
    wide = widest_m / 111_320 / math.cos(math.radians(88.0))
    problem = size_problem(read_zone(polygon(strip(10, south, wide, 0.85))))
    assert (problem is None) == decidable


def strip(west: float, south: float, wide: float, high: float) -> list[list[float]]:
    east, north = west + wide, south + high
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def test_size_is_measured_towards_a_pole_too() -> None:
    # 51 degrees of longitude, and 98 km wide at its southern edge; 10 km from north to south.
    assert size_problem(read_zone(polygon(strip(160, 88.91, 46, 0.09)))) is None
    assert "100 km" in (size_problem(read_zone(polygon(strip(160, 88.0, 46, 0.5)))) or "")


def test_an_outline_may_be_long_but_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    zone = read_zone(polygon(strip(0, 60, 0.5, 0.5)))
    assert size_problem(zone) is None
    monkeypatch.setattr(planes, "MAX_ZONE_EDGES", 50)
    assert "many turns" in (size_problem(zone) or "")


AROUND_POLES = {"both-poles", "latitude-band", "north-pole", "south-pole", "force-north-pole"}
"""Cases of the collection that no plane shows as they are meant."""


def antimeridian_cases(data_dir: Path) -> Iterator[tuple[str, Any, Path]]:
    folder = data_dir / "polygons" / "antimeridian"
    for path in sorted((folder / "input").glob("*.json")):
        value = json.loads(path.read_text())
        value = value.get("geometry", value)
        if value["type"] in {"Polygon", "MultiPolygon"}:
            yield path.stem, value, folder / "output" / "flat" / path.name


def test_zones_across_the_antimeridian_of_another_library(data_dir: Path) -> None:
    """Compared with that library's output, which cuts at 180 what we let run on."""
    compared = []
    for name, value, expected_path in antimeridian_cases(data_dir):
        if name in AROUND_POLES or not expected_path.exists():
            continue
        try:
            zone = read_zone(value)
        except GeometryError:
            continue
        expected = shape(json.loads(expected_path.read_text()))
        pieces = [
            affinity.translate(zone.intersection(shapely.box(low, -90, low + 360, 90)), -180 - low)
            for low in (-540, -180, 180)
        ]
        assert shapely.unary_union(pieces).symmetric_difference(expected).area < 1e-6, name
        compared.append(name)
    assert len(compared) >= 15
    assert {"split", "multi-split", "one-hole", "over-180"} <= set(compared)


def test_zones_around_poles_are_refused(data_dir: Path) -> None:
    cases = {name: value for name, value, _path in antimeridian_cases(data_dir)}
    for name in ("north-pole", "south-pole", "force-north-pole"):
        with pytest.raises(GeometryError, match="pole"):
            read_zone(cases[name])
    with pytest.raises(GeometryError):
        read_zone(cases["latitude-band"])
    # Its ring does not turn around a pole but passes both, half a globe wide.
    assert size_problem(read_zone(cases["both-poles"])) is not None


@pytest.mark.parametrize("area", ["E07000178", "E06000023"])
def test_real_wards_are_zones(data_dir: Path, area: Any) -> None:
    paths = sorted((data_dir / "polygons").rglob(f"*{area}*.json"))
    assert paths, "the ward file has gone"
    features = json.loads(paths[0].read_text())["features"]
    for feature in features:
        zone = read_zone(feature["geometry"])
        assert size_problem(zone) is None
        assert zone.equals(shape(feature["geometry"]))
