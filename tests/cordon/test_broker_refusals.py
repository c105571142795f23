"""What the broker refused: the lines of its log, the repetitions, the tokens."""

from __future__ import annotations

import base64
import binascii

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cordon.broker_refusals import KEPT_PER_MINUTE, REPEAT_US, BrokerRefusals, Repeats
from cordon.connections import connect_nats
from cordon.embedded.broker import EmbeddedBroker
from cordon.identity.tokens import Issuer, TokenError, read_question
from cordon.identity.violations import read_line
from ingest.journal import JournalWriter

PUBLISH = (
    '[6435] 2026/11/27 08:04:57.985002 [ERR] 127.0.0.1:50055 - mid:10 - "tag-1" - '
    'Publish Violation - Subject "cordon.v1.tag-2.fix"'
)
SUBSCRIBE = (
    '[6435] 2026/11/27 08:04:57.986045 [ERR] [::1]:50055 - mid_ws:10 - "tag \\"1\\"" - '
    'Subscription Violation - User "x", Subject "cordon.v1.*.command", SID cordon.v1.+.command'
)
HANDSHAKE = (
    "[1] 2026/11/27 08:04:57.985002 [ERR] 127.0.0.1:50055 - mid:7 - TLS handshake error: "
    "tls: client didn't provide a certificate"
)


def test_a_forbidden_publish_is_read_from_the_log() -> None:
    found = read_line(PUBLISH)
    assert found is not None
    assert (found.cid, found.client_id, found.code) == (10, "tag-1", "not_its_topic")
    assert "cordon.v1.tag-2.fix" in found.reason


def test_a_forbidden_subscription_is_read_from_the_log() -> None:
    found = read_line(SUBSCRIBE)
    assert found is not None
    assert (found.cid, found.code) == (10, "not_its_commands")
    assert "cordon.v1.*.command" in found.reason


def test_a_failed_handshake_is_read_from_the_log() -> None:
    found = read_line(HANDSHAKE)
    assert found is not None
    assert found.code == "tls_failed"
    assert "didn't provide a certificate" in found.reason
    assert read_line(HANDSHAKE.replace("tls: client didn't provide a certificate", "EOF")) is None


@given(st.text())
def test_other_lines_are_of_no_interest(line: str) -> None:
    assert read_line(line) is None
    assert read_line(f"[INF] {line}") is None


def test_repetitions_are_held_back_and_counted() -> None:
    repeats = Repeats()
    assert repeats.take(("tag-1", "x"), 0) == 0
    following = [repeats.take(("tag-1", "x"), us) for us in range(1, 13)]
    assert following == [None, 1, *[None] * 6, 6, None, None, None]  # the third and the tenth
    assert repeats.take(("tag-2", "x"), 14) == 0
    assert repeats.take(("tag-1", "x"), REPEAT_US) == 3
    assert repeats.take(("tag-1", "x"), 2 * REPEAT_US) == 0


def test_names_made_up_by_the_thousand_do_not_fill_the_evidence() -> None:
    repeats = Repeats()
    taken = [repeats.take((f"made-up-{n}", "x"), n) for n in range(3 * KEPT_PER_MINUTE)]
    assert sum(held is not None for held in taken) == KEPT_PER_MINUTE
    assert repeats.take(("another", "x"), REPEAT_US) == 0


def test_what_found_no_room_is_told_when_there_is_some() -> None:
    repeats = Repeats()
    for number in range(KEPT_PER_MINUTE):
        repeats.take((f"tag-{number}", "x"), 0)
    late_us = REPEAT_US - 5
    assert [repeats.take(("tag", "x"), late_us + n) for n in range(5)] == [None] * 5
    assert repeats.take(("tag", "x"), REPEAT_US) == 5, "a minute with room"
    assert repeats.take(("tag", "x"), REPEAT_US + 1) is None


async def test_made_up_names_leave_room_for_devices(broker: EmbeddedBroker) -> None:
    nc = await connect_nats(broker.nats_url, "test")
    refusals = BrokerRefusals(JournalWriter(nc), lambda: 0, name="test")
    for number in range(2 * KEPT_PER_MINUTE):
        refusals.put("$broker/login", f"made-up-{number}", "unknown_device", "Who?", b"")
    assert refusals.counts.repeated == KEPT_PER_MINUTE
    for _ in range(3):
        refusals.put("$broker/login", "tag-1", "wrong_password", "No.", b"")
    assert refusals.counts.repeated == KEPT_PER_MINUTE + 1, "the first and the third are kept"
    await nc.close()


@given(st.binary(min_size=32, max_size=32))
def test_a_seed_gives_the_same_issuer_again(raw: bytes) -> None:
    issuer = Issuer(raw)
    again = Issuer.from_seed(issuer.seed)
    assert again.public == issuer.public
    assert issuer.seed.startswith("SA")
    assert issuer.public.startswith("A")
    assert len(issuer.public) == 56


@given(st.text(max_size=80))
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        Issuer.from_seed(text)
    with pytest.raises(TokenError):
        Issuer.from_seed(Issuer(bytes(32)).public)


def asked(**more: object) -> bytes:
    """A question as a server signs it."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    raw = bytes([13 << 3]) + key.public_key().public_bytes_raw()
    server = base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode()
    claims = {
        "iss": server.rstrip("="),
        "aud": "nats-authorization-request",
        "exp": 5,
        "nats": {
            "user_nkey": "U",
            "client_info": {"type": "mqtt", "mqtt_id": "tag-1", "id": 7},
            "connect_opts": {"user": "tag-1", "pass": "secret"},
        },
    }
    parts = [msgspec.json.encode({"alg": "ed25519-nkey"}), msgspec.json.encode(claims | more)]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return signed + b"." + base64.urlsafe_b64encode(key.sign(signed)).rstrip(b"=")


def test_a_servers_question_is_read() -> None:
    question = read_question(asked())
    assert (question.user, question.password, question.expires_s) == ("tag-1", "secret", 5)
    assert (question.client.mqtt_id, question.client.id) == ("tag-1", 7)
    assert question.certificate_pem == ""
    with pytest.raises(TokenError):
        read_question(asked(aud="something else"))


@given(st.integers(0, len(asked()) - 2), st.integers(1, 255))
def test_a_question_that_was_changed_on_the_way_is_refused(at: int, by: int) -> None:
    token = bytearray(asked())
    token[at] ^= by
    with pytest.raises(TokenError):
        read_question(bytes(token))


@given(st.binary(max_size=200))
def test_what_no_server_has_signed_is_refused(token: bytes) -> None:
    with pytest.raises(TokenError):
        read_question(token)
