from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.engine import Engine, Rules, warm_up
from geofence.levels import Level, Transition
from geofence.plan import Plan, ZoneKind, Zones
from geofence.snapshot import SnapshotError
from tests.geofence.plans import (
    NOW_US,
    Fix,
    S,
    circle_zone,
    make_pairs,
    pair_plan,
    send,
    square_zones,
    town_plan,
    zone_plan,
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


def comparable(transitions: Iterable[Transition]) -> list[str]:
    """NaN is not equal to itself; its text is."""
    return [repr(transition) for transition in transitions]


def levels(transitions: Sequence[Transition]) -> list[str]:
    return [transition.level.label for transition in transitions]


# Invariants


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


# Pairs


def approach(
    engine: Engine, distances_m: Iterable[float], start_us: int, step_s: float = 1.0
) -> list[Transition]:
    """Both devices report every second; the tag is at the distances, one after another."""
    transitions = []
    for step, east_m in enumerate(distances_m):
        now_us = start_us + round(step * step_s * S)
        fixes = Fix(1, now_us, 0.0), Fix(0, now_us, east_m)
        transitions += send(engine, *fixes, now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    return transitions


def test_an_encounter_is_one_episode_that_rises_and_falls() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    there = np.arange(1500.0, 0.0, -10.0)
    transitions = approach(engine, [*there, *there[::-1]], NOW_US)
    assert levels(transitions) == ["pre_alert", "alert", "contact", "alert", "pre_alert", "clear"]
    assert len({t.onset_us for t in transitions}) == 1
    assert transitions[0].onset_us == transitions[0].fix_time_a_us
    assert transitions[0].distance_m == pytest.approx(1000.0, abs=10.0)
    assert transitions[-1].distance_m > 1100.0
    for t in transitions:
        assert t.distance_low_m < t.distance_m < t.distance_high_m
        assert 0.0 <= t.probability <= 1.0


def test_walking_along_a_ring_is_one_episode() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    rng = np.random.default_rng(4)
    transitions = approach(engine, rng.normal(1000.0, 30.0, 1800), NOW_US)
    assert levels(transitions) == ["pre_alert"]


def test_a_single_stray_fix_does_not_clear() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    distances_m = [300.0] * 5 + [9000.0] + [300.0] * 30
    assert levels(approach(engine, distances_m, NOW_US)) == ["alert"]


def test_clearing_completes_in_a_sweep() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    assert levels(approach(engine, [300.0, 3000.0], NOW_US)) == ["alert"]
    calm_us = NOW_US + S
    assert engine.sweep(calm_us + 9 * S) == []
    (transition,) = engine.sweep(calm_us + 10 * S)
    assert transition.level == Level.CLEAR
    assert transition.swept
    assert transition.onset_us == NOW_US


def test_a_flushed_buffer_is_judged_by_its_fix_times() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    send(engine, Fix(1, NOW_US + 80 * S, 0.0), now_us=NOW_US + 80 * S)
    buffered = [Fix(0, NOW_US + s * S, 100.0 + 30.0 * s) for s in range(80)]
    update = send(engine, *buffered, now_us=NOW_US + 80 * S)
    assert levels(update.transitions) == ["alert", "pre_alert", "clear"]
    assert update.transitions[0].onset_us == NOW_US


def test_old_fixes_raise_nothing_live() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    now_us = NOW_US + 3600 * S
    send(engine, Fix(1, now_us, 0.0), now_us=now_us)
    # Near her present place, but an hour ago; by now far away.
    old = [Fix(0, NOW_US + 10 * s * S, 50.0) for s in range(60)]
    assert send(engine, *old, Fix(0, now_us, 9000.0), now_us=now_us).transitions == []
    assert engine.sweep(now_us) == []


def test_a_late_fix_raises_nothing() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [3000.0] * 3, NOW_US)
    assert send(engine, Fix(0, NOW_US + S, 10.0), now_us=NOW_US + 2 * S).transitions == []
    assert engine.picture().watches.distance_m[0] == pytest.approx(3000.0, rel=0.01)


def test_onsets_grow_even_when_a_delayed_fix_begins_an_episode() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    send(engine, Fix(1, NOW_US - 100 * S, 0.0), now_us=NOW_US)
    (first,) = send(engine, Fix(0, NOW_US, 100.0), now_us=NOW_US).transitions
    for second in range(1, 13):
        now_us = NOW_US + second * S
        send(engine, Fix(0, now_us, 3000.0), now_us=now_us)
    assert engine.picture().watches.level.tolist() == [Level.CLEAR]
    delayed = Fix(1, NOW_US - 50 * S, 2900.0)
    (second_alert,) = send(engine, delayed, now_us=NOW_US + 13 * S).transitions
    assert second_alert.onset_us == first.onset_us + 1


# Unknown


def test_silence_near_her_is_unknown_and_far_from_her_is_not() -> None:
    for east_m, expected in ((2000.0, ["unknown"]), (60_000.0, [])):
        engine = Engine(pair_plan(), now_us=NOW_US)
        approach(engine, [east_m], NOW_US)
        assert engine.sweep(NOW_US + 120 * S) == []
        assert levels(engine.sweep(NOW_US + 121 * S)) == expected


def test_what_is_far_becomes_unknown_when_it_can_have_come_near() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [10_000.0], NOW_US)
    # 9.5 km less the errors, at 28 m/s between two who move towards each other.
    reach_us = NOW_US + round((9500 - 2 * 4.68) / 28.0 * S)
    assert engine.sweep(reach_us - S) == []
    (transition,) = engine.sweep(reach_us + 100 * S)
    assert transition.level == Level.UNKNOWN
    assert transition.onset_us == pytest.approx(reach_us, abs=S)


