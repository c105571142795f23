"""How zones are laid out: pieces of edges, middles and radii, and what is refused."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod

from geofence import planes
from geofence.distance import along_chord_m, to_cartesian_m
from geofence.plan import Corridors, FloatArray, Zones
from geofence.planes import SAG_M, X_1, X_2, Y_1, Y_2, edge_count, lay_flat, unpacked
from tests.geofence.plans import square_zones
from tests.geofence.polygons import Outline, circle_of, corridors_of, signed_m

WGS84 = Geod(ellps="WGS84")


def box(west: float, south: float, width: float, height: float) -> FloatArray:
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], float)
    return np.asarray(np.array([west, south]) + corners * np.array([width, height]))


@given(
    south=st.floats(-89.9, 89.4),
    west=st.floats(-180, 180),
    width_m=st.floats(10, 100_000),
    height_m=st.floats(10, 50_000),
)
@example(south=89.4, west=179.9, width_m=100_000, height_m=50_000)
def test_pieces_run_beside_the_edge_as_drawn(
    south: float, west: float, width_m: float, height_m: float
) -> None:
    """Every place of every edge, brought onto the plane, lies within `SAG_M` of its piece."""
    middle = np.radians(south + height_m / 222_640)
    ring = box(west, south, min(170.0, width_m / 111_320 / np.cos(middle)), height_m / 111_320)
    outline = Outline.of([ring])
    zone, edges = outline.planes.zones[0], unpacked(outline.planes)
    first = 0
    for one, other in itertools.pairwise(ring):
        count = edge_count(*np.array([one, other])[:, ::-1].T)
        pieces = edges[:, first : first + count]
        first += count
        for piece in {0, count // 2, count - 1}:
            for t in (0.0, 0.3, 0.5, 1.0):
                lon, lat = one + (piece + t) / count * (other - one)
                way = np.array(to_cartesian_m(lat, lon)) - zone["middle_m"]
                place = np.array([way @ zone["east"], way @ zone["north"]])
                start, end = pieces[[X_1, Y_1], piece], pieces[[X_2, Y_2], piece]
                assert np.linalg.norm(place - (start + t * (end - start))) <= SAG_M + 1e-6
    assert first == edges.shape[1]


def test_short_edges_stay_whole_and_long_ones_are_cut() -> None:
    assert edge_count(np.array([51.0, 51.01]), np.array([0.0, 0.0])) == 1
    assert edge_count(np.array([0.0, 0.9]), np.array([0.0, 0.0])) == pytest.approx(63, abs=2)
    assert edge_count(np.array([60.0, 60.0]), np.array([0.0, 1.8])) == pytest.approx(89, abs=3)


@pytest.mark.parametrize("tiny", [1e-302, 1e-160, 1e-16, -1e-14])
def test_edges_that_are_nearly_level_or_nearly_nothing_stay_finite(tiny: float) -> None:
    ring = np.array([(0, 0), (0.01, tiny), (0.01, 0.01), (tiny, 0.01), (tiny, 0.01), (0, 0)])
    outline = Outline.of([ring])
    assert np.isfinite(outline.planes.edges).all()
    for lat, lon in ((0.005, 0.005), (tiny, tiny), (0.0, 0.005), (0.02, 0.0)):
        found_m = outline.signed_m(lat, lon)
        assert np.isfinite(found_m)
        assert (found_m < -SAG_M) == (lat == 0.005)


def test_rings_are_closed_to_the_bit_on_the_plane() -> None:
    ring = box(-0.4, 51.0, 0.8, 0.4)
    hole = box(-0.1, 51.1, 0.2, 0.1)
    edges = unpacked(Outline.of([ring, hole]).planes)
    ends = [tuple(place) for place in edges[[X_2, Y_2]].T]
    assert sorted(ends) == sorted(tuple(place) for place in edges[[X_1, Y_1]].T)


@given(
    south=st.floats(-89.9, 89.4), west=st.floats(-180, 180), at=st.tuples(*[st.floats(0, 1)] * 2)
)
def test_no_point_of_a_zone_is_farther_than_its_outer_radius(
    south: float, west: float, at: tuple[float, float]
) -> None:
    width = min(170.0, 0.5 / np.cos(np.radians(south)))
    outline = Outline.of([box(west, south, width, 0.5)])
    way = np.array(to_cartesian_m(south + at[1] * 0.5, west + at[0] * width))
    way -= outline.planes.zones["middle_m"][0]
    assert along_chord_m(*way) <= outline.outer_radius_m
    # And the radius is no mere guess: some corner is that far.
    corners = [np.array(to_cartesian_m(lat, west)) for lat in (south, south + 0.5)]
    corners = [corner - outline.planes.zones["middle_m"][0] for corner in corners]
    assert max(along_chord_m(*corner) for corner in corners) > 0.7 * outline.outer_radius_m


def test_a_circles_radius_is_its_own() -> None:
    laid = lay_flat(circle_of(51.0, 0.0, 300.0))
    assert laid.zones["outer_radius_m"].tolist() == [300.0]
    assert laid.zones["middle_m"][0].tolist() == list(to_cartesian_m(51.0, 0.0))
    assert unpacked(laid).shape == (6, 0)


def test_no_zones_are_laid_out_too() -> None:
    laid = lay_flat(Zones.none())
    assert (laid.zones.size, laid.corridors.size, laid.edges.size) == (0, 0, 0)


def test_zones_do_not_depend_on_their_neighbours() -> None:
    """Circles, outlines and corridors in one plan are measured as each of them alone."""
    ring, line = box(-1.0, 51.0, 0.1, 0.1), np.array([[-1.1, 51.05], [-0.8, 51.05]])
    outline = Outline.of([ring], corridors_of((line, 100.0)))
    circle = lay_flat(
        circle_of(51.0, -1.0, 5_000.0, corridors_of((line[:, ::-1] * 0 + ring[:2], 80.0)))
    )
    points = np.concatenate([ring, ring[:2], line])
    both = Zones(
        ("a", "b", "c", "d"),
        np.zeros(4, np.int64),
        np.zeros(4, np.int64),
        np.zeros(4),
        np.array([[np.nan] * 3, [51.0, -1.0, 5_000.0], [np.nan] * 3, [51.0, -1.0, 5_000.0]]),
        np.array([0, 1, 1, 2, 2]),
        np.array([0, 5, 10]),
        np.tile(ring[:, 1], 2),
        np.tile(ring[:, 0], 2),
        Corridors(
            np.array([0, 1]),
            np.array([50.0, 40.0]),
            np.array([0, 2, 4]),
            np.concatenate([line[:, 1], ring[:2, 1]]),
            np.concatenate([line[:, 0], ring[:2, 0]]),
        ),
    )
    laid = lay_flat(both)
    plain = Outline.of([ring])
    bare = lay_flat(circle_of(51.0, -1.0, 5_000.0))
    for lon, lat in [*points, *(points + 0.003), (10.0, 10.0)]:
        found = [signed_m(laid, lat, lon, zone) for zone in range(4)]
        alone = [outline.signed_m(lat, lon), signed_m(circle, lat, lon)]
        assert found == [*alone, plain.signed_m(lat, lon), signed_m(bare, lat, lon)]


WHOLE = square_zones(("a", 0, 0), ("b", 0, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"circle": np.array([[51.0, 0.0, 10.0]] * 2)}, "'a' needs either a circle or an outline"),
        ({"zone_ring": np.array([0, 2, 2])}, "'b' needs either a circle or an outline"),
        ({"ring_vertex": np.array([0, 3, 10])}, "fewer than four vertices"),
        ({"lat_deg": WHOLE.lat_deg + np.arange(10) * 1e-6}, "not closed"),
        ({"lon_deg": WHOLE.lon_deg + np.arange(10) * 1e-6}, "not closed"),
        ({"lon_deg": 2000 * (WHOLE.lon_deg + 1.25)}, "'a' reaches more than 240 km"),
        ({"lon_deg": 90 * np.sign(WHOLE.lon_deg + 1.25)}, "'a' reaches more than 240 km"),
        ({"corridors": corridors_of((np.array([[-1.25, 51.75]]), 50.0))}, "fewer than two"),
        (
            {"corridors": corridors_of((np.array([[-1.25, 51.75], [-6, 51.75]]), 50.0), zone=1)},
            "corridor of zone 'b' reaches more than 250 km",
        ),
        (
            {
                "corridors": Corridors(
                    np.array([1, 0]),
                    np.full(2, 50.0),
                    np.array([0, 2, 4]),
                    np.full(4, 51.75),
                    np.full(4, -1.25),
                )
            },
            "order of their zones",
        ),
    ],
)
def test_what_cannot_be_laid_out(changes: dict[str, object], message: str) -> None:
    lay_flat(WHOLE)
    with pytest.raises(ValueError, match=message):
        lay_flat(dataclasses.replace(WHOLE, **changes))  # type: ignore[arg-type]


def test_pieces_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "MAX_ZONE_EDGES", 3)
    with pytest.raises(ValueError, match="'a' needs more than 3 straight pieces; simplify"):
        lay_flat(WHOLE)
    monkeypatch.setattr(planes, "MAX_ZONE_EDGES", 4)
    monkeypatch.setattr(planes, "MAX_EDGES", 7)
    with pytest.raises(ValueError, match="all zones need more than 7"):
        lay_flat(WHOLE)
    monkeypatch.setattr(planes, "MAX_EDGES", 8)
    lay_flat(WHOLE)
