"""The engine on pairs and zones, from fix to transition, and the rules it goes by."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from geofence.engine import Engine, Rules, warm_up
from geofence.levels import Cause, Level
from geofence.plan import ZoneKind
from geofence.sensitivity import Sensitivity
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
    assert transitions[0].onset_us in {transitions[0].fix_time_a_us, transitions[0].decided_at_us}
    assert transitions[0].distance_m == pytest.approx(1000.0, abs=25.0)
    assert [t.cause for t in transitions] == [Cause.POSITION] * 3 + [Cause.CALM] * 3
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
    leaving_m = np.arange(700.0, 1300.0, 20.0)
    assert levels(approach(engine, leaving_m, NOW_US)) == ["pre_alert"]
    last_us = NOW_US + (len(leaving_m) - 1) * S
    found = [t for second in range(1, 11) for t in engine.sweep(last_us + second * S)]
    (transition,) = found
    assert transition.level == Level.CLEAR
    assert transition.cause == Cause.CALM
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
    for second in range(1, 20):
        now_us = NOW_US + second * S
        send(engine, Fix(0, now_us, 3000.0), now_us=now_us)
    assert engine.picture().watches.level.tolist() == [Level.CLEAR]
    # Three that explain each other: she is believed to be there.
    delayed = [Fix(1, NOW_US - s * S, 2900.0) for s in (52, 51, 50)]
    (second_alert,) = send(engine, *delayed, now_us=NOW_US + 20 * S).transitions
    assert second_alert.onset_us == first.onset_us + 1


# Zones


def test_an_exclusion_zone_is_entered_and_left() -> None:
    engine = Engine(zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0))), now_us=NOW_US)
    way = np.arange(600.0, 100.0, -5.0)
    transitions = walk(engine, [*way, *way[::-1]])
    assert levels(transitions) == ["pre_alert", "alert", "pre_alert", "clear"]
    assert transitions[0].distance_m == pytest.approx(100.0, abs=6.0)
    # At 5 m/s, a few metres go by until it is known to last.
    assert -15.0 < transitions[1].distance_m <= 0.0
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
    assert -15.0 < transitions[0].distance_m <= 0.0
    assert engine.picture().watches.distance_m[0] == pytest.approx(205.0 - 250.0, abs=1.0)


def test_a_gap_at_home_is_not_an_escape() -> None:
    engine = Engine(zone_plan(square_zones(("h", ZoneKind.INCLUSION, 0))), now_us=NOW_US)
    walk(engine, [0.0])
    assert engine.sweep(NOW_US + 899 * S) == []
    assert levels(engine.sweep(NOW_US + 901 * S)) == ["unknown"]


# Rules


def test_rules_have_a_version_of_their_own() -> None:
    assert Rules().version == Rules().version
    assert Rules(boarding_s=11).version != Rules().version
    assert Rules(push=(0.005, 0.7, 4.0)).version != Rules().version
    assert Rules(boarding_s=180).version == Rules(boarding_s=180.0).version


@pytest.mark.parametrize(
    "wrong",
    [
        {"accuracy_floor_m": 0.0},
        {"reach_least_mps": 0.0},
        {"reach_most_mps": 1.0},
        {"noise_memory": 1.0},
        {"wild_share": 0.9},
        {"tail_share": 0.0},
        {"push": (0.0, 1.0, 1.0)},
        {"memory_s": (1.0, math.nan, 1.0)},
        {"boarding_s": -1.0},
        {"drift_share": math.nan},
    ],
)
def test_rules_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"need|must|may|would"):
        Rules(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"enter_probability": 0.05},
        {"sparse_probability": 0.6},
        {"clear_probability": 0.4},
        {"clear_factor": 0.9},
        {"stale_after_s": 1000.0},
        {"clear_dwell_s": -1.0},
        {"clear_dwell_s": math.nan},
        {"warn_ahead_s": math.inf},
    ],
)
def test_a_sensitivity_that_means_nothing_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"need|must|may|would"):
        Sensitivity(**wrong)


def test_watches_of_one_plan_may_go_by_different_sensitivities() -> None:
    plan = replace(
        town_plan(),
        sensitivities=(Sensitivity(), Sensitivity(clear_dwell_s=60.0)),
        sensitivity=np.array([0, 0, 1, 0, 0, 0]),
    )
    engine = Engine(plan, now_us=NOW_US)
    send(engine, *(Fix(track, NOW_US, 700.0 * (track > 1)) for track in range(4)), now_us=NOW_US)
    cleared = {}
    for second in range(1, 120):
        now_us = NOW_US + second * S
        fixes = [Fix(track, now_us, 700.0 + 20.0 * second) for track in (2, 3)]
        found = send(engine, *fixes, Fix(0, now_us, 0.0), Fix(1, now_us, 0.0), now_us=now_us)
        for t in [*found.transitions, *engine.sweep(now_us)]:
            if t.level == Level.CLEAR:
                cleared[t.watch] = second
    assert cleared["a"] == cleared["b"]
    assert cleared["c"] == cleared["a"] + 50


@pytest.mark.parametrize("sensitivity", [[0], [0] * 7, [0, 0, 1, 0, 0, 0], [-1, 0, 0, 0, 0, 0]])
def test_a_watch_without_a_sensitivity_is_refused(sensitivity: list[int]) -> None:
    with pytest.raises(ValueError, match="without a set"):
        Engine(replace(town_plan(), sensitivity=np.array(sensitivity)), now_us=NOW_US)


# Between fixes and ahead


def test_who_drives_towards_her_is_told_before_he_meets_the_outer_ring() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    transitions = approach(engine, np.arange(4000.0, 0.0, -25.0), NOW_US)
    assert levels(transitions) == ["pre_alert", "alert", "contact"]
    first, second, _ = transitions
    assert (first.cause, second.cause) == (Cause.AHEAD, Cause.POSITION)
    assert 1200.0 < first.distance_m < 2000.0
    assert first.probability >= 0.5
    assert first.time_to_contact_s == pytest.approx((first.distance_m - 50.0) / 25.0, rel=0.1)


def test_an_encounter_between_two_fixes_is_found_with_the_second() -> None:
    """He drives past her at 15 m/s; both report once a minute, never within 400 m of each other."""
    engine = Engine(pair_plan(alert_m=100.0, pre_alert_m=200.0), now_us=NOW_US)
    transitions = []
    for minute, east_m in enumerate(np.arange(-3150.0, 3200.0, 900.0)):
        now_us = NOW_US + minute * 60 * S
        fixes = Fix(1, now_us, 0.0), Fix(0, now_us, float(east_m), 20.0)
        transitions += send(engine, *fixes, now_us=now_us).transitions
    passed = [t for t in transitions if t.level in {Level.ALERT, Level.CONTACT}]
    assert passed
    assert passed[0].cause == Cause.PATH
    assert passed[0].closest_m < 100.0
    assert passed[0].fix_time_a_us - 60 * S < passed[0].closest_us < passed[0].fix_time_a_us
    assert abs(passed[0].distance_m) > 400.0


def test_a_zone_crossed_between_two_fixes_is_breached() -> None:
    engine = Engine(zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0))), now_us=NOW_US)
    transitions = []
    for step, east_m in enumerate(np.arange(-2250.0, 2300.0, 900.0)):
        now_us = NOW_US + step * 60 * S
        transitions += send(engine, Fix(0, now_us, float(east_m)), now_us=now_us).transitions
    (breach,) = [t for t in transitions if t.level == Level.ALERT]
    assert breach.cause == Cause.PATH
    assert breach.closest_m < 0.0 < breach.distance_m


def test_a_beacon_is_contact_whatever_the_satellites_say() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [5000.0] * 3, NOW_US)
    at_us = NOW_US + 3 * S
    (raised,) = engine.sight("c1/tag/phone", at_us, now_us=at_us)
    assert (raised.level, raised.cause, raised.probability) == (Level.CONTACT, Cause.BEACON, 1.0)
    assert engine.sight("c1/tag/phone", at_us + S, now_us=at_us + S) == []
    quiet = approach(engine, [5000.0] * 60, at_us + 2 * S)
    assert quiet == []
    found = approach(engine, [5000.0] * 40, at_us + 62 * S)
    assert levels(found)[-1] == "clear"
    assert engine.sight("nobody", at_us, now_us=at_us) == []


def test_a_beacon_that_is_lost_lets_the_satellites_decide() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [5000.0] * 3, NOW_US)
    at_us = NOW_US + 3 * S
    engine.sight("c1/tag/phone", at_us, now_us=at_us)
    at_us += S
    assert engine.sight("c1/tag/phone", at_us, lost=True, now_us=at_us) == []
    assert levels(approach(engine, [5000.0] * 15, at_us + S)) == ["clear"]


# Limits


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