def test_fresh_fixes_end_unknown() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [2000.0], NOW_US)
    assert levels(engine.sweep(NOW_US + 200 * S)) == ["unknown"]
    assert approach(engine, [2000.0], NOW_US + 300 * S)[0].level == Level.CLEAR
    assert levels(engine.sweep(NOW_US + 600 * S)) == ["unknown"]
    assert levels(approach(engine, [400.0], NOW_US + 700 * S)) == ["alert"]


def test_an_episode_survives_silence() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    transitions = approach(engine, [400.0], NOW_US)
    transitions += engine.sweep(NOW_US + 200 * S)
    transitions += approach(engine, [400.0], NOW_US + 300 * S)
    assert levels(transitions) == ["alert", "unknown", "alert"]
    assert {t.onset_us for t in transitions} == {NOW_US}


def test_coming_out_of_a_tunnel_far_away_alarms_nobody() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    transitions = approach(engine, [400.0], NOW_US)
    transitions += engine.sweep(NOW_US + 200 * S)
    transitions += approach(engine, [4000.0] * 15, NOW_US + 300 * S)
    assert levels(transitions) == ["alert", "unknown", "clear"]


def test_one_party_never_heard_is_unknown() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    send(engine, Fix(0, NOW_US, 0.0), now_us=NOW_US)
    assert engine.sweep(NOW_US + 119 * S) == []
    (transition,) = engine.sweep(NOW_US + 125 * S)
    assert transition.level == Level.UNKNOWN
    assert math.isnan(transition.distance_m)
    assert transition.onset_us == NOW_US + 120 * S
    assert transition.fix_time_b_us == -1


def test_nobody_ever_heard_stays_clear_at_no_distance() -> None:
    engine = Engine(town_plan(), now_us=NOW_US)
    assert engine.sweep(NOW_US + 10**6 * S) == []
    picture = engine.picture().watches
    assert picture.level.tolist() == [Level.CLEAR] * 6
    assert np.isnan(picture.distance_m).all()


def test_a_restart_accuses_nobody_at_once() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [1500.0], NOW_US)
    later_us = NOW_US + 3600 * S
    again = Engine.restore(engine.snapshot(), pair_plan(), now_us=later_us)
    again.listen_from(later_us)
    assert again.sweep(later_us + 119 * S) == []
    assert levels(again.sweep(later_us + 121 * S)) == ["unknown"]


def test_too_coarse_to_tell_is_unknown() -> None:
    engine = Engine(pair_plan(alert_m=100.0, pre_alert_m=100.0), now_us=NOW_US)
    send(engine, Fix(1, NOW_US, 0.0, accuracy_m=150.0), now_us=NOW_US)
    update = send(engine, Fix(0, NOW_US, 20.0, accuracy_m=150.0), now_us=NOW_US)
    assert levels(update.transitions) == ["unknown"]
    assert update.transitions[0].probability < 0.5


def test_fixes_too_coarse_to_tell_leave_an_alert_alone() -> None:
    engine = Engine(pair_plan(100.0, 100.0, contact_m=0.0), now_us=NOW_US)
    approach(engine, [20.0], NOW_US)
    now_us = NOW_US + 60 * S
    for track in (0, 1):
        fix = Fix(track, now_us, 50.0 * track, accuracy_m=300.0)
        assert send(engine, fix, now_us=now_us).transitions == []
    assert engine.picture().watches.level.tolist() == [Level.ALERT]


