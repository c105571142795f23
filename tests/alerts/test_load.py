"""Figures of the load against plain counts, and a flood that begins and ends where ISA-18.2 says."""

from __future__ import annotations

from statistics import median
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from alerts.deliveries import DeliveryRecord
from alerts.load import Load
from alerts.model import AlertChange
from alerts.ranking import Ranking
from alerts.steps import Acknowledge, Dispatch
from devices.instants import to_iso
from geofence.levels import Level
from tests.alerts.builders import NOW_US, SECOND_US, act, desk, step

MINUTE_US = 60 * SECOND_US


def raised(at_us: int, source: str = "c1", tier: int = 4, **fields: Any) -> AlertChange:
    [change] = step(desk(), 1, Level.ALERT)
    values = {"condition_id": source, "tier": tier, "told_version": 0, "raised_at": to_iso(at_us)}
    data = msgspec.structs.replace(change.data, **(values | fields))
    return msgspec.structs.replace(change, time=to_iso(at_us), data=data)


def test_a_flood_begins_above_ten_in_ten_minutes_and_ends_under_five() -> None:
    load = Load(NOW_US)
    for second in range(10):
        load.take(raised(NOW_US + second * SECOND_US), 1)
    assert load.flood_since_us(NOW_US + 10 * SECOND_US, 1) is None
    load.take(raised(NOW_US + 10 * SECOND_US), 1)
    assert load.flood_since_us(NOW_US + 11 * SECOND_US, 1) == NOW_US + 10 * SECOND_US
    # Ten minutes later they fall out of the window one by one.
    assert load.flood_since_us(NOW_US + 10 * MINUTE_US + 5 * SECOND_US, 1) is not None
    assert load.flood_since_us(NOW_US + 10 * MINUTE_US + 7 * SECOND_US, 1) is None
    figures = load.figures(NOW_US + 20 * MINUTE_US, Ranking(), 1)
    assert figures.flood_share == pytest.approx((9 * 60 + 57) / (20 * 60), abs=0.01)


def test_two_operators_bear_twice_as_much() -> None:
    load = Load(NOW_US)
    for second in range(15):
        load.take(raised(NOW_US + second * SECOND_US), 2)
    figures = load.figures(NOW_US + MINUTE_US, Ranking(), 2)
    assert figures.flood_since is None
    assert (figures.raised_10_min, figures.per_operator_10_min) == (15, 7.5)


def test_what_comes_back_three_times_in_a_minute_chatters() -> None:
    load = Load(NOW_US)
    for second in (0, 20, 40, 60):
        load.take(raised(NOW_US + second * SECOND_US, "c1"), 1)
    for second in (0, 30, 61):
        load.take(raised(NOW_US + second * SECOND_US, "c2"), 1)
    assert load.figures(NOW_US + 2 * MINUTE_US, Ranking(), 1).chattering == ("c1",)


def test_times_to_acknowledge_to_dispatch_and_to_deliver() -> None:
    on = desk()
    load = Load(NOW_US)
    [first] = step(on, 1, Level.ALERT)
    load.take(first, 1)
    for change in act(on, first.data, Acknowledge(), now_us=NOW_US + 40 * SECOND_US):
        load.take(change, 1)
    [seen] = on.open_alerts()
    for change in act(on, seen, Dispatch(to="unit 7"), now_us=NOW_US + 90 * SECOND_US):
        load.take(change, 1)
    record = DeliveryRecord(
        id="d/received",
        type="cordon.delivery.received",
        time=to_iso(NOW_US + 3 * SECOND_US),
        delivery_id="d",
        alert_id=first.subject,
        change_id=first.id,
        channel="handset",
        recipient="phone1",
        state="received",
    )
    for _ in range(2):
        load.delivered(record)
    figures = load.figures(NOW_US + 2 * MINUTE_US, Ranking(), 1)
    assert (figures.to_acknowledge.count, figures.to_acknowledge.median_s) == (1, 40.0)
    assert (figures.to_dispatch.count, figures.to_dispatch.longest_s) == (1, 90.0)
    assert (figures.to_deliver.count, figures.to_deliver.p95_s) == (1, 3.0)


def test_what_is_open_for_a_day_is_stale() -> None:
    ranking = Ranking()
    ranking.change(None, raised(NOW_US).data)
    load = Load(NOW_US)
    day_us = 86_400 * SECOND_US
    assert load.figures(NOW_US + day_us, ranking, 1).stale == 0
    assert load.figures(NOW_US + day_us + SECOND_US, ranking, 1).stale == 1


SECONDS = st.lists(
    st.tuples(st.integers(0, 2 * 86_400), st.integers(1, 4), st.sampled_from("abc")), max_size=60
)


@given(SECONDS)
def test_the_counts_are_those_of_a_plain_account(made: list[tuple[int, int, str]]) -> None:
    load = Load(NOW_US)
    template = raised(NOW_US)
    now_us = NOW_US + 2 * 86_400 * SECOND_US
    for second, tier, source in sorted(made):
        at_us = NOW_US + second * SECOND_US
        data = msgspec.structs.replace(template.data, tier=tier, condition_id=source)
        load.take(msgspec.structs.replace(template, time=to_iso(at_us), data=data), 1)
    figures = load.figures(now_us, Ranking(), 1)
    day = [one for one in made if one[0] > 86_400]
    window = [one for one in made if one[0] > 2 * 86_400 - 600]
    assert (figures.raised_day, figures.raised_10_min) == (len(day), len(window))
    for tier in range(1, 5):
        share = sum(one[1] == tier for one in day) / len(day) if day else 0.0
        assert figures.by_tier[tier - 1] == share
    assert {s.name: s.count for s in figures.top_sources} == {
        name: count for name in "abc" if (count := sum(one[2] == name for one in day))
    }


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=50))
def test_the_median_is_a_median(seconds: list[int]) -> None:
    load = Load(NOW_US)
    change = raised(NOW_US, asks_since=to_iso(NOW_US))
    for second in seconds:
        taken = msgspec.structs.replace(
            change, type="cordon.alert.acknowledged", time=to_iso(NOW_US + second * SECOND_US)
        )
        load.take(taken, 1)
    spread = load.figures(NOW_US, Ranking(), 1).to_acknowledge
    assert spread.count == len(seconds)
    assert spread.median_s in seconds
    below = sum(second <= (spread.median_s or 0) for second in seconds)
    assert below * 2 >= len(seconds)
    assert min(seconds) <= median(seconds) <= (spread.longest_s or 0) == max(seconds)
