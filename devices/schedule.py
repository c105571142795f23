"""Weekly schedules in local time: is a zone in force at an instant, and when does that change.

A window is turned into instants day by day. Where clocks change, the window covers the more time:
it begins when the clock on the wall first shows its beginning or later, and ends after the clock
last showed something earlier than its end. So an hour that occurs twice is covered both times,
and a time that is skipped counts as the moment of the change. Instants, not wall times, are then
compared, so a window cannot flicker when the clock goes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from devices.caseload import Window
from devices.instants import MICROSECONDS, from_datetime, to_datetime

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HORIZON_DAYS = 15
"""How far to look for the next change: a weekly window comes twice, even if one of the two falls
into a skipped hour."""

_ONE_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class TimeZoneError(ValueError):
    """No time zone of that name."""


@cache
def time_zone(name: str) -> ZoneInfo:
    """The zone of an IANA name, for example ``Europe/Madrid``.

    Raises:
        TimeZoneError: There is none; offsets like ``+01:00`` are none, they know no summer time.
    """
    if name not in _names():
        raise TimeZoneError(f"no time zone is called {name!r}; write one like Europe/Madrid or UTC")
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def is_active(schedule: Sequence[Window], zone: ZoneInfo, at_us: int) -> bool:
    """Whether an instant lies in one of the windows. An empty schedule is always active."""
    if not schedule:
        return True
    # A window that began yesterday may still run; a zone's clock is at most a day from another's.
    return any(begin <= at_us < end for begin, end in _periods(schedule, zone, at_us, 1))


def next_change_us(schedule: Sequence[Window], zone: ZoneInfo, at_us: int) -> int | None:
    """The first instant after `at_us` at which `is_active` gives another answer.

    None if it never will.
    """
    if not schedule:
        return None
    active = False
    end_us = at_us
    for begin, end in _periods(schedule, zone, at_us, _HORIZON_DAYS):
        if end <= at_us:
            continue
        if begin > end_us:  # a gap: either the one at_us lies in, or the one after it
            return end_us if active else begin
        active = True
        end_us = max(end_us, end)
    horizon_us = at_us + (_HORIZON_DAYS - 1) * 86_400 * MICROSECONDS
    return end_us if active and end_us < horizon_us else None


def _periods(
    schedule: Sequence[Window], zone: ZoneInfo, at_us: int, days: int
) -> list[tuple[int, int]]:
    """The windows' instants, sorted, that may concern the `days` days from `at_us` on."""
    today = to_datetime(at_us).astimezone(zone).date()
    periods = set()
    for offset in range(-2, days + 1):
        day = today + offset * _ONE_DAY
        for window in schedule:
            if _DAYS[day.weekday()] in window.days:
                periods.add(_period(window, zone, day))
    return sorted((begin, end) for begin, end in periods if begin < end)


def _period(window: Window, zone: ZoneInfo, day: date) -> tuple[int, int]:
    """First instant of the window that begins on a day, and the first after it."""
    begin, end = _wall(day, window.from_), _wall(day, window.to)
    if end <= begin:
        end += _ONE_DAY
    return _earliest_us(begin, zone), _latest_us(end, zone)


def _wall(day: date, clock: str) -> datetime:
    """A day and a local ``HH:MM`` as a naive datetime; ``24:00`` is the next midnight."""
    hours, minutes = clock.split(":")
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - local, zone comes later
    return midnight + timedelta(hours=int(hours), minutes=int(minutes))


def _earliest_us(wall: datetime, zone: ZoneInfo) -> int:
    """The first instant at which the clock shows `wall`, or the moment it skips it."""
    first, second = _both_us(wall, zone)
    return first if first <= second else _skip_us(second, first, zone)


def _latest_us(wall: datetime, zone: ZoneInfo) -> int:
    """The first instant after which the clock never again shows a time before `wall`."""
    first, second = _both_us(wall - _MICROSECOND, zone)
    return second + 1 if first <= second else _skip_us(second, first, zone)


def _both_us(wall: datetime, zone: ZoneInfo) -> tuple[int, int]:
    """The instants by the offset before and after a change near `wall`; equal without one.

    The second is the earlier one when the clock skips `wall` (PEP 495).
    """
    return (
        from_datetime(wall.replace(tzinfo=zone, fold=0).astimezone(UTC)),
        from_datetime(wall.replace(tzinfo=zone, fold=1).astimezone(UTC)),
    )


def _skip_us(before_us: int, after_us: int, zone: ZoneInfo) -> int:
    """The instant between the two at which the zone's offset changes, by bisection to 1 s."""
    low, high = before_us // MICROSECONDS, after_us // MICROSECONDS
    offset = _offset(high, zone)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, zone) == offset:
            high = middle
        else:
            low = middle
    return high * MICROSECONDS


def _offset(instant_s: int, zone: ZoneInfo) -> timedelta | None:
    return to_datetime(instant_s * MICROSECONDS).astimezone(zone).utcoffset()
