"""Who may speak for which device: the rules, without a broker."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.credentials import (
    Admitted,
    Credential,
    CredentialError,
    Login,
    Refused,
    Registry,
    check_new,
    is_device_id,
    password_from,
    password_hash,
    rights_of,
)

DEVICES = ("tag-1", "tag-2", "Tag-1")
NOW_US = 1_000
ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
odd_ids = (
    ids
    | st.text(max_size=70)
    | st.sampled_from(
        ["", "*", ">", "a.b", "tag-1.fix", "tag/1", "tag-1\n", "$SYS", "a b", "\x00", "é", "a" * 65]
    )
)


def made(
    device: str, secret: int, *, kind: str, valid: tuple[int, int | None], revoked: int | None
) -> Credential:
    common = {
        "device": device,
        "valid_from_us": valid[0],
        "valid_to_us": valid[1],
        "issued_us": 0,
        "issued_by": "test",
        "revoked_us": revoked,
        "revoked_by": "" if revoked is None else "Kim",
        "revoked_reason": "" if revoked is None else "lost",
    }
    if kind == "certificate":
        return Credential(kind="certificate", fingerprint=finger(secret), **common)  # type: ignore[arg-type]
    salt = secret.to_bytes(16, "big")
    return Credential(
        kind="password",
        salt=salt,
        hash=password_hash(password(secret), salt),
        **common,  # type: ignore[arg-type]
    )


def password(secret: int) -> str:
    return password_from(hashlib.sha256(bytes([secret])).digest()[:24])


def finger(secret: int) -> bytes:
    return hashlib.sha256(b"certificate" + bytes([secret])).digest()


@st.composite
def credentials(draw: st.DrawFn) -> tuple[int, str, Credential]:
    secret = draw(st.integers(0, 5))
    kind = draw(st.sampled_from(["password", "certificate"]))
    start = draw(st.integers(NOW_US - 3, NOW_US + 1))
    end = draw(st.none() | st.integers(start + 1, NOW_US + 3))
    revoked = draw(st.none() | st.integers(NOW_US - 3, NOW_US))
    device = draw(st.sampled_from(DEVICES))
    return secret, kind, made(device, secret, kind=kind, valid=(start, end), revoked=revoked)


@given(
    st.lists(credentials(), max_size=8, unique_by=lambda c: (c[0], c[1])),
    st.sampled_from(DEVICES),
    st.integers(0, 6),
    st.integers(NOW_US - 4, NOW_US + 4),
)
def test_a_password_opens_iff_it_is_the_devices_own_and_valid_then(
    held: list[tuple[int, str, Credential]], device: str, secret: int, now_us: int
) -> None:
    registry = Registry([c for _, _, c in held], [], 1)
    expected = any(
        number == secret and kind == "password" and c.device == device
        and c.revoked_us is None
        and c.valid_from_us <= now_us
        and (c.valid_to_us is None or now_us < c.valid_to_us)
        for number, kind, c in held
    )  # fmt: skip
    found = registry.admit(Login(user=device, password=password(secret), client_id=device), now_us)
    assert isinstance(found, Admitted) is expected
    assert found.device == device


@given(
    st.lists(credentials(), max_size=8, unique_by=lambda c: (c[0], c[1])),
    st.sampled_from(["", *DEVICES]),
    st.integers(0, 6),
)
def test_a_certificate_opens_iff_it_is_registered_valid_and_of_who_is_named(
    held: list[tuple[int, str, Credential]], user: str, secret: int
) -> None:
    registry = Registry([c for _, _, c in held], [], 1)
    own = [c for number, kind, c in held if (number, kind) == (secret, "certificate")]
    expected = bool(own) and own[0].valid(NOW_US) and user in {"", own[0].device}
    found = registry.admit(Login(user=user, fingerprint=finger(secret)), NOW_US)
    assert isinstance(found, Admitted) is expected
    if isinstance(found, Admitted):
        assert found == Admitted(own[0].device, own[0].valid_to_us)


@given(st.text(), st.text(), st.text())
def test_whatever_is_shown_gets_an_answer(user: str, secret: str, client_id: str) -> None:
    registry = Registry([made("tag-1", 1, kind="password", valid=(0, None), revoked=None)], [], 1)
    found = registry.admit(Login(user=user, password=secret, client_id=client_id), NOW_US)
    assert isinstance(found, Refused)
    assert found.reason


def covers(pattern: str, subject: str) -> bool:
    """Whether a NATS permission reaches a subject; the server's rule, written plainly."""
    wanted, given_ = pattern.split("."), subject.split(".")
    for i, token in enumerate(wanted):
        if token == ">":
            return i < len(given_)
        if i >= len(given_) or (token not in {"*", given_[i]}):
            return False
    return len(wanted) == len(given_)


