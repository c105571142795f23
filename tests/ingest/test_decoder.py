"""Decoding field by field: what is read, what is missing, and the limits on both sides."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from devices.instants import from_iso, to_datetime, to_iso
from devices.reports import ALTITUDE_MISSING, MISSING, Batch
from ingest import native
from tests.ingest.reports import DEVICE, NOW_US, codes, decode, fix, message

S = 1_000_000


def row(batch: Batch) -> dict[str, int]:
    assert not batch.refusals
    assert len(batch.fixes) == 1
    return {str(name): int(batch.fixes[0][name]) for name in batch.fixes.dtype.names or ()}


def test_a_full_fix_is_quantised_field_by_field() -> None:
    batch = decode(message(fix()))
    assert batch.devices == (DEVICE,)
    assert row(batch) == {
        "message": 0,
        "device": 0,
        "seq": 4711,
        "time_us": from_iso("2026-11-23T18:04:05.25Z"),
        "lat_e7": 515_074_000,
        "lon_e7": -1_278_000,
        "accuracy_cm": 650,
        "speed_cms": 130,
        "course_cdeg": 8_700,
        "altitude_dm": 210,
        "satellites": 9,
        "hdop_c": 110,
        "kind": 0,
        "battery_pct": 81,
        "charging": 0,
        "buffered": 0,
    }


def test_what_a_device_leaves_out_is_missing_and_not_zero() -> None:
    fields = row(decode(message({"time": "2026-11-23T18:04:05Z", "lat": 1, "lon": 2})))
    optional = ("accuracy_cm", "speed_cms", "course_cdeg", "satellites", "hdop_c", "battery_pct")
    assert [fields[name] for name in (*optional, "charging")] == [MISSING] * 7
    assert fields["altitude_dm"] == ALTITUDE_MISSING
    assert fields["seq"] < 0


@pytest.mark.parametrize("value", [0, 0.0, -0.0, None])
def test_accuracy_zero_or_absent_is_unknown(value: float | None) -> None:
    assert row(decode(message(fix(accuracy_m=value))))["accuracy_cm"] == MISSING


def test_a_tiny_accuracy_does_not_become_unknown_or_perfect() -> None:
    assert row(decode(message(fix(accuracy_m=0.001))))["accuracy_cm"] == 1


def test_north_given_as_360_degrees_is_0() -> None:
    assert row(decode(message(fix(course_deg=360))))["course_cdeg"] == 0
    assert row(decode(message(fix(course_deg=359.999))))["course_cdeg"] == 0


LIMITS = [
    ("lat", -90, 90, 1e-9),
    ("lon", -180, 180, 1e-9),
    ("accuracy_m", 0, native.MAX_ACCURACY_M, 0.01),
    ("speed_mps", 0, native.MAX_SPEED_MPS, 0.01),
    ("course_deg", 0, 360, 0.01),
    ("altitude_m", native.MIN_ALTITUDE_M, native.MAX_ALTITUDE_M, 0.01),
    ("satellites", 0, native.MAX_SATELLITES, 1),
    ("hdop", 0, native.MAX_HDOP, 0.01),
    ("battery_pct", 0, 100, 0.01),
    ("seq", 0, 2**63 - 1, 1),
]


@pytest.mark.parametrize(("name", "low", "high", "step"), LIMITS)
def test_each_limit_holds_on_both_sides(name: str, low: float, high: float, step: float) -> None:
    for inside in (low, high):
        assert len(decode(message(fix(**{name: inside}))).fixes) == 1
    for outside in (low - step, high + step):
        batch = decode(message(fix(**{name: outside})))
        assert codes(batch) == ["out_of_range"]
        assert f"$.{name}" in batch.refusals[0].reason


@pytest.mark.parametrize("name", [limit[0] for limit in LIMITS])
def test_no_field_takes_text_or_nan(name: str) -> None:
    assert codes(decode(message(fix(**{name: "1"})))) == ["wrong_type"]
    for number in (math.nan, math.inf, -math.inf):
        assert codes(decode(message(fix(**{name: number})))) == ["not_a_number"]


@pytest.mark.parametrize("name", ["time", "lat", "lon"])
def test_required_fields_are_required(name: str) -> None:
    batch = decode(message(fix(**{name: None})))
    assert codes(batch) == ["missing_field"]
    assert name in batch.refusals[0].reason


@pytest.mark.parametrize(
    ("offset_us", "accepted"),
    [
        (-native.OLDEST_S * S, True),
        (-native.OLDEST_S * S - 1, False),
        (native.FUTURE_S * S, True),
        (native.FUTURE_S * S + 1, False),
    ],
)
def test_time_is_judged_against_the_arrival(offset_us: int, *, accepted: bool) -> None:
    time = to_iso(NOW_US + offset_us)
    values = {
        "fix": fix(time=time),
        "event": {"time": time, "type": "battery_low"},
        "receipt": {"id": "c1", "state": "shown", "time": time},
        "status": {"online": True, "time": time},
    }
    batch = decode(*(message(value, kind) for kind, value in values.items()))
    assert codes(batch) == ([] if accepted else ["bad_time"] * 4)
    held = (batch.fixes, batch.events, batch.receipts, batch.statuses)
    assert [len(rows) for rows in held] == [int(accepted)] * 4


@pytest.mark.parametrize(
    "time",
    [
        "1970-01-01T00:00:00Z",
        "2099-01-01T00:00:00Z",
        "2026-11-23T18:04:05",  # names no instant
        "2026-11-23",
        "yesterday",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        1795457045,
    ],
)
def test_impossible_times_are_refused(time: Any) -> None:
    assert codes(decode(message(fix(time=time)))) == ["bad_time"]


def test_any_offset_names_the_same_instant() -> None:
    batch = decode(message(fix(time="2026-11-24T03:34:05.25+09:30")))
    assert row(batch)["time_us"] == from_iso("2026-11-23T18:04:05.25Z")


def test_without_a_count_the_same_fix_is_equal_and_another_distinct() -> None:
    one = fix(seq=None)
    variants = [
        one,
        one | {"buffered": True, "battery_pct": 7, "charging": True},  # the same, flushed later
        one | {"lat": one["lat"] + 2e-7},
        one | {"accuracy_m": 7},
        one | {"time": "2026-11-23T18:04:05.251Z"},
        one | {"kind": "network"},
    ]
    seqs = [row(decode(message(value)))["seq"] for value in variants]
    other_device = row(decode(message(one, device="tag-2")))["seq"]
    assert seqs[0] == seqs[1]
    assert len({*seqs, other_device}) == len(variants)
    assert max(seqs) < 0


def test_an_event_keeps_its_detail() -> None:
    value = {
        "seq": 9,
        "time": "2026-11-23T18:04:05Z",
        "type": "beacon_seen",
        "peer": "handset-1",
        "detail": {"rssi": -71, "path": [1, 2.5, None, True], "more": {"a": "ü"}},
    }
    (event,) = decode(message(value, "event")).events
    assert (event.seq, event.type, event.peer) == (9, "beacon_seen", "handset-1")
    assert event.detail == value["detail"]


def test_an_event_without_a_count_gets_one_from_its_content() -> None:
    base = {"time": "2026-11-23T18:04:05Z", "type": "panic"}
    values = [base, base, base | {"type": "strap_cut"}, base | {"detail": {"a": 1}}]
    seqs = [event.seq for event in decode(*(message(v, "event") for v in values)).events]
    assert seqs[0] == seqs[1] < 0
    assert len(set(seqs)) == 3


@pytest.mark.parametrize(
    ("detail", "code"),
    [
        ({"a": "x" * native.MAX_DETAIL_BYTES}, "too_large"),
        ({"a": [[[[[[[[[1]]]]]]]]]}, "too_deep"),
        ({"a": "nul \0"}, "bad_text"),
        ({"nul \0": 1}, "bad_text"),
        ({"a": 2**64 - 1}, "out_of_range"),
        (["a"], "wrong_type"),
        ("a", "wrong_type"),
    ],
)
def test_detail_is_bounded(detail: Any, code: str) -> None:
    value = {"time": "2026-11-23T18:04:05Z", "type": "charging", "detail": detail}
    assert codes(decode(message(value, "event"))) == [code]


def test_receipts_and_statuses() -> None:
    time = "2026-11-23T18:04:05Z"
    batch = decode(
        message({"id": "c1", "state": "answered", "time": time, "answer": "I am safe"}, "receipt"),
        message({"online": False, "time": time}, "status"),
        message({"id": "", "state": "shown", "time": time}, "receipt"),
        message({"id": "c1", "state": "eaten", "time": time}, "receipt"),
        message({"id": "c1", "state": "shown", "time": time, "answer": "\0"}, "receipt"),
        message({"online": 1, "time": time}, "status"),
    )
    assert [(r.command_id, r.state, r.answer) for r in batch.receipts] == [
        ("c1", "answered", "I am safe")
    ]
    assert [(s.device, s.online) for s in batch.statuses] == [(DEVICE, False)]
    assert codes(batch) == ["out_of_range", "unknown_value", "bad_text", "wrong_type"]


def test_wire_structs_encode_what_the_decoder_reads() -> None:
    sent = native.Fix(time=to_datetime(NOW_US), lat=1.5, lon=2.5, seq=3, accuracy_m=4.0)
    event = native.Event(time=to_datetime(NOW_US), type="panic", seq=4)
    batch = decode(message(msgspec.json.encode(sent)), message(msgspec.json.encode(event), "event"))
    assert not batch.refusals
    assert batch.fixes["seq"].tolist() == [3]
    assert batch.events[0].time_us == NOW_US
