"""With what devices sign: which keys are in force, and who has to sign."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import signing
from devices.signing import (
    KEY_NUMBERS,
    NOTHING_HELD,
    Algorithm,
    SigningKey,
    SigningKeyError,
    free_number,
    held_by_device,
)


def key(row: int, device: str, algorithm: Algorithm, *, revoked: bool) -> SigningKey:
    return SigningKey(
        device=device,
        algorithm=algorithm,
        issued_us=0,
        issued_by="test",
        row=row,
        number=row % KEY_NUMBERS,
        key=b"" if algorithm == "none" else bytes(32),
        revoked_us=1 if revoked else None,
    )


entries = st.lists(
    st.tuples(
        st.sampled_from(["tag-1", "tag-2"]),
        st.sampled_from(["hmac", "ed25519", "none"]),
        st.booleans(),
    ),
    max_size=12,
)


@given(entries, st.randoms())
def test_a_device_signs_with_what_it_was_given_and_stops_only_when_told(
    given_keys: list[tuple[str, Algorithm, bool]], chance: Random
) -> None:
    keys = [key(n, d, a, revoked=r) for n, (d, a, r) in enumerate(given_keys, 1)]
    shuffled = list(keys)
    chance.shuffle(shuffled)
    held = held_by_device(shuffled)
    for device in ("tag-1", "tag-2"):
        own = [one for one in keys if one.device == device]
        last_none = max((one.row for one in own if one.algorithm == "none"), default=0)
        since = [one for one in own if one.row > last_none]
        found = held.get(device, NOTHING_HELD)
        assert found.must_sign == bool(since)  # a revoked key opens nothing
        assert list(found.keys) == [one for one in since if one.revoked_us is None]


@given(st.none() | st.integers(0, 255), st.sets(st.integers(0, 255), max_size=255))
def test_a_new_key_has_a_number_that_no_key_in_force_has(
    newest: int | None, in_force: set[int]
) -> None:
    number = free_number(newest, in_force)
    assert 0 <= number < KEY_NUMBERS
    assert number not in in_force


def test_the_number_of_the_key_before_is_used_again_as_late_as_possible() -> None:
    assert free_number(None, []) == 0
    assert free_number(0, []) == 1
    assert free_number(255, [0]) == 1
    with pytest.raises(SigningKeyError, match="in force"):
        free_number(3, range(KEY_NUMBERS))


def test_there_are_not_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "MAX_SIGNING_KEYS", 1)
    with pytest.raises(SigningKeyError, match="more than 1"):
        held_by_device([key(n, "tag-1", "hmac", revoked=False) for n in (1, 2)])


def test_a_key_is_never_shown() -> None:
    assert "0000" not in repr(key(1, "tag-1", "hmac", revoked=False))
    assert "x00" not in repr(key(1, "tag-1", "hmac", revoked=False))
