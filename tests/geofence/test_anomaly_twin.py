"""The kernels of the anomalies against their twin, and the arithmetic of unpadded minutes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from geofence.anomalies import Anomaly, new_anomalies, note_fix
from geofence.anomaly_rules import AnomalyRules
from geofence.anomaly_state import Fix
from geofence.distance import geodesic_m, to_cartesian_m
from geofence.unpadded import repaired_deg, repaired_near, to_degrees
from tests.geofence.anomaly_twin import AnomalyTwin, Point, TooCloseToCallError, written_and_read
from tests.geofence.plans import NOW_US, S

RULES = AnomalyRules(
    speed_after_s=10,
    speed_calm_s=60,
    clone_switches=3,
    clone_after_s=5,
    clone_calm_s=120,
    frozen_after_s=60,
    frozen_fixes=3,
    clock_window_s=60,
    minutes_calm_s=90,
)
LIMITS = RULES.limits()
DEVICE_KINDS = [kind for kind in Anomaly if kind != Anomaly.STAYS_BEHIND]


def read(deg: float) -> float:
    found = written_and_read(deg)
    assert found is not None
    return found


def point(lat: float, lon: float) -> Point:
    return to_cartesian_m(round(lat * 1e7) / 1e7, round(lon * 1e7) / 1e7)


HOME = (51 + 4.5 / 60, 1 + 6 / 60)
DAMAGED = [(read(HOME[0]), read(HOME[1])), (HOME[0], read(HOME[1])), (read(HOME[0]), HOME[1])]
PLACES = [
    HOME,
    *DAMAGED,
    (HOME[0] + 0.0001, HOME[1]),
    (HOME[0] + 0.006, HOME[1]),
    (HOME[0] + 0.03, HOME[1]),
    (HOME[0] + 0.4, HOME[1]),
    (0.0, 0.0),
    (90.0, 0.0),
]
BOTH, LON, LAT = (point(*place) for place in DAMAGED)
REPAIRS = {BOTH: [point(*HOME), LON, LAT], LON: [point(*HOME)], LAT: [point(*HOME)]}


@dataclass(frozen=True)
class Step:
    place: int
    after_s: float
    delay_s: float
    radius_m: float


place_numbers = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 8, 9])
steps = st.builds(
    Step,
    place_numbers,
    st.sampled_from([-30.0, -1.0, 0.0, 1.0, 1.0, 4.0, 15.0, 15.0, 60.0, 1500.0, 80_000.0]),
    st.sampled_from([0.3, 0.3, 0.3, 0.3, 1.0, -18.0, -70.0, 120.0]),
    st.sampled_from([3.0, 10.0, 10.0, 400.0]),
)
"""Anything after anything."""


@st.composite
def spells(draw: st.DrawFn) -> list[Step]:
    """A pattern of places repeated at one rate and delay."""
    pattern = draw(st.lists(place_numbers, min_size=1, max_size=3))
    after_s = draw(st.sampled_from([1.0, 5.0, 20.0, 60.0]))
    delay_s = draw(st.sampled_from([0.3, -18.2, -17.0, -14.0, -8.0, 95.0, 50.0]))
    return [Step(place, after_s, delay_s, 10.0) for place in pattern] * draw(st.integers(1, 8))


@settings(max_examples=400)
@given(st.lists(st.one_of(spells(), st.lists(steps, max_size=6)), min_size=1, max_size=8))
def test_the_kernels_agree_with_their_description(parts: list[list[Step]]) -> None:
    state = new_anomalies(2)
    twin = AnomalyTwin(RULES, REPAIRS)
    time_us = received_us = NOW_US
    for step in (step for part in parts for step in part):
        time_us += round(step.after_s * S)
        received_us = max(received_us, time_us + round(step.delay_s * S))
        where = point(*PLACES[step.place])
        try:
            oddity = twin.fix(time_us, where, step.radius_m, received_us)
        except TooCloseToCallError:
            assume(False)
        found = note_fix(state, 1, time_us, *where, step.radius_m, received_us, LIMITS)
        assert found == (sum(kind.bit for kind in twin.active), oddity)
        for kind, spell in twin.active.items():
            row = state[1]
            assert row["onset_us"][kind] == spell.onset_us
            assert row["count"][kind] == spell.count
            assert row["quantity"][kind] == pytest.approx(spell.quantity, rel=1e-4)
    numbers = [sum(kind == begun for begun, _ in twin.begun) for kind in DEVICE_KINDS]
    assert state[1]["number"].tolist() == numbers
    assert state[:1].tobytes() == new_anomalies(1).tobytes()


@given(
    st.integers(0, 89),
    st.integers(0, 9_999_900),
    st.sampled_from([1, -1]),
)
def test_a_repair_undoes_what_firmware_and_decoder_do(whole: int, ten_us: int, sign: int) -> None:
    meant_deg = sign * (whole + ten_us / 1e6 / 60)
    damaged_deg = round(read(meant_deg) * 1e7) / 1e7
    repairs = [repaired_deg(damaged_deg, carried, 90.0) for carried in (0, 1)]
    assert min(abs(one - meant_deg) for one in repairs if not math.isnan(one)) < 2e-7


def test_minutes_of_two_digits_and_small_degrees_are_not_damaged() -> None:
    assert written_and_read(51 + 10.5 / 60) is None
    assert read(0 + 4.5 / 60) == pytest.approx(4.5 / 60)
    assert read(51 + 4.5 / 60) == pytest.approx(5 + 14.5 / 60)
    assert read(-(122 + 4.5 / 60)) == pytest.approx(-(12 + 24.5 / 60))
    # Minutes read as 74.5, by a decoder that does not mind.
    assert read(57 + 4.5 / 60) == pytest.approx(5 + 74.5 / 60)


@given(st.floats(-89.9, 89.9), st.floats(-180, 180))
def test_degrees_come_back_from_cartesian(lat: float, lon: float) -> None:
    found = to_degrees(*to_cartesian_m(lat, lon))
    assert geodesic_m(*found, lat, lon) < 1e-6


@given(
    st.integers(0, 89),
    st.floats(0, 59.999),
    st.integers(0, 179),
    st.floats(0, 59.999),
    st.sampled_from([1, -1]),
    st.sampled_from([1, -1]),
)
@example(0, 0.0, 110, 0.0, 1, 1)
def test_the_nearest_repair_is_the_place_meant(
    lat_deg: int, lat_minutes: float, lon_deg: int, lon_minutes: float, north: int, east: int
) -> None:
    lat = north * (lat_deg + lat_minutes / 60)
    lon = east * (lon_deg + lon_minutes / 60)
    damaged = [written_and_read(lat), written_and_read(lon)]
    assume(any(one is not None for one in damaged))
    as_read = [
        meant if one is None else one for one, meant in zip(damaged, (lat, lon), strict=True)
    ]
    meant = Fix(0, *point(lat, lon), 10.0)
    repaired = repaired_near(Fix(1, *point(*as_read), 10.0), meant)
    assert math.dist(repaired[1:4], meant[1:4]) < 0.05
