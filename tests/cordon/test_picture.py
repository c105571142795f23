"""What the console is told: shapes that are where they should be, and no number for "unknown"."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import shape

from cordon.picture import Heard, circle_geometry, device_views, watch_views, zone_geometry
from devices.caseload import Circle, Corridor, Exclusion, Proximity
from devices.reports import FIX_DTYPE, MISSING, Batch, Message, Status
from devices.watches import Bearer, Watch
from devices.wearing import stranger
from geofence.levels import UNKNOWN_TIME_US, Level
from geofence.picture import TrackPicture, WatchPicture

GEOD = Geod(ellps="WGS84")


@given(
    lat=st.floats(-80, 80),
    lon=st.floats(-180, 180),
    radius_m=st.floats(20, 50_000),
)
def test_the_corners_of_a_circle_lie_on_it(lat: float, lon: float, radius_m: float) -> None:
    (ring,) = circle_geometry(Circle(lat=lat, lon=lon, radius_m=radius_m))["coordinates"]
    assert ring[0] == ring[-1]
    for corner_lon, corner_lat in ring:
        _, _, distance_m = GEOD.inv(lon, lat, corner_lon, corner_lat)
        assert distance_m == pytest.approx(radius_m, abs=0.02)
    # Drawn as one piece: no edge runs around the world.
    steps = [abs(b[0] - a[0]) for a, b in itertools.pairwise(ring)]
    assert max(steps) < 90


@pytest.mark.parametrize("shift_deg", [0.0, 179.995])
def test_corridors_are_cut_out_of_what_is_drawn(shift_deg: float) -> None:
    def lon(value: float) -> float:
        return (value + shift_deg + 180) % 360 - 180

    corners = [(-0.01, 51.0), (0.01, 51.0), (0.01, 51.01), (-0.01, 51.01), (-0.01, 51.0)]
    line = [[lon(-0.02), 51.005], [lon(0.02), 51.005]]
    zone = Exclusion(
        id="z",
        geometry={"type": "Polygon", "coordinates": [[[lon(x), y] for x, y in corners]]},
        corridors=(Corridor(geometry={"type": "LineString", "coordinates": line}, width_m=100.0),),
    )
    shown = shape(zone_geometry(zone))
    assert shown.is_valid
    assert len(shown.geoms) == 2
    south, north = sorted(shown.geoms, key=lambda part: part.bounds[1])
    width_m = GEOD.inv(0, south.bounds[3], 0, north.bounds[1])[2]
    assert width_m == pytest.approx(100, abs=0.5)
    round_ = Exclusion(
        id="c", circle=Circle(lat=51.005, lon=lon(0), radius_m=500.0), corridors=zone.corridors
    )
    assert len(shape(zone_geometry(round_)).geoms) == 2


def test_what_is_not_known_is_none_and_never_a_number() -> None:
    bearer = Bearer(device="tag-1", kind="tag", person="he", role="wearer", fix_interval_s=60)
    unseen = TrackPicture(
        time_us=np.array([UNKNOWN_TIME_US]),
        lat_deg=np.array([math.nan]),
        lon_deg=np.array([math.nan]),
        accuracy_m=np.array([math.nan]),
    )
    (view,) = device_views(unseen, ("tag-1",), {"tag-1": bearer}, {}, Heard())
    assert (view.lat, view.lon, view.accuracy_m, view.fix_time) == (None, None, None, None)
    assert (view.battery_pct, view.online) == (None, None)

    watch = Watch(
        key="near/tag-1/phone-1",
        condition_id="near",
        condition="proximity",
        order_id="o",
        agency="centre",
        profile="default",
        wearer="he",
        protected="she",
        tag="tag-1",
        handset="phone-1",
        notify=("phone-1",),
    )
    nothing = np.array([math.nan])
    stands = WatchPicture(
        level=np.array([int(Level.UNKNOWN)]),
        distance_m=nothing,
        distance_low_m=nothing,
        distance_high_m=np.array([math.inf]),
        probability=nothing,
        onset_us=np.array([UNKNOWN_TIME_US]),
    )
    near = Proximity(id="near", protected="she", alert_m=300)
    (shown,) = watch_views(stands, (watch.key,), {watch.key: watch}, {"near": near})
    assert shown.level == "unknown"
    assert (shown.distance_m, shown.low_m, shown.high_m, shown.probability) == (None,) * 4
    assert (shown.contact_m, shown.alert_m, shown.pre_alert_m) == (50, 300, 600)


def test_a_device_nobody_carries_is_not_drawn() -> None:
    empty = TrackPicture(
        time_us=np.zeros(0, np.int64),
        lat_deg=np.zeros(0),
        lon_deg=np.zeros(0),
        accuracy_m=np.zeros(0),
    )
    assert not device_views(empty, (), {"spare": stranger("spare")}, {}, Heard())


def test_battery_and_presence_are_the_newest_said() -> None:
    fixes = np.zeros(3, FIX_DTYPE)
    fixes["battery_pct"] = [80, MISSING, 79]
    heard = Heard()
    heard.note(
        Batch(
            gateway="g",
            number=1,
            received_us=1,
            messages=(Message(1, "t", b""),),
            devices=("tag-1",),
            fixes=fixes,
            statuses=(Status(0, "tag-1", True, 1), Status(0, "tag-1", False, 2)),
        )
    )
    assert heard.battery_pct == {"tag-1": 79}
    assert heard.online == {"tag-1": False}
