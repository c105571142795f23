"""Intervals against plain sets of instants."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from evidence.keeping import (
    MESSAGE,
    Interval,
    Plan,
    days_of,
    key_of,
    time_of,
    union,
    within,
    without,
)
from evidence.log.canonical import encode
from evidence.log.leaves import FIX_PAYLOAD, chain_of
from evidence.partitions import DAY_US

INSTANTS = st.integers(-40, 40)
INTERVALS = st.lists(st.tuples(INSTANTS, INSTANTS), max_size=6)


def instants(intervals: object) -> set[int]:
    assert isinstance(intervals, list | tuple)
    return {instant for start, end in intervals for instant in range(start, end)}


@given(INTERVALS, INTERVALS, st.tuples(INSTANTS, INSTANTS))
def test_intervals_are_sets_of_instants(
    some: list[Interval], others: list[Interval], window: Interval
) -> None:
    assert instants(union(some)) == instants(some)
    assert instants(without(some, others)) == instants(some) - instants(others)
    assert instants(within(some, window)) == instants(some) & instants([window])
    for found in (union(some), without(some, others), within(some, window)):
        assert all(start < end for start, end in found)
        assert all(one[1] < two[0] for one, two in itertools.pairwise(found))


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=4))
def test_days_are_those_that_are_touched(halves: list[Interval]) -> None:
    parts = union((start * DAY_US // 2, end * DAY_US // 2) for start, end in halves)
    assert days_of(parts) == {at // 2 for start, end in halves for at in range(start, end)}


@given(
    st.integers(0, 3 * DAY_US - 1),
    st.lists(st.tuples(st.integers(0, 3 * DAY_US), st.integers(0, 3 * DAY_US)), max_size=4),
)
def test_a_record_goes_by_its_own_time(time_us: int, parts: list[Interval]) -> None:
    plan = Plan({"fix": {"tag-1": union(parts)}})
    fix = FIX_PAYLOAD.pack(1, chain_of("fix", "tag-1"), time_us, *([0] * 16))
    assert time_of(fix) == time_us
    day = time_us // DAY_US
    assert plan.takes("fix", "tag-1", fix, day) == any(
        start <= time_us < end for start, end in parts
    )
    assert not plan.takes("fix", "tag-2", fix, day)
    assert not plan.takes("event", "tag-1", fix, day)
    if plan.takes("fix", "tag-1", fix, day):
        assert day in plan.days("fix", "tag-1")


def test_messages_go_and_stay_with_what_they_carried() -> None:
    def message(received_us: int, item: int) -> bytes:
        return encode([1, MESSAGE, received_us, 7, item, "tag-1", "t", b"", 0])

    extra, kept = (5 * DAY_US, 7, 0), (10, 7, 1)
    plan = Plan(
        {MESSAGE: {"tag-1": ((0, DAY_US),)}}, {"tag-1": frozenset({extra})}, frozenset({kept})
    )
    assert key_of(message(*extra[::2])) == extra
    assert plan.takes(MESSAGE, "tag-1", message(5 * DAY_US, 0), 5)
    assert not plan.takes(MESSAGE, "tag-1", message(5 * DAY_US, 1), 5)
    assert plan.takes(MESSAGE, "tag-1", message(10, 0), 0)
    assert not plan.takes(MESSAGE, "tag-1", message(10, 1), 0)
    assert plan.apart() == {extra}
    assert plan.days(MESSAGE, "tag-1") == {0, 5}
    assert plan.chains() == {chain_of(MESSAGE, "tag-1"): (MESSAGE, "tag-1", {0, 5})}