def test_a_coarse_fix_does_not_clear() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [400.0], NOW_US)
    # Likely a kilometre away, but well able to be within the ring.
    for second in range(70, 110):
        now_us = NOW_US + second * S
        fixes = Fix(1, now_us, 0.0), Fix(0, now_us, 1600.0, accuracy_m=1000.0)
        assert send(engine, *fixes, now_us=now_us).transitions == []


# Zones


def walk(engine: Engine, east_m: Iterable[float], start_us: int = NOW_US) -> list[Transition]:
    transitions = []
    for second, east in enumerate(east_m):
        now_us = start_us + second * S
        transitions += send(engine, Fix(0, now_us, east), now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    return transitions


def test_an_exclusion_zone_is_entered_and_left() -> None:
    engine = Engine(zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0))), now_us=NOW_US)
    way = np.arange(600.0, 100.0, -5.0)
    transitions = walk(engine, [*way, *way[::-1]])
    assert levels(transitions) == ["pre_alert", "alert", "pre_alert", "clear"]
    assert transitions[0].distance_m == pytest.approx(100.0, abs=6.0)
    assert transitions[1].distance_m == pytest.approx(0.0, abs=6.0)
    assert transitions[1].distance_m <= 0.0 < transitions[1].distance_high_m
    assert {t.fix_time_b_us for t in transitions} == {-1}
    assert len({t.onset_us for t in transitions}) == 1


def test_an_inclusion_zone_is_left_and_entered() -> None:
    engine = Engine(zone_plan(square_zones(("h", ZoneKind.INCLUSION, 0))), now_us=NOW_US)
    way = np.arange(0.0, 400.0, 5.0)
    transitions = walk(engine, [*way, *way[::-1]])
    assert levels(transitions) == ["pre_alert", "alert", "pre_alert", "clear"]
    assert transitions[0].distance_m == pytest.approx(-100.0, abs=6.0)
    assert transitions[1].distance_m >= 0.0


def test_a_circle_is_a_zone() -> None:
    engine = Engine(zone_plan(circle_zone("o", ZoneKind.EXCLUSION, radius_m=250.0)), now_us=NOW_US)
    transitions = walk(engine, np.arange(400.0, 200.0, -5.0))
    assert levels(transitions) == ["alert"]
    assert transitions[0].distance_m == pytest.approx(0.0, abs=6.0)
    assert engine.picture().watches.distance_m[0] == pytest.approx(205.0 - 250.0, abs=1.0)


def test_a_gap_at_home_is_not_an_escape() -> None:
    engine = Engine(zone_plan(square_zones(("h", ZoneKind.INCLUSION, 0))), now_us=NOW_US)
    walk(engine, [0.0])
    assert engine.sweep(NOW_US + 899 * S) == []
    assert levels(engine.sweep(NOW_US + 901 * S)) == ["unknown"]


# Plans


def test_a_zone_that_begins_round_somebody_is_breached_at_once() -> None:
    engine = Engine(zone_plan(Zones.none()), now_us=NOW_US)
    walk(engine, [0.0])
    plan = zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0)))
    (transition,) = engine.swap(plan, now_us=NOW_US + 30 * S)
    assert transition.level == Level.ALERT
    assert transition.onset_us == NOW_US + 30 * S
    assert transition.fix_time_a_us == NOW_US


def test_a_watch_that_ends_is_closed_and_counts_on_when_it_is_back() -> None:
    zones = square_zones(("x", ZoneKind.EXCLUSION, 0))
    engine = Engine(zone_plan(zones), now_us=NOW_US)
    (raised,) = walk(engine, [0.0])
    (closed,) = engine.swap(zone_plan(Zones.none()), now_us=NOW_US + S)
    assert (closed.watch, closed.number) == ("x", 2)
    assert (closed.previous, closed.level) == (Level.ALERT, Level.CLEAR)
    assert closed.onset_us == raised.onset_us
    restored = Engine.restore(engine.snapshot(), zone_plan(Zones.none()), now_us=NOW_US + S)
    for one in (engine, restored):
        (again,) = one.swap(zone_plan(zones), now_us=NOW_US + 2 * S)
        assert again.number == 3
        assert again.onset_us > raised.onset_us


