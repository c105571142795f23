"""What the broker refused: the lines of its log, the repetitions, the tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cordon.broker_refusals import KEPT_PER_MINUTE, REPEAT_US, Repeats
from cordon.identity.tokens import Issuer, TokenError, read_question
from cordon.identity.violations import read_line

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
    assert [repeats.take(("tag-1", "x"), us) for us in (1, 2, 3)] == [None] * 3
    assert repeats.take(("tag-2", "x"), 4) == 0
    assert repeats.take(("tag-1", "x"), REPEAT_US) == 3
    assert repeats.take(("tag-1", "x"), 2 * REPEAT_US) == 0


def test_names_made_up_by_the_thousand_do_not_fill_the_evidence() -> None:
    repeats = Repeats()
    taken = [repeats.take((f"made-up-{n}", "x"), n) for n in range(3 * KEPT_PER_MINUTE)]
    assert sum(held is not None for held in taken) == KEPT_PER_MINUTE
    assert repeats.take(("another", "x"), REPEAT_US) == 0


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


@given(st.binary(max_size=200))
def test_what_no_server_has_signed_is_refused(token: bytes) -> None:
    with pytest.raises(TokenError):
        read_question(token)
