"""Plans that come and go: swaps, restarts under another plan, damaged snapshots."""

from __future__ import annotations

import pytest

from geofence.engine import Engine
from geofence.levels import Level
from geofence.plan import Plan, ZoneKind, Zones
from geofence.snapshot import SnapshotError
from tests.geofence.plans import (
    NOW_US,
    S,
    approach,
    levels,
    make_pairs,
    pair_plan,
    square_zones,
    walk,
    zone_plan,
)


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


def test_a_zone_that_is_new_at_a_restart_counts_from_the_next_sweep() -> None:
    engine = Engine(zone_plan(Zones.none()), now_us=NOW_US)
    walk(engine, [0.0])
    plan = zone_plan(square_zones(("x", ZoneKind.EXCLUSION, 0)))
    again = Engine.restore(engine.snapshot(), plan, now_us=NOW_US + S)
    assert again.picture().watches.distance_m[0] == pytest.approx(-300.0, rel=0.01)
    assert again.picture().watches.level.tolist() == [Level.CLEAR]
    assert levels(again.sweep(NOW_US + S)) == ["alert"]


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


def test_damaged_snapshots_are_refused() -> None:
    data = Engine(pair_plan(), now_us=NOW_US).snapshot()
    for bad in (b"", b"XXX" + data[3:], data[:-7], data.replace(b"listening", b"lastening")):
        with pytest.raises(SnapshotError):
            Engine.restore(bad, pair_plan(), now_us=NOW_US)
