"""What a leaf of a batch is made of: payload, commitment, chain. Published; never changed.

::

    payload    = the record itself: 104 bytes for a fix (`FIX_PAYLOAD`), CBOR for the others
    salt       = BLAKE2b(key = K[chain, day], message = place as u64, 16 bytes)
    commitment = SHA-256(0x02 || salt || payload)
    entry      = leaf before it in its chain (32) || place in the chain (u64) || commitment (32)
    leaf       = SHA-256(0x00 || entry)

A chain holds the records of one kind about one subject (the fixes of a device), in the order in
which they were sealed; before its first stands `genesis`. Its places count 1, 2, 3: who shows the
places 17 to 40 cannot leave one out. The commitment hides: without the salt, guessing a position
and hashing it proves nothing. Who destroys K[chain, day] makes the payloads of that day
unprovable and unguessable, while every tree and chain still verifies.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

KEY_BYTES = 32
SALT_BYTES = 16
ENTRY_BYTES = 72

FIX_PAYLOAD = struct.Struct(">B32sqqqqiiiiiiihhhhhB")
"""A fix, version 1, big-endian: version (1), chain, time_us, seq, received_us, journal_position,
message, lat_e7, lon_e7, accuracy_cm, speed_cms, course_cdeg, altitude_dm, satellites, hdop_c, kind,
battery_pct, charging, buffered (0 or 1). Units as in `devices.reports.FIX_DTYPE`.

Payloads of other records are CBOR arrays, whose first byte is at least 0x80."""

FIX_VERSION = 1

_PLACE = struct.Struct(">Q")

Row = tuple[bytes, bytes, int]
"""Chain, payload, and the day (since 1970-01-01, UTC) whose key salts it. Rows of a batch are
sealed in this order: by chain, then by payload."""


Chains = list[tuple[bytes, list[tuple[bytes, int]]]]
"""Rows in order: chains, each with payloads and days."""

MANY = 5_000
"""From so many rows on they are hashed many at once: for fewer it is not worth loading the kernels."""


class KeyDestroyedError(LookupError):
    """The key of a day is gone: its payloads cannot be proven any more."""


def chain_of(kind: str, subject: str) -> bytes:
    """The name of a chain: SHA-256 over the kind of record, 0x00, and whom it is about."""
    return hashlib.sha256(kind.encode() + b"\0" + subject.encode()).digest()


def genesis(chain: bytes) -> bytes:
    """What stands before the first leaf of a chain."""
    return hashlib.sha256(b"cordon chain v1\n" + chain).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain stands.

    Attributes:
        length: How many leaves it has; the place of its last.
        leaf: Its last leaf, or its genesis.
    """

    length: int
    leaf: bytes

    @classmethod
    def of_new(cls, chain: bytes) -> Head:
        """A chain without leaves."""
        return cls(0, genesis(chain))


@dataclass(frozen=True, slots=True)
class Gone:
    """What erasures left of a batch's leaves.

    Attributes:
        commitments: By chain and place: of records that are not there any more.
        salts: By chain and place: of records that stay, whose key was destroyed for others.
    """

    commitments: Mapping[bytes, Mapping[int, bytes]] = field(default_factory=dict)
    salts: Mapping[bytes, Mapping[int, bytes]] = field(default_factory=dict)

    def touches(self, chain: bytes) -> bool:
        """Whether a chain has to be derived with regard to it."""
        return chain in self.commitments or chain in self.salts


NOTHING_GONE = Gone()


@dataclass(frozen=True, slots=True)
class Leaf:
    """One leaf, with all that a proof of its payload takes.

    Attributes:
        before: Leaf before it in its chain.
        place: In its chain, from 1.
        salt: None where the payload is not known or its key is destroyed.
    """

    chain: bytes
    before: bytes
    place: int
    commitment: bytes
    salt: bytes | None = field(repr=False)
    payload: bytes | None = field(repr=False)

    @property
    def entry(self) -> bytes:
        """What is hashed into the tree."""
        return self.before + _PLACE.pack(self.place) + self.commitment

    @property
    def hash(self) -> bytes:
        """The leaf hash."""
        return hashlib.sha256(b"\x00" + self.entry).digest()


def _keyed(key: bytes) -> hashlib.blake2b:
    return hashlib.blake2b(key=key, digest_size=SALT_BYTES)


def salt_of(key: bytes, place: int) -> bytes:
    """The salt of a payload."""
    return hashlib.blake2b(_PLACE.pack(place), key=key, digest_size=SALT_BYTES).digest()


def commitment_of(salt: bytes, payload: bytes) -> bytes:
    """The commitment to a payload."""
    return hashlib.sha256(b"\x02" + salt + payload).digest()


