"""The made-up town, its people and their receivers."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry

from devices.compiler import compile_caseload
from devices.rules import check
from geofence.plan import FloatArray
from simulators import people
from simulators.receiver import PHONE, TAG, WEAK_ANTENNA, Reading, Receiver, ReceiverState
from simulators.story import (
    ALERT_M,
    EXCLUSION_BUFFER_M,
    EXCLUSION_M,
    HOME_M,
    town_caseload,
    town_story,
)
from simulators.streets import Streets
from simulators.town import CENTRE_LAT_DEG, CENTRE_LON_DEG, RADIUS_M, build_town, to_degrees
from simulators.town_player import TownPlayer
from tests.simulators.pretend import START_US, FakeTime, Notebook, turns_until

WGS84 = Geod(ellps="WGS84")
SEEDS = range(1, 7)


# --- the town ---


def test_the_same_seed_gives_the_same_town() -> None:
    first = build_town(3).basemap_geojson()
    build_town.cache_clear()
    assert build_town(3).basemap_geojson() == first
    assert build_town(4).basemap_geojson() != first


def test_the_map_is_valid_and_in_its_place() -> None:
    features = json.loads(build_town().basemap_geojson())["features"]
    kinds = {feature["properties"]["kind"] for feature in features}
    assert kinds == {"water", "park", "building", "street"}
    streets = [f["properties"] for f in features if f["properties"]["kind"] == "street"]
    assert sum(street["major"] for street in streets) == 10
    assert len({street["name"] for street in streets}) == len(streets) > 30
    # RFC 7946 has no LinearRing, and a map refuses the whole document for one.
    drawable = {"LineString", "MultiLineString", "Polygon", "MultiPolygon"}
    for feature in features:
        assert feature["geometry"]["type"] in drawable
        drawn = shape(feature["geometry"])
        assert drawn.is_valid
        west, south, east, north = drawn.bounds
        assert abs(west - CENTRE_LON_DEG) < 0.016 > abs(east - CENTRE_LON_DEG)
        assert abs(south - CENTRE_LAT_DEG) < 0.0091 > abs(north - CENTRE_LAT_DEG)


@given(st.floats(-RADIUS_M, RADIUS_M), st.floats(-RADIUS_M, RADIUS_M))
def test_metres_are_metres(east_m: float, north_m: float) -> None:
    lat_deg, lon_deg = to_degrees(east_m, north_m)
    _, _, away_m = WGS84.inv(CENTRE_LON_DEG, CENTRE_LAT_DEG, lon_deg, lat_deg)
    assert away_m == pytest.approx(math.hypot(east_m, north_m), rel=3e-4, abs=1e-3)


def straight_sums(streets: Streets, start: int) -> FloatArray:
    """Bellman and Ford's slow way to all shortest lengths: the reference."""
    best = np.full(len(streets.nodes_m), np.inf)
    best[start] = 0
    for _ in range(len(best)):
        before = best.copy()
        for node, around in enumerate(streets.neighbours):
            for other, piece_m in around:
                best[other] = min(best[other], best[node] + piece_m)
        if (best == before).all():
            break
    return best


def test_routes_are_shortest_and_stay_on_streets() -> None:
    town = build_town()
    streets = town.network
    drawn = shapely.union_all([street.line for street in town.streets])
    rng = random.Random(1)
    start = rng.randrange(len(streets.nodes_m))
    shortest_m = straight_sums(streets, start)
    assert np.isfinite(shortest_m).all()
    for end in rng.sample(range(len(streets.nodes_m)), 30):
        route = streets.route(start, end)
        assert (route[0], route[-1]) == (start, end)
        assert streets.length_m(route) == pytest.approx(shortest_m[end])
        for a, b in itertools.pairwise(route):
            middle = Point(*((streets.nodes_m[a] + streets.nodes_m[b]) / 2))
            assert drawn.distance(middle) < 0.01


