"""Patterns of acts: thresholds, growth, explanations; against a plain twin."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conduct import (
    ACT_KINDS,
    ACTS_SHOWN,
    DAY_US,
    MINUTE_US,
    Act,
    Pattern,
    patterns_of,
    to_keep,
)
from alerts.conduct_rules import ConductRules
from tests.alerts.builders import START_US
from tests.alerts.conduct_stories import RULES, SUBJECT, act

LATER_US = START_US + 10 * DAY_US


def found(*acts: Act, now_us: int = LATER_US, rules: ConductRules = RULES) -> list[Pattern]:
    return patterns_of(SUBJECT, acts, rules, now_us)


def test_two_approaches_are_no_pattern_and_three_are_one() -> None:
    acts = [act("approach", day) for day in (0, 2, 4)]
    assert found(*acts[:2]) == []
    [pattern] = found(*acts)
    assert (pattern.state, pattern.persistent, pattern.occasions) == (
        "going_on",
        False,
        {"approach": 3},
    )
    [reason] = pattern.reasons
    assert (reason.kind, reason.needed, reason.found) == ("approach", 3, 3)
    assert pattern.acts == tuple(acts)


def test_acts_of_one_evening_are_one_occasion() -> None:
    evening = [act("approach", 1, began_us=START_US + n * 20 * MINUTE_US) for n in range(9)]
    assert found(*evening) == []


def test_different_acts_together_are_a_pattern_and_of_one_kind_alone_are_not() -> None:
    kinds = ("probing", "approach", "loitering", "tampering", "approach")
    [pattern] = found(*(act(kind, day) for day, kind in enumerate(kinds)))
    assert [reason.kind for reason in pattern.reasons] == ["mixed"]
    rules = msgspec.structs.replace(RULES, approach=9)
    assert found(*(act("approach", day) for day in range(5)), rules=rules) == []


def test_a_pattern_keeps_its_id_while_it_grows_and_is_over_after_quiet() -> None:
    acts = [act("following", day) for day in (0, 3, 9, 17)]
    ids = {
        found(*acts[:count], now_us=acts[count - 1].began_us)[0].pattern_id for count in (2, 3, 4)
    }
    assert len(ids) == 1
    [grown] = found(*acts, now_us=START_US + 18 * DAY_US)
    assert grown.persistent
    [over] = found(*acts, now_us=START_US + 32 * DAY_US)
    assert (over.state, over.pattern_id) == ("over", grown.pattern_id)


def test_a_quiet_fortnight_divides_two_patterns() -> None:
    acts = [act("following", day) for day in (0, 1, 20, 21)]
    first, second = found(*acts, now_us=START_US + 22 * DAY_US)
    assert (first.state, second.state) == ("over", "going_on")
    assert first.pattern_id != second.pattern_id


def test_what_is_explained_stays_in_sight_and_counts_for_nothing() -> None:
    acts = [act("approach", day) for day in (0, 2, 4, 6)]
    acts[1] = msgspec.structs.replace(acts[1], explained="no_breach")
    [pattern] = found(*acts)
    assert pattern.occasions == {"approach": 3}
    assert pattern.acts[1].explained == "no_breach"
    explained = [msgspec.structs.replace(one, explained="test") for one in acts]
    assert found(*explained) == []


def test_a_pattern_that_no_longer_holds_is_withdrawn_once() -> None:
    [kept] = to_keep({}, found(*(act("approach", day) for day in (0, 2, 4))))
    assert kept.version == 1
    [withdrawn] = to_keep({kept.pattern_id: kept}, [])
    assert (withdrawn.state, withdrawn.version) == ("withdrawn", 2)
    assert to_keep({kept.pattern_id: withdrawn}, []) == []


def test_nothing_is_kept_anew_when_nothing_changed() -> None:
    acts = [act("approach", day) for day in (0, 2, 4)]
    [kept] = to_keep({}, found(*acts))
    assert to_keep({kept.pattern_id: kept}, found(*acts, now_us=LATER_US + DAY_US)) == []
    [grown] = to_keep({kept.pattern_id: kept}, found(*acts, act("probing", 5)))
    assert (grown.pattern_id, grown.version) == (kept.pattern_id, 2)


def test_a_pattern_shows_its_first_act_and_the_newest_and_says_what_it_leaves_out() -> None:
    many = [act("probing", 0.1 * number, 1) for number in range(ACTS_SHOWN + 7)]
    [pattern] = found(*many, now_us=many[-1].began_us)
    assert (len(pattern.acts), pattern.left_out) == (ACTS_SHOWN, 7)
    assert pattern.acts[0] == many[0]
    assert pattern.acts[1:] == tuple(many[8:])
    assert pattern.occasions == {"probing": ACTS_SHOWN + 7}


def test_rules_ask_for_two_occasions_at_least() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"approach": 1}, ConductRules)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"aproach": 3}, ConductRules)


# -- a plain twin: every subset of occasions is tried -------------------------------------------


def twin_occasions(run: list[Act], kind: str, now_us: int, rules: ConductRules) -> list[int]:
    """Beginnings of occasions, minute by minute of how long the last one still reaches."""
    begins: list[int] = []
    reaches = -1
    for one in run:
        if one.kind == kind and not one.explained:
            if one.began_us > reaches:
                begins.append(one.began_us)
                reaches = -1
            end = now_us if one.ended_us is None else one.ended_us
            reaches = max(reaches, end + rules.apart_min * MINUTE_US)
    return begins


def twin_holds(run: list[Act], now_us: int, rules: ConductRules) -> bool:
    every = []
    for kind in ACT_KINDS:
        begins = twin_occasions(run, kind, now_us, rules)
        every += [(at, kind) for at in begins]
        for some in combinations(begins, getattr(rules, kind)):
            if max(some) - min(some) <= rules.window_days * DAY_US:
                return True
    for chosen in combinations(every, rules.mixed):
        times, kinds = zip(*chosen, strict=True)
        if max(times) - min(times) <= rules.window_days * DAY_US and len(set(kinds)) > 1:
            return True
    return False


def twin_runs(acts: list[Act], now_us: int, rules: ConductRules) -> list[list[Act]]:
    """Acts joined as long as any two runs lie less than the quiet apart."""

    def end(one: Act) -> int:
        return now_us if one.ended_us is None else one.ended_us

    runs: list[list[Act]] = [[one] for one in acts]
    joined = True
    while joined:
        joined = False
        for left, right in combinations(runs, 2):
            low = min(one.began_us for one in right) - max(end(one) for one in left)
            high = min(one.began_us for one in left) - max(end(one) for one in right)
            if max(low, high) <= rules.quiet_days * DAY_US:
                left.extend(right)
                runs.remove(right)
                joined = True
                break
    return [sorted(run, key=lambda one: (one.began_us, one.id)) for run in runs]


@st.composite
def histories(draw: st.DrawFn) -> list[Act]:
    moments = draw(st.lists(st.integers(0, 90 * 24), max_size=9, unique=True))
    made = []
    for hour in moments:
        minutes: Any = draw(st.sampled_from((1, 40, 3 * 24 * 60, None)))
        fields = {"ended_us": None} if minutes is None else {}
        made.append(
            act(
                draw(st.sampled_from(ACT_KINDS)),
                hour / 24,
                minutes or 0,
                explained=draw(st.sampled_from(("", "", "test"))),
                **fields,
            )
        )
    return made


@given(histories(), st.integers(2, 4), st.integers(2, 5), st.sampled_from((3, 28)))
def test_patterns_are_those_of_the_twin(
    acts: list[Act], needed: int, mixed: int, window_days: int
) -> None:
    rules = ConductRules(
        window_days=window_days,
        quiet_days=7,
        mixed=mixed,
        **dict.fromkeys(ACT_KINDS, needed),
    )
    now_us = START_US + 91 * DAY_US
    patterns = patterns_of(SUBJECT, acts, rules, now_us)
    wanted = [run for run in twin_runs(acts, now_us, rules) if twin_holds(run, now_us, rules)]
    assert [list(pattern.acts) for pattern in patterns] == sorted(
        wanted, key=lambda run: run[0].began_us
    )
    assert patterns == patterns_of(SUBJECT, acts[::-1], rules, now_us)
    shown = {one.id for pattern in patterns for one in pattern.acts}
    assert len(shown) == sum(len(pattern.acts) for pattern in patterns)


@given(histories(), st.data())
def test_a_pattern_only_grows_as_acts_come(acts: list[Act], data: st.DataObject) -> None:
    """Without explanations, and with acts too short to join two occasions, nothing is lost."""
    acts = [
        msgspec.structs.replace(one, explained="", ended_us=one.began_us + MINUTE_US)
        for one in acts
    ]
    now_us = START_US + 91 * DAY_US
    before = patterns_of(SUBJECT, acts[: data.draw(st.integers(0, len(acts)))], RULES, now_us)
    after = patterns_of(SUBJECT, acts, RULES, now_us)
    for pattern in before:
        ids = {one.id for one in pattern.acts}
        assert any(ids <= {one.id for one in larger.acts} for larger in after)
