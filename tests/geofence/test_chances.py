from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geofence.chances import closest_on_path, inside_soon, path_variance_m2, whereabouts
from geofence.distance import ARC_RADIUS_M
from geofence.levels import UNKNOWN_TIME_US
from geofence.plan import FloatArray
from geofence.proximity import NEGLIGIBLE_SIGMAS
from geofence.rules import DEFAULT_RULES
from geofence.track import new_tracks
from tests.geofence.plans import NOW_US, S
from tests.geofence.test_proximity import rice
from tests.geofence.track_states import MIDDLE_M, up

RULES = DEFAULT_RULES
LIMITS = RULES.limits()
# In whole centimetres: what only rounding decides is not asked.
MOST_CM = 200_000
PLACE = st.tuples(st.integers(-MOST_CM, MOST_CM), st.integers(-MOST_CM, MOST_CM)).map(
    lambda cm: np.array(cm) / 100
)
VELOCITY = st.tuples(st.integers(-4000, 4000), st.integers(-4000, 4000)).map(
    lambda cm: np.array(cm) / 100
)
SIGMA_M = st.floats(1.0, 300.0)
SIGMA_MPS = st.floats(0.1, 10.0)
PUSH = RULES.push[1]


@st.composite
def placed_tracks(draw: st.DrawFn) -> np.void:
    """A track placed at `NOW_US` or a little later, after a fix, perhaps after two."""
    state: np.void = new_tracks(1, listening_us=0)[0]
    state["time_us"] = NOW_US - draw(st.integers(0, 150 * S))
    state["here_m"] = MIDDLE_M + up(draw(PLACE))
    state["here_sigma_m"] = draw(SIGMA_M)
    if draw(st.booleans()):
        state["before_us"] = state["time_us"] - draw(st.integers(1, 250 * S))
        state["before_m"] = MIDDLE_M + up(draw(PLACE))
        state["before_sigma_m"] = draw(SIGMA_M)
    state["at_us"] = NOW_US
    state["xyz_m"] = MIDDLE_M + up(draw(PLACE))
    state["xyz_mps"] = up(draw(VELOCITY))
    state["sigma_m"] = draw(SIGMA_M)
    state["sigma_mps"] = draw(SIGMA_MPS)
    return state


def arc_m(chord_m: float) -> float:
    return 2 * ARC_RADIUS_M * math.asin(chord_m / 2 / ARC_RADIUS_M)


@given(placed_tracks(), placed_tracks(), st.floats(10.0, 2000.0), st.floats(0.0, 120.0))
def test_soon_is_the_nearest_point_of_both_courses(
    a: np.void, b: np.void, ring_m: float, ahead_s: float
) -> None:
    gap_m, velocity_mps = a["xyz_m"] - b["xyz_m"], a["xyz_mps"] - b["xyz_mps"]
    found = inside_soon(a, b, ring_m, ahead_s, NEGLIGIBLE_SIGMAS, LIMITS)
    instants_s = np.linspace(0.0, ahead_s, 2001)
    distances_m = np.linalg.norm(gap_m + instants_s[:, None] * velocity_mps, axis=1)
    if gap_m @ velocity_mps >= 0:
        assert found == 0.0
        assert distances_m[0] <= distances_m.min() + 1e-9
        return
    t = min(ahead_s, -float(gap_m @ velocity_mps) / float(velocity_mps @ velocity_mps))
    assert np.linalg.norm(gap_m + t * velocity_mps) <= distances_m.min() + 1e-9
    variance = a["sigma_m"] ** 2 + b["sigma_m"] ** 2
    variance += (a["sigma_mps"] ** 2 + b["sigma_mps"] ** 2) * t**2
    variance += 2 * PUSH * t**3 / 3
    distance_m = arc_m(float(np.linalg.norm(gap_m + t * velocity_mps)))
    expected = rice(distance_m, ring_m, math.sqrt(variance)) if ahead_s > 0 else 0.0
    assert found == pytest.approx(expected, abs=1e-4)


@given(placed_tracks(), placed_tracks())
def test_nothing_is_soon_without_a_ring(a: np.void, b: np.void) -> None:
    assert inside_soon(a, b, math.nan, 60.0, NEGLIGIBLE_SIGMAS, LIMITS) == 0.0
    assert inside_soon(a, b, 100.0, 0.0, NEGLIGIBLE_SIGMAS, LIMITS) == 0.0


