"""Schedules in local time against a slow reference that looks at the clock minute by minute."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from devices.caseload import Window
from devices.instants import from_iso, to_datetime, to_iso
from devices.schedule import TimeZoneError, is_active, next_change_us, time_zone
from tests.devices.samples import windows

MINUTE_US = 60_000_000
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def window(days: str, begin: str, end: str) -> Window:
    return msgspec.convert({"days": days.split(), "from": begin, "to": end}, Window)


def reference(schedule: list[Window], zone: ZoneInfo, at_us: int, reach_days: int = 3) -> set[int]:
    """Minutes of the days around `at_us` that the schedule covers, as a set.

    A window on a local day lasts from the first minute whose wall time is at or after its
    beginning to the last minute whose wall time is before its end.
    """
    start_us = at_us // MINUTE_US * MINUTE_US - reach_days * 1440 * MINUTE_US
    minutes = [start_us + k * MINUTE_US for k in range(2 * reach_days * 1440)]
    walls = [to_datetime(t).astimezone(zone).replace(tzinfo=None) for t in minutes]
    covered: set[int] = set()
    first_day = min(walls).date()
    for day in (first_day + timedelta(days=k) for k in range(2 * reach_days + 2)):
        for one in schedule:
            if DAYS[day.weekday()] not in one.days:
                continue
            midnight = datetime.combine(day, time())
            begin, end = (
                midnight + timedelta(hours=int(t[:2]), minutes=int(t[3:]))
                for t in (one.from_, one.to)
            )
            if end <= begin:
                end += timedelta(days=1)
            if begin < walls[0] or end > walls[-1]:
                continue  # only part of it can be seen from here
            first = next(t for t, wall in zip(minutes, walls, strict=True) if wall >= begin)
            last = next(
                t for t, wall in zip(reversed(minutes), reversed(walls), strict=True) if wall < end
            )
            covered.update(range(first, last + 1, MINUTE_US))
    return covered


ZONES = [
    "Europe/London",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "Pacific/Apia",
    "UTC",
]
CHANGES = [
    "2026-03-29T01:00:00Z",  # London forward
    "2026-10-25T01:00:00Z",  # London back
    "2026-03-08T05:00:00Z",  # Havana forward at midnight
    "2026-11-01T05:00:00Z",  # Havana back to midnight
    "2026-04-04T15:00:00Z",  # Lord Howe back by half an hour
    "2026-10-03T15:30:00Z",  # Lord Howe forward by half an hour
    "2026-03-28T22:00:00Z",  # Beirut forward at midnight
    "2011-12-30T10:00:00Z",  # Apia leaves a day out
]
INSTANTS = st.builds(
    lambda change, minutes: from_iso(change) + minutes * MINUTE_US,
    st.sampled_from(CHANGES),
    st.integers(-2000, 2000),
)
CLOCK = st.builds("{:02}:{:02}".format, st.integers(0, 3) | st.integers(0, 23), st.integers(0, 59))
SCHEDULES = st.lists(
    windows()
    | st.builds(
        lambda days, begin, end: window(" ".join(days), begin, end),
        st.lists(st.sampled_from(DAYS), min_size=1, max_size=7, unique=True),
        CLOCK,
        CLOCK | st.just("24:00"),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, st.sampled_from(ZONES), INSTANTS)
@example([window("sun", "00:00", "01:00")], "America/Havana", from_iso("2026-11-01T04:30:00Z"))
@example([window("sun", "01:30", "02:00")], "Europe/London", from_iso("2026-10-25T00:45:00Z"))
@example([window("thu fri", "01:00", "01:00")], "Pacific/Apia", from_iso("2011-12-30T10:00:00Z"))
@example([window("sat sun", "22:00", "01:30")], "Europe/London", from_iso("2026-03-29T00:59:00Z"))
def test_is_active_agrees_with_the_clock_on_the_wall(
    schedule: list[Window], name: str, at_us: int
) -> None:
    zone = ZoneInfo(name)
    covered = reference(schedule, zone, at_us)
    for offset in range(-1440, 1440, 7):
        minute_us = at_us // MINUTE_US * MINUTE_US + offset * MINUTE_US
        assert is_active(schedule, zone, minute_us) == (minute_us in covered), to_iso(minute_us)


@settings(max_examples=60, deadline=None)
@given(SCHEDULES, st.sampled_from(ZONES), INSTANTS, st.integers(0, MINUTE_US - 1))
def test_the_next_change_is_the_first_one(
    schedule: list[Window], name: str, minute_us: int, within_us: int
) -> None:
    zone = ZoneInfo(name)
    at_us = minute_us + within_us
    now = is_active(schedule, zone, at_us)
    change_us = next_change_us(schedule, zone, at_us)
    if change_us is None:
        limit_us = at_us + 14 * 1440 * MINUTE_US
        step = 60 * MINUTE_US
    else:
        assert change_us > at_us
        assert is_active(schedule, zone, change_us) != now
        assert is_active(schedule, zone, change_us - 1) == now
        limit_us = change_us
        step = 17 * MINUTE_US
    assert all(is_active(schedule, zone, t) == now for t in range(at_us, limit_us, step))


@settings(max_examples=20, deadline=None)
@given(SCHEDULES, st.sampled_from(ZONES), INSTANTS)
def test_no_change_is_skipped_minute_by_minute(
    schedule: list[Window], name: str, at_us: int
) -> None:
    zone = ZoneInfo(name)
    now = is_active(schedule, zone, at_us)
    change_us = next_change_us(schedule, zone, at_us)
    for minute_us in range(at_us, at_us + 1440 * MINUTE_US, MINUTE_US):
        if change_us is not None and minute_us >= change_us:
            break
        assert is_active(schedule, zone, minute_us) == now


def test_without_windows_it_always_holds() -> None:
    assert is_active((), ZoneInfo("UTC"), 0)
    assert next_change_us((), ZoneInfo("UTC"), 0) is None


def test_all_week_never_changes() -> None:
    for zone in map(ZoneInfo, ZONES):
        for change in CHANGES:
            always = [window(" ".join(DAYS), "00:00", "24:00")]
            assert is_active(always, zone, from_iso(change))
            assert next_change_us(always, zone, from_iso(change)) is None


MADRID = ZoneInfo("Europe/Madrid")
NIGHT = [window("fri", "22:00", "06:00")]


@pytest.mark.parametrize(
    ("at", "active", "change"),
    [
        ("2026-11-27T20:59:59Z", False, "2026-11-27T21:00:00Z"),
        ("2026-11-27T21:00:00Z", True, "2026-11-28T05:00:00Z"),
        ("2026-11-28T04:59:59Z", True, "2026-11-28T05:00:00Z"),
        ("2026-11-28T05:00:00Z", False, "2026-12-04T21:00:00Z"),
    ],
)
def test_past_midnight(at: str, active: object, change: str) -> None:
    assert is_active(NIGHT, MADRID, from_iso(at)) == active
    assert next_change_us(NIGHT, MADRID, from_iso(at)) == from_iso(change)


def test_a_window_in_a_skipped_hour_comes_back_the_week_after() -> None:
    skipped = [window("sun", "02:10", "02:50")]
    assert next_change_us(skipped, MADRID, from_iso("2026-03-28T12:00:00Z")) == from_iso(
        "2026-04-05T00:10:00Z"
    )


@pytest.mark.parametrize(
    ("days", "begin", "end", "first", "last"),
    [
        # 29 March: 02:00 to 03:00 is skipped at 01:00Z. The night is an hour shorter.
        ("sat", "22:00", "06:00", "2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"),
        ("sun", "02:30", "05:00", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"),
        ("sun", "01:00", "02:30", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
        # 25 October: 02:00 to 03:00 comes twice, from 00:00Z on. The night is an hour longer.
        ("sat", "22:00", "06:00", "2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z"),
        ("sun", "02:30", "05:00", "2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z"),
        ("sun", "01:00", "02:30", "2026-10-24T23:00:00Z", "2026-10-25T01:30:00Z"),
        ("sun", "02:10", "02:50", "2026-10-25T00:10:00Z", "2026-10-25T01:50:00Z"),
    ],
)
def test_windows_over_a_skipped_and_a_repeated_hour(
    days: str, begin: str, end: str, first: str, last: str
) -> None:
    schedule = [window(days, begin, end)]
    first_us, last_us = from_iso(first), from_iso(last)
    assert next_change_us(schedule, MADRID, first_us - MINUTE_US) == first_us
    assert next_change_us(schedule, MADRID, first_us) == last_us
    for at_us in range(first_us, last_us, MINUTE_US):
        assert is_active(schedule, MADRID, at_us)
    assert not is_active(schedule, MADRID, first_us - 1)
    assert not is_active(schedule, MADRID, last_us)


def test_from_equal_to_means_a_whole_day() -> None:
    day = [window("mon", "08:00", "08:00")]
    assert is_active(day, ZoneInfo("UTC"), from_iso("2026-11-24T07:59:59Z"))
    assert not is_active(day, ZoneInfo("UTC"), from_iso("2026-11-24T08:00:00Z"))


def test_unknown_zones_are_refused() -> None:
    assert time_zone("Europe/Madrid") == MADRID
    for name in ("", "Mars/Olympus", "+01:00", "/etc/passwd", "Europe"):
        with pytest.raises(TimeZoneError):
            time_zone(name)
