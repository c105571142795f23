"""Her hours against a twin that looks at every minute of the clock on the wall."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from devices.choices import Choices, Quiet, digest_us, is_quiet, problem_of
from devices.instants import from_iso, to_datetime, to_iso

MINUTE_US = 60_000_000
ZONES = ["Europe/Madrid", "Europe/London", "America/Montevideo", "Australia/Lord_Howe", "UTC"]
AROUND = [from_iso(day) for day in ("2026-03-29T00:30:00Z", "2026-10-25T00:30:00Z")]
AROUND += [from_iso("2026-07-01T12:00:00Z"), from_iso("2026-10-03T15:00:00Z")]
HOURS = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.sampled_from([0, 30]))
INSTANTS = st.builds(
    lambda around_us, minutes: around_us + minutes * MINUTE_US,
    st.sampled_from(AROUND),
    st.integers(-1_500, 1_500),
)


def wall_minute(at_us: int, zone: str) -> int:
    local = to_datetime(at_us).astimezone(ZoneInfo(zone))
    return local.hour * 60 + local.minute


def minute_of(hour: str) -> int:
    return int(hour[:2]) * 60 + int(hour[3:])


@given(HOURS, HOURS, st.sampled_from(ZONES), INSTANTS)
@settings(max_examples=300, deadline=None)
def test_quiet_hours_go_by_her_clock(begin: str, end: str, zone: str, at_us: int) -> None:
    choices = Choices(quiet=Quiet(from_=begin, to=end), zone=zone)
    first, last, now = minute_of(begin), minute_of(end), wall_minute(at_us, zone)
    expected = first <= now < last if first < last else now >= first or now < last
    found = is_quiet(choices, at_us)
    if found != expected:
        # Only around a change of the clock, where a window covers the more time.
        before, after = at_us - 2 * 60 * MINUTE_US, at_us + 2 * 60 * MINUTE_US
        offsets = {
            to_datetime(moment).astimezone(ZoneInfo(zone)).utcoffset() for moment in (before, after)
        }
        assert len(offsets) == 2
        assert found or first >= last or last - first <= 60


@given(HOURS, st.sampled_from(ZONES), INSTANTS)
@settings(max_examples=300, deadline=None)
def test_the_digest_comes_at_her_hour_once_a_day(hour: str, zone: str, at_us: int) -> None:
    choices = Choices(zone=zone, digest_at=hour)
    found_us = digest_us(choices, at_us)
    assert 0 < found_us - at_us <= 25 * 60 * MINUTE_US
    local = to_datetime(found_us).astimezone(ZoneInfo(zone))
    late = local.hour * 60 + local.minute - minute_of(hour)
    # Where the clock skips the hour it comes when the clock has passed it.
    assert 0 <= late <= 60
    if late:
        earlier = (local - timedelta(hours=3)).astimezone(ZoneInfo(zone))
        assert earlier.utcoffset() != local.utcoffset()


@given(HOURS, HOURS, st.sampled_from(ZONES), INSTANTS, st.integers(0, 4_000))
@settings(max_examples=200, deadline=None)
def test_what_is_held_is_due_as_soon_as_nothing_holds_it(
    begin: str, end: str, zone: str, at_us: int, pause: int
) -> None:
    paused = to_iso(at_us + pause * MINUTE_US) if pause else None
    choices = Choices(quiet=Quiet(from_=begin, to=end), zone=zone, paused_until=paused)
    due_us = digest_us(choices, at_us)
    assert due_us >= at_us
    if begin != end:
        assert not is_quiet(choices, due_us)
    if due_us > at_us:
        assert is_quiet(choices, at_us)
        assert is_quiet(choices, due_us - 1)


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        (Choices(), None),
        (Choices(topics={"inner_ring": "off"}), "locked"),
        (Choices(topics={"inner_ring": "digest"}, digest_at="08:00", zone="UTC"), "locked"),
        (Choices(topics={"tamper": "off"}), "locked"),
        (Choices(topics={"outer_ring": "off"}), None),
        (Choices(topics={"outer_ring": "digest"}), "digest_hour"),
        (Choices(quiet=Quiet(from_="22:00", to="07:00")), "zone"),
        (Choices(quiet=Quiet(from_="22:00", to="07:00"), zone="Mars/Base"), "zone"),
        (Choices(quiet=Quiet(from_="22:00", to="07:00"), zone="Europe/Madrid"), None),
        (Choices(paused_until="soon"), "pause"),
        (Choices(paused_until="2026-07-04T12:00:00Z"), None),
        (Choices(paused_until="2026-07-04T12:00:01Z"), "pause"),
    ],
)
def test_what_cannot_be_chosen_is_refused(choices: Choices, problem: str | None) -> None:
    now_us = from_iso("2026-07-01T12:00:00Z")
    assert problem_of(choices, frozenset({"tamper"}), now_us) == problem
