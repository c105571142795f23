"""The door: who gets in, for how long, and which requests are trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import access as door
from console.access import (
    Access,
    EntryRefusedError,
    Operator,
    TooManyFailuresError,
    host_name,
    sha256_hex,
)
from tests.console.fake import OPERATOR, TOKEN, Time, make_access


def test_the_right_token_begins_a_session_that_ends() -> None:
    time = Time()
    access = make_access(time)
    session = access.enter(TOKEN, "10.0.0.1")
    assert access.who(session) == OPERATOR
    assert len(session) >= 43  # 256 bits in base 64
    time.pass_s(access.session_s - 1)
    assert access.who(session) == OPERATOR
    time.pass_s(1)
    assert access.who(session) is None


def test_every_entry_is_a_session_of_its_own_and_leaving_ends_only_that() -> None:
    access = make_access(Time())
    one, two = access.enter(TOKEN, ""), access.enter(TOKEN, "")
    assert one != two
    access.leave(one)
    access.leave(one)
    assert access.who(one) is None
    assert access.who(two) == OPERATOR


@given(st.text())
def test_no_other_token_and_no_invented_session_gets_in(text: str) -> None:
    access = make_access(Time())
    assert access.who(text) is None
    if text != TOKEN:
        with pytest.raises(EntryRefusedError):
            access.enter(text, "")


def test_operators_are_told_apart() -> None:
    pair = [Operator(name=name, token_sha256=sha256_hex(name).upper()) for name in ("Ana", "Ben")]
    access = Access(pair, Time())
    assert access.who(access.enter("Ben", "")) == "Ben"
    assert access.who(access.enter("Ana", "")) == "Ana"


def test_guessing_is_slowed_per_address_and_forgiven_after_a_while() -> None:
    time = Time()
    access = make_access(time)
    for _ in range(door.FAILURES):
        with pytest.raises(EntryRefusedError):
            access.enter("guess", "10.0.0.1")
        time.pass_s(1)
    with pytest.raises(TooManyFailuresError) as caught:
        access.enter(TOKEN, "10.0.0.1")
    access.enter(TOKEN, "10.0.0.2")
    time.pass_s(caught.value.wait_s)
    access.enter(TOKEN, "10.0.0.1")


def test_memory_for_sessions_and_failures_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "SESSIONS", 3)
    monkeypatch.setattr(door, "FAILURE_ADDRESSES", 3)
    access = make_access(Time())
    sessions = [access.enter(TOKEN, "") for _ in range(4)]
    assert [access.who(session) for session in sessions] == [None, OPERATOR, OPERATOR, OPERATOR]
    for number in range(10):
        with pytest.raises(EntryRefusedError):
            access.enter("guess", str(number))
    assert len(access._failures) == 3


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1:8080", True),
        ("LOCALHOST", True),
        ("[::1]:8080", True),
        ("console.example:8443", True),
        ("attacker.example", False),
        ("127.0.0.1.attacker.example", False),
        ("localhost.attacker.example:80", False),
        ("", False),
        (None, False),
    ],
)
def test_hosts(host: str | None, *, allowed: bool) -> None:
    access = make_access(Time(), allowed_hosts=["Console.Example:8443"])
    assert access.host_allowed(host) is allowed
    assert access.counts.wrong_host == (not allowed)


@pytest.mark.parametrize(
    ("method", "origin", "site", "trusted"),
    [
        ("GET", None, None, True),
        ("GET", "https://attacker.example", "cross-site", True),
        ("POST", "http://127.0.0.1:8080", "same-origin", True),
        ("POST", "https://127.0.0.1:8080", None, True),
        ("POST", None, "same-origin", True),
        ("POST", None, None, False),
        ("POST", "http://127.0.0.1:9090", "same-site", False),
        ("POST", "http://127.0.0.1:9090", None, False),
        ("POST", "http://127.0.0.1:8080", "cross-site", False),
        ("POST", "null", None, False),
        ("POST", "null", "same-origin", False),
        ("POST", "", None, False),
        ("POST", "http://[", "same-origin", False),
        ("POST", None, "none", False),
        ("DELETE", "https://attacker.example", None, False),
    ],
)
def test_only_own_pages_may_change_anything(
    method: str, origin: str | None, site: str | None, *, trusted: bool
) -> None:
    access = make_access(Time())
    assert access.same_origin(method, "127.0.0.1:8080", origin, site) is trusted


@given(st.text())
def test_any_host_header_can_be_read(text: str) -> None:
    access = make_access(Time())
    access.host_allowed(text)
    access.same_origin("POST", text, text, None)
    assert ":" not in host_name(text) or text.strip().startswith("[")
    assert access.cookie_name(text).isascii()


def test_the_cookie_is_told_apart_by_port_and_bound_to_the_host_under_https() -> None:
    assert make_access(Time()).cookie_name("localhost:8080") == "cordon_8080"
    assert make_access(Time()).cookie_name("localhost") == "cordon"
    assert make_access(Time(), secure=True).cookie_name("console.example") == "__Host-cordon"
