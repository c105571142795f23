"""Signed payloads: what holds, what does not, and that the bytes are kept as they came."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client as NATS  # noqa: N814 -- the library's own usage
from nats.js import JetStreamContext

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.identity.provisioning import new_signing_key
from cordon.identity.signing_keys import verifying
from devices.reports import Batch, Message, Signature, decode_batch, encode_batch
from ingest import native
from ingest.decoder import KEPT_BYTES, Decoder
from ingest.formats import traccar
from ingest.gateway import Gateway
from ingest.journal import JournalWriter
from ingest.mqtt import MqttBroker
from ingest.signatures import (
    HEAD_BYTES,
    LAST_SEQ,
    SIGNATURE_BYTES,
    DeviceKeys,
    Ed25519Key,
    HmacKey,
    KeyRing,
    VerifyingKey,
)
from simulators import wire
from simulators.device import SimulatedDevice
from tests.ingest.reports import DEVICE, NOW_US, codes, fix, payload
from tests.ingest.test_gateway import journaled, serving
from tests.ingest.test_traccar import DOCUMENT
from tests.ingest.waiting import running, until
from tests.simulators.service import address

SECRET = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(SECRET).public_key().public_bytes_raw()
KEY = wire.Key(secret=SECRET, number=3)
PAIR = wire.Key(secret=SECRET, number=4, algorithm="ed25519")
BOTH: dict[int, VerifyingKey] = {3: HmacKey(SECRET), 4: Ed25519Key(PUBLIC)}
RING = KeyRing({DEVICE: DeviceKeys(BOTH)})
STRICT = KeyRing({DEVICE: DeviceKeys(BOTH, required=True)})
TOPIC = f"cordon/v1/{DEVICE}/fix"
EVENTS = f"cordon/v1/{DEVICE}/event"
BODY = payload(fix(seq=None))
PANIC = payload({"time": "2026-11-23T18:04:05Z", "type": "panic"})


def heard(body: bytes, topic: str = TOPIC, keys: KeyRing = RING) -> Batch:
    batch = Decoder(keys).decode(
        [Message(NOW_US, topic, body)], gateway="gw", number=1, received_us=NOW_US
    )
    assert decode_batch(encode_batch(batch)).messages == batch.messages
    return batch


def outcome(batch: Batch) -> Signature:
    (message,) = batch.messages
    return message.signature


def sealed(body: bytes = BODY, seq: int = 7, topic: str = TOPIC, key: wire.Key = KEY) -> bytes:
    return wire.seal(key, topic, seq, body)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")
def test_the_envelope_is_what_any_hmac_makes() -> None:
    """Made with openssl, from the description alone."""
    head = b"\xc1\x01\x03" + (7).to_bytes(8)
    made = subprocess.run(
        [
            "openssl",
            "dgst",
            "-sha256",
            "-mac",
            "HMAC",
            "-macopt",
            f"hexkey:{SECRET.hex()}",
            "-binary",
        ],
        input=TOPIC.encode() + b"\0" + head + BODY,
        capture_output=True,
        check=True,
    ).stdout
    assert head + BODY + made == sealed()
    assert outcome(heard(head + BODY + made)) is Signature.VALID


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is not installed")
def test_the_envelope_is_what_any_ed25519_makes(tmp_path: Path) -> None:
    """Made with openssl, from the description alone."""
    head = b"\xc1\x02\x04" + (7).to_bytes(8)
    private, letter = tmp_path / "private.der", tmp_path / "letter"
    private.write_bytes(bytes.fromhex("302e020100300506032b657004220420") + SECRET)
    letter.write_bytes(TOPIC.encode() + b"\0" + head + BODY)
    made = subprocess.run(
        [
            *["openssl", "pkeyutl", "-sign", "-rawin", "-keyform", "DER", "-inkey"],
            private,
            "-in",
            letter,
        ],
        capture_output=True,
        check=True,
    ).stdout
    assert head + BODY + made == sealed(key=PAIR)
    assert outcome(heard(head + BODY + made)) is Signature.VALID


@pytest.mark.parametrize("key", [KEY, PAIR])
@pytest.mark.parametrize("encode", [payload, msgspec.msgpack.encode])
def test_a_signed_report_is_read_and_its_bytes_are_kept(encode: Any, key: wire.Key) -> None:
    body = sealed(encode([fix(seq=None), fix(seq=None, lat=1.0), fix(seq=99, lat=2.0)]), key=key)
    batch = heard(body)
    assert not batch.refusals
    assert batch.fixes["seq"].tolist() == [7, 8, 99]  # a number of its own holds
    assert batch.messages[0].payload == body
    assert outcome(batch) is Signature.VALID


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("event", PANIC),
        ("status", payload({"online": True, "time": "2026-11-23T18:04:05Z"})),
        ("receipt", payload({"id": "c", "state": "shown", "time": "2026-11-23T18:04:05Z"})),
    ],
)
def test_every_kind_of_report_may_be_signed(kind: str, body: bytes) -> None:
    topic = native.topic(DEVICE, kind)  # type: ignore[arg-type]
    batch = heard(sealed(body, topic=topic), topic)
    assert not batch.refusals
    assert outcome(batch) is Signature.VALID


def test_a_signed_event_takes_the_number_of_the_envelope() -> None:
    (event,) = heard(sealed(PANIC, topic=EVENTS), EVENTS).events
    assert event.seq == 7


@given(st.data(), st.sampled_from([KEY, PAIR]))
def test_no_changed_bit_passes(data: st.DataObject, key: wire.Key) -> None:
    body = bytearray(sealed(key=key))
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    batch = heard(bytes(body), keys=STRICT)
    assert len(batch.fixes) == 0
    assert codes(batch) in (["bad_signature"], ["not_signed"])
    assert batch.messages[0].payload == bytes(body)


@given(st.data(), st.sampled_from([KEY, PAIR]))
def test_nothing_cut_off_passes(data: st.DataObject, key: wire.Key) -> None:
    whole = sealed(key=key)
    batch = heard(whole[: data.draw(st.integers(0, len(whole) - 1))], keys=STRICT)
    assert len(batch.fixes) == 0
    assert len(batch.refusals) == 1


def test_a_message_does_not_choose_how_it_is_checked() -> None:
    """A public key is known to many: it must not pass for the secret of an HMAC."""
    forged = sealed(key=wire.Key(secret=PUBLIC, number=4))
    assert codes(heard(forged, keys=STRICT)) == ["bad_signature"]


def test_a_report_cannot_be_moved_to_another_device_or_topic() -> None:
    both = KeyRing({DEVICE: DeviceKeys(BOTH), "tag-2": DeviceKeys(BOTH)})
    assert codes(heard(sealed(), "cordon/v1/tag-2/fix", both)) == ["bad_signature"]
    assert codes(heard(sealed(PANIC), EVENTS)) == ["bad_signature"]


FORGED = wire.Key(secret=bytes(32), number=3)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (sealed(PANIC, topic=EVENTS, key=FORGED), "bad_signature"),
        (sealed(PANIC, topic=EVENTS)[:-1], "bad_signature"),
        (sealed(PANIC[:-1], topic=EVENTS, key=wire.Key(secret=SECRET, number=9)), "not_signed"),
        (PANIC, "not_signed"),
    ],
)
def test_a_panic_that_is_not_rightly_signed_is_refused_counted_and_told(
    body: bytes, code: str
) -> None:
    batch = heard(body, EVENTS, STRICT)
    assert code in codes(batch)
    assert batch.messages[0].payload == body
    (event,) = batch.events
    assert (event.type, event.time_us, event.time_doubted) == ("panic", NOW_US, True)
    assert outcome(batch) is not Signature.VALID


def test_nothing_but_type_and_arrival_of_an_unverified_panic_is_used() -> None:
    """Its own number and time might be chosen so that a true panic looks like a repetition.

    What it says beside them might name another alarm, which it would then be taken for.
    """
    said = {"type": "panic", "seq": 2**62, "peer": "x", "detail": {"alarm": "x"}}
    body = payload({"time": "2026-11-23T18:09:00Z", **said})
    (event,) = heard(body, EVENTS, STRICT).events
    assert (event.time_us, event.peer, event.detail) == (NOW_US, None, {})
    assert event.seq < 0


def test_nobody_else_speaks_for_a_device_that_signs() -> None:
    """A server that forwards for many devices cannot sign for them."""
    document = DOCUMENT | {"device": {"uniqueId": DEVICE}}
    assert len(heard(payload(document), traccar.TOPIC, KeyRing({})).fixes) == 1
    batch = heard(payload(document), traccar.TOPIC, STRICT)
    assert (codes(batch), len(batch.fixes)) == (["not_signed"], 0)
    alarmed = {**document["position"], "attributes": {"alarm": "sos,lowBattery"}}
    batch = heard(payload(document | {"position": alarmed}), traccar.TOPIC, STRICT)
    assert [(one.type, one.time_doubted) for one in batch.events] == [("panic", True)]


@pytest.mark.parametrize("keys", [KeyRing({}), KeyRing({DEVICE: DeviceKeys({5: HmacKey(SECRET)})})])
def test_what_cannot_be_checked_is_taken_and_says_so(keys: KeyRing) -> None:
    batch = heard(sealed(), keys=keys)
    assert (len(batch.fixes), outcome(batch)) == (1, Signature.UNKNOWN_KEY)


def test_where_signing_is_required_nothing_else_is_taken() -> None:
    assert len(heard(sealed(), keys=STRICT).fixes) == 1
    for body, expected in (
        (BODY, Signature.UNSIGNED),
        (sealed(key=wire.Key(secret=SECRET, number=9)), Signature.UNKNOWN_KEY),
    ):
        batch = heard(body, keys=STRICT)
        assert codes(batch) == ["not_signed"]
        assert (len(batch.fixes), outcome(batch)) == (0, expected)


def test_a_message_sent_again_is_the_same_report_to_everyone_who_counts() -> None:
    first, again = heard(sealed()), heard(sealed())
    assert first.fixes.tobytes() == again.fixes.tobytes()


def test_the_limit_of_size_is_that_of_the_body() -> None:
    fits = payload([fix()]).ljust(native.MAX_PAYLOAD_BYTES)
    batch = heard(sealed(fits))
    assert len(batch.fixes) == 1
    assert (
        len(batch.messages[0].payload) == native.MAX_PAYLOAD_BYTES + HEAD_BYTES + SIGNATURE_BYTES[1]
    )
    batch = heard(sealed(fits + b" "))
    assert codes(batch) == ["too_large"]
    assert len(batch.messages[0].payload) == KEPT_BYTES


def test_a_number_too_large_to_count_on_from_is_not_used() -> None:
    assert heard(sealed(seq=LAST_SEQ)).fixes["seq"].tolist() == [LAST_SEQ]
    assert heard(sealed(seq=2**64 - 1)).fixes["seq"][0] < 0


def test_short_keys_are_not_taken() -> None:
    with pytest.raises(ValueError, match="guessed"):
        HmacKey(bytes(15))


@pytest.mark.parametrize("algorithm", ["hmac", "ed25519"])
async def test_a_simulated_device_signs_all_it_sends(
    broker: EmbeddedBroker,
    service: MqttBroker,
    nc: NATS,
    js: JetStreamContext,
    algorithm: Literal["hmac", "ed25519"],
) -> None:
    made, secret = new_signing_key(DEVICE, algorithm, by="test", now_us=NOW_US)
    keys = KeyRing({DEVICE: DeviceKeys({5: verifying(made)}, required=True)})
    key = wire.Key(secret=secret, number=5, algorithm=algorithm)
    tag = SimulatedDevice(DEVICE, address(broker), clock=wall_clock_us, key=key)
    gateway = Gateway(service, JournalWriter(nc), wall_clock_us, decoder=Decoder(keys))
    async with serving(gateway), running(tag.run()):
        await until(tag.online.is_set, "the device is connected")
        sent = {tag.fix(wall_clock_us() + n, 54.0, 4.0) for n in range(60)}
        panic = tag.event("panic", wall_clock_us())
        await until(lambda: len(tag.outbox) == 0, "everything is acknowledged")
        batches = await journaled(js, lambda got: sum(len(b.fixes) for b in got) >= len(sent))
    messages = [message for batch in batches for message in batch.messages]
    assert {message.signature for message in messages} == {Signature.VALID}
    assert {int(seq) for batch in batches for seq in batch.fixes["seq"]} == sent
    assert [event.seq for batch in batches for event in batch.events] == [panic]
    assert [status.online for batch in batches for status in batch.statuses] == [True]
    assert not gateway.counts.refusals
