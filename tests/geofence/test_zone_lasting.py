"""A zone is entered by those who stay in it, not by an error that lasts for a moment."""

from __future__ import annotations

import numpy as np
import pytest

from geofence.engine import Engine
from geofence.levels import Level
from geofence.plan import ZoneKind
from tests.geofence.plans import NOW_US, Fix, S, circle_zone, levels, send, walk, zone_plan

RADIUS_M = 300.0


def watching(kind: ZoneKind = ZoneKind.EXCLUSION) -> Engine:
    return Engine(zone_plan(circle_zone("z", kind, RADIUS_M)), now_us=NOW_US)


def test_an_error_that_lasts_for_moments_is_no_stay() -> None:
    engine = watching()
    along = [RADIUS_M + 12.0] * 60
    flicker = [RADIUS_M - 4.0] * 3
    assert levels(walk(engine, [*along, *flicker, *along, *flicker, *along])) == []


@pytest.mark.parametrize("kind", [ZoneKind.EXCLUSION, ZoneKind.INCLUSION])
def test_who_stays_is_found_within_the_time_it_must_last(kind: ZoneKind) -> None:
    engine = watching(kind)
    into = -1.0 if kind == ZoneKind.EXCLUSION else 1.0
    outside = [RADIUS_M - into * 40.0] * 30
    way = np.arange(-40.0, 8.0, 1.4)
    (entered,) = walk(engine, [*outside, *(RADIUS_M + into * way), *[RADIUS_M + into * 8.0] * 20])
    assert entered.level == Level.ALERT
    crossed_us = NOW_US + (len(outside) + int(np.searchsorted(way, 0.0))) * S
    assert crossed_us <= entered.decided_at_us <= crossed_us + 15 * S


def test_deep_inside_is_inside_at_once() -> None:
    engine = watching()
    way = np.arange(RADIUS_M + 500.0, 0.0, -25.0)
    (entered,) = walk(engine, way)
    assert -60.0 < entered.distance_m <= 0.0


def test_somebody_first_heard_inside_is_inside_at_once() -> None:
    assert levels(walk(watching(), [RADIUS_M - 5.0])) == ["alert"]


def test_one_fix_will_do_where_fixes_are_rare() -> None:
    engine = watching()
    for minute in range(10):
        send(engine, Fix(0, NOW_US + 60 * minute * S, 340.0), now_us=NOW_US + 60 * minute * S)
    now_us = NOW_US + 600 * S
    assert levels(send(engine, Fix(0, now_us, 290.0), now_us=now_us).transitions) == ["alert"]


def test_a_flushed_buffer_counts_by_its_fix_times() -> None:
    engine = watching()
    walk(engine, [RADIUS_M + 20.0] * 30)
    now_us = NOW_US + 42 * S
    stay = [Fix(0, NOW_US + s * S, RADIUS_M - 10.0) for s in range(30, 43)]
    assert levels(send(engine, *stay, now_us=now_us).transitions) == ["alert"]


def test_silence_after_a_fix_inside_does_not_hide_it() -> None:
    engine = watching()
    walk(engine, [RADIUS_M + 40.0 - 1.4 * s for s in range(32)])
    last_us = NOW_US + 31 * S
    found = [t for second in range(1, 20) for t in engine.sweep(last_us + second * S)]
    assert levels(found) == ["alert"]
