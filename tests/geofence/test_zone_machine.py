from __future__ import annotations

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.levels import Transition
from geofence.plan import ZoneKind, Zones
from tests.geofence.plans import NOW_US, Fix, S, circle_zone, send, square_zones, zone_plan
from tests.geofence.watch_twin import Change, TooCloseToCallError
from tests.geofence.zone_twin import zone_twin

PACE_MPS = st.sampled_from([0.0, 1.4, -1.4, 5.0, -5.0, 15.0, -15.0, 40.0, -40.0])
PLACE_M = st.one_of(
    st.sampled_from([0.0, 200.0, 290.0, 305.0, 350.0, 420.0, -500.0, 1500.0, 5000.0]),
    st.floats(-1000.0, 1000.0),
)
LEG = st.tuples(
    st.just("leg"),
    st.integers(1, 30),
    st.sampled_from([1, 1, 3, 10, 15, 60, 170, 400]),
    PACE_MPS,
    st.sampled_from([0, 0, 0, 0, 2, 12, 119, 121, 890, -59]),
    st.sampled_from([3.0, 5.0, 8.0, 20.0, 150.0, 700.0, None]),
)
STEP = st.one_of(
    *[LEG] * 5,
    st.tuples(st.just("place"), PLACE_M),
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 5, 10, 31, 121, 300, 901, 3000])),
)
ZONES = st.builds(
    lambda kind, buffer_m, square: (
        square_zones(("zone", kind, 0), buffer_m=buffer_m)
        if square
        else circle_zone("zone", kind, 300.0, buffer_m)
    ),
    st.sampled_from([ZoneKind.EXCLUSION, ZoneKind.INCLUSION]),
    st.sampled_from([0.0, 100.0]),
    st.booleans(),
)


@settings(max_examples=150)
@given(ZONES, PLACE_M, st.lists(STEP, min_size=3, max_size=12))
def test_engine_is_its_twin(zones: Zones, place_m: float, steps: list[tuple[Any, ...]]) -> None:
    engine = Engine(zone_plan(zones), now_us=NOW_US)
    twin = zone_twin(zones, NOW_US)
    now_us = NOW_US
    for name, *drawn in steps:
        try:
            if name == "place":
                (place_m,) = drawn
            elif name == "wait":
                now_us += drawn[0] * S
                compare(engine.sweep(now_us), twin.sweep(now_us))
            else:
                count, interval_s, pace_mps, lag_s, accuracy_m = drawn
                for _ in range(count):
                    now_us += interval_s * S
                    place_m += interval_s * pace_mps
                    fix = Fix(0, now_us - lag_s * S, place_m, 20.0, accuracy_m)
                    expected = twin.fix(fix, now_us)
                    compare(send(engine, fix, now_us=now_us).transitions, expected)
                    compare(engine.sweep(now_us), twin.sweep(now_us))
        except TooCloseToCallError:
            assume(False)


def compare(found: list[Transition], expected: list[Change]) -> None:
    assert [(t.previous, t.level, t.number, t.cause) for t in found] == [
        (c.previous, c.level, c.number, c.cause) for c in expected
    ]
    for transition, change in zip(found, expected, strict=True):
        assert abs(transition.onset_us - change.onset_us) <= 2
