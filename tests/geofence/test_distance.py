from __future__ import annotations

import gzip
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from geofence.distance import (
    ARC_RADIUS_M,
    ECCENTRICITY2,
    NEAR_M,
    SEMI_MAJOR_M,
    along_chord_m,
    geodesic_m,
    geodesics_m,
    to_cartesian_m,
    to_cartesians_m,
)
from geofence.plan import FloatArray

WGS84 = Geod(ellps="WGS84")
EARTH_CENTRED = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
LATITUDE = st.floats(-90, 90)
LONGITUDE = st.floats(-180, 180)
_Distance = TypeVar("_Distance", float, FloatArray)


def bound_m(distance_m: _Distance) -> _Distance:
    """The bound that the module states, and room for rounding."""
    return 0.0102 * distance_m**3 / (24 * ARC_RADIUS_M**2) + 5e-8


@given(LATITUDE, LONGITUDE, st.floats(0, 360), st.floats(0, 20_000))
@example(90.0, 0.0, 180.0, 20_000.0)
@example(-90.0, 77.0, 0.0, 20_000.0)
@example(0.0, 180.0, 90.0, 20_000.0)
@example(0.0, 0.0, 0.0, 20_000.0)
@example(89.99999, -180.0, 45.0, 1.0)
def test_within_a_millimetre_of_pyproj_up_to_20_km(
    lat: float, lon: float, azimuth: float, distance_m: float
) -> None:
    lon2, lat2, _ = WGS84.fwd(lon, lat, azimuth, distance_m)
    error_m = abs(geodesic_m(lat, lon, lat2, lon2) - distance_m)
    assert error_m <= bound_m(distance_m)
    assert error_m <= 0.001


@given(LATITUDE, LONGITUDE, st.floats(0, 360), st.floats(20_000, 900_000))
def test_error_grows_as_stated_beyond(
    lat: float, lon: float, azimuth: float, distance_m: float
) -> None:
    lon2, lat2, _ = WGS84.fwd(lon, lat, azimuth, distance_m)
    error_m = abs(geodesic_m(lat, lon, lat2, lon2) - distance_m)
    assert error_m <= 1.05 * bound_m(distance_m)
    assert error_m <= 1e-5 * distance_m


@given(LATITUDE, LONGITUDE, LATITUDE, LONGITUDE)
@example(0.0, 0.0, 0.0, 180.0)
def test_far_side_of_the_earth(lat1: float, lon1: float, lat2: float, lon2: float) -> None:
    distance_m = geodesic_m(lat1, lon1, lat2, lon2)
    _, _, expected_m = WGS84.inv(lon1, lat1, lon2, lat2)
    assert distance_m == pytest.approx(expected_m, rel=0.04, abs=0.001)
    assert distance_m == geodesic_m(lat2, lon2, lat1, lon1)


@given(LATITUDE, LONGITUDE)
def test_nothing_between_a_point_and_itself(lat: float, lon: float) -> None:
    assert geodesic_m(lat, lon, lat, lon) == 0.0


def test_karneys_geodesics(data_dir: Path) -> None:
    with gzip.open(data_dir / "geodesic" / "geodtest_odd.dat.gz", "rt") as lines:
        rows = np.loadtxt(lines)
    # Whole geodesics of the set that are short, and a point 20 km along each of the others.
    short = rows[rows[:, 6] <= 20_000]
    along = rows[rows[:, 6] > 20_000].copy()
    lon, lat, _ = WGS84.fwd(along[:, 1], along[:, 0], along[:, 2], np.full(len(along), 2e4))
    along[:, 3], along[:, 4], along[:, 6] = lat, lon, 20_000.0
    cases = np.concatenate([short, along])
    out_m = np.empty(len(cases))
    lat1, lon1, _, lat2, lon2 = np.ascontiguousarray(cases[:, :5].T)
    geodesics_m(lat1, lon1, lat2, lon2, out_m)
    assert len(short) > 100
    assert np.abs(out_m - cases[:, 6]).max() <= 0.001


