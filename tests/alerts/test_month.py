"""The parts of the load and of the month against plain counts."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.deliveries import PROTECTION, DeliveryRecord
from alerts.load_parts import FLOOD_BEGINS_ABOVE, FLOOD_ENDS_BELOW, WINDOW_US, Flood, comebacks
from alerts.model import AlertChange
from alerts.month import BY_ITSELF, Month, MonthFigures
from devices.instants import from_datetime, to_datetime, to_iso
from devices.synthetic import AGENCY, HANDSET
from geofence.levels import Level
from tests.alerts.builders import SECOND_US, desk, step

START_US = from_datetime(datetime(2026, 11, 1, tzinfo=UTC))
HOUR_US = 3600 * SECOND_US
DAY_US = 24 * HOUR_US


def date_of(at_us: int) -> str:
    return to_datetime(at_us).date().isoformat()


def change(at_us: int, kind: str = "raised", number: int = 1, **fields: Any) -> AlertChange:
    [told] = step(desk(), 1, Level.ALERT)
    values = {"alert_id": f"a{number}", "tier": 3, "told_version": 0, "raised_at": to_iso(at_us)}
    data = msgspec.structs.replace(told.data, **(values | fields))
    return msgspec.structs.replace(told, time=to_iso(at_us), type=f"cordon.alert.{kind}", data=data)


def month(days: float = 30, operators: int = 1, **given: Any) -> Month:
    return Month(START_US, START_US + int(days * DAY_US), operators, date_of, **given)


# -- floods -------------------------------------------------------------------------------------


def plain_flood(instants_s: list[int], operators: int, end_s: int) -> int:
    """Seconds in flood, second by second. Instants are whole seconds."""
    flooded, inside, still = 0, False, 0
    at = Counter(instants_s)
    for now in range(end_s):
        # What is ten minutes old leaves before what is new comes.
        still -= at[now - WINDOW_US // SECOND_US]
        if inside and still / operators < FLOOD_ENDS_BELOW:
            inside = False
        for _ in range(at[now]):
            still += 1
            if not inside and still / operators > FLOOD_BEGINS_ABOVE:
                inside = True
        flooded += inside
    return flooded


@given(
    st.lists(st.integers(0, 1500), max_size=60),
    st.integers(1, 3),
    st.lists(st.integers(0, 2500), max_size=20),
)
def test_a_flood_is_the_same_however_often_it_is_asked_for(
    instants: list[int], operators: int, asked: list[int]
) -> None:
    instants.sort()
    flood = Flood()
    spells: list[tuple[int, int]] = []
    flood.ended = lambda since, until: spells.append((since, until))
    events = sorted([(at, True) for at in instants] + [(at, False) for at in asked])
    for at, is_raised in events:
        if is_raised:
            flood.raised(at * SECOND_US, "s", operators)
        else:
            flood.pass_to(at * SECOND_US, operators)
    flood.pass_to(2600 * SECOND_US, operators)
    assert flood.since_us is None
    assert flood.lasted_us(2600 * SECOND_US) == plain_flood(instants, operators, 2600) * SECOND_US
    assert sum(until - since for since, until in spells) == flood.flooded_us
    assert all(before[1] <= after[0] for before, after in pairwise(spells))


@given(st.lists(st.integers(0, 300), max_size=30))
def test_coming_back_is_counted_at_each_end(instants: list[int]) -> None:
    instants.sort()
    wanted = sum(
        1 for index in range(3, len(instants)) if instants[index] - instants[index - 3] <= 60
    )
    assert comebacks([at * SECOND_US for at in instants]) == wanted


# -- the month ----------------------------------------------------------------------------------


def test_an_empty_month_has_every_day_and_no_share() -> None:
    found = month().figures()
    assert (found.raised, found.by_tier, found.floods) == (0, (0.0, 0.0, 0.0, 0.0), ())
    assert [day.date for day in found.days] == [f"2026-11-{day:02}" for day in range(1, 31)]
    assert found.windows == (30 * 144, 0, 0, 0, 0)
    assert found.to_acknowledge.median_s is None


@given(st.lists(st.tuples(st.integers(0, 3 * 86_400 - 1), st.integers(1, 4)), max_size=60))
def test_counts_are_those_of_a_plain_count(raised: list[tuple[int, int]]) -> None:
    raised.sort()
    told = month(3, operators=2)
    for number, (at_s, tier) in enumerate(raised):
        source = f"c{number % 3}"
        told.take(
            change(START_US + at_s * SECOND_US, number=number, tier=tier, condition_id=source)
        )
    found = told.figures()
    assert found.raised == len(raised)
    assert found.per_operator_10_min == pytest.approx(len(raised) / (3 * 144) / 2)
    for tier in range(1, 5):
        assert sum(day.by_tier[tier - 1] for day in found.days) == sum(t == tier for _, t in raised)
    windows = Counter(at_s // 600 for at_s, _ in raised)
    busy = [sum(count / 2 >= step for step in (1, 2, 5, 11)) for count in windows.values()]
    assert found.windows[1:] == tuple(busy.count(n) for n in range(1, 5))
    assert sum(found.windows) == 3 * 144
    most = max((sum(0 <= at - other < 600 for other, _ in raised) for at, _ in raised), default=0)
    assert found.busiest_10_min <= most / 2
    assert sum(source.count for source in found.top_sources) == len(raised)


def test_what_stood_open_for_a_day_is_stale_also_when_it_began_before() -> None:
    old = change(START_US - 20 * HOUR_US, number=1).data
    told = month(30, open_before=[old])
    told.take(change(START_US, number=2))
    told.take(change(START_US + HOUR_US, number=3))
    for number, hour in ((1, 5), (2, 23), (3, 300)):
        end_us = START_US + hour * HOUR_US
        told.take(change(end_us, "resolved", number, resolved_at=to_iso(end_us), outcome="test"))
    told.take(change(START_US + 700 * HOUR_US, number=4))
    told.take(change(START_US + 690 * HOUR_US, number=5))
    found = told.figures()
    assert (found.stale, found.stale_at_end) == (3, 1)  # 1, 3, and 5 at the end
    assert found.outcomes == {"test": 3}


def test_outcomes_people_and_what_did_not_get_there() -> None:
    told = month()
    end = to_iso(START_US + HOUR_US)
    for number, outcome in enumerate(("breach", "no_breach", None)):
        closed = change(START_US + HOUR_US, "resolved", number, resolved_at=end, outcome=outcome)
        told.take(msgspec.structs.replace(closed, actor="Kim" if outcome else "system"))
    for state in ("sent", "received", "expired"):
        told.delivered(
            DeliveryRecord(
                id=f"d/{state}",
                type=f"cordon.delivery.{state}",
                time=end,
                delivery_id="d",
                alert_id="a",
                change_id="a/1",
                channel="sms",
                recipient="Kim",
                state=state,
                reason="too late" if state == "expired" else "",
            )
        )
    found = told.figures()
    assert found.outcomes == {"breach": 1, "no_breach": 1, BY_ITSELF: 1}
    assert found.people == 1
    [sms] = found.deliveries
    assert (sms.channel, sms.missed, sms.states["received"]) == ("sms", 1, 1)
    assert [(one.name, one.count) for one in found.missed_reasons] == [("too late", 1)]


def test_the_self_test_and_her_status_are_in_no_figure() -> None:
    told = month()
    told.take(change(START_US, synthetic=True))
    for recipient, channel, change_id, state in (
        (AGENCY, "agency", "a1/1", "sent"),
        (HANDSET, "handset", "a1/1", "expired"),
        ("phone1", "handset", PROTECTION, "sent"),
        ("phone1", "handset", PROTECTION, "shown"),
    ):
        told.delivered(
            DeliveryRecord(
                id=f"{recipient}/{state}",
                type=f"cordon.delivery.{state}",
                time=to_iso(START_US),
                delivery_id=recipient,
                alert_id="",
                change_id=change_id,
                channel=channel,  # type: ignore[arg-type] # one of those above
                recipient=recipient,
                state=state,  # type: ignore[arg-type] # one of those above
            )
        )
    assert told.figures() == month().figures()


def test_figures_are_json() -> None:
    found = month().figures()
    assert msgspec.json.decode(msgspec.json.encode(found), type=MonthFigures) == found
