from __future__ import annotations

import numpy as np

from benchmarks.contenders import START_US
from benchmarks.cover import cover_of, levels_of
from geofence.levels import Level
from tests.benchmarks.test_contenders import change


def test_the_level_at_the_end_of_each_second() -> None:
    changes = [change(2, Level.PRE_ALERT), change(2, Level.ALERT), change(4, Level.UNKNOWN)]
    assert levels_of(changes, 5, START_US).tolist() == [0, 0, 2, 2, 4, 4]
    assert levels_of([], 1, START_US).tolist() == [0, 0]


def test_seconds_and_encounters_are_counted_by_level() -> None:
    far, near = [500.0] * 10, [50.0] * 9
    truth_m = np.array([*far, *near, *far])  # an encounter is seconds 10 to 19
    quiet = cover_of([[]], [truth_m], 100.0, START_US)
    assert (quiet.clear, quiet.clear_s, quiet.elsewhere_clear_s) == (1, 10, 19)
    told = cover_of(
        [[change(5, Level.UNKNOWN), change(12, Level.ALERT), change(15, Level.PRE_ALERT)]],
        [truth_m],
        100.0,
        START_US,
    )
    assert (told.alert, told.unknown, told.pre_alert, told.clear) == (1, 0, 0, 0)
    assert (told.unknown_s, told.alert_s, told.pre_alert_s, told.clear_s) == (2, 3, 5, 0)
    assert (told.elsewhere_unknown_s, told.elsewhere_pre_alert_s) == (5, 9)
    doubted = cover_of([[change(18, Level.UNKNOWN)]], [truth_m], 100.0, START_US)
    assert (doubted.unknown, doubted.clear) == (1, 0)
