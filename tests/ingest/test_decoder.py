"""Decoding: limits of every field, nonsense, and that nothing is ever lost or raised."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import from_iso, to_datetime, to_iso
from devices.reports import ALTITUDE_MISSING, MISSING, Batch, Message, decode_batch, encode_batch
from ingest import native
from ingest.decoder import KEPT_BYTES
from tests.ingest.reports import DEVICE, NOW_US, decode, fix, message, payload

S = 1_000_000


def codes(batch: Batch) -> list[str]:
    return [refusal.code for refusal in batch.refusals]


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
        "event": {"time": time, "type": "panic"},
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


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b"[]", "empty"),
        (b"hello", "not_json"),
        (b'{"lat": 51.5', "not_json"),
        (b"\xff\xfe\x00", "not_json"),
        (b'"text"', "wrong_type"),
        (b"51.5", "wrong_type"),
        (b"null", "wrong_type"),
        (b"NaN", "wrong_type"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 40_000, "too_deep"),
        (payload(fix(lat=91)), "out_of_range"),
        (payload(fix()).replace(b"51.5074", b"1e999"), "out_of_range"),
        (payload(fix(kind="guess")), "unknown_value"),
        (payload(fix(kind="gnss")).replace(b"gnss", b"\xff"), "bad_text"),
        (payload([fix()] * 501), "too_many"),
        (payload([fix()] * 500 + [fix(lat=math.nan)]), "too_many"),
    ],
)
def test_nonsense_is_refused_with_its_reason(body: bytes, code: str) -> None:
    batch = decode(message(body))
    assert codes(batch) == [code]
    assert len(batch.fixes) == 0
    assert batch.messages[0].payload == body
    assert batch.refusals[0].sha256 == hashlib.sha256(body).digest()
    assert batch.refusals[0].size_bytes == len(body)
    assert batch.refusals[0].item is None


def test_an_oversized_payload_is_kept_cut_with_length_and_digest() -> None:
    body = payload([fix()] * 500).ljust(native.MAX_PAYLOAD_BYTES + 1)
    batch = decode(message(body), message(body[:-1]))
    assert codes(batch) == ["too_large"]
    assert batch.messages[0].payload == body[:KEPT_BYTES]
    assert batch.refusals[0].size_bytes == len(body)
    assert batch.refusals[0].sha256 == hashlib.sha256(body).digest()
    assert len(batch.fixes) == 500  # one byte less is accepted
    assert batch.messages[1].payload == body[:-1]


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        ("cordon/v1/tag-1/command", "unknown_topic"),
        ("cordon/v2/tag-1/fix", "unknown_topic"),
        ("cordon/v1/a/b/fix", "unknown_topic"),
        ("", "unknown_topic"),
        ("cordon/v1//fix", "bad_device"),
        ("cordon/v1/tag 1/fix", "bad_device"),
        ("cordon/v1/tag-1\n/fix", "bad_device"),
        ("cordon/v1/-tag/fix", "bad_device"),
        ("cordon/v1/" + "x" * 65 + "/fix", "bad_device"),
        ("cordon/v1/\\xff/fix", "bad_device"),
    ],
)
def test_topics_are_checked(topic: str, code: str) -> None:
    batch = decode(Message(NOW_US, topic, payload(fix())))
    assert codes(batch) == [code]
    assert len(batch.refusals[0].device) <= 64


@pytest.mark.parametrize("bad", [fix(lat=91), fix(lat=math.nan), fix(time=None), 5, None, [], "x"])
def test_one_bad_item_does_not_cost_the_good_ones(bad: Any) -> None:
    batch = decode(message([fix(seq=1), bad, fix(seq=3), fix(seq=4, time="1970-01-01T00:00:00Z")]))
    assert batch.fixes["seq"].tolist() == [1, 3]
    assert [refusal.item for refusal in batch.refusals] == [1, 3]


def test_reasons_never_hold_what_the_device_sent() -> None:
    marks = ("51.5074", "secret")
    bodies = [
        message(fix(lat="51.5074")),
        message(fix(lat=9151.5074)),
        message(fix(kind="secret 51.5074 - at `$.kind`")),
        message([fix(time="secret")]),
        message({"time": "2026-11-23T18:04:05Z", "type": "secret"}, "event"),
        message({"time": "2026-11-23T18:04:05Z", "type": "panic", "peer": "secret!"}, "event"),
        *(
            message({"time": "2026-11-23T18:04:05Z", "type": "panic", "detail": detail}, "event")
            for detail in (
                {"secret": 2**70},
                {"secret": "\0"},
                {"secret": {"51.5074": 10**400}},
                ["secret"],
                "secret",
            )
        ),
        message({"id": "secret", "state": "secret", "time": "51.5074"}, "receipt"),
        message({"online": "secret", "time": "2026-11-23T18:04:05Z"}, "status"),
    ]
    batch = decode(*bodies)
    assert len(batch.refusals) == len(bodies)
    for refusal in batch.refusals:
        assert not any(mark in refusal.reason for mark in marks), refusal.reason


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
    value = {"time": "2026-11-23T18:04:05Z", "type": "panic", "detail": detail}
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


# --- properties ---------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
valid_fixes = st.fixed_dictionaries(
    {
        "time": st.integers(NOW_US - 10**12, NOW_US + 10**8).map(to_iso),
        "lat": st.floats(-90, 90),
        "lon": st.floats(-180, 180),
    },
    optional={
        "seq": st.integers(0, 2**63 - 1),
        "accuracy_m": st.floats(0, native.MAX_ACCURACY_M),
        "speed_mps": st.floats(0, native.MAX_SPEED_MPS),
        "course_deg": st.floats(0, 360),
        "altitude_m": st.floats(native.MIN_ALTITUDE_M, native.MAX_ALTITUDE_M),
        "satellites": st.integers(0, native.MAX_SATELLITES),
        "hdop": st.floats(0, native.MAX_HDOP),
        "kind": st.sampled_from(["gnss", "network", "beacon", "last_known"]),
        "battery_pct": st.floats(0, 100),
        "charging": st.booleans(),
        "buffered": st.booleans(),
    },
)


@st.composite
def nearly_valid(draw: st.DrawFn) -> Any:
    """A fix, event, receipt or status in which a few fields may be anything."""
    value = draw(valid_fixes) | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "type": st.sampled_from(["panic", "strap_cut"]),
                "peer": st.text(max_size=4),
                "detail": json_values,
                "id": st.text(max_size=3),
                "state": st.sampled_from(["received", "answered"]),
                "answer": st.text(max_size=4),
                "online": st.booleans(),
            },
        )
    )
    for name in draw(st.lists(st.sampled_from(sorted(value)), max_size=2)):
        value[name] = draw(json_values)
    return value


bodies = st.one_of(
    st.binary(max_size=60),
    json_values.map(payload),
    nearly_valid().map(payload),
    st.lists(nearly_valid() | json_values, max_size=4).map(payload),
    st.builds(
        lambda body, at, junk: body[:at] + junk + body[at:],
        nearly_valid().map(payload),
        st.integers(0, 60),
        st.binary(max_size=3),
    ),
)
topics = st.one_of(
    st.sampled_from([f"cordon/v1/{device}/{kind}" for device in "ab" for kind in native.KINDS]),
    st.text(max_size=20),
)
arrivals = st.lists(st.builds(Message, st.just(NOW_US), topics, bodies), max_size=6)


@given(arrivals)
def test_whatever_arrives_is_decoded_or_refused_and_can_be_journaled(
    messages: list[Message],
) -> None:
    batch = decode(*messages)
    assert batch.messages == tuple(messages)
    whole = [r.message for r in batch.refusals if r.item is None]
    for index, arrived in enumerate(messages):
        fixes = int((batch.fixes["message"] == index).sum())
        items = [r.item for r in batch.refusals if r.message == index and r.item is not None]
        reports: tuple[Any, ...] = (*batch.events, *batch.receipts, *batch.statuses)
        rows = sum(report.message == index for report in reports)
        if index in whole:
            assert (whole.count(index), fixes, rows, items) == (1, 0, 0, [])
        elif items or fixes > 1:
            assert fixes + len(items) == len(json.loads(arrived.payload.decode()))
        else:
            assert fixes + rows == 1
    again = decode_batch(encode_batch(batch))
    assert again.fixes.tobytes() == batch.fixes.tobytes()
    assert again.refusals == batch.refusals
    assert again.events == batch.events


@given(st.lists(valid_fixes, min_size=1, max_size=5))
def test_valid_fixes_survive_within_half_a_step(values: list[dict[str, Any]]) -> None:
    batch = decode(message(values))
    assert not batch.refusals
    for value, fields in zip(values, batch.fixes, strict=True):
        assert fields["time_us"] == from_iso(value["time"])
        assert abs(fields["lat_e7"] / 1e7 - value["lat"]) <= 0.5001e-7
        assert abs(fields["lon_e7"] / 1e7 - value["lon"]) <= 0.5001e-7
        if value.get("accuracy_m"):
            assert fields["accuracy_cm"] > 0
            assert abs(fields["accuracy_cm"] / 100 - value["accuracy_m"]) <= 0.01
        if "altitude_m" in value:
            assert abs(fields["altitude_dm"] / 10 - value["altitude_m"]) <= 0.05001
        if "course_deg" in value:
            turn = abs(fields["course_cdeg"] / 100 - value["course_deg"])
            assert min(turn, 360 - turn) <= 0.00501
            assert 0 <= fields["course_cdeg"] < 36_000
        if "seq" in value:
            assert fields["seq"] == value["seq"]


@given(st.lists(valid_fixes, min_size=1, max_size=4))
def test_one_message_or_many_give_the_same_rows(values: list[dict[str, Any]]) -> None:
    together = decode(message(values)).fixes.copy()
    apart = decode(*(message(value) for value in values)).fixes.copy()
    together["message"] = apart["message"] = 0
    assert together.tobytes() == apart.tobytes()
