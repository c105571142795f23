"""A panic is never lost for a formality: each way it can be malformed and still be recognised."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reports import URGENT, Batch, Event, decode_batch, encode_batch
from ingest import native
from tests.ingest.reports import DEVICE, NOW_US, codes, decode, message, payload
from tests.ingest.test_decoder_properties import json_values

TIME = "2026-11-23T18:04:05Z"
DEEP: dict[str, Any] = {"a": [[[[[[[[[1]]]]]]]]]}

MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    ("the clock lost its calendar", {"time": "1970-01-01T00:00:09Z"}, "bad_time"),
    ("the clock is years behind", {"time": "2019-11-23T18:04:05Z"}, "bad_time"),
    ("the clock is years ahead", {"time": "2031-11-23T18:04:05Z"}, "bad_time"),
    ("no time", {"time": None}, "missing_field"),
    ("a number for a time", {"time": 1_795_457_045}, "bad_time"),
    ("a time without a zone", {"time": "2026-11-23T18:04:05"}, "bad_time"),
    ("an object for a time", {"time": {"s": 1}}, "bad_time"),
    ("too much detail", {"detail": {"a": "x" * native.MAX_DETAIL_BYTES}}, "too_large"),
    ("detail too deep", {"detail": DEEP}, "too_deep"),
    ("detail is a list", {"detail": ["a"]}, "wrong_type"),
    ("detail is text", {"detail": "help"}, "wrong_type"),
    ("detail holds NUL", {"detail": {"a": "\0"}}, "bad_text"),
    ("detail holds too large a number", {"detail": {"a": 2**64 - 1}}, "out_of_range"),
    ("a number below 0", {"seq": -1}, "out_of_range"),
    ("too large a number", {"seq": 2**63}, "out_of_range"),
    ("text for a number", {"seq": "12"}, "wrong_type"),
    ("half a number", {"seq": 1.5}, "wrong_type"),
    ("a peer that cannot be", {"peer": "phone 1"}, "bad_device"),
    ("a number for a peer", {"peer": 7}, "wrong_type"),
    ("NaN in the detail", {"detail": {"a": float("nan")}}, "not_json"),
]
NAMES = [name for name, _, _ in MALFORMED]


def panic(**changes: Any) -> dict[str, Any]:
    value = {"seq": 12, "time": TIME, "type": "panic", "detail": {"button": 2}} | changes
    return {name: part for name, part in value.items() if part is not None}


def the_event(batch: Batch) -> Event:
    (event,) = batch.events
    assert event.device == DEVICE
    assert decode_batch(encode_batch(batch)).events == batch.events
    return event


@pytest.mark.parametrize("kind", URGENT)
@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in MALFORMED], ids=NAMES)
def test_it_is_taken_with_what_can_be_read(changes: dict[str, Any], code: str, kind: str) -> None:
    batch = decode(message(panic(type=kind, **changes), "event"))
    event = the_event(batch)
    assert event.type == kind
    assert codes(batch) == [code]  # beside it, with its reason, is what was wrong
    if code == "not_json":  # nothing but its type can be read
        return
    assert event.time_doubted == ("time" in changes)
    assert event.time_us == (NOW_US if "time" in changes else NOW_US - 1_000_000)
    assert (event.seq == 12) == ("seq" not in changes)
    assert event.detail == ({} if "detail" in changes else {"button": 2})
    assert event.peer is None


@pytest.mark.parametrize(("changes", "code"), [row[1:] for row in MALFORMED[:-1]], ids=NAMES[:-1])
def test_in_messagepack_too(changes: dict[str, Any], code: str) -> None:
    batch = decode(message(msgspec.msgpack.encode(panic(**changes)), "event"))
    assert the_event(batch).type == "panic"
    assert codes(batch) == [code]


def test_without_a_number_and_with_fields_nobody_knows_it_is_ordinary() -> None:
    batch = decode(message(panic(seq=None, detail=None, firmware="9", time_s=[1]), "event"))
    event = the_event(batch)
    assert not batch.refusals
    assert event.seq < 0
    assert not event.time_doubted


def test_everything_wrong_at_once_is_said_part_by_part() -> None:
    value = panic(seq="x", time=5, peer=5, detail=5)
    batch = decode(message(value, "event"))
    event = the_event(batch)
    assert event.time_us == NOW_US
    assert event.time_doubted
    said = {refusal.reason.split(":")[0]: refusal.code for refusal in batch.refusals}
    assert len(batch.refusals) == len(said)
    assert said == {
        "$.detail": "wrong_type",
        "$.peer": "wrong_type",
        "$.seq": "wrong_type",
        "$.time": "bad_time",
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (payload(panic())[:-20], "not_json"),
        (payload(panic()).replace(b"12", b"NaN"), "not_json"),
        (payload(panic()).replace(b"button", b"\xff"), "bad_text"),
        (payload(panic()).replace(b"2}", b"[" * 100_000), "too_deep"),
        (payload(panic(detail={"a": "x" * native.MAX_PAYLOAD_BYTES})), "too_large"),
        (msgspec.msgpack.encode(panic())[:-5], "not_msgpack"),
        (msgspec.msgpack.encode(panic()).replace(b"\x0c", b"\xc1"), "not_msgpack"),
    ],
)
def test_even_where_the_notation_is_broken(body: bytes, code: str) -> None:
    batch = decode(message(body, "event"))
    event = the_event(batch)
    assert event.type == "panic"
    assert code in codes(batch)
    assert event.time_doubted == (code not in {"too_large", "bad_text"})


def test_repeated_by_the_broker_it_keeps_its_number() -> None:
    """The time of arrival, which stands in for its own, differs then."""
    body = payload(panic(seq=None, time="1970-01-01T00:00:00Z"))
    first = decode(message(body, "event"))
    again = decode(msgspec.structs.replace(message(body, "event"), received_us=NOW_US + 5))
    assert the_event(first).seq == again.events[0].seq < 0


@pytest.mark.parametrize("kind", ["battery_low", "beacon_seen", "PANIC", "panic ", ""])
def test_what_is_not_urgent_is_held_to_its_form(kind: str) -> None:
    batch = decode(message(panic(type=kind, time="1970-01-01T00:00:00Z"), "event"))
    assert not batch.events
    assert len(batch.refusals) == 1


@pytest.mark.parametrize("kind", ["fix", "status", "receipt"])
def test_only_on_the_topic_of_events(kind: str) -> None:
    assert not decode(message(panic(time=None), kind)).events


def test_only_of_a_possible_device() -> None:
    batch = decode(message(panic(), "event", device="tag 1"))
    assert (batch.events, codes(batch)) == ((), ["bad_device"])


@given(
    st.sampled_from(URGENT),
    st.dictionaries(st.sampled_from(["time", "seq", "peer", "detail", "x"]), json_values),
    st.sampled_from(["json", "msgpack"]),
)
def test_whatever_stands_beside_the_type(kind: str, beside: dict[str, Any], notation: str) -> None:
    value = beside | {"type": kind}
    if notation == "json":
        body = json.dumps(value).encode()
    else:
        try:
            body = msgspec.msgpack.encode(value)
        except (OverflowError, UnicodeEncodeError):  # MessagePack cannot say it
            return
    event = the_event(decode(message(body, "event")))
    assert event.type == kind
    assert event.time_us <= NOW_US + native.FUTURE_S * 1_000_000
