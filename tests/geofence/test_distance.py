from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.distance import ARC_RADIUS_M, geodesic_m, geodesics_m

WGS84 = Geod(ellps="WGS84")
LATITUDE = st.floats(-90, 90)
LONGITUDE = st.floats(-180, 180)


def bound_m(distance_m: float) -> float:
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


def test_array_form_is_the_scalar_form() -> None:
    rng = np.random.default_rng(7)
    lat, lon = rng.uniform(-90, 90, (2, 100)), rng.uniform(-180, 180, (2, 100))
    out_m = np.empty(100)
    geodesics_m(lat[0], lon[0], lat[1], lon[1], out_m)
    expected = [geodesic_m(*case) for case in zip(lat[0], lon[0], lat[1], lon[1], strict=True)]
    assert out_m.tolist() == expected