PAIR = st.tuples(
    # Anywhere; or near a pole, the antimeridian and each other, where formulas break.
    LATITUDE | st.sampled_from([-90.0, 90.0]) | st.floats(89.99, 90) | st.floats(-90, -89.99),
    LONGITUDE | st.sampled_from([-180.0, 180.0]) | st.floats(179.99, 180),
    st.floats(0, 360),
    st.just(0.0) | st.floats(0, 1e-3) | st.floats(0, 20_000),
)
FAR_PAIR = st.tuples(LATITUDE, LONGITUDE, LATITUDE, LONGITUDE)
SIZES_AROUND_A_BLOCK = st.sampled_from([1, 3, 1023, 1024, 1025, 2500])


def away(pairs: list[tuple[float, float, float, float]]) -> list[tuple[float, float, float, float]]:
    lat, lon, azimuth, distance_m = np.array(pairs).T
    lon2, lat2, _ = WGS84.fwd(lon, lat, azimuth, distance_m)
    return list(zip(lat.tolist(), lon.tolist(), lat2.tolist(), lon2.tolist(), strict=True))


def arrays_m(lat1: FloatArray, lon1: FloatArray, lat2: FloatArray, lon2: FloatArray) -> FloatArray:
    out_m = np.full(lat1.size, np.nan)
    geodesics_m(lat1, lon1, lat2, lon2, out_m)
    return out_m


def twin_m(lat1: FloatArray, lon1: FloatArray, lat2: FloatArray, lon2: FloatArray) -> FloatArray:
    """The plain way: through Cartesian coordinates."""

    def xyz_m(lat_deg: FloatArray, lon_deg: FloatArray) -> FloatArray:
        lat, lon = np.radians(lat_deg), np.radians(lon_deg)
        normal_m = SEMI_MAJOR_M / np.sqrt(1 - ECCENTRICITY2 * np.sin(lat) ** 2)
        x, y = normal_m * np.cos(lat) * np.cos(lon), normal_m * np.cos(lat) * np.sin(lon)
        return np.array([x, y, (1 - ECCENTRICITY2) * normal_m * np.sin(lat)])

    chord_m = np.linalg.norm(xyz_m(lat1, lon1) - xyz_m(lat2, lon2), axis=0)
    arc_m: FloatArray = 2 * ARC_RADIUS_M * np.arcsin(np.minimum(chord_m / 2 / ARC_RADIUS_M, 1))
    return arc_m


