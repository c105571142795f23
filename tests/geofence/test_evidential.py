"""The evidential timeline: the same for every order of arrival, and what only it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.engine import Engine
from geofence.evidential import Alarm, Fixes, alarms, find, in_order, retrospective
from geofence.levels import Level, Transition
from geofence.plan import Plan
from tests.geofence.plans import (
    NOW_US,
    Fix,
    S,
    comparable,
    levels,
    pair_plan,
    send,
    town_plan,
)

END_S = 900


def columns(fixes: Sequence[Fix]) -> Fixes:
    return Fixes(*np.array([fix.row() for fix in fixes], np.int64).reshape(-1, 5).T)


def found(plan: Plan, fixes: Sequence[Fix], tick_s: float = 1.0) -> list[Transition]:
    return find(plan, columns(fixes), from_us=NOW_US, to_us=NOW_US + END_S * S, tick_s=tick_s)


def encounter(seconds: range) -> list[Fix]:
    """She stays, he comes by at 10 m/s and is nearest after 150 s, 20 m away."""
    return [
        fix
        for second in seconds
        for fix in (
            Fix(1, NOW_US + second * S, 0.0),
            Fix(0, NOW_US + second * S, 1500.0 - 10.0 * second, 20.0),
        )
    ]


PLACE_M = st.sampled_from([-1200.0, -450.0, -320.0, -20.0, 10.0, 280.0, 350.0, 520.0, 2600.0])
FIXES = st.lists(
    st.builds(
        lambda track, ms, east, north, accuracy: Fix(
            track, NOW_US + ms * 1000, east, north, accuracy
        ),
        st.integers(-1, 3),
        st.sampled_from([*range(0, 60_000, 500), *range(-10_000, 1_000_000, 7_000)]),
        PLACE_M,
        PLACE_M,
        st.sampled_from([None, 0.0, 3.0, 60.0, 400.0]),
    ),
    max_size=40,
)


@settings(max_examples=60)
@given(FIXES, st.data())
def test_the_order_of_arrival_and_repeats_change_nothing(
    fixes: list[Fix], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(fixes), max_size=10)) if fixes else []
    shuffled = data.draw(st.permutations([*fixes, *repeats]))
    expected = comparable(found(town_plan(), fixes))
    assert comparable(found(town_plan(), shuffled)) == expected


@settings(max_examples=40)
@given(FIXES, st.sampled_from([0.5, 1.0, 7.0]))
def test_leaving_out_ticks_changes_nothing(fixes: list[Fix], tick_s: float) -> None:
    """Beside an engine that is asked at every tick."""
    engine = Engine(town_plan(), now_us=NOW_US)
    taken = in_order(columns(fixes), from_us=NOW_US, to_us=NOW_US + END_S * S)
    tick_us = round(tick_s * S)
    first_us = -(-NOW_US // tick_us) * tick_us
    ticks = [*range(first_us, NOW_US + END_S * S, tick_us), NOW_US + END_S * S]
    expected, start = [], 0
    for now_us in ticks:
        end = int(np.searchsorted(taken.time_us, now_us, side="right"))
        expected += engine.update(*(one[start:end] for one in taken), now_us=now_us).transitions
        expected += engine.sweep(now_us)
        start = end
    assert comparable(found(town_plan(), fixes, tick_s=tick_s)) == comparable(expected)


@given(FIXES)
def test_the_one_order(fixes: list[Fix]) -> None:
    taken = in_order(columns(fixes), from_us=NOW_US, to_us=NOW_US + 600 * S)
    keys = list(zip(taken.time_us.tolist(), taken.track.tolist(), strict=True))
    assert keys == sorted(set(keys))
    given_ = {(fix.time_us, fix.track) for fix in fixes}
    assert set(keys) == {
        (time_us, track)
        for time_us, track in given_
        if track >= 0 and NOW_US <= time_us <= NOW_US + 600 * S
    }


def test_of_two_fixes_for_one_instant_the_better_is_taken() -> None:
    at = [
        Fix(0, NOW_US, 10.0, accuracy_m=None),
        Fix(0, NOW_US, 20.0, accuracy_m=30.0),
        Fix(0, NOW_US, 30.0, accuracy_m=8.0),
        Fix(0, NOW_US, 40.0, accuracy_m=8.0),
        Fix(0, NOW_US, 50.0, accuracy_m=0.0),
    ]
    for order in (at, at[::-1]):
        taken = in_order(columns(order), from_us=NOW_US, to_us=NOW_US)
        assert taken.accuracy_cm.tolist() == [800]
        assert taken.lon_e7.tolist() == [at[2].row()[3]]


def test_no_fixes_find_nothing() -> None:
    assert found(town_plan(), []) == []


def test_an_encounter_is_found_whenever_it_comes_in() -> None:
    transitions = found(pair_plan(), encounter(range(300))[::-1])
    assert levels(transitions)[:5] == ["pre_alert", "alert", "contact", "alert", "pre_alert"]


def test_progress_is_told_and_grows() -> None:
    told: list[int] = []
    fixes = columns(encounter(range(300)))
    find(pair_plan(), fixes, from_us=NOW_US, to_us=NOW_US + 300 * S, progress=told.append)
    assert told == sorted(set(told))
    assert 50 <= len(told) <= 101
    assert told[-1] <= NOW_US + 300 * S


def test_what_cannot_be_asked_is_refused() -> None:
    fixes = columns(encounter(range(3)))
    for from_us, to_us, tick_s in ((S, 0, 1.0), (0, S, 0.0)):
        with pytest.raises(ValueError, match="tick"):
            find(pair_plan(), fixes, from_us=from_us, to_us=to_us, tick_s=tick_s)
    with pytest.raises(ValueError, match="length"):
        find(pair_plan(), fixes._replace(track=fixes.track[1:]), from_us=0, to_us=S)
    with pytest.raises(ValueError, match="past the tracks"):
        find(pair_plan(), fixes._replace(track=fixes.track + 7), from_us=NOW_US, to_us=NOW_US + S)


# Findings


def live(fixes: Sequence[Fix], held_back_s: int) -> list[Transition]:
    """His fixes come `held_back_s` in one piece after all the others; hers at once."""
    engine = Engine(pair_plan(), now_us=NOW_US)
    transitions = []
    for second in range(END_S):
        now_us = NOW_US + second * S
        hers = [fix for fix in fixes if fix.track == 1 and fix.time_us == now_us]
        his = [fix for fix in fixes if fix.track == 0] if second == held_back_s else []
        transitions += send(engine, *hers, *his, now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    return transitions


def test_what_came_too_late_is_found_in_retrospect() -> None:
    fixes = encounter(range(300))
    (finding,) = retrospective(live(fixes, held_back_s=800), found(pair_plan(), fixes))
    assert finding.watch == "c1/tag/phone"
    assert finding.level == Level.CONTACT
    assert finding.onset_us == pytest.approx(NOW_US + 50 * S, abs=15 * S)
    assert finding.began_us == pytest.approx(NOW_US + 100 * S, abs=15 * S)
    assert finding.end_us == pytest.approx(NOW_US + 200 * S, abs=40 * S)
    assert finding.least_m < 60.0


def test_what_was_known_at_the_time_is_no_finding() -> None:
    fixes = encounter(range(300))
    known = found(pair_plan(), fixes)
    assert retrospective(known, known) == []
    assert retrospective([], known) == alarms(known)


def change(number: int, previous: Level, level: Level, at_s: int, watch: str = "w") -> Transition:
    return Transition(
        watch=watch,
        number=number,
        previous=previous,
        level=level,
        onset_us=100 * S,
        decided_at_us=at_s * S,
        distance_m=math.nan if level == Level.UNKNOWN else 100.0 * number,
        distance_low_m=0.0,
        distance_high_m=0.0,
        probability=0.5,
        time_to_contact_s=math.inf,
        fix_time_a_us=at_s * S - S,
        fix_time_b_us=at_s * S - 5 * S,
        swept=False,
    )


def test_an_alarm_lasts_through_unknown_and_other_levels_of_alarm() -> None:
    story = [
        change(1, Level.CLEAR, Level.PRE_ALERT, 100),
        change(2, Level.PRE_ALERT, Level.ALERT, 110),
        change(3, Level.ALERT, Level.UNKNOWN, 200),
        change(4, Level.UNKNOWN, Level.CONTACT, 300),
        change(5, Level.CONTACT, Level.PRE_ALERT, 400),
        change(6, Level.PRE_ALERT, Level.ALERT, 500),
    ]
    assert alarms(story) == [
        Alarm("w", 100 * S, 109 * S, 400 * S, Level.CONTACT, 200.0),
        Alarm("w", 100 * S, 499 * S, None, Level.ALERT, 600.0),
    ]


@pytest.mark.parametrize(
    ("from_s", "to_s", "watch", "matched"),
    [(50, 100, "w", False), (50, 115, "w", True), (150, 160, "w", True), (150, 160, "v", False)],
)
def test_alarms_match_by_watch_and_time(
    from_s: int,
    to_s: int,
    watch: str,
    matched: bool,  # noqa: FBT001
) -> None:
    one = [change(1, Level.PRE_ALERT, Level.ALERT, 111), change(2, Level.ALERT, Level.CLEAR, 200)]
    other = [
        change(1, Level.PRE_ALERT, Level.ALERT, from_s, watch),
        change(2, Level.ALERT, Level.CLEAR, to_s, watch),
    ]
    assert retrospective(other, one) == ([] if matched else alarms(one))
