"""What holds for the engine whatever is fed to it, in whatever portions and order."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.levels import Level, Transition
from geofence.plan import Plan
from tests.geofence.plans import (
    NOW_US,
    Fix,
    S,
    comparable,
    make_pairs,
    send,
    town_plan,
)

STEP_S = st.sampled_from([0, 1, 3, 8, 11, 40, 130])
PLACE_M = st.sampled_from(
    [-1200.0, -450.0, -320.0, -20.0, 10.0, 280.0, 350.0, 520.0, 980.0, 2600.0]
)
FIX = st.tuples(
    st.integers(-1, 3),
    st.sampled_from([0, 0, 0, 1, 5, 30, 119, 200]),
    PLACE_M,
    PLACE_M,
    st.sampled_from([None, 3.0, 8.0, 60.0, 400.0]),
)
ROUND = st.tuples(STEP_S, st.booleans(), st.lists(FIX, max_size=6))
ROUNDS = st.lists(ROUND, min_size=1, max_size=20)
Round = tuple[int, bool, list[tuple[int, int, float, float, float | None]]]


def play(engine: Engine, rounds: Iterable[Round], now_us: int) -> tuple[list[Transition], int]:
    """Drive an engine through rounds of fixes and sweeps."""
    transitions: list[Transition] = []
    for step_s, swept, fixes in rounds:
        now_us += step_s * S
        batch = [Fix(who, now_us - lag * S, e, n, acc) for who, lag, e, n, acc in fixes]
        transitions += send(engine, *batch, now_us=now_us).transitions
        if swept:
            transitions += engine.sweep(now_us)
    return transitions, now_us


@given(ROUNDS)
def test_levels_change_only_by_transitions(rounds: list[Round]) -> None:
    engine = Engine(town_plan(), now_us=NOW_US)
    shown = dict.fromkeys(engine.plan.watch_keys, Level.CLEAR)
    numbers: dict[str, int] = defaultdict(int)
    onsets: dict[str, int] = {}
    now_us = NOW_US
    for one in rounds:
        transitions, now_us = play(engine, [one], now_us)
        for t in transitions:
            assert t.previous == shown[t.watch] != t.level
            assert t.number == numbers[t.watch] + 1
            if t.previous == Level.CLEAR:
                assert t.onset_us > onsets.get(t.watch, -1)
            else:
                assert t.onset_us == onsets[t.watch]
            shown[t.watch], numbers[t.watch], onsets[t.watch] = t.level, t.number, t.onset_us
        picture = engine.picture().watches
        assert picture.level.tolist() == list(shown.values())
        for key, level, onset_us in zip(
            shown, picture.level.tolist(), picture.onset_us.tolist(), strict=True
        ):
            assert onset_us == (-1 if level == Level.CLEAR else onsets[key])


@given(ROUNDS, st.lists(st.integers(1, 4), min_size=1))
def test_splitting_a_batch_changes_nothing(rounds: list[Round], sizes: list[int]) -> None:
    whole, split = (Engine(town_plan(), now_us=NOW_US) for _ in range(2))
    now_us = NOW_US
    for step_s, swept, fixes in rounds:
        now_us += step_s * S
        batch = [Fix(who, now_us - lag * S, e, n, acc) for who, lag, e, n, acc in fixes]
        at_once = send(whole, *batch, now_us=now_us)
        transitions, marks, rest = [], [], batch
        for size in itertools.cycle(sizes):
            part = send(split, *rest[:size], now_us=now_us)
            rest = rest[size:]
            transitions += part.transitions
            marks += part.marks.tolist()
            if not rest:
                break
        assert comparable(transitions) == comparable(at_once.transitions)
        assert marks == at_once.marks.tolist()
        if swept:
            assert comparable(whole.sweep(now_us)) == comparable(split.sweep(now_us))
    assert whole.snapshot() == split.snapshot()


@given(ROUNDS, ROUNDS)
def test_a_restored_engine_goes_on_as_if_nothing_had_been(
    before: list[Round], after: list[Round]
) -> None:
    engine = Engine(town_plan(), now_us=NOW_US)
    _, now_us = play(engine, before, NOW_US)
    # However much later: what is fed to it are the instants of then.
    again = Engine.restore(engine.snapshot(), town_plan(), now_us=now_us + 500 * S)
    assert again.snapshot() == engine.snapshot()
    assert comparable(play(again, after, now_us)[0]) == comparable(play(engine, after, now_us)[0])
    assert again.snapshot() == engine.snapshot()


@given(ROUNDS)
def test_swapping_in_the_same_plan_does_nothing(rounds: list[Round]) -> None:
    engine = Engine(town_plan(), now_us=NOW_US)
    _, now_us = play(engine, rounds, NOW_US)
    engine.sweep(now_us)
    before = engine.snapshot()
    assert engine.swap(town_plan(), now_us=now_us) == []
    assert engine.snapshot() == before
    assert engine.sweep(now_us) == []


@given(ROUNDS, st.permutations(range(4)), st.permutations(range(3)))
def test_order_in_the_plan_does_not_matter(
    rounds: list[Round], track_order: list[int], pair_order: list[int]
) -> None:
    plan = town_plan()
    other = Plan(
        "shuffled",
        tuple(plan.tracks[i] for i in track_order),
        make_pairs(
            *(
                (
                    plan.pairs.keys[p],
                    track_order.index(int(plan.pairs.a[p])),
                    track_order.index(int(plan.pairs.b[p])),
                )
                for p in pair_order
            )
        ),
        replace(plan.zones, track=np.array([track_order.index(int(t)) for t in plan.zones.track])),
    )
    moved = [
        (step, swept, [(track_order.index(f[0]) if f[0] >= 0 else -1, *f[1:]) for f in fixes])
        for step, swept, fixes in rounds
    ]
    found, _ = play(Engine(plan, now_us=NOW_US), rounds, NOW_US)
    shuffled, _ = play(Engine(other, now_us=NOW_US), moved, NOW_US)
    assert sorted(comparable(shuffled)) == sorted(comparable(found))


@settings(max_examples=30)
@given(ROUNDS, ROUNDS)
def test_swapping_keeps_what_is_known_by_name(before: list[Round], after: list[Round]) -> None:
    """Devices and watches that come in between, elsewhere in the arrays, disturb nobody."""
    plan = town_plan()
    wider = Plan(
        "wider",
        ("new", *plan.tracks),
        make_pairs(("n", 0, 3), ("a", 1, 3), ("b", 2, 3), ("c", 1, 4)),
        replace(plan.zones, track=plan.zones.track + 1),
    )
    steady, swapped = (Engine(plan, now_us=NOW_US) for _ in range(2))
    _, now_us = play(steady, before, NOW_US)
    play(swapped, before, NOW_US)
    steady.sweep(now_us)
    swapped.sweep(now_us)
    assert swapped.swap(wider, now_us=now_us) == []
    moved = [
        (step, swept, [(f[0] + 1 if f[0] >= 0 else -1, *f[1:]) for f in fixes])
        for step, swept, fixes in after
    ]
    expected, _ = play(steady, after, now_us)
    found, _ = play(swapped, moved, now_us)
    assert comparable(t for t in found if t.watch != "n") == comparable(expected)
