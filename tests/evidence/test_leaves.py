"""Leaves: the published bytes, chains that cannot lose a link, commitments that hide."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.log import canonical
from evidence.log.headers import HEADER_BYTES, Header, HeaderFormatError
from evidence.log.leaves import (
    Head,
    KeyDestroyedError,
    Row,
    chain_of,
    commitment_of,
    genesis,
    open_rows,
    salt_of,
    seal,
)
from evidence.log.merkle import leaf_hash, root_of

VECTORS = json.loads((Path(__file__).parent / "vectors" / "leaves.json").read_text())
DAY = 20_775
CHAINS = [chain_of("fix", f"tag-{n}") for n in range(4)]

rows = st.lists(
    st.tuples(
        st.sampled_from(CHAINS), st.binary(min_size=1, max_size=12), st.integers(DAY, DAY + 1)
    ),
    unique_by=lambda row: row[:2],
    max_size=40,
)


def keys_for(*groups: list[Row]) -> dict[tuple[bytes, int], bytes]:
    return {(c, day): bytes([day % 256]) + c[:31] for group in groups for c, _, day in group}


def test_the_published_leaves() -> None:
    chain, key = bytes.fromhex(VECTORS["chain"]), bytes.fromhex(VECTORS["key"])
    assert chain_of("fix", "tag-1") == chain
    assert genesis(chain).hex() == VECTORS["genesis"]
    wanted = VECTORS["leaves"]
    sealed: list[Row] = [(chain, bytes.fromhex(leaf["payload"]), DAY) for leaf in wanted]
    for leaf, published in zip(open_rows(sealed, {}, {(chain, DAY): key}), wanted, strict=True):
        assert leaf.salt is not None
        found: dict[str, Any] = {
            "payload": (leaf.payload or b"").hex(),
            "place": leaf.place,
            "salt": leaf.salt.hex(),
            "commitment": leaf.commitment.hex(),
            "before": leaf.before.hex(),
            "leaf": leaf.hash.hex(),
        }
        assert found == published
    assert root_of([bytes.fromhex(leaf["leaf"]) for leaf in wanted]).hex() == VECTORS["root"]


def test_the_published_header() -> None:
    header = Header.decode(bytes.fromhex(VECTORS["header"]))
    assert (header.number, header.rows, header.root.hex()) == (7, 2, VECTORS["root"])
    assert leaf_hash(header.encode()).hex() == VECTORS["header_leaf"]


@pytest.mark.parametrize("bad", [b"", b"CBH1", b"CBH2" + bytes(HEADER_BYTES - 4)])
def test_other_bytes_are_no_header(bad: bytes) -> None:
    with pytest.raises(HeaderFormatError):
        Header.decode(bad)


@given(rows, rows)
def test_sealing_and_opening_agree_over_batches(first: list[Row], second: list[Row]) -> None:
    keys = keys_for(first, second)
    sealed_heads: dict[bytes, Head] = {}
    opened_heads: dict[bytes, Head] = {}
    for group in (first, second):
        leaves = seal(group, sealed_heads, keys)
        opened = open_rows(group[::-1], opened_heads, keys)
        assert leaves == [leaf.hash for leaf in opened]
        assert leaves == [leaf_hash(leaf.entry) for leaf in opened]
    assert sealed_heads == opened_heads
    counts = {chain: sum(row[0] == chain for row in first + second) for chain in CHAINS}
    assert {chain: head.length for chain, head in sealed_heads.items()} == {
        chain: count for chain, count in counts.items() if count
    }


@given(rows.filter(bool), st.data())
def test_any_change_changes_every_later_leaf_of_its_chain(
    group: list[Row], data: st.DataObject
) -> None:
    keys = keys_for(group)
    leaves = open_rows(group, {}, keys)
    at = data.draw(st.integers(0, len(group) - 1))
    victim = leaves[at]
    less = [row for row in group if (row[0], row[1]) != (victim.chain, victim.payload)]
    after = {
        leaf.hash for leaf in leaves if leaf.chain == victim.chain and leaf.place >= victim.place
    }
    assert after.isdisjoint(seal(less, {}, keys))


def test_equal_positions_have_unequal_commitments() -> None:
    key = bytes(32)
    assert commitment_of(salt_of(key, 1), b"here") != commitment_of(salt_of(key, 2), b"here")
    assert salt_of(key, 1) != salt_of(bytes(31) + b"\1", 1)


def test_a_destroyed_key_is_named_and_not_invented() -> None:
    row: Row = (CHAINS[0], b"x", DAY)
    for way in (seal, open_rows):
        with pytest.raises(KeyDestroyedError, match="gone"):
            way([row], {}, {})


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 64), (1 << 64) - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)


def decode(data: bytes, at: int = 0) -> tuple[Any, int]:
    """A reader of its own, by RFC 8949; returns the value and where it ends."""
    head, at = data[at], at + 1
    major, extra = head >> 5, head & 31
    if major == 7:
        if extra == 27:
            return memoryview(data[at : at + 8][::-1]).cast("d")[0], at + 8
        return {20: False, 21: True, 22: None}[extra], at
    size = {24: 1, 25: 2, 26: 4, 27: 8}.get(extra, 0)
    number = int.from_bytes(data[at : at + size], "big") if size else extra
    at += size
    if major in {0, 1}:
        return (number if major == 0 else -1 - number), at
    if major in {2, 3}:
        raw = data[at : at + number]
        return (raw if major == 2 else raw.decode()), at + number
    items = []
    for _ in range(number):
        item, at = decode(data, at)
        items.append(item)
    return items, at


@given(values)
def test_records_can_be_read_back(value: Any) -> None:
    data = canonical.encode(value)
    assert decode(data) == (value, len(data))


@given(st.floats())
def test_floats_keep_every_bit(value: float) -> None:
    [found], _ = decode(canonical.encode([value]))
    assert found == value or (math.isnan(found) and math.isnan(value))
    assert math.copysign(1, found) == math.copysign(1, value)


def test_the_published_record() -> None:
    record = VECTORS["record"]
    found = decode(bytes.fromhex(record["cbor"]))[0]
    assert found[:7] == [1, "event", 1_795_000_000_000_000, -5, None, "panic", True]
    assert canonical.encode(found).hex() == record["cbor"]


def test_what_has_no_encoding_is_refused() -> None:
    with pytest.raises(OverflowError):
        canonical.encode(1 << 64)
    with pytest.raises(TypeError):
        canonical.encode({"a": 1})  # type: ignore[arg-type]


@given(st.lists(st.none() | st.booleans() | st.integers(-9, 1 << 63) | st.text() | st.binary()))
def test_flat_records_are_decoded_and_other_bytes_refused(values: list[Any]) -> None:
    data = canonical.encode(values)
    assert canonical.decode(data) == values
    for wrong in (data + b"\x1b", data[:-1]):
        with pytest.raises((ValueError, IndexError)):
            canonical.decode(wrong)
