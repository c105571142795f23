"""What `evidence.log.leaves` and `evidence.log.merkle` hash, for large batches: the same, sooner."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import chain as chained

import numpy as np

from evidence.log.hashing import Bytes, Ints, commit, follow, pair_up
from evidence.log.leaves import KEY_BYTES, Chains, Head, key_of

HASH_BYTES = 32


def seal_many(
    chains: Chains, heads: dict[bytes, Head], keys: Mapping[tuple[bytes, int], bytes]
) -> list[bytes]:
    """As `evidence.log.leaves.seal`, of rows in order of which none was erased.

    Raises:
        KeyDestroyedError: A key is missing.
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
    for (chain, payloads), head, end in zip(chains, before, begins[1:].tolist(), strict=True):
        heads[chain] = Head(head.length + len(payloads), hashes[end - 1])
    return hashes


def root_of_many(leaves: Sequence[bytes]) -> bytes:
    """As `evidence.log.merkle.root_of`."""
    level = _as_bytes(leaves, HASH_BYTES)
    while len(level) > 1:
        level = pair_up(level)
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