def test_restoring_under_another_plan_decides_nothing() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    (raised,) = approach(engine, [100.0], NOW_US)
    without = Engine.restore(engine.snapshot(), Plan("other", ("phone", "tag")), now_us=NOW_US + S)
    assert without.sweep(NOW_US + S) == []
    # When the pair is back it starts clear, and neither its count nor its onset comes twice.
    (again,) = without.swap(pair_plan(), now_us=NOW_US + 2 * S)
    assert (again.previous, again.number) == (Level.CLEAR, raised.number + 1)
    assert again.onset_us > raised.onset_us


def test_a_zone_that_is_new_at_a_restart_counts_from_the_next_fix() -> None:
    engine = Engine(zone_plan(Zones.none()), now_us=NOW_US)
    walk(engine, [0.0])
    plan = zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0)))
    again = Engine.restore(engine.snapshot(), plan, now_us=NOW_US + S)
    assert again.picture().watches.distance_m[0] == pytest.approx(-300.0, rel=0.01)
    assert again.sweep(NOW_US + S) == []
    assert levels(walk(again, [0.0], NOW_US + 2 * S)) == ["alert"]


def test_changed_radii_keep_the_level_and_are_looked_at() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [700.0], NOW_US)
    (transition,) = engine.swap(pair_plan(alert_m=800.0), now_us=NOW_US + S)
    assert (transition.previous, transition.level) == (Level.PRE_ALERT, Level.ALERT)
    # Narrowed again, it falls as always: after the dwell.
    assert engine.swap(pair_plan(), now_us=NOW_US + 2 * S) == []
    assert levels(engine.sweep(NOW_US + 12 * S)) == ["pre_alert"]


def test_a_plan_that_contradicts_itself_is_refused_and_the_old_one_stays() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    twice = Plan("twice", ("a", "b"), make_pairs(("k", 0, 1), ("k", 1, 0)))
    nowhere = Plan("nowhere", ("a",), make_pairs(("k", 0, 1)))
    itself = Plan("itself", ("a",), make_pairs(("k", 0, 0)))
    for plan, message in ((twice, "twice"), (nowhere, "does not have"), (itself, "itself")):
        with pytest.raises(ValueError, match=message):
            engine.swap(plan, now_us=NOW_US)
    assert engine.plan.version == "pair"
    assert levels(approach(engine, [100.0], NOW_US)) == ["alert"]


def test_more_changes_than_the_buffer_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geofence.engine.CHANGE_BUFFER", 1)
    small = Engine(town_plan(), now_us=NOW_US)
    monkeypatch.undo()
    large = Engine(town_plan(), now_us=NOW_US)
    fixes = [Fix(track, NOW_US, 10.0 * track) for track in range(4)]
    found = send(small, *fixes, now_us=NOW_US).transitions
    assert comparable(found) == comparable(send(large, *fixes, now_us=NOW_US).transitions)
    assert len(found) == 5
    later_us = NOW_US + 1000 * S
    assert comparable(small.sweep(later_us)) == comparable(large.sweep(later_us))


# Snapshots and rules


def test_damaged_snapshots_are_refused() -> None:
    data = Engine(pair_plan(), now_us=NOW_US).snapshot()
    for bad in (b"", b"XXX" + data[3:], data[:-7], data.replace(b"listening", b"lastening")):
        with pytest.raises(SnapshotError):
            Engine.restore(bad, pair_plan(), now_us=NOW_US)


def test_rules_have_a_version_of_their_own() -> None:
    assert Rules().version == Rules().version
    assert Rules(clear_dwell_s=11).version != Rules().version
    assert Rules(clear_dwell_s=10).version == Rules(clear_dwell_s=10.0).version


@pytest.mark.parametrize(
    "wrong",
    [
        {"enter_probability": 0.05},
        {"clear_factor": 0.9},
        {"accuracy_floor_m": 0.0},
        {"plausible_mps": 0.0},
        {"stale_after_s": 1000.0},
        {"clear_dwell_s": -1.0},
        {"plausible_mps": math.nan},
        {"clear_dwell_s": math.nan},
    ],
)
def test_rules_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"need|must|may|would"):
        Rules(**wrong)


def test_columns_of_different_length_are_refused() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    with pytest.raises(ValueError, match="one length"):
        engine.update(one, two, one, one, one, now_us=NOW_US)


def test_warm_up_leaves_nothing_to_compile() -> None:
    assert warm_up() >= 0.0
    assert warm_up() < 1.0
