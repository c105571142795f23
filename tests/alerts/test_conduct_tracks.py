"""Following and places, from tracks: stories, and a plain twin that looks at every minute."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conduct import MINUTE_US, Act
from alerts.conduct_rules import ConductRules
from alerts.conduct_tracks import (
    BREAK_MIN,
    HOLD_MIN,
    MinuteTrack,
    acts_of_tracks,
    minute_track,
)
from tests.alerts.builders import START_US
from tests.alerts.conduct_stories import RULES

LAT_DEG, LON_DEG = 54.0, 4.0
NORTH_M, EAST_M = 111_309.0, 65_578.0
"""Of a degree there, on the ellipsoid."""

Way = list[Any]
"""Metres east and north, one a minute; None where nothing is known."""


def track(person: str, way: Way) -> MinuteTrack:
    fixes = [
        (
            START_US + minute * MINUTE_US + 7,
            LAT_DEG + place[1] / NORTH_M,
            LON_DEG + place[0] / EAST_M,
        )
        for minute, place in enumerate(way)
        if place is not None
    ]
    return minute_track(person, START_US, len(way), fixes)


def acts(his: Way, hers: Way, since: int = 0, rules: ConductRules = RULES) -> list[Act]:
    length = max(len(his), len(hers))
    ways = [[*way, *[way[-1]] * (length - len(way))] for way in (his, hers)]
    return acts_of_tracks(track("he", ways[0]), track("she", ways[1]), rules, since)


FAR = (9_000.0, 9_000.0)
WALK: Way = [(80.0 * n, 0.0) for n in range(40)]
"""She walks 3.2 km to the east."""


def test_who_comes_behind_her_follows_and_she_does_not_follow_him() -> None:
    her_way = WALK + [FAR] * 20
    his_way: Way = [(-4_000.0, 0.0)] * 5 + WALK + [(20_000.0, 0.0)] * 15
    [following] = acts(his_way, her_way)
    assert following.kind == "following"
    assert following.lag_s == 300
    assert following.began_us == START_US + 5 * MINUTE_US
    assert following.closest_m == pytest.approx(0, abs=1)
    assert following.moved_m is not None
    assert following.moved_m >= 3_000
    assert [rest.id for rest in following.rests] == ["she", "he"]
    assert acts(her_way, his_way) == []


def test_the_same_way_an_hour_later_is_no_following() -> None:
    assert acts([(-4_000.0, 0.0)] * 60 + WALK, WALK + [FAR] * 60) == []


def test_a_way_that_leads_nowhere_is_no_following() -> None:
    garden: Way = [(80.0 * (n % 4), 0.0) for n in range(40)]
    assert [one.kind for one in acts(garden, garden)] == []


def test_a_gap_of_two_minutes_does_not_cut_and_a_longer_one_does() -> None:
    lost = HOLD_MIN - 1 + BREAK_MIN
    behind: Way = [(-4_000.0, 0.0)] * 2 + WALK
    hers = WALK + [FAR] * 2
    one = [place if not 18 <= n < 18 + lost else None for n, place in enumerate(behind)]
    assert len(acts(one, hers)) == 1
    two = [place if not 18 <= n < 20 + lost else None for n, place in enumerate(behind)]
    assert len(acts(two, hers)) == 2


HOME = (0.0, 0.0)


def test_he_waits_where_she_has_been_and_not_at_his_own_place() -> None:
    hers: Way = [HOME] * 60 + WALK + [FAR] * 400
    his: Way = [(5_000.0, -5_000.0)] * 300 + [(60.0, 40.0)] * 15 + [(7_000.0, 0.0)] * 185
    [loitering] = acts(his, hers)
    assert loitering.kind == "loitering"
    assert loitering.began_us == START_US + 300 * MINUTE_US
    assert loitering.ended_us == START_US + 315 * MINUTE_US
    assert loitering.closest_m == pytest.approx(math.hypot(60, 40), abs=2)
    neighbour: Way = [(60.0, 40.0)] * 250 + [(7_000.0, 0.0)] * 100 + [(60.0, 40.0)] * 150
    assert acts(neighbour, hers) == []


def test_a_place_that_she_comes_to_later_was_not_hers_yet() -> None:
    hers: Way = [FAR] * 100 + [HOME] * 60
    his: Way = [(7_000.0, 0.0)] * 20 + [HOME] * 15 + [(7_000.0, 0.0)] * 125
    assert acts(his, hers) == []


def test_what_began_earlier_is_left_out() -> None:
    behind: Way = [(-4_000.0, 0.0)] * 5 + WALK
    hers = WALK + [FAR] * 5
    assert len(acts(behind, hers, since=5)) == 1
    assert acts(behind, hers, since=6) == []


def test_nothing_known_is_nothing_found() -> None:
    assert acts([None] * 50, WALK) == []
    assert acts(WALK, [None] * 50) == []


# -- the twin -----------------------------------------------------------------------------------


def metres(one: tuple[float, float] | None, other: tuple[float, float] | None) -> float:
    return math.inf if one is None or other is None else math.dist(one, other)


def held(way: Way) -> Way:
    out = list(way)
    for minute in range(len(out)):
        back = [way[k] for k in range(minute, max(-1, minute - HOLD_MIN), -1) if way[k] is not None]
        out[minute] = back[0] if back else None
    return out


def best_lag(his: Way, hers: Way, minute: int, most: int) -> tuple[float, int]:
    lags = [lag for lag in range(-most, most + 1) if 0 <= minute - lag < len(hers)]
    return min(
        ((metres(his[minute], hers[minute - lag]), lag) for lag in lags),
        key=lambda found: (round(found[0], 3), abs(found[1]), -found[1]),
    )


def twin(his: Way, hers: Way, rules: ConductRules) -> list[tuple[int, int]]:
    """First and last minute of each following."""
    found, open_, off = [], [], 0
    every = [best_lag(his, hers, minute, rules.follow_lag_min) for minute in range(len(his))]
    for minute, (distance, lag) in [*enumerate(every), *((len(his), (math.inf, 0)),) * 9]:
        if distance <= rules.follow_m:
            open_.append((minute, lag))
            off = 0
            continue
        off += 1
        if off > BREAK_MIN and open_:
            first, last = open_[0][0], open_[-1][0]
            away = max(
                metres(his[first], his[n]) for n in range(first, last + 1) if his[n] is not None
            )
            behind = statistics.median(lag for _, lag in open_) >= 0
            if last - first + 1 >= rules.follow_min and behind and away >= rules.follow_moved_m:
                found.append((first, last))
            open_ = []
    return found


steps = st.tuples(st.integers(-2, 2), st.integers(-2, 2))


@st.composite
def walks(draw: st.DrawFn) -> tuple[Way, Way]:
    """She wanders in steps of 100 m; he comes behind, goes ahead, or wanders off; both get lost."""
    place, hers = (0.0, 0.0), []
    for east, north in draw(st.lists(steps, min_size=20, max_size=60)):
        place = (place[0] + 100.0 * east + 30.0, place[1] + 100.0 * north)
        hers.append(place)
    lag = draw(st.integers(-5, 5))
    his: Way = [hers[min(max(0, n - lag), len(hers) - 1)] for n in range(len(hers))]
    for minute in draw(st.lists(st.integers(0, len(hers) - 1), max_size=12)):
        his[minute] = draw(st.sampled_from((None, (5_000.0, 5_000.0), (333.0, 111.0))))
    her_way: Way = list(hers)
    for minute in draw(st.lists(st.integers(0, len(hers) - 1), max_size=6)):
        her_way[minute] = None
    return his, her_way


@given(walks(), st.integers(1, 6), st.sampled_from((155.0, 49.0)), st.sampled_from((95.0, 905.0)))
def test_followings_are_those_of_the_twin(
    ways: tuple[Way, Way], most: int, near_m: float, moved_m: float
) -> None:
    rules: Any = ConductRules(
        follow_lag_min=most, follow_m=near_m, follow_moved_m=moved_m, follow_min=6
    )
    his, hers = held(ways[0]), held(ways[1])
    found = [
        ((one.began_us - START_US) // MINUTE_US, (one.ended_us or 0) - START_US)
        for one in acts(*ways, rules=rules)
        if one.kind == "following"
    ]
    wanted = [(first, (last + 1) * MINUTE_US) for first, last in twin(his, hers, rules)]
    assert found == wanted


def test_the_last_fix_of_a_minute_stands_for_it_and_no_longer_than_it_may() -> None:
    fixes = [(START_US + 1, 1.0, 1.0), (START_US + 59_000_000, 2.0, 2.0), (START_US - 1, 9.0, 9.0)]
    made = minute_track("x", START_US, 6, fixes)
    alone = minute_track("x", START_US, 1, fixes[1:2])
    assert (made.place_m[:, :HOLD_MIN] == alone.place_m).all()
    assert np.isnan(made.place_m[:, HOLD_MIN:]).all()