def whereabouts_twin(track: np.void, at_us: int) -> tuple[FloatArray, float] | None:
    if at_us >= track["time_us"]:
        place_m = track["xyz_m"] + (at_us - NOW_US) / S * track["xyz_mps"]
        return place_m, float(track["sigma_m"]) ** 2
    if track["before_us"] == UNKNOWN_TIME_US or at_us < track["before_us"]:
        return None
    u = (at_us - track["before_us"]) / (track["time_us"] - track["before_us"])
    place_m = (1 - u) * track["before_m"] + u * track["here_m"]
    return place_m, float(
        ((1 - u) * track["before_sigma_m"]) ** 2 + (u * track["here_sigma_m"]) ** 2
    )


@given(placed_tracks(), st.integers(-400 * S, 10 * S))
def test_whereabouts_are_on_the_line_or_on_the_course(track: np.void, from_now_us: int) -> None:
    at_us = NOW_US + from_now_us
    x, y, z, variance = whereabouts(track, at_us)
    expected = whereabouts_twin(track, at_us)
    if expected is None:
        assert np.isnan([x, y, z, variance]).all()
    else:
        assert np.array([x, y, z]) == pytest.approx(expected[0], abs=1e-6)
        assert variance == pytest.approx(expected[1])


@given(
    st.floats(0.0, 1e4), st.floats(0.0, 1e4), st.floats(0.1, 300.0), st.floats(0.0, 1.0),
    st.floats(0.01, 5.0),
)  # fmt: skip
def test_a_way_between_two_places_is_a_bridge(
    first_m2: float, last_m2: float, span_s: float, u: float, push: float
) -> None:
    """Of a velocity that wanders freely, known at no instant: by the algebra of covariances."""
    t = u * span_s

    def shared(early_s: float, late_s: float) -> float:
        """Covariance of the places at two instants, from a start that is known: 0, at rest."""
        return push * (early_s**2 * late_s / 2 - early_s**3 / 6)

    # With x = v t + w(t) and nothing known of v, x(t) - u x(T) is what is left unknown.
    bridge = shared(t, t) - 2 * u * shared(t, span_s) + u**2 * shared(span_s, span_s)
    expected = (1 - u) ** 2 * first_m2 + u**2 * last_m2 + bridge
    found = path_variance_m2(first_m2, last_m2, span_s, u, push)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * push * span_s**3)


@given(placed_tracks(), placed_tracks())
def test_the_nearest_on_the_way_is_found(mover: np.void, other: np.void) -> None:
    distance_m, sigma_m, at_us = closest_on_path(mover, other, LIMITS)
    nothing = math.isnan(distance_m)
    assert (at_us == UNKNOWN_TIME_US) == nothing == math.isnan(sigma_m)
    span_us = int(mover["time_us"] - mover["before_us"])
    if mover["before_us"] == UNKNOWN_TIME_US or span_us > RULES.path_limit_s * S:
        assert nothing
        return
    began = whereabouts_twin(other, int(mover["before_us"]))
    ended = whereabouts_twin(other, int(mover["time_us"]))
    if began is None or ended is None:
        assert nothing
        return
    start_m, end_m = mover["before_m"] - began[0], mover["here_m"] - ended[0]
    way_m = end_m - start_m
    length_m = float(np.linalg.norm(way_m))
    assume(length_m > 1e-3)
    # The foot of the perpendicular; near an end, rounding decides whether it is on the way.
    foot = -float(start_m @ way_m) / length_m**2
    assume(min(abs(foot), abs(1 - foot)) > 1e-9)
    if not 0 < foot < 1:
        assert nothing
        return
    looked = np.linspace(0.0, 1.0, 1001)[:, None]
    least_m = float(np.linalg.norm((1 - looked) * start_m + looked * end_m, axis=1).min())
    assert least_m - length_m / 1000 <= distance_m <= least_m + 1e-6
    assert at_us == pytest.approx(mover["before_us"] + foot * span_us, abs=1.01)
    first_m2 = float(mover["before_sigma_m"]) ** 2 + began[1]
    last_m2 = float(mover["here_sigma_m"]) ** 2 + ended[1]
    variance = (1 - foot) ** 2 * first_m2 + foot**2 * last_m2
    variance += 2 * PUSH * (span_us / S) ** 3 * (foot * (1 - foot)) ** 2 / 3
    assert sigma_m == pytest.approx(math.sqrt(variance), rel=1e-5)
