from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pymeos
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from geofence.approach import closest_approach, closest_approaches, stay_inside, stays_inside
from geofence.plan import FloatArray

Vector = tuple[float, float, float]
Way = tuple[Vector, Vector]
"""Difference of two positions at the beginning of an interval and at its end."""

ROUNDING = 2.0**-53
BEGAN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
INTERVAL = dt.timedelta(seconds=1_000_000)
MICROSECOND = dt.timedelta(microseconds=1) / INTERVAL
"""MEOS counts whole ones: as long an interval makes one of them 1e-12 of it."""

MEOS_EPSILON = 1.000001e-6
"""MEOS passes over a least distance that is reached so near to an end."""


def vectors(most_m: float) -> st.SearchStrategy[Vector]:
    axis = st.floats(-most_m, most_m)
    return st.tuples(axis, axis, axis | st.just(0.0))


@st.composite
def passes(draw: st.DrawFn, way_m: float, miss_m: float) -> Way:
    """Long ways that pass near the origin, before, during or after the interval."""
    u, d = draw(vectors(way_m)), draw(vectors(miss_m))
    fraction = draw(st.floats(-0.5, 1.5))
    start = tuple(y - fraction * x for x, y in zip(u, d, strict=True))
    end = tuple(y + (1 - fraction) * x for x, y in zip(u, d, strict=True))
    return start, end  # type: ignore[return-value] # three in each


ANY_WAY = st.one_of(
    st.tuples(vectors(1e7), vectors(1e7)),
    st.tuples(vectors(1e3), vectors(1e3)),
    passes(1e6, 1e-3),
    passes(1e4, 10.0),
    passes(1e-6, 1e5),
    vectors(1e5).map(lambda a: (a, a)),
)
RADIUS = st.floats(0, 1e4) | st.floats(1e-6, 1)


def length_m(vector: Vector) -> float:
    return math.sqrt(sum(x * x for x in vector))


def difference(a: Vector, b: Vector) -> Vector:
    return b[0] - a[0], b[1] - a[1], b[2] - a[2]


def exact_place(way: Way, fraction: Fraction) -> float:
    """Distance at a fraction of the interval, in exact arithmetic up to the square root."""
    a, b = ([Fraction(x) for x in end] for end in way)
    return math.sqrt(sum((p + fraction * (q - p)) ** 2 for p, q in zip(a, b, strict=True)))


def exact_approach(way: Way) -> tuple[float, Fraction]:
    """The twin, in exact arithmetic."""
    a, b = ([Fraction(x) for x in end] for end in way)
    u = [q - p for p, q in zip(a, b, strict=True)]
    way2 = sum(x * x for x in u)
    if way2 == 0:
        return exact_place(way, Fraction(0)), Fraction(0)
    along = -sum(p * x for p, x in zip(a, u, strict=True)) / Fraction(way2)
    fraction = min(max(along, Fraction(0)), Fraction(1))
    return exact_place(way, fraction), fraction


@given(ANY_WAY)
@example(((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)))
@example(((3.0, 4.0, 0.0), (3.0, 4.0, 0.0)))
@example(((-1e7, 1e-9, 0.0), (1e7, 1e-9, 0.0)))
@example(((1e6, 0.0, 0.0), (1e6, 0.0, 1e-9)))
@example(((-1.0, 0.0, 0.0), (1e-80, 0.0, 0.0)))
@example(((-1e-80, 1e-90, 0.0), (1.0, 0.0, 0.0)))
@example(((0.0, 1e-162, 0.0), (3e-162, 0.0, 0.0)))
@example(((89139.0, 2.000000301941851, 0.0), (89139.0, 2.0, 0.0)))
@example(((64.0, -1.031132179175584e-06, 0.0), (64.0, -3.437107263918613e-07, 0.0)))
def test_closest_approach_is_right_to_a_few_roundings(way: Way) -> None:
    distance_m, fraction = closest_approach(*way[0], *way[1])
    expected_m, expected = exact_approach(way)
    nearer_m = min(length_m(way[0]), length_m(way[1]))
    moved_m = length_m(difference(*way))
    assert abs(distance_m - expected_m) <= 16 * ROUNDING * nearer_m + 1e-150
    assert 0 <= fraction <= 1
    off_m = float(abs(Fraction(fraction) - expected)) * moved_m
    assert off_m <= 16 * ROUNDING * (nearer_m + moved_m) + 1e-150
    assert distance_m <= nearer_m


@given(ANY_WAY)
def test_who_is_subtracted_from_whom_does_not_matter(way: Way) -> None:
    (ax, ay, az), (bx, by, bz) = way
    assert closest_approach(ax, ay, az, bx, by, bz) == closest_approach(
        -ax, -ay, -az, -bx, -by, -bz
    )


@given(ANY_WAY, RADIUS)
@example(((-1e4, 1.0, 0.0), (1e4, 1.0, 0.0)), 1.0)
@example(((-2.0, 0.0, 0.0), (2.0, 0.0, 0.0)), 0.0)
@example(((5.0, 0.0, 0.0), (5.0, 0.0, 0.0)), 5.0)
@example(((3.3e-28, 1.0, 0.0), (1.5e-28, 1.0, 0.0)), 1.0)
def test_a_stay_is_where_the_distance_is_at_most_the_radius(way: Way, radius_m: float) -> None:
    entry, exit_ = stay_inside(*way[0], *way[1], radius_m)
    distance_m, fraction = closest_approach(*way[0], *way[1])
    assert math.isnan(entry) == math.isnan(exit_) == (distance_m > radius_m)
    if math.isnan(entry):
        return
    assert 0 <= entry <= fraction <= exit_ <= 1
    near_m = 16 * ROUNDING * (length_m(way[0]) + length_m(way[1]) + radius_m) + 1e-150
    for end, edge, outermost in ((way[0], entry, 0.0), (way[1], exit_, 1.0)):
        if length_m(end) <= radius_m:
            assert edge == outermost
        else:
            assert exact_place(way, Fraction(edge)) == pytest.approx(radius_m, rel=0, abs=near_m)
    for sample in np.linspace(0, 1, 20).tolist():
        sample_m = exact_place(way, Fraction(sample))
        if sample_m < radius_m - near_m:
            assert entry <= sample <= exit_
        elif sample_m > radius_m + near_m:
            assert not entry < sample < exit_


