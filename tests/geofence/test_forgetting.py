"""Places of some times are let go of, to the last byte; what is left decides as before."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.distance import to_cartesian_m
from geofence.engine import Engine
from geofence.forgetting import held, let_go, without_measures
from geofence.levels import UNKNOWN_TIME_US
from geofence.snapshot import decode_snapshot
from tests.geofence.plans import NOW_US, Fix, S, comparable, send, town_plan

STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),  # track
        st.sampled_from([1, 10, 60, 900, 30_000]),  # seconds later
        st.sampled_from([0, 0, 0, 45]),  # sent so late
        st.sampled_from([0, 5, 700, 4_000, 90_000]),  # metres east: some cannot be reached
        st.sampled_from([0, 350]),  # metres north
    ),
    min_size=1,
    max_size=30,
)


def fixes(steps: list[tuple[int, int, int, int, int]]) -> list[tuple[Fix, int]]:
    """Fixes, each at a place of its own, and when they were received."""
    now_us, made = NOW_US, []
    for number, (track, after_s, late_s, east_m, north_m) in enumerate(steps):
        now_us += after_s * S
        place = (east_m + 0.1 * number, north_m + 0.3 * number)
        made.append((Fix(track, now_us - late_s * S, *place), now_us))
    return made


def engine_of(made: list[tuple[Fix, int]]) -> Engine:
    engine = Engine(town_plan(), now_us=NOW_US)
    for fix, now_us in made:
        send(engine, fix, now_us=now_us)
    return engine


def traces(fix: Fix) -> Iterator[bytes]:
    """A fix's place in the forms in which a state could hold it."""
    _, _, lat_e7, lon_e7, _ = fix.row()
    yield struct.pack("<qq", lat_e7, lon_e7)
    yield struct.pack("<3d", *to_cartesian_m(lat_e7 / 1e7, lon_e7 / 1e7))


@given(STEPS, st.integers(0, 29), st.integers(0, 29))
def test_no_byte_is_left_of_places_that_are_let_go_of(
    steps: list[tuple[int, int, int, int, int]], first: int, count: int
) -> None:
    made = fixes(steps)
    name = town_plan().tracks[made[0][0].track]
    times = sorted(fix.time_us for fix, _ in made)
    window = (times[min(first, len(times) - 1)], times[min(first + count, len(times) - 1)] + 1)
    before = engine_of(made).snapshot()
    now_us = made[-1][1]
    after, names = let_go(before, {name: [window]}, now_us)
    assert names == held(decode_snapshot(before), {name: [window]}) <= {name}
    assert held(decode_snapshot(after), {name: [window]}) == set()
    assert let_go(after, {name: [window]}, now_us) == (after, set())
    assert (after == before) == (not names)
    bare = without_measures(after)
    others = {trace for fix, _ in made if window[0] > fix.time_us or fix.time_us >= window[1]
              for trace in traces(fix)}  # fmt: skip
    for fix, _ in made:
        erased = town_plan().tracks[fix.track] == name and window[0] <= fix.time_us < window[1]
        assert not erased or not any(one in bare for one in set(traces(fix)) - others)
    engine = Engine.restore(bare, town_plan(), now_us=now_us)
    engine.sweep(now_us + S)
    send(engine, Fix(made[0][0].track, now_us + 2 * S, 5_000.0), now_us=now_us + 2 * S)


@given(STEPS, STEPS)
def test_a_state_without_measures_decides_the_same(
    steps: list[tuple[int, int, int, int, int]], more: list[tuple[int, int, int, int, int]]
) -> None:
    made = fixes([*steps, *more])
    state = engine_of(made[: len(steps)]).snapshot()
    now_us = made[len(steps) - 1][1]
    decided = []
    for data in (state, without_measures(state)):
        engine = Engine.restore(data, town_plan(), now_us=now_us)
        found = engine.sweep(now_us)
        for fix, at_us in made[len(steps) :]:
            found += send(engine, fix, now_us=at_us).transitions
            found += engine.sweep(at_us + S)
        decided.append((comparable(found), [str(one) for one in engine.anomalies(now_us)]))
    assert decided[0] == decided[1]


def test_a_device_whose_newest_place_goes_has_none_until_its_next_fix() -> None:
    made = [(Fix(0, NOW_US, 0.0), NOW_US), (Fix(2, NOW_US, 100.0), NOW_US)]
    engine = engine_of(made)
    level = engine.picture().watches.level[0]
    state, _ = let_go(engine.snapshot(), {"tag1": [(NOW_US, NOW_US + 1)]}, NOW_US + S)
    engine = Engine.restore(state, town_plan(), now_us=NOW_US + S)
    picture = engine.picture()
    assert picture.tracks.time_us.tolist()[0] == UNKNOWN_TIME_US
    assert picture.watches.level[0] == level, "who may be near is not taken for far"
    assert picture.tracks.time_us.tolist()[2] == NOW_US
    send(engine, Fix(0, NOW_US + 2 * S, 10.0), now_us=NOW_US + 2 * S)
    assert engine.picture().tracks.time_us.tolist()[0] == NOW_US + 2 * S


@pytest.mark.parametrize("window", [(0, 1), (NOW_US + S, NOW_US + 2 * S)])
def test_other_times_are_left_alone(window: tuple[int, int]) -> None:
    state = engine_of([(Fix(0, NOW_US, 0.0), NOW_US)]).snapshot()
    assert let_go(state, {"tag1": [window], "nobody": [(0, 2**62)]}, NOW_US) == (state, set())
