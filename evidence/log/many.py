"""What `evidence.log.leaves` and `evidence.log.merkle` hash, for large batches: the same, sooner.

A seal that is wrong would be found by whoever verifies it, years later. So what the compiled kernels
made is looked at before it counts: the last leaf of each chain, and two nodes of each level of the tree,
are made again by the system's library. Where they differ, it makes all of them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain as chained

import numpy as np
import structlog

from evidence.log.hashing import Bytes, Ints, commit, follow, pair_up
from evidence.log.leaves import KEY_BYTES, Chains, Head, Leaf, commitment_of, key_of, salt_of
from evidence.log.merkle import HASH_BYTES, node_hash

log = structlog.get_logger("evidence")


class WrongHashError(RuntimeError):
    """The kernels' hashes are not those of the system's library."""


def _tell() -> WrongHashError:
    log.error(
        "hashing_many_is_wrong",
        meaning="what is sealed is right, and takes longer: the system's library makes it",
        what_to_do="delete the folder that NUMBA_CACHE_DIR names, start again, and tell us",
    )
    return WrongHashError("the compiled kernels do not hash as the system's library does")


def seal_many(
    chains: Chains, heads: dict[bytes, Head], keys: Mapping[tuple[bytes, int], bytes]
) -> list[bytes]:
    """As `evidence.log.leaves.seal`, of rows in order of which none was erased.

    Raises:
        KeyDestroyedError: A key is missing.
        WrongHashError: They are not to be used; `heads` are as before.
    """
    before = [heads.get(chain) or Head.of_new(chain) for chain, _ in chains]
    counts = np.array([len(payloads) for _, payloads in chains], np.int64)
    begins = _begins(counts)
    lengths = np.array([head.length for head in before], np.int64)
    places = np.arange(1, begins[-1] + 1) + np.repeat(lengths - begins[:-1], counts)
    data = [payload for _, payloads in chains for payload, _ in payloads]
    sizes = np.array([len(payload) for payload in data], np.int64)
    commitments = np.empty((len(data), HASH_BYTES), np.uint8)
    flat = np.frombuffer(bytearray().join(data), np.uint8)
    key, known = _keys(chains, keys)
    commit(flat, _begins(sizes), _longest_first(sizes), places, key, known, commitments)
    leaves = np.empty_like(commitments)
    starts = _as_bytes([head.leaf for head in before], HASH_BYTES)
    follow(starts, begins, _longest_first(counts), places, commitments, leaves)
    hashes = _as_list(leaves)
    after: dict[bytes, Head] = {}
    for (chain, payloads), head, end in zip(chains, before, begins[1:].tolist(), strict=True):
        place, (payload, day) = head.length + len(payloads), payloads[-1]
        previous = hashes[end - 2] if len(payloads) > 1 else head.leaf
        salt = salt_of(key_of(keys, chain, day), place)
        last = Leaf(chain, previous, place, commitment_of(salt, payload), salt, payload)
        if last.hash != hashes[end - 1]:
            raise _tell()
        after[chain] = Head(place, last.hash)
    heads |= after
    return hashes


def root_of_many(leaves: Sequence[bytes]) -> bytes:
    """As `evidence.log.merkle.root_of`.

    Raises:
        WrongHashError: It is not to be used.
    """
    level = _as_bytes(leaves, HASH_BYTES)
    while len(level) > 1:
        above = pair_up(level)
        for place in {0, len(level) // 2 - 1}:
            left, right = level[2 * place].tobytes(), level[2 * place + 1].tobytes()
            if above[place].tobytes() != node_hash(left, right):
                raise _tell()
        level = above
    return level.tobytes()


def warm_up() -> float:
    """Compile the kernels, or load them where compiled code is kept; the seconds it took."""
    began_s = time.perf_counter()
    chain = bytes(HASH_BYTES)
    root_of_many(2 * seal_many([(chain, [(b"", 0)])], {}, {(chain, 0): bytes(KEY_BYTES)}))
    return time.perf_counter() - began_s


def _keys(chains: Chains, keys: Mapping[tuple[bytes, int], bytes]) -> tuple[Ints, Bytes]:
    """For each row the number of its key, and the keys."""
    known: list[bytes] = []
    numbers: list[list[int]] = []
    for chain, payloads in chains:
        days: dict[int, int] = {}
        for _, day in payloads:
            if day not in days:
                days[day] = len(known)
                known.append(key_of(keys, chain, day))
        numbers.append([days[day] for _, day in payloads])
    return np.array(list(chained.from_iterable(numbers)), np.int64), _as_bytes(known, KEY_BYTES)


def _begins(sizes: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _longest_first(sizes: Ints) -> Ints:
    return np.argsort(-sizes, kind="stable")


def _as_bytes(values: Sequence[bytes], width: int) -> Bytes:
    return np.frombuffer(bytearray().join(values), np.uint8).reshape(-1, width)


def _as_list(rows: Bytes) -> list[bytes]:
    data, width = rows.tobytes(), rows.shape[1]
    return [data[at : at + width] for at in range(0, len(data), width)]
