"""What all formats share: which topic is whose, what is subscribed to, and both notations alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import to_datetime
from devices.reports import Batch
from ingest import native
from ingest.formats import traccar
from ingest.formats.registry import (
    ADAPTERS,
    EVENT_FILTERS,
    POSITION_FILTERS,
    REMEMBERED_CHARS,
    TOPIC_FILTERS,
    find,
)
from tests.ingest.reports import DEVICE, NOW_US, codes, decode, fix, message, payload
from tests.ingest.test_decoder_properties import valid_fixes

TOPICS = {
    "cordon/v1/tag-1/fix": ("tag-1", False),
    "cordon/v1/tag-1/event": ("tag-1", True),
    "cordon/v1/tag-1/status": ("tag-1", False),
    "cordon/v1/tag-1/receipt": ("tag-1", False),
    "owntracks/jane/phone": ("jane__phone", False),
    "owntracks/jane/phone/event": ("jane__phone", False),
    traccar.TOPIC: ("", True),
}


def fits(topic: str, text: str) -> bool:
    """Whether a topic is of an MQTT filter of names and ``+``."""
    levels, wanted = topic.split("/"), text.split("/")
    return len(levels) == len(wanted) and all(
        want in {"+", have} for have, want in zip(levels, wanted, strict=True)
    )


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_subscribed_to_once_and_read_by_one_adapter(topic: str) -> None:
    address = find(topic)
    assert address.refusal is None
    assert (address.device, address.urgent) == TOPICS[topic]
    assert sum(fits(topic, text) for text in TOPIC_FILTERS) == 1
    assert sum(adapter.route(topic) is not None for adapter in ADAPTERS) == 1
    if address.urgent:
        assert any(fits(topic, text) for text in EVENT_FILTERS)


def test_positions_and_events_are_apart() -> None:
    assert set(EVENT_FILTERS).isdisjoint(POSITION_FILTERS)
    assert native.topic_filter("fix") in POSITION_FILTERS


@given(st.text(max_size=30) | st.text("cordonwtracks/v1+_-", max_size=30))
def test_any_text_is_looked_up(topic: str) -> None:
    address = find(topic)
    assert len(address.device) <= native.MAX_DEVICE_CHARS
    assert (address.adapter is None) <= (address.refusal is not None)


def test_a_long_topic_is_looked_up_without_being_remembered() -> None:
    topic = "owntracks/jane/" + "x" * REMEMBERED_CHARS
    assert find(topic) is not find(topic)
    assert find("owntracks/jane/x") is find("owntracks/jane/x")


def in_messagepack(value: Any, kind: str = "fix") -> Batch:
    return decode(message(msgspec.msgpack.encode(value), kind))


@given(st.lists(valid_fixes, min_size=1, max_size=20))
def test_both_notations_give_the_same_rows(values: list[dict[str, Any]]) -> None:
    expected = decode(message(values)).fixes.tobytes()
    assert in_messagepack(values).fixes.tobytes() == expected
    with_instants = [
        value | {"time": to_datetime(int(row["time_us"]))}
        for value, row in zip(values, decode(message(values)).fixes, strict=True)
    ]
    assert in_messagepack(with_instants).fixes.tobytes() == expected


@pytest.mark.parametrize("count", [1, 2, 7, 8, 15, 16, 17, 255, 256, 500])
def test_arrays_of_every_length_in_both_notations(count: int) -> None:
    values = [fix(seq=seq) for seq in range(count)]
    for batch in (decode(message(values)), in_messagepack(values)):
        assert batch.fixes["seq"].tolist() == list(range(count))


@pytest.mark.parametrize("fields", [0, 1, 3, 12, 13])
def test_maps_of_every_size_are_told_from_json(fields: int) -> None:
    value = fix() | {f"x{n}": n for n in range(fields)}
    assert in_messagepack(value).fixes["seq"].tolist() == [4711]
    assert codes(in_messagepack({f"x{n}": n for n in range(fields)})) == ["missing_field"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("event", {"seq": 1, "type": "beacon_seen", "peer": "phone-1", "detail": {"a": [1, None]}}),
        ("receipt", {"id": "c1", "state": "answered", "answer": "I am safe"}),
        ("status", {"online": True}),
    ],
)
def test_every_kind_of_report_in_both_notations(kind: str, value: dict[str, Any]) -> None:
    value |= {"time": "2026-11-23T18:04:05Z"}
    packed, plain = in_messagepack(value, kind), decode(message(value, kind))
    assert not packed.refusals
    for rows in ("events", "receipts", "statuses"):
        assert getattr(packed, rows) == getattr(plain, rows)


def test_in_an_array_of_messagepack_a_bad_item_costs_itself() -> None:
    values = [fix(seq=1), fix(lat=91), 5, fix(lat=float("nan")), fix(seq=2)]
    batch = in_messagepack(values)
    assert batch.fixes["seq"].tolist() == [1, 2]
    assert [(refusal.item, refusal.code) for refusal in batch.refusals] == [
        (1, "out_of_range"),
        (2, "wrong_type"),
        (3, "not_a_number"),
    ]


@pytest.mark.parametrize(
    "detail", [{"a": b"bytes"}, {"a": to_datetime(NOW_US)}, {"a": msgspec.msgpack.Ext(5, b"x")}]
)
def test_a_detail_holds_what_json_can_say(detail: dict[str, Any]) -> None:
    value = {"time": "2026-11-23T18:04:05Z", "type": "charging", "detail": detail}
    assert codes(in_messagepack(value, "event")) == ["wrong_type"]


@pytest.mark.parametrize("time", [1_795_457_045, 1_795_457_045.5, msgspec.msgpack.Ext(-1, b"abc")])
def test_numbers_are_no_times(time: Any) -> None:
    (refusal,) = in_messagepack(fix(time=time)).refusals
    assert refusal.code in {"bad_time", "not_msgpack"}


def test_a_device_may_change_its_notation() -> None:
    one, other = message(fix(seq=1)), message(msgspec.msgpack.encode(fix(seq=2)))
    batch = decode(one, other)
    assert (batch.devices, batch.fixes["seq"].tolist()) == ((DEVICE,), [1, 2])
    assert payload(fix(seq=1)) == batch.messages[0].payload
