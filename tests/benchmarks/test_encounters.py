from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.encounters import LEAVE_FACTOR, Outcome, Spell, judge, spells, total

R = 100.0
FAR = 1000.0


def near_from(start_s: int, end_s: int, size: int = 400) -> np.ndarray:
    """Far, but near from one second up to another; so the encounter ends at `end_s`."""
    distance_m = np.full(size, FAR)
    distance_m[start_s:end_s] = 50.0
    return distance_m


def test_a_spell_begins_below_the_radius_and_ends_above_the_wider_one() -> None:
    distance_m = np.array([100.0, 99.9, 100.0, LEAVE_FACTOR * R, 110.1, 109.0, 99.0])
    assert spells(distance_m, np.arange(7), R) == [Spell(1, 4), Spell(6, 6)]


def test_a_spell_knows_only_the_seconds_it_is_given() -> None:
    assert spells(np.array([50.0, 50.0, FAR]), np.array([3, 40, 41]), R) == [Spell(3, 41)]
    assert spells(np.array([]), np.array([], np.int64), R) == []
    assert spells(np.array([50.0, np.nan, 50.0]), np.arange(3), R) == [Spell(0, 2)]


@pytest.mark.parametrize(
    ("report", "found", "false"),
    [
        (Spell(100, 200), 1, 0),
        (Spell(229, 240), 1, 0),
        (Spell(230, 240), 1, 1),  # within 30 s of the end, yet all far from 30 s before it
        (Spell(231, 240), 0, 1),
        (Spell(90, 100), 1, 0),
        (Spell(90, 99), 0, 0),  # too early to find it, too near to be made up
        (Spell(60, 70), 0, 0),
        (Spell(60, 69), 0, 1),
        (Spell(0, 399), 1, 0),
    ],
)
def test_edges_of_the_thirty_seconds(report: Spell, found: int, false: int) -> None:
    # Near from 100 to 199; the encounter ends with the first second beyond 1.1 R, 200.
    outcome = judge([report], near_from(100, 200), R)
    assert (outcome.true, outcome.found, outcome.false, outcome.reported) == (1, found, false, 1)


def test_false_only_above_the_wider_radius() -> None:
    at_the_edge, above = np.full(200, LEAVE_FACTOR * R), np.full(200, LEAVE_FACTOR * R + 0.01)
    assert judge([Spell(50, 60)], at_the_edge, R).false == 0
    assert judge([Spell(50, 60)], above, R).false == 1


def test_delay_is_that_of_the_first_report_that_finds() -> None:
    truth_m = near_from(100, 200)
    reports = [Spell(20, 30), Spell(104, 110), Spell(120, 130)]
    assert judge(reports, truth_m, R) == Outcome(1, 1, 1, 3, (4,))
    assert judge([Spell(95, 210)], truth_m, R).delays_s == (-5,)


def test_one_long_report_finds_both_encounters_in_it() -> None:
    truth_m = np.minimum(near_from(50, 100), near_from(200, 250))
    assert judge([Spell(52, 252)], truth_m, R) == Outcome(2, 2, 0, 1, (2, -148))


def test_nothing_to_divide_by_is_nothing() -> None:
    score = total([judge([], np.full(100, FAR), R)])
    assert (score.alerts_per_encounter, score.delay_p50_s, score.delay_p95_s) == (None, None, None)


def test_total_adds_up() -> None:
    score = total([Outcome(2, 1, 1, 3, (4,)), Outcome(2, 2, 0, 2, (0, 2))])
    assert (score.true, score.found, score.false, score.reported) == (4, 3, 1, 5)
    assert (score.alerts_per_encounter, score.delay_p50_s) == (1.25, 2.0)
    assert score.delay_p95_s == pytest.approx(3.8)


DISTANCES = st.lists(st.floats(0, 250), min_size=1, max_size=200).map(np.array)


@st.composite
def reports(draw: st.DrawFn) -> list[Spell]:
    bounds = sorted(draw(st.sets(st.integers(0, 199), max_size=12)))
    return [
        Spell(start_s, end_s) for start_s, end_s in zip(bounds[::2], bounds[1::2], strict=False)
    ]


@given(DISTANCES)
def test_spells_cover_what_is_near_and_nothing_that_is_far(distance_m: np.ndarray) -> None:
    found = spells(distance_m, np.arange(distance_m.size), R)
    inside = np.zeros(distance_m.size, bool)
    for spell in found:
        assert distance_m[spell.start_s] < R
        ended = distance_m[spell.end_s] > LEAVE_FACTOR * R
        assert ended or spell.end_s == distance_m.size - 1
        inside[spell.start_s : spell.end_s + (not ended)] = True
    assert inside[distance_m < R].all()
    assert not inside[distance_m > LEAVE_FACTOR * R].any()
    assert found == sorted(found)
    assert all(a.end_s < b.start_s for a, b in itertools.pairwise(found))


@given(DISTANCES)
def test_the_truth_itself_scores_full_marks(truth_m: np.ndarray) -> None:
    itself = spells(truth_m, np.arange(truth_m.size), R)
    outcome = judge(itself, truth_m, R)
    assert outcome.found == outcome.true == outcome.reported == len(itself)
    assert outcome.false == 0
    assert all(delay_s <= 0 for delay_s in outcome.delays_s)


@given(DISTANCES, reports())
def test_as_the_rules_read_second_by_second(truth_m: np.ndarray, reported: list[Spell]) -> None:
    outcome = judge(reported, truth_m, R)
    true = spells(truth_m, np.arange(truth_m.size), R)
    seconds = [range(report.start_s, report.end_s + 1) for report in reported]
    found = sum(
        any(
            set(range(start_s, end_s + 1)) & set(one) or end_s < one[0] <= end_s + 30
            for one in seconds
        )
        for start_s, end_s in true
    )
    false = sum(
        not any(
            truth_m[at_s] <= LEAVE_FACTOR * R
            for at_s in range(one[0] - 30, one[-1] + 31)
            if 0 <= at_s < truth_m.size
        )
        for one in seconds
    )
    assert (outcome.found, outcome.false) == (found, false)


@given(DISTANCES, reports())
def test_one_report_less_finds_no_more(truth_m: np.ndarray, reported: list[Spell]) -> None:
    whole, less = judge(reported, truth_m, R), judge(reported[1:], truth_m, R)
    assert less.found <= whole.found <= whole.true
    assert 0 <= whole.false - less.false <= 1
