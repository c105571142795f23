"""Third parties' CSV: what is written is what is read, and no line is lost."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import from_datetime
from evidence.overlay_csv import (
    BYTES_LIMIT,
    LINES_LIMIT,
    REQUIRED,
    Event,
    Kind,
    OverlayError,
    Parsed,
    Terms,
    parse,
)

MADRID = ZoneInfo("Europe/Madrid")
ANPR = b"time,lat,lon,camera,plate,confidence\n"
ROW = b"2026-11-23T18:00:05+01:00,40.1,-3.5,C1,1234 BCD,0.93\n"

texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\r\n\0", exclude_categories=("Zs", "Cc")),
    max_size=20,
)
"""Without spaces at the ends, which are not kept."""

offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
moments = st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1), timezones=offsets)  # noqa: DTZ001
numbers = st.floats(-89, 89).map(lambda x: f"{x:.7f}")


@st.composite
def rows(draw: st.DrawFn, kind: Kind) -> dict[str, str]:
    """A line of a kind that can be read."""
    row = {
        "time": draw(moments).isoformat(),
        "lat": draw(numbers),
        "lon": draw(numbers),
        "clock_error_s": draw(st.sampled_from(["0", "2.5", "3600"])),
        "place": draw(texts),
        "something else": draw(texts),
    }
    if kind == "anpr":
        row |= {"camera": "C" + draw(texts), "plate": "P" + draw(texts)}
        row |= {"confidence": draw(st.sampled_from(["", "0", "0.5", "1"])), "radius_m": "40"}
    elif kind == "cell":
        azimuth = draw(st.integers(0, 360))
        row |= {"cell": draw(texts), "azimuth_deg": f"{azimuth}", "beam_deg": "65.5"}
        row |= {"range_m": draw(st.sampled_from(["800", "35000"]))}
    else:
        row |= {"file": draw(texts), "sha256": draw(st.sampled_from(["", "Ab" * 32]))}
        row |= {"accuracy_m": draw(st.sampled_from(["", "8"]))}
    return row


def written(table: list[dict[str, str]], delimiter: str, line_end: str) -> bytes:
    out = io.StringIO()
    made = csv.DictWriter(out, list(table[0]), delimiter=delimiter, lineterminator=line_end)
    made.writeheader()
    made.writerows(table)
    return out.getvalue().encode()


def told(event: Event, kind: Kind) -> dict[str, Any]:
    """The row that an event was, by another way than it was read."""
    names = {"anpr": ("camera", "radius_m"), "cell": ("cell", "range_m")}
    name, reach = names.get(kind, ("file", "accuracy_m"))
    row: dict[str, Any] = {"time": event.written, "place": event.place, name: event.name}
    row |= {"lat": event.lat, "lon": event.lon, "clock_error_s": event.clock_error_s}
    row |= {reach: event.reach_m, **event.detail}
    if kind == "cell":
        row |= {"azimuth_deg": event.azimuth_deg, "beam_deg": event.beam_deg}
    return {name: value for name, value in row.items() if value not in {"", None}}


@given(
    st.data(),
    st.sampled_from(["anpr", "cell", "photo"]),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(data: Any, kind: Kind, delimiter: str, line_end: str) -> None:
    table = data.draw(st.lists(rows(kind), min_size=1, max_size=5))
    done = parse(written(table, delimiter, line_end), Terms(kind))
    assert done.refused == []
    for row, event in zip(table, done.events, strict=True):
        expected = {name: cell for name, cell in row.items() if cell}
        found = told(event, kind)
        assert found.keys() == expected.keys()
        for name, cell in expected.items():
            value = found[name]
            assert (value == float(cell)) if isinstance(value, float) else (value == cell), name
        assert event.time_us == from_datetime(datetime.fromisoformat(row["time"]))
    assert [one.line for one in done.events] == list(range(2, len(table) + 2))


@given(st.binary(max_size=300), st.lists(st.sampled_from([ROW, b'"', b",", b"\n", b"\xff", b"x"])))
def test_no_line_is_lost_whatever_comes(noise: bytes, pieces: list[bytes]) -> None:
    body = noise + b"".join(pieces)
    done = parse(ANPR + body, Terms("anpr", MADRID, 1))
    lines = [one.line for one in done.events] + [one.line for one in done.refused]
    there = [i for i, line in enumerate(body.split(b"\n"), 2) if line.strip()]
    assert sorted(lines) == there
    assert all(one.reason for one in done.refused)


@given(st.binary(max_size=200), st.sampled_from(["anpr", "cell", "photo"]))
def test_what_is_no_such_file_is_said_to_be_none(content: bytes, kind: Kind) -> None:
    with pytest.raises(OverlayError):
        parse(content, Terms(kind, MADRID, 1))


@given(st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001
def test_a_time_of_the_wall_names_one_instant_or_none(wall: datetime) -> None:
    """The twin looks for the instants at which the clock on the wall showed it."""
    showed = {
        there
        for hours in (1, 2)
        if (there := wall.replace(tzinfo=UTC) - timedelta(hours=hours)).astimezone(MADRID)
        == wall.replace(tzinfo=MADRID, fold=0).astimezone(MADRID)
        or there.astimezone(MADRID).replace(tzinfo=None) == wall
    }
    row = wall.isoformat(" ").encode() + ROW[len(b"2026-11-23T18:00:05+01:00") :]
    done = parse(ANPR + row, Terms("anpr", MADRID, 1))
    showed = {there for there in showed if there.astimezone(MADRID).replace(tzinfo=None) == wall}
    if len(showed) == 1:
        assert [one.time_us for one in done.events] == [from_datetime(*showed)]
        assert done.events[0].written == wall.isoformat(" ")
    else:
        assert len(done.refused) == 1


def refused(row: bytes, head: bytes = ANPR, kind: Kind = "anpr") -> str:
    done: Parsed = parse(head + row, Terms(kind, MADRID, 1))
    assert done.events == []
    [one] = done.refused
    return one.reason


def test_hours_that_came_twice_or_never_are_refused() -> None:
    tail = ROW[len(b"2026-11-23T18:00:05+01:00") :]
    assert "twice" in refused(b"2026-10-25 02:30:00" + tail)
    assert "never" in refused(b"2026-03-29 02:30:00" + tail)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"18:00:05", b"18:00", "write it as"),
        (b"2026-11-23T18:00:05+01:00", b"2026-11-23", "write it as"),
        (b"18:00:05", b"25:00:05", "no such time"),
        (b"2026", b"1926", "outside the years"),
        (b"40.1", b"nan", "no number"),
        (b"40.1", b"4_0", "no number"),
        (b"40.1", b"90.1", "between -90 and 90"),
        (b"40.1", b"", "lat is empty"),
        (b"0.93", b"93", "between 0 and 1"),
        (b"C1", b"", "camera or plate is empty"),
        (b"C1", b"C1,", "7 cells"),
        (b"C1", b'"C1', "no line of CSV"),
        (b"C1", b"C" * 10_001, "longer than"),
        (b"C1", b"\xff", "UTF-8"),
    ],
)
def test_each_line_that_cannot_be_read_says_why(old: bytes, new: bytes, said: str) -> None:
    assert said in refused(ROW.replace(old, new, 1))


def test_other_kinds_say_why_too() -> None:
    head = b"time;lat;lon;azimuth_deg;beam_deg;range_m\n"
    row = b"2026-11-23T18:00:05Z;40,1;-3,5;90;65;800\n"
    [event] = parse(head + row, Terms("cell", None, 1)).events
    assert (event.lat, event.lon, event.beam_deg, event.reach_m) == (40.1, -3.5, 65, 800)
    assert "beam_deg" in refused(row.replace(b";65;", b";0;"), head, "cell")
    assert "range_m is 0" in refused(row.replace(b";800", b";0"), head, "cell")
    assert "range_m is empty" in refused(row.replace(b";800", b";"), head, "cell")
    head = b"time,lat,lon,sha256\n"
    assert "sha256" in refused(b"2026-11-23T18:00:05Z,1,1,abc\n", head, "photo")
    done = parse(head + b"2026-11-23T18:00:05Z,1,1,\n", Terms("photo", None, 1))
    assert done.events[0].reach_m is None, "not stated is not perfect"


def test_times_without_an_offset_need_a_zone() -> None:
    bare = ROW.replace(b"+01:00", b"")
    with pytest.raises(OverlayError, match=r"2 lines, the first is line 3.*--zone"):
        parse(ANPR + ROW + bare + bare, Terms("anpr", None, 1))
    with_zone = parse(ANPR + ROW + bare, Terms("anpr", MADRID, 1)).events
    assert with_zone[0].time_us == with_zone[1].time_us
    assert with_zone[1].written == "2026-11-23T18:00:05"


def test_what_nobody_says_of_the_clock_is_asked_for() -> None:
    with pytest.raises(OverlayError, match="--clock-error-s"):
        parse(ANPR + ROW, Terms("anpr"))
    head = ANPR.replace(b"confidence", b"clock_error_s")
    done = parse(head + ROW + ROW.replace(b"0.93", b""), Terms("anpr"))
    assert [one.clock_error_s for one in done.events] == [0.93]
    assert done.refused[0].reason == "clock_error_s is empty"
    assert parse(head + ROW, Terms("anpr", None, 9)).events[0].clock_error_s == 0.93


def test_limits() -> None:
    with pytest.raises(OverlayError, match="bytes"):
        parse(bytes(BYTES_LIMIT + 1), Terms("anpr", None, 1))
    with pytest.raises(OverlayError, match="lines"):
        parse(ANPR + b"x\n" * (LINES_LIMIT + 1), Terms("anpr", None, 1))
    with pytest.raises(OverlayError, match="plate are missing"):
        parse(b"time,lat,lon,camera\n", Terms("anpr", None, 1))
    with pytest.raises(OverlayError, match="a name of its own"):
        parse(ANPR.replace(b"confidence", b"lat"), Terms("anpr", None, 1))
    bom = parse(b"\xef\xbb\xbf" + ANPR.upper() + ROW, Terms("anpr", None, 1))
    assert len(bom.events) == 1
    assert set(REQUIRED) == {"anpr", "cell", "photo"}
