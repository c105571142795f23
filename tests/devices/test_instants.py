"""Instants are exact, and nothing without a zone is taken for one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import from_datetime, from_iso, to_datetime, to_iso

INSTANTS = st.integers(-62_135_596_800_000_000 // 10, 253_402_300_799_999_999)


@given(INSTANTS)
def test_every_microsecond_survives_both_ways(instant_us: int) -> None:
    assert from_datetime(to_datetime(instant_us)) == instant_us
    assert from_iso(to_iso(instant_us)) == instant_us


@given(st.datetimes(), st.integers(-1439, 1439))
def test_an_offset_is_taken_off(moment: datetime, offset_min: int) -> None:
    zone = timezone(timedelta(minutes=offset_min))
    local = from_datetime(moment.replace(tzinfo=zone))
    utc = from_datetime(moment.replace(tzinfo=UTC))
    assert local == utc - offset_min * 60_000_000


def test_known_instant() -> None:
    assert from_iso("2026-11-23T18:04:05.25Z") == 1_795_457_045_250_000
    assert to_iso(1_795_457_045_250_000) == "2026-11-23T18:04:05.250000Z"


def test_without_a_zone_it_names_no_instant() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        from_iso("2026-11-23T18:04:05")
