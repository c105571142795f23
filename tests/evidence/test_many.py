"""Hashing many at once gives the hashes that hashing one by one gives."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from evidence.log import leaves, many, merkle
from evidence.log.leaves import Gone, Head, KeyDestroyedError, Row, chain_of, seal
from evidence.log.many import root_of_many, seal_many
from evidence.log.merkle import root_of

DAY = 20_775
CHAINS = [chain_of("fix", f"tag-{n}") for n in range(40)]
SIZES = st.sampled_from([0, 1, 38, 39, 46, 47, 102, 103, 104, 110, 111, 300]) | st.integers(0, 600)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(CHAINS),
        SIZES.flatmap(lambda size: st.binary(min_size=size, max_size=size)),
        st.integers(DAY, DAY + 2),
    ),
    min_size=1,
    max_size=80,
)
HEADS = st.dictionaries(
    st.sampled_from(CHAINS),
    st.builds(
        Head,
        st.integers(0, 300) | st.integers(2**40, 2**62),
        st.binary(min_size=32, max_size=32),
    ),
)


def keys_for(rows: list[Row]) -> dict[tuple[bytes, int], bytes]:
    return {(c, day): hashlib.sha256(c + bytes([day % 256])).digest() for c, _, day in rows}


@given(ROWS, HEADS)
def test_leaves_and_heads_are_the_same(rows: list[Row], heads: dict[bytes, Head]) -> None:
    one_by_one, many = dict(heads), dict(heads)
    expected = seal(rows, one_by_one, keys_for(rows))
    assert seal_many(leaves.in_order(rows), many, keys_for(rows)) == expected
    assert many == one_by_one


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=150))
def test_roots_are_the_same(hashes: list[bytes]) -> None:
    assert root_of_many(hashes) == root_of(hashes)


def test_one_long_chain_beside_short_ones() -> None:
    rows = [(CHAINS[0], b"%05d" % n, DAY) for n in range(3_000)]
    rows += [(CHAINS[n % 39 + 1], b"%05d" % n, DAY) for n in range(100)]
    one_by_one, many = dict[bytes, Head](), dict[bytes, Head]()
    expected = seal(rows, one_by_one, keys_for(rows))
    assert seal_many(leaves.in_order(rows), many, keys_for(rows)) == expected
    assert many == one_by_one


def test_large_batches_are_hashed_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(CHAINS[n % 7], b"%05d" % n, DAY) for n in range(50)]
    heads = dict[bytes, Head]()
    expected = seal(rows, heads, keys_for(rows))
    root = root_of(expected)
    monkeypatch.setattr(leaves, "MANY", 50)
    monkeypatch.setattr(merkle, "MANY", 50)
    heads_of_many = dict[bytes, Head]()
    assert seal(rows, heads_of_many, keys_for(rows)) == expected
    assert heads_of_many == heads
    assert root_of(expected) == root
    erased = {CHAINS[0]: {2: hashlib.sha256(b"gone").digest()}}
    kept = [row for row in rows if row[1] != b"00007"]
    assert len(seal(kept, {}, keys_for(rows), Gone(erased))) == len(rows)


def test_a_key_that_is_gone_is_named() -> None:
    with pytest.raises(KeyDestroyedError, match=CHAINS[0].hex()[:16]):
        seal_many([(CHAINS[0], [(b"a", DAY)])], {}, {})


@pytest.mark.parametrize("kernel", ["commit", "follow", "pair_up"])
def test_wrong_kernels_seal_nothing_wrong(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(CHAINS[n % 7], b"%05d" % n, DAY) for n in range(50)]
    heads = dict[bytes, Head]()
    expected = seal(rows, heads, keys_for(rows))
    root = root_of(expected)
    right = getattr(many, kernel)

    def wrong(*values: Any) -> Any:
        made = right(*values)
        hashes = values[-1] if made is None else made
        hashes[:, -1] ^= 1
        return made

    monkeypatch.setattr(leaves, "MANY", 50)
    monkeypatch.setattr(merkle, "MANY", 50)
    monkeypatch.setattr(many, kernel, wrong)
    heads_of_many = dict[bytes, Head]()
    with structlog.testing.capture_logs() as logs:
        assert seal(rows, heads_of_many, keys_for(rows)) == expected
        assert root_of(expected) == root
    assert heads_of_many == heads
    assert [one["event"] for one in logs] == ["hashing_many_is_wrong"]