def test_the_largest_part_of_a_broken_network_is_kept() -> None:
    nodes = np.array([[0.0, 0], [9, 9], [1, 0], [2, 0], [9, 8]])
    streets = Streets.connected(nodes, [(0, 2), (2, 3), (1, 4)])
    assert streets.nodes_m.tolist() == [[0, 0], [1, 0], [2, 0]]
    assert streets.route(0, 2) == [0, 1, 2]


# --- its people ---


@functools.cache
def walkable() -> BaseGeometry:
    area = shapely.union_all([street.line for street in build_town().streets]).buffer(0.01)
    shapely.prepare(area)
    return area


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0, 40), min_size=1, max_size=40))
def test_people_stay_on_streets_and_never_jump(seed: int, waits_s: list[float]) -> None:
    streets = build_town().network
    rng = random.Random(seed)
    places = rng.sample(range(len(streets.nodes_m)), 5)
    life = people.wander(streets, rng, places[0], places, people.DRIVE_MPS)
    person = people.Person(streets, places[0], life)
    drawn = walkable()
    time_s = 0.0
    before = person.place(0)
    for wait_s in waits_s:
        time_s += wait_s
        place = person.place(time_s)
        moved_m = math.dist(before[:2], place[:2])
        assert moved_m <= wait_s * people.DRIVE_MPS[1] + 1e-6
        assert place.speed_mps == 0 or people.DRIVE_MPS[0] - 1e-6 <= place.speed_mps
        assert place.speed_mps <= people.DRIVE_MPS[1] + 1e-6
        assert math.isnan(place.course_deg) == (place.speed_mps == 0)
        assert drawn.contains(Point(place.east_m, place.north_m))
        before = place


def test_a_life_that_ends_or_jumps_is_a_mistake() -> None:
    streets = build_town().network
    with pytest.raises(ValueError, match="go on"):
        people.Person(streets, 0, iter(())).place(0)
    with pytest.raises(ValueError, match="begin where"):
        people.Person(streets, 0, iter([people.Go([1, 0], 1.0)])).place(0)


def lives(seed: int, until_s: int) -> FloatArray:
    """(time, role, 2) places of everybody, once a second."""
    roles = town_story(seed)
    return np.array([[role.person.place(t)[:2] for role in roles] for t in range(until_s)])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_story_happens_within_two_minutes(seed: int) -> None:
    places = lives(seed, 121)
    near_m = np.hypot(*(places[:, 0] - places[:, 1]).T)
    assert near_m[0] > 2 * ALERT_M * 1.2
    assert 30 < near_m.min() < 0.7 * ALERT_M
    after = int(near_m.argmin())
    assert (near_m[after:] > 1.3 * ALERT_M).any(), "he goes away again"
    school_m = np.hypot(*(places[:, 2] - np.array([-450, -380])).T)
    assert school_m[0] >= EXCLUSION_M + EXCLUSION_BUFFER_M
    assert school_m.min() < 0.7 * EXCLUSION_M


@pytest.mark.parametrize("seed", SEEDS)
def test_the_others_give_no_cause_for_alarm(seed: int) -> None:
    places = lives(seed, 900)
    for wearer in (2, 4, 6):
        near_m = np.hypot(*(places[:, wearer] - places[:, wearer + 1]).T)
        assert near_m.min() > 4 * ALERT_M
    home_m = np.hypot(*(places[:, 4] - np.array([-480, 430])).T)
    assert home_m.max() < HOME_M - 100


def test_lives_are_the_same_for_the_same_seed() -> None:
    assert np.array_equal(lives(5, 300), lives(5, 300))
    assert not np.array_equal(lives(5, 300), lives(6, 300))


