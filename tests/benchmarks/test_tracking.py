from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.recordings import SECOND_US
from benchmarks.tracking import ERROR_LIMIT, SETTLING_S, follow, sample_of, share_within, surprise
from geofence.engine import Engine
from geofence.plan import Plan
from geofence.proximity import SIGMAS_PER_R68
from geofence.rules import DEFAULT_RULES
from tests.benchmarks.receivers import walk

LIMITS = DEFAULT_RULES.limits()


def test_it_claims_what_the_engine_claims() -> None:
    sample = sample_of(walk("a", seed=1, length_s=60))
    variance = follow(sample, LIMITS)[:, 1]
    engine = Engine(Plan("one", ("a",)), now_us=0)
    for second, fix in enumerate(sample.columns.T):
        column = (np.array([value]) for value in fix)
        engine.update(np.array([0]), *column, now_us=second * SECOND_US)
        accuracy_m = engine.picture().tracks.accuracy_m[0]
        assert accuracy_m * SIGMAS_PER_R68 == pytest.approx(math.sqrt(variance[second]), rel=1e-12)


def test_the_estimate_is_better_than_the_fixes_and_the_same_each_time() -> None:
    recording = walk("a", seed=2, length_s=300)
    sample = sample_of(recording)
    followed = follow(sample, LIMITS)
    assert np.array_equal(followed, follow(sample, LIMITS))
    fixes_m2 = 2.0 * (10.0 * SIGMAS_PER_R68) ** 2
    assert followed[SETTLING_S:, 0].mean() < fixes_m2


def test_surprise_and_shares_by_hand() -> None:
    followed = np.array([[0.0, 1.0]] * SETTLING_S + [[4.0, 2.0], [1e9, math.e]])
    assert surprise(followed).tolist() == pytest.approx([math.log(2) + 1, 1 + ERROR_LIMIT])
    assert share_within(followed, 1 - math.exp(-0.9)) == (0, 2)
    assert share_within(followed, 1 - math.exp(-1.1)) == (1, 2)


def test_an_unknown_accuracy_stays_unknown() -> None:
    recording = walk("a", seed=3, length_s=10)
    recording.accuracy_m[3] = math.nan
    assert sample_of(recording).columns[3].tolist() == [1000] * 3 + [-1] + [1000] * 7
