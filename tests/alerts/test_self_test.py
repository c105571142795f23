"""The judge of the self-test: late by each way, and the walks of the pair themselves."""

from __future__ import annotations

from itertools import pairwise

import pytest

from alerts.self_test import WAYS, Judge, Way
from devices.caseload import Caseload
from devices.compiler import compile_caseload
from devices.synthetic import (
    FIX_INTERVAL_S,
    HANDSET,
    TAG,
    WALK_S,
    distance_m,
    is_synthetic,
    with_synthetic,
)
from tests.alerts.builders import NOW_US, SECOND_US


def at(seconds: float) -> int:
    return NOW_US + round(seconds * SECOND_US)


def walked(*ways: Way) -> Judge:
    judge = Judge(at(0))
    judge.begin(at(0))
    for way in ways:
        judge.heard(way, at(21), at(22))
    return judge


def test_heard_by_every_way_is_well() -> None:
    judge = walked(*WAYS)
    assert judge.problem(at(45)) == judge.problem(at(59)) == ""
    assert judge.latency_s == 1.0
    assert (judge.counts.walks, judge.counts.late) == (1, 0)


@pytest.mark.parametrize("missing", WAYS)
def test_one_way_that_brings_nothing_is_named(missing: Way) -> None:
    judge = walked(*(way for way in WAYS if way != missing))
    assert judge.problem(at(44.9)) == ""
    assert f"by the way of the {missing}." in judge.problem(at(45))
    assert judge.counts.late == 1


def test_it_stays_late_until_a_walk_is_heard_again() -> None:
    judge = walked()
    assert judge.problem(at(45))
    judge.begin(at(60))
    assert judge.problem(at(61))
    for way in WAYS:
        judge.heard(way, at(80), at(81))
    assert judge.problem(at(82)) == ""


def test_an_alert_of_the_walk_before_does_not_count() -> None:
    judge = walked(*WAYS)
    judge.begin(at(60))
    assert judge.problem(at(106))


def test_who_cannot_walk_is_not_well() -> None:
    judge = walked(*WAYS)
    assert "cannot walk" in judge.problem(at(121))
    assert "cannot walk" in Judge(at(0)).problem(at(121))


def test_the_pair_is_marked_and_walks_no_faster_than_a_car() -> None:
    compiled = compile_caseload(with_synthetic(Caseload()), NOW_US, "1")
    assert {TAG, HANDSET} == set(compiled.bearers)
    assert all(is_synthetic(device) for device in compiled.bearers)
    steps = [distance_m(n * FIX_INTERVAL_S) for n in range(int(3 * WALK_S / FIX_INTERVAL_S))]
    speeds = [abs(b - a) / FIX_INTERVAL_S for a, b in pairwise(steps)]
    assert max(speeds) <= 42.1
    assert (max(steps), min(steps)) == (900.0, 60.0)
