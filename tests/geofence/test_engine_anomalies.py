"""Anomalies through the engine: beside the levels, over every fix, whatever else became of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.anomalies import Anomaly, Oddity, new_anomalies, note_fix
from geofence.anomaly_changes import AnomalyChange, ended_by
from geofence.distance import to_cartesian_m
from geofence.engine import Engine, Mark, Rules, Update
from geofence.levels import UNKNOWN_TIME_US
from geofence.plan import Companions, Plan
from tests.geofence.plans import NOW_US, Fix, S, make_pairs, pair_plan, send

KM = 1000.0
BLANK_ROW = np.array([[0, NOW_US, 0, 0, 500]], np.int64)


def companion_plan(*order: str) -> Plan:
    """A wearer's tag and the phone he carries, and the handset of her who is protected."""
    tracks = order or ("tag", "his", "hers")
    tag, his, hers = (tracks.index(name) for name in ("tag", "his", "hers"))
    return Plan(
        "companions",
        tracks,
        make_pairs(("c1", tag, hers)),
        companions=Companions(np.array([tag]), np.array([his])),
    )


def feed(engine: Engine, fixes: list[Fix], delay_s: float = 1.0) -> list[AnomalyChange]:
    """Each fix by itself, received `delay_s` after it was made."""
    return [
        change
        for fix in fixes
        for change in send(engine, fix, now_us=fix.time_us + round(delay_s * S)).anomalies
    ]


def frozen(minutes: int, every_s: int = 30, track: int = 0) -> list[Fix]:
    """The same place over and over."""
    return [Fix(track, NOW_US + s * S, 3000.0, 0.0) for s in range(0, minutes * 60, every_s)]


def told(changes: list[AnomalyChange]) -> list[tuple[str, bool]]:
    return [(change.kind.label, change.began) for change in changes]


def test_a_frozen_tag_begins_an_anomaly_and_a_step_ends_it() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    [began] = feed(engine, frozen(40))
    assert (began.track, began.companion, began.number) == ("tag", "", 1)
    assert (began.kind, began.began, began.onset_us) == (Anomaly.FROZEN, True, NOW_US)
    assert began.decided_at_us == NOW_US + 1801 * S
    assert (began.quantity, began.count) == (1800.0, 61)
    assert engine.anomalies(NOW_US)[0].key == began.key == "frozen/tag"
    [ended] = feed(engine, [Fix(0, NOW_US + 2400 * S, 3005.0)])
    assert (ended.began, ended.onset_us, ended.number) == (False, NOW_US, 1)
    assert engine.anomalies(NOW_US) == []


@pytest.mark.parametrize(("lat_e7", "lon_e7"), [(0, 0), (5, -7), (900_000_000, 123)])
def test_a_blank_position_moves_nobody(lat_e7: int, lon_e7: int) -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    send(engine, Fix(0, NOW_US, 0.0), now_us=NOW_US)
    before = engine.picture().tracks
    row = [[0], [NOW_US + S], [lat_e7], [lon_e7], [500]]
    update = engine.update(*np.array(row, np.int64), now_us=NOW_US + S)
    assert update.marks.tolist() == [Mark.BLANK]
    assert update.oddities.tolist() == [Oddity.BLANK]
    after = engine.picture().tracks
    assert after.time_us.tolist() == before.time_us.tolist()
    assert after.lat_deg[0] == before.lat_deg[0]
    later = send(engine, Fix(0, NOW_US + 2 * S, 1.0), now_us=NOW_US + 2 * S)
    assert (later.marks.tolist(), later.oddities.tolist()) == ([Mark.USED], [Oddity.NONE])


def test_the_equator_and_the_meridian_are_places_to_be_at() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    for number, place in enumerate(
        [(0, 63_000_000), (510_000_000, 0), (200, 0), (0, 1_800_000_000)]
    ):
        row = [[number % 2], [NOW_US + number * S], [place[0]], [place[1]], [500]]
        update = engine.update(*np.array(row, np.int64), now_us=NOW_US + number * S)
        assert update.marks[0] in {Mark.USED, Mark.OUTLIER}


def test_late_fixes_and_devices_not_watched() -> None:
    """Two devices of one identity, the second with the slower clock: its fixes are all late."""
    engine = Engine(pair_plan(), now_us=NOW_US)
    changes: list[AnomalyChange] = []
    marks: list[int] = []
    for number in range(8):
        now_us = NOW_US + number * 30 * S
        update = send(
            engine,
            Fix(0, now_us, 0.0),
            Fix(0, now_us - 20 * S, 50 * KM),
            Fix(-1, now_us, 0.0),
            now_us=now_us + S,
        )
        marks += update.marks.tolist()
        changes += update.anomalies
    assert marks[3:6] == [Mark.USED, Mark.LATE, Mark.UNWATCHED]
    assert told(changes) == [("clone", True)]
    assert changes[0].quantity == pytest.approx(50 * KM, rel=0.01)


