"""Nonsense, too much, wrong topics: what is refused is kept, with a reason that tells nothing."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import pytest

from devices.reports import Message
from ingest import native
from ingest.decoder import KEPT_BYTES
from tests.ingest.reports import NOW_US, codes, decode, fix, message, payload


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


def test_a_fault_of_the_service_costs_no_other_message_and_no_panic(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("a fault in an adapter")

    monkeypatch.setattr("ingest.formats.cordon._read_event", fail)
    panic = {"seq": 3, "time": "2026-11-23T18:04:05Z", "type": "panic"}
    batch = decode(message(fix(seq=1)), message(panic, "event"), message(fix(seq=2)))
    assert batch.fixes["seq"].tolist() == [1, 2]
    assert codes(batch) == ["adapter_failed"]
    assert [(event.type, event.seq) for event in batch.events] == [("panic", 3)]
    monkeypatch.setattr("ingest.formats.urgent.rescue", fail)
    batch = decode(message(panic, "event"))
    assert set(codes(batch)) == {"adapter_failed"}