def in_order(rows: Iterable[Row], others: Iterable[bytes] = ()) -> Chains:
    """Rows as a batch has them: by chain, then by payload; each chain with payloads and days.

    Args:
        rows: In any order.
        others: Chains that are in the batch even if they have no rows any more.
    """
    chains: dict[bytes, list[tuple[bytes, int]]] = {chain: [] for chain in others}
    for chain, payload, day in rows:
        found = chains.get(chain)
        if found is None:
            chains[chain] = [(payload, day)]
        else:
            found.append((payload, day))
    for payloads in chains.values():
        payloads.sort()
    return sorted(chains.items())


def seal(
    rows: Iterable[Row],
    heads: dict[bytes, Head],
    keys: Mapping[tuple[bytes, int], bytes],
    gone: Gone = NOTHING_GONE,
) -> list[bytes]:
    """The leaf hashes of a batch, in order. Each chain is followed on in `heads`.

    Args:
        rows: In any order.
        heads: Where each chain stands; chains that are not in it begin now. Changed.
        keys: K by chain and day.
        gone: What erasures left of the batch.

    Raises:
        KeyDestroyedError: A key is missing.
    """
    chains = in_order(rows, gone.commitments)
    untouched = not any(gone.touches(chain) for chain, _ in chains)
    if untouched and sum(len(payloads) for _, payloads in chains) >= MANY:
        from evidence.log.many import WrongHashError, seal_many  # noqa: PLC0415 - a second to load

        with suppress(WrongHashError):
            return seal_many(chains, heads, keys)
    sha256, pack = hashlib.sha256, _PLACE.pack
    leaves: list[bytes] = []
    for chain, payloads in chains:
        head = heads.get(chain) or Head.of_new(chain)
        if gone.touches(chain):
            opened = _open_chain(chain, payloads, head, keys, gone)
            leaves += [one.hash for one in opened]
            heads[chain] = Head(head.length + len(opened), leaves[-1])
            continue
        place, leaf, keyed, keyed_day = head.length, head.leaf, None, None
        for payload, day in payloads:
            if keyed is None or day != keyed_day:  # as `salt_of`, the key taken in once
                keyed, keyed_day = _keyed(key_of(keys, chain, day)), day
            place += 1
            number = pack(place)
            salting = keyed.copy()
            salting.update(number)
            commitment = sha256(b"\x02" + salting.digest() + payload).digest()
            leaf = sha256(b"\x00" + leaf + number + commitment).digest()
            leaves.append(leaf)
        heads[chain] = Head(place, leaf)
    return leaves


def open_rows(
    rows: Iterable[Row],
    heads: dict[bytes, Head],
    keys: Mapping[tuple[bytes, int], bytes],
    gone: Gone = NOTHING_GONE,
) -> list[Leaf]:
    """The same leaves as `seal`, each with what its proof takes: slower, for exports.

    Raises:
        KeyDestroyedError: A key is missing.
    """
    leaves = []
    for chain, payloads in in_order(rows, gone.commitments):
        head = heads.get(chain) or Head.of_new(chain)
        opened = _open_chain(chain, payloads, head, keys, gone)
        heads[chain] = Head(head.length + len(opened), opened[-1].hash)
        leaves += opened
    return leaves


def _open_chain(
    chain: bytes,
    payloads: list[tuple[bytes, int]],
    head: Head,
    keys: Mapping[tuple[bytes, int], bytes],
    gone: Gone,
) -> list[Leaf]:
    """The leaves of one chain in a batch; those that were erased have no payload."""
    erased, salts = gone.commitments.get(chain, {}), gone.salts.get(chain, {})
    last = head.length + len(payloads) + len(erased)
    if any(not head.length < place <= last for place in erased):
        raise KeyDestroyedError(f"chain {chain.hex()[:16]} never had the places said to be erased")
    leaves: list[Leaf] = []
    before, rest = head.leaf, iter(payloads)
    for place in range(head.length + 1, last + 1):
        if place in erased:
            leaf = Leaf(chain, before, place, erased[place], None, None)
        else:
            payload, day = next(rest)
            salt = salts.get(place) or salt_of(key_of(keys, chain, day), place)
            leaf = Leaf(chain, before, place, commitment_of(salt, payload), salt, payload)
        leaves.append(leaf)
        before = leaf.hash
    return leaves


def key_of(keys: Mapping[tuple[bytes, int], bytes], chain: bytes, day: int) -> bytes:
    """The key of a chain's day.

    Raises:
        KeyDestroyedError: It is missing.
    """
    try:
        return keys[chain, day]
    except KeyError:
        raise KeyDestroyedError(
            f"the key of chain {chain.hex()[:16]} for day {day} is gone: what it salted cannot be "
            "proven any more"
        ) from None