def test_a_clock_that_sends_gps_time_is_told() -> None:
    engine = Engine(pair_plan(), now_us=NOW_US)
    fixes = [Fix(0, NOW_US + s * S, float(s)) for s in range(0, 1200, 20)]
    [change] = feed(engine, fixes, delay_s=-17.5)
    assert (change.kind, change.began) == (Anomaly.CLOCK_GPS, True)
    assert change.quantity == pytest.approx(17.5)


def _tag_at_home(minutes: int, away_m: float = 30.0) -> list[Fix]:
    """The tag lies at home; his phone walks off, `away_m` a minute."""
    return [
        fix
        for minute in range(minutes)
        for fix in (
            Fix(0, NOW_US + minute * 60 * S, minute % 3 * 2.0),
            Fix(1, NOW_US + minute * 60 * S + 5 * S, away_m * minute),
        )
    ]


def test_a_tag_that_stays_behind_is_told_and_its_return_too() -> None:
    engine = Engine(companion_plan(), now_us=NOW_US)
    [began] = feed(engine, _tag_at_home(30, 200.0))
    assert (began.kind, began.track, began.companion) == (Anomaly.STAYS_BEHIND, "tag", "his")
    assert (began.began, began.count, began.key) == (True, 0, "stays_behind/tag/his")
    assert began.quantity > 300.0
    assert [one.key for one in engine.anomalies(0)] == [began.key]
    back = [
        Fix(track, NOW_US + (1800 + minute * 60) * S + track * S, 2.0 * minute)
        for minute in range(20)
        for track in (0, 1)
    ]
    assert told(feed(engine, back))[-1] == ("stays_behind", False)


def test_companions_who_go_together_are_fine() -> None:
    engine = Engine(companion_plan(), now_us=NOW_US)
    walk = [
        Fix(track, NOW_US + minute * 60 * S + track * S, minute * 80.0 + track)
        for minute in range(60)
        for track in (0, 1)
    ]
    assert feed(engine, walk) == []


def test_a_new_plan_keeps_what_is_known_of_its_devices() -> None:
    engine = Engine(companion_plan(), now_us=NOW_US)
    began = feed(engine, frozen(40)) + feed(engine, _tag_at_home(0))
    assert told(began) == [("frozen", True)]
    now_us = NOW_US + 2500 * S
    engine.swap(companion_plan("hers", "his", "tag"), now_us=now_us)
    [kept] = engine.anomalies(now_us)
    assert (kept.track, kept.onset_us, kept.number) == ("tag", NOW_US, 1)
    without = Plan("less", ("hers", "his"), make_pairs(("c2", 1, 0)))
    [ended] = ended_by(engine.anomalies(now_us), without, now_us)
    assert (ended.track, ended.began, ended.decided_at_us) == ("tag", False, now_us)
    assert ended_by(engine.anomalies(now_us), companion_plan(), now_us) == []
    engine.swap(without, now_us=now_us)
    assert engine.anomalies(now_us) == []


def test_a_device_that_others_carry_begins_anew() -> None:
    engine = Engine(companion_plan(), now_us=NOW_US)
    feed(engine, frozen(40))
    now_us = NOW_US + 2500 * S
    [active] = engine.anomalies(now_us)
    ended = ended_by([active], companion_plan(), now_us, moved={"tag"})
    assert [(one.track, one.began) for one in ended] == [("tag", False)]
    engine.forget({"tag", "not in the plan"}, now_us=now_us)
    assert engine.anomalies(now_us) == []
    known = dict(zip(engine.plan.tracks, engine.picture().tracks.time_us.tolist(), strict=True))
    assert known["tag"] == UNKNOWN_TIME_US


def test_companions_parted_by_the_plan_end_what_was_between_them() -> None:
    engine = Engine(companion_plan(), now_us=NOW_US)
    assert told(feed(engine, _tag_at_home(30, 200.0))) == [("stays_behind", True)]
    apart = replace(companion_plan(), companions=Companions.none())
    [ended] = ended_by(engine.anomalies(NOW_US), apart, NOW_US)
    assert (ended.key, ended.began) == ("stays_behind/tag/his", False)
    engine.swap(apart, now_us=NOW_US + 1800 * S)
    assert engine.anomalies(NOW_US) == []


@pytest.mark.parametrize("ends", [([0], [0]), ([0], [3]), ([-1], [0]), ([0, 0], [1, 1])])
def test_companions_that_make_no_sense_are_refused(ends: tuple[list[int], list[int]]) -> None:
    engine = Engine(companion_plan(), now_us=NOW_US)
    wrong = replace(companion_plan(), companions=Companions(*map(np.array, ends)))
    with pytest.raises(ValueError, match="companions"):
        Engine(wrong, now_us=NOW_US)
    with pytest.raises(ValueError, match="companions"):
        engine.swap(wrong, now_us=NOW_US)
    assert engine.anomalies(NOW_US) == []
    assert engine.plan.companion_keys == (("tag", "his"),)


