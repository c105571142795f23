"""Hostile bytes on every topic: nothing crashes, nothing is lost, memory is bounded."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.reports import ORDINARY, URGENT, Batch, Message, decode_batch, encode_batch
from ingest import native
from ingest.decoder import Decoder
from ingest.formats import traccar
from ingest.refusals import Code
from ingest.signatures import DeviceKeys, HmacKey, KeyRing
from simulators.wire import Key, seal
from tests.ingest.reports import DEVICE, NOW_US, codes, decode, fix, message, payload
from tests.ingest.test_decoder_properties import json_values, nearly_valid
from tests.ingest.test_owntracks import LOCATION
from tests.ingest.test_traccar import DOCUMENT

TOPICS = [
    *(native.topic(DEVICE, kind) for kind in native.KINDS),
    "owntracks/jane/phone",
    "owntracks/jane/phone/event",
    traccar.TOPIC,
]
FIXES = native.topic(DEVICE, "fix")
EVENTS = native.topic(DEVICE, "event")
KEY = Key(secret=bytes(32))
SIGNED = Decoder(KeyRing({DEVICE: DeviceKeys({0: HmacKey(bytes(32))})}))


class _Everybody:
    """Everybody has to sign, with keys that nobody has."""

    def of(self, device: str) -> DeviceKeys:  # noqa: ARG002 - whoever it is
        return DeviceKeys({}, required=True)


STRICT = Decoder(_Everybody())
CODES = {code.value for code in Code}

LARGEST = native.MAX_PAYLOAD_BYTES

MEMORY_FACTOR = 40
"""Bytes of memory that decoding may take at its worst for each byte of a payload: one digit of an
array, two bytes with its comma, is 64 as an item of a list (32 measured)."""

MEMORY_BASE_BYTES = 200_000
"""What decoding takes besides: 500 reasons for refusal are 140 kB."""


def on(topic: str, body: bytes, decoder: Decoder | None = None) -> Batch:
    """One message decoded, with all that holds for any input."""
    arrived = Message(NOW_US, topic, body)
    batch = (decoder or Decoder()).decode([arrived], gateway="gw", number=1, received_us=NOW_US)
    made = len(batch.fixes) + len(batch.events) + len(batch.receipts) + len(batch.statuses)
    assert made + len(batch.refusals) >= 1, "lost"
    assert set(codes(batch)) <= CODES - {"adapter_failed"}
    assert all(refusal.size_bytes == len(body) for refusal in batch.refusals)
    again = decode_batch(encode_batch(batch))
    assert again.fixes.tobytes() == batch.fixes.tobytes()
    assert (again.refusals, again.messages) == (batch.refusals, batch.messages)
    for row in batch.fixes:
        assert abs(int(row["lat_e7"])) <= 900_000_000
        assert abs(int(row["lon_e7"])) <= 1_800_000_000
    return batch


packed_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.binary(max_size=8)
    | st.builds(msgspec.msgpack.Ext, st.integers(-128, 127), st.binary(max_size=13))
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
        | st.dictionaries(st.integers(-5, 5), inner, max_size=2)
    ),
    max_leaves=12,
)


@st.composite
def packed(draw: st.DrawFn) -> bytes:
    """MessagePack: a report in which some fields may be anything, or anything at all."""
    value = draw(nearly_valid() | packed_values)
    if isinstance(value, dict):
        names = st.sampled_from(["time", "lat", "lon", "seq", "type", "detail", "peer", "hdop"])
        value = value | draw(st.dictionaries(names, packed_values, max_size=2))
    try:
        return msgspec.msgpack.encode(draw(st.sampled_from([value, [value], [value, value]])))
    except (OverflowError, UnicodeEncodeError):
        return b"\x80"


@st.composite
def foreign(draw: st.DrawFn) -> bytes:
    """An OwnTracks or Traccar document in which some fields may be anything."""
    if draw(st.booleans()):
        names = sorted(LOCATION)
        return payload(LOCATION | draw(st.dictionaries(st.sampled_from(names), json_values)))
    value = json.loads(json.dumps(DOCUMENT))
    part = draw(st.sampled_from(["position", "device"]))
    names = [*sorted(value[part]), "uniqueId"]
    value[part] |= draw(st.dictionaries(st.sampled_from(names), json_values, max_size=3))
    attributes = value["position"].get("attributes")
    if isinstance(attributes, dict):
        names = ["alarm", "batteryLevel", "charge", "sat", "archive"]
        attributes |= draw(st.dictionaries(st.sampled_from(names), json_values, max_size=2))
    return payload(value)


@st.composite
def damaged(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """A body cut off, with bytes changed, or with others put in."""
    body = draw(bodies)
    at = draw(st.integers(0, len(body)))
    junk = draw(st.binary(max_size=4))
    keep = draw(st.sampled_from([at, at + len(junk), len(body) + 1]))
    return body[:at] + junk + body[keep:]


bodies = st.one_of(
    st.binary(max_size=80),
    packed(),
    foreign(),
    nearly_valid().map(payload),
    json_values.map(payload),
)
anything = bodies | damaged(bodies)


@settings(max_examples=400)
@given(st.sampled_from(TOPICS), anything)
def test_whatever_arrives_on_any_topic(topic: str, body: bytes) -> None:
    on(topic, body)


@given(st.sampled_from(TOPICS), anything, st.integers(0, 2**64 - 1))
def test_whatever_stands_in_a_signed_envelope(topic: str, body: bytes, seq: int) -> None:
    on(topic, seal(KEY, topic, seq, body), SIGNED)


@given(st.sampled_from(TOPICS), damaged(anything.map(lambda body: seal(KEY, FIXES, 1, body))))
def test_whatever_is_wrong_with_an_envelope(topic: str, body: bytes) -> None:
    on(topic, body, SIGNED)


@given(st.sampled_from(TOPICS), anything | anything.map(lambda body: seal(KEY, FIXES, 1, body)))
def test_of_what_nobody_signed_only_doubted_urgent_events_are_taken(
    topic: str, body: bytes
) -> None:
    batch = on(topic, body, STRICT)
    assert not len(batch.fixes) + len(batch.receipts) + len(batch.statuses)
    assert all(one.type in URGENT and one.time_doubted for one in batch.events)
    assert all(one.time_us == NOW_US for one in batch.events)


@given(st.lists(st.tuples(st.sampled_from(TOPICS), anything), max_size=8))
def test_a_message_is_read_alike_whatever_stands_beside_it(
    arrived: list[tuple[str, bytes]],
) -> None:
    batch = decode(*(Message(NOW_US, topic, body) for topic, body in arrived))
    for index, (topic, body) in enumerate(arrived):
        alone = on(topic, body)
        reasons = [(r.code, r.reason, r.item) for r in batch.refusals if r.message == index]
        assert reasons == [(r.code, r.reason, r.item) for r in alone.refusals]
        assert int((batch.fixes["message"] == index).sum()) == len(alone.fixes)


def head(kind: int, count: int) -> bytes:
    """The five bytes with which MessagePack announces `count` items or bytes."""
    return struct.pack(">BI", kind, count)


ARRAY, MAP, BIN, STR, EXT = 0xDD, 0xDF, 0xC6, 0xDB, 0xC9
MOST = 2**32 - 1
BOMBS: dict[str, bytes] = {
    **{f"{kind:02x} announces 2^32": head(kind, MOST) for kind in (ARRAY, MAP, BIN, STR)},
    "ext announces 2^32": head(EXT, MOST) + b"\x01",
    "an array in a map announces 2^32": b"\x81\xa3lat" + head(ARRAY, MOST),
    "a detail announces 2^32": b"\x82\xa4type\xa5panic\xa6detail" + head(MAP, MOST),
    "maps announce more and more": head(MAP, MOST) * 1000,
    "arrays in arrays": b"\x91" * LARGEST,
    "maps in maps": b"\x81\xa1a" * (LARGEST // 3),
    "as many numbers as fit": head(ARRAY, LARGEST - 5) + b"\x01" * (LARGEST - 5),
    "as many empty arrays as fit": head(ARRAY, LARGEST - 5) + b"\x90" * (LARGEST - 5),
    "as many empty maps as fit": head(ARRAY, LARGEST - 5) + b"\x80" * (LARGEST - 5),
    "as many nulls in a detail": b"\x82\xa4type\xa5panic\xa6detail"
    + head(ARRAY, LARGEST - 30)
    + b"\xc0" * (LARGEST - 30),
    "empty arrays as items of 500": b"\xdc\x01\xf4" + b"\x90" * 500,
    "json arrays in arrays": b"[" * LARGEST,
    "json objects in objects": b'{"a":' * (LARGEST // 5),
    "json empty arrays": b"[" + b"[]," * (LARGEST // 3 - 1) + b"[]]",
    "json empty objects": b"[" + b"{}," * (LARGEST // 3 - 1) + b"{}]",
    "json numbers": b"[" + b"1," * (LARGEST // 2 - 2) + b"1]",
    "json NaN": b"[" + b"NaN," * (LARGEST // 4 - 1) + b"1]",
    "json empty arrays and one NaN": b"[" + b"[]," * (LARGEST // 3 - 4) + b"NaN]",
    "json many keys": b"{" + b",".join(b'"%x":1' % n for n in range(LARGEST // 12)) + b"}",
    "json one long text": b'{"time":"' + b"a" * (LARGEST - 12) + b'"}',
    "json one long number": b'{"lat":' + b"9" * (LARGEST - 9) + b"}",
    "json long exponent": b'{"lat":1e' + b"9" * 1000 + b"}",
    "json escapes": b'{"time":"' + rb"\u0000" * (LARGEST // 6 - 3) + b'"}',
    "json white space": b" " * (LARGEST - 2) + b"{}",
    "an envelope around nothing": seal(KEY, FIXES, 1, b""),
    "an envelope around a bomb": seal(KEY, FIXES, 1, head(ARRAY, MOST)),
}


@pytest.mark.parametrize("topic", [FIXES, EVENTS, "owntracks/jane/phone", traccar.TOPIC])
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_no_more_memory_than_a_multiple_of_their_size(name: str, topic: str) -> None:
    body = BOMBS[name]
    decoder = Decoder()
    arrived = [Message(NOW_US, topic, body)]
    decoder.decode(arrived, gateway="gw", number=1, received_us=NOW_US)  # what is made only once
    tracemalloc.start()
    try:
        batch = decoder.decode(arrived, gateway="gw", number=1, received_us=NOW_US)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert batch.refusals
    assert peak_bytes <= MEMORY_FACTOR * len(body) + MEMORY_BASE_BYTES, peak_bytes
    on(topic, body)


def limits() -> Iterator[tuple[str, Any, str, list[str]]]:
    """Each limit: what is just within, or just beyond it, and what is said of it."""
    time = "2026-11-23T18:04:05Z"
    most = native.MAX_FIXES
    yield "500 fixes in a message", [fix()] * most, "fix", []
    yield "no more", [fix()] * (most + 1), "fix", ["too_many"]
    yield "256 KiB in a payload", payload(fix()).ljust(LARGEST), "fix", []
    yield "not a byte more", payload(fix()).ljust(LARGEST + 1), "fix", ["too_large"]
    event = {"time": time, "type": "charging"}
    room = native.MAX_DETAIL_BYTES - len('{"a": ""}')
    yield "4 KiB in a detail", event | {"detail": {"a": "x" * room}}, "event", []
    yield "no more in it", event | {"detail": {"a": "x" * (room + 1)}}, "event", ["too_large"]
    deep: Any = 1
    for _ in range(native.MAX_DETAIL_DEPTH - 1):
        deep = [deep]
    yield "8 levels in a detail", event | {"detail": {"a": deep}}, "event", []
    yield "no deeper", event | {"detail": {"a": [[deep]]}}, "event", ["too_deep"]
    yield "64 bits in a detail", event | {"detail": {"a": 2**63 - 1}}, "event", []
    yield "no longer", event | {"detail": {"a": 2**63}}, "event", ["out_of_range"]
    receipt = {"id": "c" * native.MAX_COMMAND_ID_CHARS, "state": "answered", "time": time}
    yield "100 characters in an id", receipt, "receipt", []
    yield "no more in one", receipt | {"id": receipt["id"] + "c"}, "receipt", ["out_of_range"]
    answer = "a" * native.MAX_ANSWER_CHARS
    yield "2,000 in an answer", receipt | {"answer": answer}, "receipt", []
    yield "no more there", receipt | {"answer": answer + "a"}, "receipt", ["out_of_range"]
    yield "a number of 63 bits", fix(seq=2**63 - 1), "fix", []
    yield "no longer one", fix(seq=2**63), "fix", ["out_of_range"]
    yield "no longer one at all", fix(seq=10**400), "fix", ["out_of_range"]


@pytest.mark.parametrize(
    ("value", "kind", "expected"), [row[1:] for row in limits()], ids=[row[0] for row in limits()]
)
def test_each_limit(value: Any, kind: str, expected: list[str]) -> None:
    assert codes(decode(message(value, kind))) == expected


def test_of_a_key_given_twice_the_last_holds() -> None:
    body = payload(fix()).replace(b'"lat"', b'"lat": 1, "lat"', 1)
    assert decode(message(body)).fixes["lat_e7"].tolist() == [515_074_000]
    double = b"\x84\xa4time\xb42026-11-23T18:04:05Z\xa3lon\x01\xa3lat\x01\xa3lat\x02"
    assert decode(message(double)).fixes["lat_e7"].tolist() == [20_000_000]


@pytest.mark.parametrize("at", range(1, 50))
def test_messagepack_cut_off_anywhere_is_refused(at: int) -> None:
    body = msgspec.msgpack.encode(fix())[:at]
    assert codes(decode(message(body))) == ["not_msgpack"]


def test_what_is_ordinary_is_among_the_codes() -> None:
    assert set(ORDINARY) < CODES
