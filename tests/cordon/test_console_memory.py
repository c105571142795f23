"""A restart of the service: the console is where it was, and who was signed in still is."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from console.access import Access, Operator, sha256_hex
from cordon.console_memory import SessionFile, bind_console, kept_token
from tests.console.fake import Time

ANA = Operator(name="Ana", token_sha256=sha256_hex("ana's"))


def only_the_owner_may_read(file: Path) -> bool:
    return stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_session_outlives_a_restart_and_no_longer_than_it_would_have(tmp_path: Path) -> None:
    file, time = tmp_path / "sessions.json", Time()
    first = Access([ANA], time, store=SessionFile(file))
    session = first.enter("ana's", "")
    assert session not in file.read_text()
    assert only_the_owner_may_read(file)
    second = Access([ANA], time, store=SessionFile(file))
    assert second.who(session) == "Ana"
    time.pass_s(second.session_s)
    assert Access([ANA], time, store=SessionFile(file)).who(session) is None


def test_a_session_ends_with_leaving_and_with_its_token(tmp_path: Path) -> None:
    store, time = SessionFile(tmp_path / "sessions.json"), Time()
    access = Access([ANA], time, store=store)
    left, kept = access.enter("ana's", ""), access.enter("ana's", "")
    access.leave(left)
    again = Access([ANA], time, store=store)
    assert (again.who(left), again.who(kept)) == (None, "Ana")
    other_token = Operator(name="Ana", token_sha256=sha256_hex("another"))
    assert Access([other_token], time, store=store).who(kept) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": [1, 2]}', b"\xff\x00"])
def test_a_damaged_file_signs_everybody_out_and_nothing_worse(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "sessions.json"
    file.write_bytes(content)
    access = Access([ANA], Time(), store=SessionFile(file))
    assert access.who(access.enter("ana's", "")) == "Ana"


def test_signing_in_works_where_nothing_can_be_saved(tmp_path: Path) -> None:
    access = Access([ANA], Time(), store=SessionFile(tmp_path / "missing" / "sessions.json"))
    assert access.who(access.enter("ana's", "")) == "Ana"


def test_a_made_token_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "console.token"
    token = kept_token(file)
    assert len(token) >= 32
    assert kept_token(file) == token
    assert only_the_owner_may_read(file)
    file.write_text("\n")
    assert kept_token(file) != token


def test_the_console_comes_back_on_its_port(tmp_path: Path) -> None:
    file = tmp_path / "console.port"
    with bind_console("127.0.0.1", 0, file) as bound:
        port = bound.getsockname()[1]
        with bind_console("127.0.0.1", 0, file) as other:  # taken: any free one
            assert other.getsockname()[1] != port
    file.write_text(str(port))
    with bind_console("127.0.0.1", 0, file) as bound:
        assert bound.getsockname()[1] == port


@pytest.mark.parametrize("kept", ["", "nonsense", "99999999", "-5"])
def test_a_damaged_port_is_any_port(tmp_path: Path, kept: str) -> None:
    file = tmp_path / "console.port"
    file.write_text(kept)
    with bind_console("127.0.0.1", 0, file) as bound:
        assert bound.getsockname()[1] == int(file.read_text())


def test_a_port_of_the_settings_that_is_taken_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "console.port"
    with bind_console("127.0.0.1", 0, file) as bound, pytest.raises(OSError, match="in use"):
        bind_console("127.0.0.1", bound.getsockname()[1], file)
