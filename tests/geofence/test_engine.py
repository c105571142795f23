"""The engine on pairs and zones, from fix to transition, and the rules it goes by."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geofence.engine import Engine, Rules, warm_up
from geofence.levels import Level
from geofence.plan import ZoneKind
from tests.geofence.plans import (
    NOW_US,
    Fix,
    S,
    approach,
    circle_zone,
    comparable,
    levels,
    pair_plan,
    send,
    square_zones,
    town_plan,
    walk,
    zone_plan,
)

# Pairs


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


# Zones


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


# Rules and limits


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