@given(odd_ids, odd_ids)
def test_the_rights_of_an_id_never_reach_anothers_topics(mine: str, other: str) -> None:
    topics = [
        f"cordon.v1.{other}.{kind}" for kind in ("fix", "event", "status", "receipt", "command")
    ]
    try:
        rights = rights_of(mine)
    except CredentialError:
        assert not is_device_id(mine)
        return
    reached = [t for t in topics for p in (*rights.publish, *rights.subscribe) if covers(p, t)]
    assert bool(reached) is (mine == other)
    assert not any(covers(p, f"cordon.v1.{mine}.command") for p in rights.publish)
    assert not any(covers(p, s) for p in rights.publish for s in ("core.journal.0", "$SYS.x", "a"))


@pytest.mark.parametrize("device", ["service", "system", "authorizer", "device"])
def test_the_brokers_own_users_are_no_devices(device: str) -> None:
    with pytest.raises(CredentialError, match="broker's own"):
        check_new(device)


@pytest.mark.parametrize("client_id", ["tag-2", "tag-2.x", "tag-2/x", "cordon-gateway-0"])
def test_nobody_takes_over_the_session_of_another(client_id: str) -> None:
    registry = Registry(
        [made(d, i, kind="password", valid=(0, None), revoked=None) for i, d in enumerate(DEVICES)],
        [],
        1,
    )
    found = registry.admit(Login(user="tag-1", password=password(0), client_id=client_id), NOW_US)
    assert isinstance(found, Refused)
    assert found.code == "other_client_id"


@pytest.mark.parametrize("client_id", ["", "tag-1", "tag-1/app", "mosq-1x", "tag-11"])
def test_a_client_id_of_nobody_is_anybodys(client_id: str) -> None:
    registry = Registry([made("tag-1", 1, kind="password", valid=(0, None), revoked=None)], [], 1)
    shown = Login(user="tag-1", password=password(1), client_id=client_id)
    assert registry.admit(shown, NOW_US) == Admitted("tag-1", None)


def test_a_session_ends_when_what_may_have_opened_it_is_revoked() -> None:
    registry = Registry(
        [
            made("tag-1", 1, kind="password", valid=(0, None), revoked=500),
            made("tag-1", 2, kind="password", valid=(400, None), revoked=None),
            made("tag-2", 3, kind="password", valid=(0, NOW_US), revoked=None),
        ],
        [],
        1,
    )
    assert not registry.may_stay("tag-1", 499, NOW_US)
    assert registry.may_stay("tag-1", 501, NOW_US)  # it came in with the new one
    assert registry.may_stay("tag-2", 1, NOW_US - 1)
    assert not registry.may_stay("tag-2", 1, NOW_US)
    assert not registry.may_stay("never-known", 1, NOW_US)


def test_a_password_is_never_shown() -> None:
    assert "geheim" not in repr(Login(user="tag-1", password="geheim"))


def test_the_phone_of_an_owner_is_told_by_its_password() -> None:
    phones = [
        made("jane__phone", 1, kind="password", valid=(0, None), revoked=None),
        made("jane__old", 2, kind="password", valid=(0, None), revoked=500),
        made("janet__phone", 3, kind="password", valid=(0, None), revoked=None),
    ]
    registry = Registry(phones, [], 1)
    for user in ("jane", "jane__phone"):
        shown = Login(user=user, password=password(1), client_id="janephone")
        assert registry.admit(shown, NOW_US) == Admitted("jane__phone", None)
    for secret, code in ((2, "credential_revoked"), (3, "wrong_password")):
        found = registry.admit(Login(user="jane", password=password(secret)), NOW_US)
        assert isinstance(found, Refused)
        assert found.code == code
    assert registry.may_stay("jane", 501, NOW_US)
    assert not registry.may_stay("jane", 499, NOW_US)  # it may be the old one