def test_the_caseload_fits_the_story() -> None:
    caseload = town_caseload()
    assert {device.id for device in caseload.devices} == {role.device for role in town_story()}
    assert {d.id for d in caseload.devices if d.kind == "handset"} == {
        role.device for role in town_story() if role.handset
    }
    kinds = [type(condition).__name__ for o in caseload.orders for condition in o.conditions]
    assert sorted(kinds) == ["Exclusion", "Inclusion", *["Proximity"] * 4]
    assert check(caseload) == []
    assert len(compile_caseload(caseload, START_US).watches) == 6


# --- their receivers ---


def readings(receiver: Receiver, count: int, seed: int = 1) -> list[Reading | None]:
    state = ReceiverState(receiver, random.Random(seed))
    return [state.read(0.0, 0.0, 1.0) for _ in range(count)]


def errors_and_claims(receiver: Receiver) -> tuple[FloatArray, FloatArray]:
    good = [r for r in readings(receiver, 60_000) if r is not None]
    errors_m = np.array([math.hypot(r.east_m, r.north_m) for r in good])
    return errors_m, np.array([r.accuracy_m for r in good])


def test_a_weak_antenna_errs_like_the_real_one() -> None:
    errors_m, _ = errors_and_claims(WEAK_ANTENNA)
    p50, p95, p99 = np.quantile(errors_m, [0.5, 0.95, 0.99])
    assert p50 == pytest.approx(15, rel=0.15)
    assert p95 == pytest.approx(48, rel=0.2)
    assert p99 == pytest.approx(109, rel=0.3)


def test_a_good_tag_keeps_to_the_standard() -> None:
    errors_m, _ = errors_and_claims(replace(TAG, obstructed_share=0.0))
    assert np.quantile(errors_m, 0.9) == pytest.approx(10, rel=0.1)
    errors_m, _ = errors_and_claims(replace(TAG, obstructed_share=1.0))
    assert np.quantile(errors_m, 0.9) == pytest.approx(30, rel=0.1)


def test_a_phone_claims_too_much_like_the_real_ones() -> None:
    errors_m, claims_m = errors_and_claims(PHONE)
    assert np.median(claims_m) == pytest.approx(10, rel=0.15)
    assert (errors_m > 3 * claims_m).mean() == pytest.approx(0.04, abs=0.015)


def test_errors_are_correlated_and_gaps_last() -> None:
    states = readings(WEAK_ANTENNA, 60_000)
    east_m = np.array([math.nan if r is None else r.east_m for r in states])
    calm = np.nan_to_num(np.clip(east_m, -60, 60))
    assert np.corrcoef(calm[:-1], calm[1:])[0, 1] > 0.6
    assert abs(np.corrcoef(calm[:-300], calm[300:])[0, 1]) < 0.1
    silent = np.isnan(east_m)
    assert silent.mean() == pytest.approx(0.01, abs=0.005)
    gaps = int((np.diff(silent.astype(int)) == 1).sum())
    assert silent.sum() / gaps == pytest.approx(20, rel=0.4)


def test_an_honest_receiver_is_right_in_68_percent() -> None:
    honest = Receiver(10.0, 40.0, 1.0, 5.0, 0.2, 20.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    errors_m, claims_m = errors_and_claims(honest)
    assert (errors_m < claims_m).mean() == pytest.approx(0.68, abs=0.03)


# --- playing it ---


async def test_everybody_reports_in_turn_at_the_interval() -> None:
    time = FakeTime()
    roles = town_story()
    books = [Notebook(time) for _ in roles]
    player = TownPlayer(roles, books, clock=time.now_us, pace=time.pace, interval_s=2.0, seed=1)
    playing = asyncio.create_task(player.run())
    await turns_until(lambda: time.elapsed_s >= 120)
    playing.cancel()
    assert all(50 <= len(book.fixes) <= 61 for book in books)
    for number, book in enumerate(books):
        phases = {(fix[0] - START_US) % 2_000_000 for fix in book.fixes}
        assert phases == {number * 250_000}
        assert all(told >= fix[0] - 1 for fix, told in zip(book.fixes, book.told_us, strict=True))
