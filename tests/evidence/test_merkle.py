"""Trees and proofs: against published vectors, against another implementation, against forgery."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from evidence.log import merkle
from evidence.log.merkle import Levels, ProofError, check_consistency, check_inclusion, leaf_hash

VECTORS = json.loads((Path(__file__).parent / "vectors" / "merkle.json").read_text())
ENTRIES = [bytes.fromhex(entry) for entry in VECTORS["entries"]]

sizes = st.integers(1, 300)


def leaves(size: int) -> list[bytes]:
    return [leaf_hash(size.to_bytes(2, "big") + i.to_bytes(2, "big")) for i in range(size)]


def test_roots_of_the_certificate_transparency_tests() -> None:
    assert VECTORS["roots"][8] == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
    hashes = [leaf_hash(entry) for entry in ENTRIES]
    assert [merkle.root_of(hashes[:n]).hex() for n in range(9)] == VECTORS["roots"]


@pytest.mark.parametrize("case", VECTORS["inclusion"], ids=lambda case: str(case["what"]))
def test_inclusion_vectors(case: dict[str, Any]) -> None:
    proof = [bytes.fromhex(step) for step in case["proof"]]
    values = (case["index"], case["size"], bytes.fromhex(case["leaf"]), proof)
    if case["passes"]:
        check_inclusion(*values, bytes.fromhex(case["root"]))
    else:
        with pytest.raises(ProofError):
            check_inclusion(*values, bytes.fromhex(case["root"]))


@pytest.mark.parametrize("case", VECTORS["consistency"], ids=lambda case: str(case["what"]))
def test_consistency_vectors(case: dict[str, Any]) -> None:
    proof = [bytes.fromhex(step) for step in case["proof"]]
    roots = (bytes.fromhex(case["old_root"]), bytes.fromhex(case["new_root"]))
    if case["passes"]:
        check_consistency(case["old"], case["new"], proof, *roots)
    else:
        with pytest.raises(ProofError):
            check_consistency(case["old"], case["new"], proof, *roots)


@given(sizes)
def test_another_implementation_finds_the_same_root(size: int) -> None:
    tree = InmemoryTree(algorithm="sha256")
    entries = [i.to_bytes(2, "big") for i in range(size)]
    for entry in entries:
        tree.append_entry(entry)
    assert tree.get_root() == merkle.root_of([leaf_hash(entry) for entry in entries])


@given(sizes, st.data())
def test_every_leaf_proves_itself_and_no_other(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Levels(hashes)
    index = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(index)
    check_inclusion(index, size, hashes[index], proof, tree.root)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        for wrong in ((other, hashes[index]), (index, hashes[other])):
            with pytest.raises(ProofError):
                check_inclusion(wrong[0], size, wrong[1], proof, tree.root)


@given(sizes, st.data())
def test_a_tree_proves_what_it_began_with_and_nothing_else(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Levels(hashes)
    old = data.draw(st.integers(0, size))
    proof = tree.consistency(old)
    check_consistency(old, size, proof, merkle.root_of(hashes[:old]), tree.root)
    if old:
        changed = data.draw(st.integers(0, old - 1))
        forged = [*hashes[:changed], leaf_hash(b"forged"), *hashes[changed + 1 : old]]
        with pytest.raises(ProofError):
            check_consistency(old, size, proof, merkle.root_of(forged), tree.root)


@given(st.integers(1, 200))
def test_nodes_kept_as_leaves_come_give_the_same_proofs(size: int) -> None:
    """What the database keeps: complete nodes, written when they become complete."""
    hashes = leaves(size)
    kept: dict[merkle.Coordinates, bytes] = {}
    for index, leaf in enumerate(hashes):
        kept.update(merkle.completed_by(index, leaf, kept.__getitem__))
    tree = Levels(hashes)
    assert merkle.range_hash((0, size), kept.__getitem__) == tree.root
    ranges = merkle.inclusion_ranges(size // 2, size)
    assert merkle.nodes_needed(ranges) <= kept.keys()
    assert [merkle.range_hash(r, kept.__getitem__) for r in ranges] == tree.inclusion(size // 2)
    old = merkle.consistency_ranges(size // 3, size)
    assert [merkle.range_hash(r, kept.__getitem__) for r in old] == tree.consistency(size // 3)


@given(sizes, st.data())
def test_many_leaves_prove_themselves_at_once(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Levels(hashes)
    shown = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    hidden = [merkle.range_hash(part, tree.node) for part in merkle.hidden_ranges(shown, size)]
    known = {index: hashes[index] for index in shown}
    assert merkle.root_of_shown(known, size, hidden) == tree.root
    if len(shown) == 1:
        assert sorted(hidden) == sorted(tree.inclusion(shown[0]))
    forged = known | {data.draw(st.sampled_from(shown)): leaf_hash(b"forged")}
    assert merkle.root_of_shown(forged, size, hidden) != tree.root
    for wrong in ([*hidden, bytes(32)], hidden[:-1] if hidden else [bytes(32)]):
        with pytest.raises(ProofError):
            merkle.root_of_shown(known, size, wrong)