def test_the_parameters_of_anomalies_are_in_the_version_of_the_rules() -> None:
    rules = Rules()
    other = replace(rules, anomalies=replace(rules.anomalies, frozen_fixes=31))
    assert other.version != rules.version


# -- how the fixes are split, and where a snapshot is taken, makes no difference -----------------

_PLACES = st.sampled_from([0.0, 3.0, 400.0, 50 * KM, 53 * KM, 2000 * KM])


@st.composite
def streams(draw: st.DrawFn) -> list[Fix]:
    """Fixes of three devices that jump between places, repeat, come late, and stand still."""
    fixes, time_s = [], 0
    for _ in range(draw(st.integers(1, 60))):
        time_s += draw(st.sampled_from([0, 1, 20, 60, 300]))
        late_s = draw(st.sampled_from([0, 0, 0, 30, 400]))
        track = draw(st.sampled_from([-1, 0, 0, 1, 1, 2]))
        fixes.append(Fix(track, NOW_US + (time_s - late_s) * S, draw(_PLACES)))
    return fixes


def _all(updates: list[Update]) -> list[str]:
    return [repr(change) for update in updates for change in update.anomalies]


@settings(max_examples=60, deadline=None)
@given(fixes=streams(), cuts=st.lists(st.integers(0, 60), max_size=4), again=st.booleans())
def test_batches_and_restarts_make_no_difference(
    fixes: list[Fix],
    cuts: list[int],
    again: bool,  # noqa: FBT001
) -> None:
    now_us = max(fix.time_us for fix in fixes) + S
    quick = Rules(
        anomalies=replace(Rules().anomalies, frozen_after_s=60, frozen_fixes=3, stand_after_s=60)
    )
    whole = Engine(companion_plan(), now_us=NOW_US, rules=quick)
    at_once = send(whole, *fixes, now_us=now_us)
    engine = Engine(companion_plan(), now_us=NOW_US, rules=quick)
    parts = []
    for begin, end in pairwise(sorted({0, *cuts, len(fixes)})):
        if end <= len(fixes):
            parts.append(send(engine, *fixes[begin:end], now_us=now_us))
        if again:
            engine = Engine.restore(engine.snapshot(), companion_plan(), now_us=now_us, rules=quick)
    assert _all(parts) == _all([at_once])
    oddities = [oddity for part in parts for oddity in part.oddities.tolist()]
    assert oddities == at_once.oddities.tolist()
    assert repr(engine.anomalies(0)) == repr(whole.anomalies(0))


@settings(max_examples=60, deadline=None)
@given(fixes=streams())
def test_every_fix_of_a_followed_device_is_looked_at(fixes: list[Fix]) -> None:
    engine, rules = Engine(pair_plan(), now_us=NOW_US), Rules()
    fixes = [fix for fix in fixes if fix.track < 2]
    state = new_anomalies(2)
    now_us = max((fix.time_us for fix in fixes), default=NOW_US) + S
    expected = []
    for fix in fixes:
        track, time_us, lat_e7, lon_e7, accuracy_cm = fix.row()
        if track < 0:
            expected.append(0)
            continue
        xyz = to_cartesian_m(lat_e7 / 1e7, lon_e7 / 1e7)
        limits = rules.anomalies.limits()
        _, oddity = note_fix(state, track, time_us, *xyz, accuracy_cm / 100, now_us, limits)
        expected.append(oddity)
    update = send(engine, *fixes, now_us=now_us)
    assert update.oddities.tolist() == expected
    going_on = {(one.track, one.kind) for one in engine.anomalies(0)}
    masks = {"tag": int(state[0]["active"]), "phone": int(state[1]["active"])}
    assert going_on == {
        (track, kind) for track, mask in masks.items() for kind in Anomaly if mask & kind.bit
    }


def test_more_changes_than_the_buffer_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    fixes = [
        Fix(track, NOW_US + number * 30 * S, (number % 2) * 50 * KM)
        for number in range(10)
        for track in (0, 1)
    ]
    now_us = NOW_US + 600 * S
    whole = send(Engine(pair_plan(), now_us=NOW_US), *fixes, now_us=now_us)
    monkeypatch.setattr("geofence.anomaly_keeper.CHANGE_BUFFER", 0)
    tight = send(Engine(pair_plan(), now_us=NOW_US), *fixes, now_us=now_us)
    assert len(whole.anomalies) == 2
    assert _all([tight]) == _all([whole])