@given(st.lists(st.tuples(ANY_WAY, RADIUS), min_size=1, max_size=20))
def test_array_forms_are_the_scalar_forms(cases: list[tuple[Way, float]]) -> None:
    start_m = np.array([way[0] for way, _ in cases])
    end_m = np.array([way[1] for way, _ in cases])
    radius_m = np.array([radius_m for _, radius_m in cases])
    out: FloatArray = np.full((4, len(cases)), np.inf)
    closest_approaches(start_m, end_m, out[0], out[1])
    stays_inside(start_m, end_m, radius_m, out[2], out[3])
    expected = [
        (*closest_approach(*way[0], *way[1]), *stay_inside(*way[0], *way[1], radius_m))
        for way, radius_m in cases
    ]
    assert np.array_equal(out.T, np.array(expected), equal_nan=True)


@pytest.mark.parametrize("place", range(6))
def test_what_is_not_known_stays_so(place: int) -> None:
    ends = [1.0, -2.0, 3.0, -1.0, 2.0, 4.0]
    ends[place] = math.nan
    ax, ay, az, bx, by, bz = ends
    assert all(map(math.isnan, closest_approach(ax, ay, az, bx, by, bz)))
    assert all(map(math.isnan, stay_inside(ax, ay, az, bx, by, bz, 1e9)))


@pytest.mark.parametrize("radius_m", [math.nan, -1.0])
def test_there_is_no_stay_in_no_circle(radius_m: float) -> None:
    assert all(map(math.isnan, stay_inside(0.0, 0.0, 0.0, 1.0, 0.0, 0.0, radius_m)))


@pytest.fixture(scope="module")
def _meos() -> Iterator[None]:
    """MobilityDB's library, which nobody here wrote."""
    pymeos.pymeos_initialize("UTC")
    yield
    pymeos.pymeos_finalize()


def moving(way: Way, dimensions: int) -> pymeos.TGeomPointSeq:
    """One who moves straight on from the first to the second place in the course of `INTERVAL`."""

    def point(at: Vector) -> str:
        return ("Point(", "Point Z(")[dimensions - 2] + " ".join(map(repr, at[:dimensions])) + ")"

    ended = BEGAN + INTERVAL
    return pymeos.TGeomPointSeq(
        f"[{point(way[0])}@{BEGAN.isoformat()}, {point(way[1])}@{ended.isoformat()}]"
    )


@st.composite
def two_people(draw: st.DrawFn, dimensions: int) -> tuple[Way, Way]:
    """Her way and his: anywhere in a town, or past each other."""
    town = st.tuples(vectors(1e4), vectors(1e4))
    hers, his = draw(town), draw(town)
    if draw(st.booleans()):
        apart = draw(passes(1e4, 100.0))
        his = difference(apart[0], hers[0]), difference(apart[1], hers[1])
    return on_plane(hers, dimensions), on_plane(his, dimensions)


def on_plane(way: Way, dimensions: int) -> Way:
    return way if dimensions == 3 else ((*way[0][:2], 0.0), (*way[1][:2], 0.0))


@pytest.mark.usefixtures("_meos")
@pytest.mark.parametrize("dimensions", [2, 3])
@given(data=st.data(), radius_m=st.floats(1, 1e4))
def test_two_people_beside_meos(dimensions: int, data: st.DataObject, radius_m: float) -> None:
    hers, his = data.draw(two_people(dimensions))
    start, end = difference(his[0], hers[0]), difference(his[1], hers[1])
    distance_m, fraction = closest_approach(*start, *end)
    moved_m = length_m(difference(start, end))
    # MEOS loses its digits where both move nearly alike. `exact_approach` does not.
    ways_m = length_m(difference(*hers)) + length_m(difference(*his))
    assume(moved_m > 0.01 * ways_m and moved_m > 1e-3)
    she, he = moving(hers, dimensions), moving(his, dimensions)
    nearest_m = she.nearest_approach_distance(he)
    most_m = distance_m
    if min(fraction, 1 - fraction) <= MEOS_EPSILON:
        most_m = min(length_m(start), length_m(end))
    rounding_m = 1e-9 + MICROSECOND * moved_m
    assert distance_m - rounding_m <= nearest_m <= most_m + rounding_m

    # One that hardly touches is a matter of rounding.
    assume(abs(distance_m - radius_m) > 0.01 * radius_m)
    entry, exit_ = stay_inside(*start, *end, radius_m)
    inside = she.within_distance(he, radius_m).at(True)
    assert (inside is None) == math.isnan(entry)
    if inside is not None:
        span = inside.tstzspan()
        assert abs((span.lower() - BEGAN) / INTERVAL - entry) * moved_m <= 1e-5
        assert abs((span.upper() - BEGAN) / INTERVAL - exit_) * moved_m <= 1e-5
