"""The way that leads away, against a geodesic twin and against drawn errors."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from pyproj import Geod, Transformer

from geofence.away import PLACED_US, SPREAD_LIMIT_DEG, away, direction
from geofence.levels import UNKNOWN_TIME_US
from geofence.track import new_tracks

GEOD = Geod(ellps="WGS84")
TO_EARTH = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def earth(lat: float, lon: float) -> np.ndarray:
    return np.array(TO_EARTH.transform(lon, lat, 0.0))


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(0, 360), st.floats(20, 15_000))
@settings(max_examples=200, deadline=None)
def test_it_is_the_bearing_from_him_to_her(
    lat: float, lon: float, bearing: float, distance_m: float
) -> None:
    her_lon, her_lat, _ = GEOD.fwd(lon, lat, bearing, distance_m)
    found = direction(earth(lat, lon), earth(her_lat, her_lon), 1.0)
    assert found is not None
    # On and away from her place: the bearing there, not at his.
    back, _, _ = GEOD.inv(her_lon, her_lat, lon, lat)
    off = (found.bearing_deg - (back + 180.0) + 180.0) % 360.0 - 180.0
    assert abs(off) < 0.5
    assert 0.0 <= found.bearing_deg < 360.0


@given(st.floats(1, 500), st.floats(0.5, 200), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_the_truth_lies_within_the_spread_in_95_percent(
    distance_m: float, sigma_m: float, seed: int
) -> None:
    his, hers = earth(54.0, 4.0), earth(54.0 + distance_m / 111_300, 4.0)
    found = direction(his, hers, sigma_m)
    if found is None:
        assert distance_m <= 2.5 * sigma_m / math.sin(math.radians(SPREAD_LIMIT_DEG)) + 1.0
        return
    draws = np.random.default_rng(seed).normal(0.0, sigma_m, (2_000, 2))
    truth = np.degrees(np.arctan2(draws[:, 1], distance_m + draws[:, 0]))
    off = np.abs((truth - found.bearing_deg + 180.0) % 360.0 - 180.0)
    assert np.mean(off <= found.spread_deg) >= 0.93


def test_where_nothing_is_known_no_way_is_said() -> None:
    tracks = new_tracks(2, listening_us=0)
    assert away(tracks[0], tracks[1], 5) is None
    tracks["time_us"] = tracks["at_us"] = 5
    tracks["sigma_m"] = 10.0
    tracks["xyz_m"][0], tracks["xyz_m"][1] = earth(54.0, 4.0), earth(54.01, 4.0)
    found = away(tracks[0], tracks[1], 5)
    assert found is not None
    assert found.bearing_deg < 1.0 or found.bearing_deg > 359.0
    assert away(tracks[0], tracks[1], 5 + PLACED_US + 1) is None
    tracks["sigma_m"][1] = math.inf
    assert away(tracks[0], tracks[1], 5) is None
    tracks["sigma_m"] = 1_000.0
    assert away(tracks[0], tracks[1], 5) is None
    tracks["sigma_m"] = 10.0
    tracks["time_us"][0] = UNKNOWN_TIME_US
    assert away(tracks[0], tracks[1], 5) is None
    assert direction(earth(54.0, 4.0), earth(54.0, 4.0), 0.0) is None


def test_at_a_pole_it_does_not_fail() -> None:
    assert direction(earth(89.9, 0.0), np.array([0.0, 0.0, 6_356_752.0]), 1.0) is not None
