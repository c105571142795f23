from __future__ import annotations

import math

import numpy as np
import pytest

from geofence.engine import Engine, Mark
from geofence.levels import UNKNOWN_TIME_US
from tests.geofence.plans import NOW_US, Fix, S, pair_plan, send


def marks(engine: Engine, *fixes: Fix, now_us: int = NOW_US) -> list[Mark]:
    return [Mark(mark) for mark in send(engine, *fixes, now_us=now_us).marks.tolist()]


@pytest.fixture
def engine() -> Engine:
    return Engine(pair_plan(), now_us=NOW_US)


def test_a_track_never_moves_back(engine: Engine) -> None:
    first = Fix(0, NOW_US - 5 * S, 100.0)
    assert marks(engine, first) == [Mark.USED]
    assert marks(engine, first) == [Mark.DUPLICATE]
    assert marks(engine, Fix(0, NOW_US - 5 * S, 101.0)) == [Mark.LATE]
    assert marks(engine, Fix(0, NOW_US - 6 * S, 100.0)) == [Mark.LATE]
    tracks = engine.picture().tracks
    assert tracks.time_us[0] == NOW_US - 5 * S
    assert tracks.lat_deg[0] == pytest.approx(51.75, abs=1e-7)


def test_the_place_of_one_device_is_its_row_of_the_picture(engine: Engine) -> None:
    assert engine.place(1).time_us.tolist() == [UNKNOWN_TIME_US]
    send(engine, Fix(0, NOW_US - 5 * S, 100.0), Fix(1, NOW_US - 3 * S, 900.0), now_us=NOW_US)
    whole = engine.picture().tracks
    for track in (0, 1):
        one = engine.place(track)
        for column in ("time_us", "lat_deg", "lon_deg", "accuracy_m"):
            assert getattr(one, column).tolist() == [getattr(whole, column)[track]]


def test_a_fix_dated_ahead_does_not_block_honest_ones(engine: Engine) -> None:
    assert marks(engine, Fix(0, NOW_US + 61 * S, 0.0)) == [Mark.FUTURE]
    assert marks(engine, Fix(0, NOW_US + 18 * S, 0.0)) == [Mark.USED]
    assert engine.picture().tracks.time_us[0] == NOW_US + 18 * S


def test_unwatched_devices_are_marked(engine: Engine) -> None:
    assert marks(engine, Fix(-1, NOW_US, 0.0)) == [Mark.UNWATCHED]
    with pytest.raises(ValueError, match="past the tracks"):
        send(engine, Fix(2, NOW_US, 0.0), now_us=NOW_US)


def test_a_coarse_fix_hardly_moves_a_track_that_is_known_better(engine: Engine) -> None:
    good = Fix(0, NOW_US - 60 * S, 0.0, accuracy_m=10.0)
    soon = Fix(0, NOW_US - 59 * S, 900.0, accuracy_m=500.0)
    much_later = Fix(0, NOW_US - 10 * S, 900.0, accuracy_m=500.0)
    assert marks(engine, good, soon, much_later) == [Mark.USED] * 3
    tracks = engine.picture().tracks
    assert tracks.lon_deg[0] == pytest.approx(-1.25, abs=50.0 / 69_000.0)
    assert tracks.accuracy_m[0] < 300.0


def test_fixes_of_one_cell_do_not_make_a_place_sure(engine: Engine) -> None:
    for second in range(120):
        now_us = NOW_US + second * S
        send(engine, Fix(0, now_us, 900.0, accuracy_m=500.0), now_us=now_us)
    assert engine.picture().tracks.accuracy_m[0] > 250.0


def test_an_outlier_is_marked_and_moves_nothing(engine: Engine) -> None:
    for second in range(30):
        fix = Fix(0, NOW_US + second * S, float(second))
        send(engine, fix, now_us=fix.time_us)
    wild = Fix(0, NOW_US + 30 * S, 5000.0)
    assert send(engine, wild, now_us=wild.time_us).marks.tolist() == [Mark.OUTLIER]
    east_m = (engine.picture().tracks.lon_deg[0] + 1.25) * 68_900.0
    assert east_m == pytest.approx(30.0, abs=10.0)


def test_a_device_that_was_carried_away_is_followed(engine: Engine) -> None:
    fixes = [Fix(0, NOW_US + s * S, 0.0) for s in range(30)]
    fixes += [Fix(0, NOW_US + s * S, 50_000.0) for s in range(30, 34)]
    found = [send(engine, fix, now_us=fix.time_us).marks[0] for fix in fixes]
    assert found[28:] == [Mark.USED, Mark.USED, Mark.OUTLIER, Mark.OUTLIER, Mark.MOVED, Mark.USED]


def test_unknown_accuracy_is_not_taken_for_a_good_one(engine: Engine) -> None:
    send(engine, Fix(0, NOW_US, 0.0, accuracy_m=None), now_us=NOW_US)
    send(engine, Fix(1, NOW_US, 0.0, accuracy_m=0.0), now_us=NOW_US)
    picture = engine.picture()
    assert (picture.tracks.accuracy_m > 70.0).all()
    # Even at distance 0 the interval is wide.
    assert picture.watches.distance_high_m[0] > 150.0


def test_nothing_is_made_up_before_the_first_fix(engine: Engine) -> None:
    tracks = engine.picture().tracks
    assert tracks.time_us.tolist() == [UNKNOWN_TIME_US] * 2
    assert np.isnan(tracks.lat_deg).all()
    assert np.isnan(tracks.lon_deg).all()


def test_time_to_contact_follows_the_courses(engine: Engine) -> None:
    send(engine, Fix(1, NOW_US, 0.0, accuracy_m=3.0), now_us=NOW_US)
    transitions = []
    for second in range(0, 200, 2):
        now_us = NOW_US + second * S
        east_m = 1400.0 - 5.0 * second
        still = Fix(1, now_us + 1, 0.0, accuracy_m=3.0)
        moving = Fix(0, now_us, east_m, accuracy_m=3.0)
        transitions += send(engine, still, moving, now_us=now_us).transitions
    entered = [t for t in transitions if t.distance_m < 1000.0]
    assert [t.level.label for t in entered] == ["pre_alert", "alert"]
    for transition in entered:
        assert transition.time_to_contact_s == pytest.approx(
            (transition.distance_m - 50.0) / 5.0, rel=0.02
        )


def test_standing_apart_is_not_closing(engine: Engine) -> None:
    # Errors of 5 m at one fix a second would look like walking towards each other.
    rng = np.random.default_rng(1)
    for second in range(120):
        now_us = NOW_US + second * S
        for track, middle_m in ((0, 0.0), (1, 450.0)):
            east_m, north_m = rng.normal(0, 5, 2)
            fix = Fix(track, now_us, middle_m + east_m, north_m, accuracy_m=7.5)
            for transition in send(engine, fix, now_us=now_us).transitions:
                assert transition.time_to_contact_s == math.inf
