"""The hashes of `evidence.log.leaves` and `evidence.log.merkle`, many at once: for large batches.

SHA-256 (FIPS 180-4) of up to `LANES` messages side by side: the same step of each, which a compiler
turns into vector instructions. BLAKE2b (RFC 7693) with a key, of eight bytes. One at a time, a call
of the system's library costs more than the hashing, and holds up all other threads; these do not.
Tests hold every hash against the system's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geofence.kernel import kernel

LANES = 16
_BLOCK = 64
_ROOM = 8 * LANES

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]
Longs = NDArray[np.uint64]
Ints = NDArray[np.int64]


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


def _root(number: int, degree: int, bits: int) -> int:
    """The first bits behind the point of a root, exactly."""
    low, high = 0, number << bits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**degree <= number << degree * bits else (low, middle)
    return low & ((1 << bits) - 1)


_K = np.array([_root(prime, 3, 32) for prime in _primes(64)], np.uint32)
_START = np.array([_root(prime, 2, 32) for prime in _primes(8)], np.uint32)
_IV = np.array([_root(prime, 2, 64) for prime in _primes(8)], np.uint64)
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
    ],
    np.int64,
)


# -- SHA-256 ----------------------------------------------------------------------------------


@kernel
def _turned(x: int, bits: int) -> int:
    return np.uint32((x >> np.uint32(bits)) | (x << np.uint32(32 - bits)))  # type: ignore[return-value]


@kernel
def _compress(state: Words, w: Words, v: Words, lanes: int) -> None:
    """Take in a block of each lane: the first 16 words of `w`. Word t of lane i is at t LANES + i."""
    for t in range(16, 64):
        at = t * LANES
        for i in range(lanes):
            x, y = w[at - 15 * LANES + i], w[at - 2 * LANES + i]
            low = _turned(x, 7) ^ _turned(x, 18) ^ np.uint32(x >> np.uint32(3))
            high = _turned(y, 17) ^ _turned(y, 19) ^ np.uint32(y >> np.uint32(10))
            w[at + i] = np.uint32(w[at - 16 * LANES + i] + low + w[at - 7 * LANES + i] + high)
    for j in range(_ROOM):
        v[j] = state[j]
    for t in range(64):
        constant, at = _K[t], t * LANES
        for i in range(lanes):
            a, b, c = v[i], v[LANES + i], v[2 * LANES + i]
            e, f, g = v[4 * LANES + i], v[5 * LANES + i], v[6 * LANES + i]
            choice = (e & f) ^ (~e & g)
            turned = _turned(e, 6) ^ _turned(e, 11) ^ _turned(e, 25)
            first = np.uint32(v[7 * LANES + i] + turned + choice + constant + w[at + i])
            most = (a & b) ^ (a & c) ^ (b & c)
            second = np.uint32((_turned(a, 2) ^ _turned(a, 13) ^ _turned(a, 22)) + most)
            v[7 * LANES + i], v[6 * LANES + i], v[5 * LANES + i] = g, f, e
            v[4 * LANES + i] = np.uint32(v[3 * LANES + i] + first)
            v[3 * LANES + i], v[2 * LANES + i], v[LANES + i] = c, b, a
            v[i] = np.uint32(first + second)
    for j in range(_ROOM):
        state[j] = np.uint32(state[j] + v[j])


@kernel
def _begin(state: Words) -> None:
    for word in range(8):
        for i in range(LANES):
            state[word * LANES + i] = _START[word]


@kernel
def _load(message: Bytes, at: int, w: Words, lane: int) -> None:
    """Take 16 words of a padded message."""
    for t in range(16):
        k = at + 4 * t
        w[t * LANES + lane] = (
            (np.uint32(message[k]) << np.uint32(24))
            | (np.uint32(message[k + 1]) << np.uint32(16))
            | (np.uint32(message[k + 2]) << np.uint32(8))
            | np.uint32(message[k + 3])
        )


@kernel
def _digest(state: Words, lane: int, out: Bytes) -> None:
    for word in range(8):
        value = state[word * LANES + lane]
        for k in range(4):
            out[4 * word + k] = np.uint8((value >> np.uint32(24 - 8 * k)) & np.uint32(255))


@kernel
def _pad(message: Bytes, size: int) -> int:
    """Put what follows a message behind it. Returns of how many blocks it is."""
    blocks = (size + 9 + _BLOCK - 1) // _BLOCK
    message[size] = 0x80
    message[size + 1 : blocks * _BLOCK] = 0
    bits = size * 8
    for k in range(8):
        message[blocks * _BLOCK - 1 - k] = (bits >> (8 * k)) & 255
    return blocks


@kernel
def _put_number(out: Bytes, at: int, number: int) -> None:
    for k in range(8):
        out[at + k] = (number >> (56 - 8 * k)) & 255


# -- BLAKE2b ----------------------------------------------------------------------------------


@kernel
def _mix(v: Longs, a: int, b: int, c: int, d: int, x: int, y: int) -> None:
    v[a] = v[a] + v[b] + x
    z = v[d] ^ v[a]
    v[d] = (z >> np.uint64(32)) | (z << np.uint64(32))
    v[c] = v[c] + v[d]
    z = v[b] ^ v[c]
    v[b] = (z >> np.uint64(24)) | (z << np.uint64(40))
    v[a] = v[a] + v[b] + y
    z = v[d] ^ v[a]
    v[d] = (z >> np.uint64(16)) | (z << np.uint64(48))
    v[c] = v[c] + v[d]
    z = v[b] ^ v[c]
    v[b] = (z >> np.uint64(63)) | (z << np.uint64(1))


@kernel
def _take_block(h: Longs, m: Longs, v: Longs, taken: int, last: bool) -> None:  # noqa: FBT001
    for k in range(8):
        v[k], v[k + 8] = h[k], _IV[k]
    v[12] ^= np.uint64(taken)
    if last:
        v[14] = ~v[14]
    for turn in range(12):
        s = _SIGMA[turn % 10]
        _mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]])
        _mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]])
        _mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]])
        _mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]])
        _mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]])
        _mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]])
        _mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]])
        _mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]])
    for k in range(8):
        h[k] ^= v[k] ^ v[k + 8]


@kernel
def _keyed(key: Bytes, h: Longs, m: Longs, v: Longs) -> None:
    """The state that has taken in a key of 32 bytes, for digests of 16."""
    h[:] = _IV
    h[0] ^= np.uint64(0x01010000 | (32 << 8) | 16)
    m[:] = 0
    for k in range(32):
        m[k // 8] |= np.uint64(key[k]) << np.uint64(8 * (k % 8))
    _take_block(h, m, v, 128, False)


@kernel
def _salt(state: Longs, number: int, h: Longs, m: Longs, v: Longs, out: Bytes, at: int) -> None:
    """The digest of a number of eight bytes, most significant first."""
    h[:] = state
    m[:] = 0
    for k in range(8):
        m[0] |= np.uint64((number >> (56 - 8 * k)) & 255) << np.uint64(8 * k)
    _take_block(h, m, v, 136, True)
    for k in range(16):
        out[at + k] = np.uint8((h[k // 8] >> np.uint64(8 * (k % 8))) & np.uint64(255))


# -- what is hashed -----------------------------------------------------------------------------


@kernel
def commit(
    payloads: Bytes, starts: Ints, order: Ints, places: Ints, key: Ints, keys: Bytes, out: Bytes
) -> None:
    """`out` (n, 32): the commitments of payloads, with salts of their places.

    Args:
        payloads: One behind the other.
        starts: (n + 1,) where each begins, and the end of the last.
        order: (n,) the payloads, the longest first.
        places: (n,) in their chains.
        key: (n,) row of `keys` of each.
        keys: (k, 32).
        out: Filled.
    """
    states = np.empty((len(keys), 8), np.uint64)
    h, m, v8 = np.empty(8, np.uint64), np.empty(16, np.uint64), np.empty(16, np.uint64)
    for k in range(len(keys)):
        _keyed(keys[k], h, m, v8)
        states[k] = h
    state, v = np.empty(_ROOM, np.uint32), np.empty(_ROOM, np.uint32)
    w = np.empty(64 * LANES, np.uint32)
    longest = starts[order[0] + 1] - starts[order[0]] if len(order) else 0
    room = np.empty((LANES, longest + 17 + 2 * _BLOCK), np.uint8)
    blocks = np.zeros(LANES, np.int64)
    for first in range(0, len(order), LANES):
        lanes = min(LANES, len(order) - first)
        for i in range(lanes):
            one = order[first + i]
            message, size = room[i], starts[one + 1] - starts[one]
            message[0] = 2
            _salt(states[key[one]], places[one], h, m, v8, message, 1)
            message[17 : 17 + size] = payloads[starts[one] : starts[one + 1]]
            blocks[i] = _pad(message, 17 + size)
        _begin(state)
        for block in range(blocks[0]):
            while blocks[lanes - 1] <= block:  # the longest come first: those that end are the last
                lanes -= 1
                _digest(state, lanes, out[order[first + lanes]])
            for i in range(lanes):
                _load(room[i], block * _BLOCK, w, i)
            _compress(state, w, v, lanes)
        for i in range(lanes):
            _digest(state, i, out[order[first + i]])


@kernel
def follow(heads: Bytes, begins: Ints, order: Ints, places: Ints, given: Bytes, out: Bytes) -> None:
    """`out` (n, 32): the leaves of chains, each over the one before it.

    Args:
        heads: (c, 32) the leaf before the first, of each chain.
        begins: (c + 1,) where the chain's commitments begin, and the end of the last.
        order: (c,) the chains, the longest first.
        places: (n,) in their chains.
        given: (n, 32) commitments.
        out: Filled.
    """
    state, v = np.empty(_ROOM, np.uint32), np.empty(_ROOM, np.uint32)
    w = np.empty(64 * LANES, np.uint32)
    room = np.zeros((LANES, 2 * _BLOCK), np.uint8)
    for first in range(0, len(order), LANES):
        lanes = min(LANES, len(order) - first)
        for i in range(lanes):
            room[i, 1:33] = heads[order[first + i]]
            _pad(room[i], 73)
        longest = order[first]
        for step in range(begins[longest + 1] - begins[longest]):
            while begins[order[first + lanes - 1] + 1] - begins[order[first + lanes - 1]] <= step:
                lanes -= 1
            for i in range(lanes):
                at = begins[order[first + i]] + step
                _put_number(room[i], 33, places[at])
                room[i, 41:73] = given[at]
            _begin(state)
            for block in range(2):
                for i in range(lanes):
                    _load(room[i], block * _BLOCK, w, i)
                _compress(state, w, v, lanes)
            for i in range(lanes):
                leaf = out[begins[order[first + i]] + step]
                _digest(state, i, leaf)
                room[i, 1:33] = leaf


@kernel
def pair_up(level: Bytes) -> Bytes:
    """(n, 32) nodes of a tree: those above them; one without a brother goes up as it is."""
    pairs = len(level) // 2
    out = np.empty((pairs + len(level) % 2, 32), np.uint8)
    if len(level) % 2:
        out[pairs] = level[len(level) - 1]
    state, v = np.empty(_ROOM, np.uint32), np.empty(_ROOM, np.uint32)
    w = np.empty(64 * LANES, np.uint32)
    room = np.zeros((LANES, 2 * _BLOCK), np.uint8)
    for i in range(LANES):
        room[i, 0] = 1
        _pad(room[i], 65)
    for first in range(0, pairs, LANES):
        lanes = min(LANES, pairs - first)
        for i in range(lanes):
            room[i, 1:33] = level[2 * (first + i)]
            room[i, 33:65] = level[2 * (first + i) + 1]
        _begin(state)
        for block in range(2):
            for i in range(lanes):
                _load(room[i], block * _BLOCK, w, i)
            _compress(state, w, v, lanes)
        for i in range(lanes):
            _digest(state, i, out[first + i])
    return out
