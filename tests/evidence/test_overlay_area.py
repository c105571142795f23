"""Circles and sectors: distances as shapely has them, chances as a sum over strips has them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from evidence.overlay_area import (
    CAMERA_M,
    PHOTO_LEAST_M,
    R95_PER_R68,
    Area,
    Floats,
    area_of,
    chances,
    outside_m,
)
from evidence.overlay_csv import Event, Kind
from geofence.proximity import within_radius

GEOD = Geod(ellps="WGS84")
CORNERS = 2_000
radii = st.floats(50, 30_000)
turns = st.floats(0, 360)
beams = st.floats(1, 359)
shares = st.floats(0, 2)


def polygon(area: Area) -> shapely.Polygon:
    """The sector by corners on its arc."""
    half = math.radians(area.beam_deg) / 2
    angles = math.radians(area.azimuth_deg) + np.linspace(-half, half, CORNERS)
    arc = [(area.radius_m * math.sin(a), area.radius_m * math.cos(a)) for a in angles]
    return shapely.Polygon([(0, 0), *arc])


def at(radius_m: float, share: float, turn_deg: float) -> tuple[float, float]:
    turn = math.radians(turn_deg)
    return radius_m * share * math.sin(turn), radius_m * share * math.cos(turn)


def one(value: float) -> Floats:
    return np.array([value])


@given(radii, turns, beams, shares, turns)
def test_distances_to_a_sector(
    radius_m: float, azimuth: float, beam: float, share: float, turn: float
) -> None:
    area = Area(0, 0, radius_m, azimuth, beam)
    east_m, north_m = at(radius_m, share, turn)
    expected = polygon(area).distance(shapely.Point(east_m, north_m))
    sagitta_m = radius_m * (1 - math.cos(math.radians(beam) / CORNERS))
    found = outside_m(area, one(east_m), one(north_m))[0]
    assert found == pytest.approx(expected, abs=2 * sagitta_m + 1e-6 * radius_m)


def by_strips(area: Area, east_m: float, north_m: float, sigma_m: float) -> float:
    """The Gaussian over the sector, strip by strip from west to east, each strip's ends by shapely."""
    shape = polygon(area)
    shapely.prepare(shape)
    total, wide_m = 0.0, 14 * sigma_m / 400
    for x in east_m + (np.arange(400) - 199.5) * wide_m:
        line = shapely.LineString([(x, north_m - 7 * sigma_m), (x, north_m + 7 * sigma_m)])
        cut = shapely.intersection(shape, line)
        held = 0.0
        for part in shapely.get_parts(cut):
            ends = [y for _, y in part.coords] or [north_m]
            z = [(y - north_m) / sigma_m / math.sqrt(2) for y in (min(ends), max(ends))]
            held += (math.erf(z[1]) - math.erf(z[0])) / 2
        z = (x - east_m) / sigma_m
        total += held * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) * wide_m / sigma_m
    return total


@settings(max_examples=30)
@given(st.floats(100, 5_000), turns, beams, shares, turns, st.floats(-2, 1))
def test_chances_of_a_sector(
    radius_m: float, azimuth: float, beam: float, share: float, turn: float, power: float
) -> None:
    area = Area(0, 0, radius_m, azimuth, beam)
    east_m, north_m = at(radius_m, share, turn)
    sigma_m = radius_m * 10**power
    found = chances(area, one(east_m), one(north_m), one(sigma_m))[0]
    assert found == pytest.approx(by_strips(area, east_m, north_m, sigma_m), abs=5e-3)


@given(radii, shares, turns, st.floats(1, 2_000))
def test_a_beam_all_around_is_the_engines_circle(
    radius_m: float, share: float, turn: float, sigma_m: float
) -> None:
    area = Area(0, 0, radius_m)
    east_m, north_m = at(radius_m, share, turn)
    found = chances(area, one(east_m), one(north_m), one(sigma_m))[0]
    assert found == pytest.approx(within_radius(share * radius_m, radius_m, sigma_m), abs=3e-4)
    assert outside_m(area, one(east_m), one(north_m))[0] == pytest.approx(
        max(0.0, (share - 1) * radius_m), abs=1e-6 * radius_m
    )


@given(radii, turns, st.lists(st.floats(1, 120), min_size=1, max_size=3), shares, turns)
def test_chances_of_parts_add_up(
    radius_m: float, azimuth: float, beams: list[float], share: float, turn: float
) -> None:
    east_m, north_m = at(radius_m, share, turn)
    place = one(east_m), one(north_m), one(radius_m / 5)
    start, parts = azimuth, 0.0
    for beam in beams:
        parts += chances(Area(0, 0, radius_m, start + beam / 2, beam), *place)[0]
        start += beam
    middle = azimuth + sum(beams) / 2
    whole = chances(Area(0, 0, radius_m, middle % 360, sum(beams)), *place)[0]
    assert parts == pytest.approx(whole, abs=1e-5)


@given(st.floats(-85, 85), st.floats(-180, 180), radii, turns, beams)
def test_the_outline_lies_on_the_edge(
    lat: float, lon: float, radius_m: float, azimuth: float, beam: float
) -> None:
    area = Area(lat, lon, radius_m, azimuth, beam)
    outline = area.outline()
    lons, lats = np.array(outline).T
    plane = area.plane_m(lats, lons)
    assert outside_m(area, *plane).max() < 1e-3
    _, _, far_m = GEOD.inv(lon, lat, *outline[1])
    assert far_m == pytest.approx(radius_m, abs=1e-3)


def test_what_is_not_stated_is_taken_to_be_wide() -> None:
    def radius(kind: Kind, reach_m: float | None) -> float:
        event = Event(line=2, time_us=0, written="", clock_error_s=0, lat=1, lon=2, reach_m=reach_m)
        return area_of(kind, event).radius_m

    assert (radius("anpr", None), radius("anpr", 20)) == (CAMERA_M, 20)
    assert radius("photo", 5) == PHOTO_LEAST_M
    assert radius("photo", 1_000) == pytest.approx(1_621, abs=1)
    assert radius("photo", None) == pytest.approx(100 * R95_PER_R68)
    assert math.pi * 100**2 / 3 == pytest.approx(Area(0, 0, 100, 0, 120).size_m2)
