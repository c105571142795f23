"""Silence and coarse fixes: when the engine does not know, and what it does then."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geofence.engine import Engine
from geofence.levels import Level
from tests.geofence.plans import (
    NOW_US,
    Fix,
    S,
    approach,
    levels,
    pair_plan,
    send,
    town_plan,
)


def test_silence_near_her_is_unknown_and_far_from_her_is_not() -> None:
    for east_m, expected in ((2000.0, ["unknown"]), (60_000.0, [])):
        engine = Engine(pair_plan(), now_us=NOW_US)
        approach(engine, [east_m], NOW_US)
        assert engine.sweep(NOW_US + 120 * S) == []
        assert levels(engine.sweep(NOW_US + 121 * S)) == expected


def test_what_is_far_becomes_unknown_when_it_can_have_come_near() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    approach(engine, [10_000.0], NOW_US)
    watches = engine.picture().watches
    sigma_m = (watches.distance_high_m[0] - watches.distance_m[0]) / 1.96
    # Towards each other at 7 m/s each, as seen on foot; after three minutes at 14 m/s, by car.
    left_m = watches.distance_m[0] - 500.0 - 2 * sigma_m - 180 * 2 * 7.0
    reach_us = NOW_US + round((180 + left_m / 28.0) * S)
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
