"""With what devices sign their reports: keys, when they are in force, and who has to sign.

A core without I/O. Of an Ed25519 key only the public half is here; an HMAC secret has to be, since
whoever checks it must be able to make it. A device that was ever given a key has to sign from then
on, also when all its keys are revoked: taking a key away must not open the door to what is not
signed. Only an entry that says so (`algorithm` is ``none``) gives that up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Algorithm = Literal["hmac", "ed25519", "none"]
"""HMAC-SHA-256; Ed25519; and that a device need not sign any more. Stored: never rename."""

KEY_BYTES = 32
"""Of an HMAC secret made here, and of an Ed25519 key."""

KEY_NUMBERS = 256
"""A message names the key it is signed with by one byte."""

MAX_SIGNING_KEYS = 400_000
"""Keys in one registry, revoked ones included."""


class SigningKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key of one device, or that it need not sign.

    Attributes:
        row: Of its entry; 0 before it has one. Of two entries the later has the higher one.
        number: By which messages name it.
        key: HMAC secret or Ed25519 public key; empty for ``none``.
        revoked_us: When it was revoked, by whom and why; None: it was not.
    """

    device: str
    algorithm: Algorithm
    issued_us: int
    issued_by: str
    row: int = 0
    number: int = 0
    key: bytes = b""
    revoked_us: int | None = None
    revoked_by: str = ""
    revoked_reason: str = ""

    def __repr__(self) -> str:
        """Without the key, which may be a secret."""
        return f"SigningKey({self.device!r}, {self.algorithm}, number {self.number})"


class SigningKeyError(ValueError):
    """No such key can be made or found."""


class Held(msgspec.Struct, frozen=True):
    """What one device signs with.

    Attributes:
        keys: In force.
        must_sign: What it sends without a valid signature of one of them is refused.
    """

    keys: tuple[SigningKey, ...]
    must_sign: bool

    @property
    def lacks_key(self) -> bool:
        """Whatever it sends is refused: its keys were revoked, and it was given no other."""
        return self.must_sign and not self.keys


NOTHING_HELD = Held((), must_sign=False)


def held_by_device(keys: Iterable[SigningKey]) -> dict[str, Held]:
    """What each device signs with, by its id; devices that never had a key are not in it.

    Raises:
        SigningKeyError: More than `MAX_SIGNING_KEYS`.
    """
    entries = sorted(keys, key=lambda one: one.row)
    if len(entries) > MAX_SIGNING_KEYS:
        raise SigningKeyError(f"{len(entries)} signing keys are more than {MAX_SIGNING_KEYS}")
    found: dict[str, Held] = {}
    for one in entries:
        if one.algorithm == "none":
            found[one.device] = NOTHING_HELD
            continue
        before = found.get(one.device, NOTHING_HELD).keys
        in_force = before if one.revoked_us is not None else (*before, one)
        found[one.device] = Held(in_force, must_sign=True)
    return found


def free_number(newest: int | None, in_force: Iterable[int]) -> int:
    """The number of a device's next key.

    Args:
        newest: Of the key it was given last; None: it has had none.
        in_force: Of the keys in force.

    Raises:
        SigningKeyError: All numbers are in use.
    """
    taken = set(in_force)
    first = 0 if newest is None else newest + 1
    for step in range(KEY_NUMBERS):
        number = (first + step) % KEY_NUMBERS
        if number not in taken:
            return number
    raise SigningKeyError(f"it has {KEY_NUMBERS} keys in force: revoke those that are not used")