def repeated(
    pairs: list[tuple[float, float, float, float]], size: int
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    rows = np.resize(np.array(pairs), (size, 4))
    lat1, lon1, lat2, lon2 = np.ascontiguousarray(rows.T)
    return lat1, lon1, lat2, lon2


@given(st.lists(PAIR, min_size=1, max_size=20), SIZES_AROUND_A_BLOCK)
@example([(90.0, 0.0, 0.0, 2e-9)], 3)
def test_arrays_within_a_millimetre_of_pyproj(
    pairs: list[tuple[float, float, float, float]], size: int
) -> None:
    lat1, lon1, lat2, lon2 = repeated(away(pairs), size)
    expected_m = WGS84.inv(lon1, lat1, lon2, lat2)[2]
    error_m = np.abs(arrays_m(lat1, lon1, lat2, lon2) - expected_m)
    assert error_m.max() <= 0.0001
    assert np.all(error_m <= bound_m(expected_m))


@given(
    st.lists(PAIR, min_size=1, max_size=20), st.lists(FAR_PAIR, max_size=2), SIZES_AROUND_A_BLOCK
)
@example([(90.0, 0.0, 0.0, 2e-9)], [], 3)
def test_array_form_is_the_scalar_form_to_the_bit(
    near: list[tuple[float, float, float, float]],
    far: list[tuple[float, float, float, float]],
    size: int,
) -> None:
    pairs = away(near) + far
    expected_m = np.resize([geodesic_m(*pair) for pair in pairs], size)
    lat1, lon1, lat2, lon2 = repeated(pairs, size)
    assert arrays_m(lat1, lon1, lat2, lon2).tolist() == expected_m.tolist()
    assert arrays_m(lat2, lon2, lat1, lon1).tolist() == expected_m.tolist()
    assert not arrays_m(lat1, lon1, lat1, lon1).any()


@given(st.lists(PAIR, min_size=1, max_size=20), st.lists(FAR_PAIR, max_size=5))
def test_both_ways_to_the_chord_agree(
    near: list[tuple[float, float, float, float]], far: list[tuple[float, float, float, float]]
) -> None:
    ends = repeated(away(near) + far, len(near) + len(far))
    distance_m = twin_m(*ends)
    # What is left out of the one, and the rounding of coordinates in the other.
    assert np.all(np.abs(arrays_m(*ends) - distance_m) <= bound_m(distance_m) / 50 + 5e-8)
    for *pair, d in zip(*ends, distance_m, strict=True):
        (ax, ay, az), (bx, by, bz) = to_cartesian_m(*pair[:2]), to_cartesian_m(*pair[2:])
        assert along_chord_m(ax - bx, ay - by, az - bz) == pytest.approx(d, rel=1e-12, abs=1e-8)


E7 = 10_000_000


@given(
    st.lists(
        st.tuples(st.integers(-90 * E7, 90 * E7), st.integers(-360 * E7, 360 * E7)), max_size=40
    )
)
@example([(90 * E7, 0), (-90 * E7, 90 * E7), (0, 180 * E7), (45 * E7, -45 * E7), (0, 360 * E7)])
def test_places_are_the_ones_of_a_library(places_e7: list[tuple[int, int]]) -> None:
    """Within some nanometres; and one by one the same as all at once, to the bit."""
    lat_e7, lon_e7 = np.array(places_e7, np.int64).reshape(-1, 2).T.copy()
    found_m = np.zeros((3, lat_e7.size))
    to_cartesians_m(lat_e7, lon_e7, found_m)
    one_by_one = [to_cartesian_m(lat / 1e7, lon / 1e7) for lat, lon in places_e7]
    assert found_m.T.tolist() == [list(place) for place in one_by_one]
    expected_m = EARTH_CENTRED.transform(lon_e7 / 1e7, lat_e7 / 1e7, np.zeros(lat_e7.size))
    assert np.all(np.abs(found_m - np.array(expected_m)) <= 4e-9)


@given(LATITUDE, LONGITUDE, st.floats(0, 360), st.floats(0, 1e-3))
def test_small_distances_keep_their_digits(
    lat: float, lon: float, azimuth: float, distance_m: float
) -> None:
    lon2, lat2, _ = WGS84.fwd(lon, lat, azimuth, distance_m)
    # The digits of the degrees themselves end at a few nanometres.
    assert geodesic_m(lat, lon, lat2, lon2) == pytest.approx(distance_m, rel=1e-9, abs=1e-8)


@given(LATITUDE, LONGITUDE, LATITUDE, LONGITUDE, st.integers(-2, 2))
def test_longitudes_may_run_on(
    lat1: float, lon1: float, lat2: float, lon2: float, turns: int
) -> None:
    expected_m = geodesic_m(lat1, lon1, lat2, lon2)
    assert geodesic_m(lat1, lon1, lat2, lon2 + 360 * turns) == pytest.approx(expected_m, abs=1e-6)


@pytest.mark.parametrize("place", range(4))
def test_what_is_not_known_stays_so(place: int) -> None:
    ends = np.full((4, 5), 1.0)
    ends[place, 3] = np.nan
    assert np.isnan(arrays_m(*ends)).tolist() == [False, False, False, True, False]
    assert np.isnan(geodesic_m(*ends[:, 3]))


def test_no_step_where_the_series_ends() -> None:
    longer_m = np.nextafter(NEAR_M, np.inf)
    assert 0 <= along_chord_m(longer_m, 0.0, 0.0) - along_chord_m(NEAR_M, 0.0, 0.0) <= 2e-9


@given(LATITUDE, LONGITUDE)
def test_parts_of_the_array_may_be_given(lat: float, lon: float) -> None:
    both = np.array([[lat, lon], [lon / 2, lat]])
    out_m = np.empty(2)
    geodesics_m(both[:, 0], both[:, 1], both[::-1, 0], both[::-1, 1], out_m)
    assert out_m.tolist() == [geodesic_m(lat, lon, lon / 2, lat)] * 2
