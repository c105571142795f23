"""Ways through a zone between two fixes, beside shapely."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st

from geofence.crossing import STEP_M, STEPS_MOST, crossed
from geofence.distance import to_cartesian_m
from geofence.layout import Layout, lay_out
from geofence.levels import UNKNOWN_TIME_US
from geofence.plan import FloatArray, ZoneKind
from geofence.rules import DEFAULT_RULES
from geofence.track import new_tracks
from geofence.watch import zone_depth_m
from tests.geofence.plans import NOW_US, Fix, S, square_zones, zone_plan

LIMITS = DEFAULT_RULES.limits()
HALF_M = 300.0
SQUARE = shapely.box(-HALF_M, -HALF_M, HALF_M, HALF_M)
EXCLUSION = lay_out(zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0), half_m=HALF_M)))
INCLUSION = lay_out(zone_plan(square_zones(("h", ZoneKind.INCLUSION, 0), half_m=HALF_M)))
PUSH = DEFAULT_RULES.push[1]
Place = tuple[float, float]


def in_space(place: Place) -> tuple[float, float, float]:
    _, _, lat_e7, lon_e7, _ = Fix(0, 0, *place).row()
    return to_cartesian_m(lat_e7 / 1e7, lon_e7 / 1e7)


def mover_of(
    before: Place, here: Place, *, sigma_m: float = 0.5, span_s: float = 1.0, since: Place = (0, 0)
) -> np.void:
    """A track with fixes at two places of the plane, placed now, some way on from the second."""
    state: np.void = new_tracks(1, listening_us=0)[0]
    state["before_us"], state["time_us"] = NOW_US - round(span_s * S), NOW_US
    state["before_m"], state["here_m"] = in_space(before), in_space(here)
    state["before_sigma_m"] = state["here_sigma_m"] = state["sigma_m"] = sigma_m
    state["at_us"] = NOW_US
    state["xyz_m"] = in_space((here[0] + since[0], here[1] + since[1]))
    return state


def depth_at(place_m: FloatArray, layout: Layout) -> float:
    x_m, y_m, z_m = place_m.tolist()
    return zone_depth_m(layout.terms[0], x_m, y_m, z_m, layout.planes)


def look(mover: np.void, layout: Layout = EXCLUSION) -> tuple[float, float, int]:
    depth_m = depth_at(mover["xyz_m"], layout)
    return crossed(mover, layout.terms[0], depth_m, layout.planes, LIMITS)


METRES = st.integers(-90_000, 90_000).map(lambda cm: cm / 100)
PLACE = st.tuples(METRES, METRES)


@given(PLACE, PLACE, st.tuples(st.floats(-5000.0, 5000.0), st.just(0.0)))
@example((-400.0, 0.0), (400.0, 0.0), (0.0, 0.0))
@example((-400.0, 310.0), (400.0, 310.0), (0.0, 0.0))
@example((-400.0, 0.0), (400.0, 0.0), (3000.0, 0.0))
def test_a_straight_way_through_a_square_is_found(before: Place, here: Place, since: Place) -> None:
    way = shapely.LineString([before, here])
    chance, depth_m, at_us = look(mover_of(before, here, since=since))
    inside_m = shapely.intersection(way, SQUARE).length
    step_m = way.length / max(1.0, min(STEPS_MOST, way.length / STEP_M))
    # The square stands on degrees, which are 0.1 % off the plane's metres.
    off_m = shapely.distance(way, SQUARE)
    if off_m > 10.0:
        assert chance < 1e-6
    shrunk = shapely.box(*(side * (HALF_M - 10.0) for side in (-1, -1, 1, 1)))
    if shapely.intersection(way, shrunk).length > 2 * step_m:
        assert chance > 0.999
        assert depth_m < 0
        assert inside_m > 0
        u = (at_us - NOW_US + S) / S
        assert 0 < u < 1
        place = way.interpolate(u, normalized=True)
        assert shapely.distance(place, SQUARE.exterior) == pytest.approx(-depth_m, abs=2.0)


SPAN_S = st.floats(0.5, 170.0)
SIGMA_M = st.floats(0.5, 200.0)


@given(PLACE, PLACE, SIGMA_M, SPAN_S)
def test_the_chance_is_the_greatest_on_the_way(
    before: Place, here: Place, sigma_m: float, span_s: float
) -> None:
    mover = mover_of(before, here, sigma_m=sigma_m, span_s=span_s)
    chance, depth_m, _ = look(mover)
    way_m = float(np.linalg.norm(mover["here_m"] - mover["before_m"]))
    near_m = way_m + 6.5 * sigma_m
    if way_m < STEP_M or depth_at(mover["here_m"], EXCLUSION) > near_m:
        assert (chance, math.isnan(depth_m)) == (0.0, True)
        return
    steps = min(STEPS_MOST, 1 + int(way_m / STEP_M))
    greatest = 0.0
    for u in np.arange(1, steps) / steps:
        place_m = (1 - u) * mover["before_m"] + u * mover["here_m"]
        variance = sigma_m**2 * ((1 - u) ** 2 + u**2) + PUSH * span_s**3 * (u * (1 - u)) ** 2 / 3
        depth = depth_at(place_m, EXCLUSION)
        greatest = max(greatest, 0.5 * math.erfc(depth / math.sqrt(2 * variance)))
    assert chance == pytest.approx(greatest, rel=1e-6, abs=1e-12)


def test_there_is_nothing_to_look_at() -> None:
    nothing = 0.0, UNKNOWN_TIME_US
    through = (-400.0, 0.0), (400.0, 0.0)
    assert look(mover_of(*through))[0] > 0.999
    chance, _, at_us = look(mover_of(*through), INCLUSION)
    assert (chance, at_us) == nothing
    chance, _, at_us = look(mover_of(*through, span_s=DEFAULT_RULES.path_limit_s + 1))
    assert (chance, at_us) == nothing
    first = mover_of(*through)
    first["before_us"] = UNKNOWN_TIME_US
    chance, _, at_us = look(first)
    assert (chance, at_us) == nothing
