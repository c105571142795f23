"""Merkle trees of RFC 6962 and RFC 9162, and their proofs, to the letter. No I/O.

The home-made proof systems of others have been broken; this one is the one that Certificate
Transparency uses. What a proof consists of is said twice below: as ranges of leaves (the recursions
of RFC 6962, section 2.1), and as the complete nodes such a range is folded from. So a tree of a
hundred million leaves that stands in a database gives its proofs from some tens of nodes.

Verifying follows the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

HASH_BYTES = 32
MANY = 5_000
"""From so many leaves on they are hashed many at once: see `evidence.log.many`."""

EMPTY_ROOT = hashlib.sha256(b"").digest()

Range = tuple[int, int]
"""Leaves from the first to before the second."""

Coordinates = tuple[int, int]
"""A complete node: its level (0: leaves) and its place there."""

NodeAt = Callable[[Coordinates], bytes]
"""Gives the hash of a complete node."""


class ProofError(ValueError):
    """A proof that does not prove what it should."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256 over 0x00 and the entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 over 0x01 and its children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Levels:
    """A tree in memory.

    Args:
        leaves: Leaf hashes, in order.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        levels = [list(leaves)]
        sha256 = hashlib.sha256
        while len(levels[-1]) > 1:
            below = levels[-1]
            pairs = zip(below[0::2], below[1::2], strict=False)
            above = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            if len(below) % 2:  # the last has no brother: it stands one level higher as it is
                above.append(below[-1])
            levels.append(above)
        self._levels = levels

    @property
    def root(self) -> bytes:
        """MTH of all leaves."""
        return self._levels[-1][0] if self.size else EMPTY_ROOT

    def node(self, at: Coordinates) -> bytes:
        """The hash of a complete node."""
        level, place = at
        return self._levels[level][place]

    def inclusion(self, index: int) -> list[bytes]:
        """The proof that the leaf `index` is in the tree."""
        return [range_hash(part, self.node) for part in inclusion_ranges(index, self.size)]

    def consistency(self, old: int) -> list[bytes]:
        """The proof that the tree of the first `old` leaves is a beginning of this one."""
        return [range_hash(part, self.node) for part in consistency_ranges(old, self.size)]


def root_of(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 over leaf hashes."""
    if len(leaves) >= MANY:
        from evidence.log.many import WrongHashError, root_of_many  # noqa: PLC0415 - a second to load

        with suppress(WrongHashError):
            return root_of_many(leaves)
    return Levels(leaves).root


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """PATH(index, D[size]) of RFC 6962, as the ranges whose hashes it consists of.

    Raises:
        ProofError: There is no such leaf.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    path, start, end = [], 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency_ranges(old: int, new: int) -> list[Range]:
    """PROOF(old, D[new]) of RFC 6962, as the ranges whose hashes it consists of.

    Empty when either tree is empty or both are the same: then there is nothing to prove.

    Raises:
        ProofError: The old tree is larger than the new one.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} cannot begin with one of {old}")
    if old in {0, new}:
        return []
    path, start, end, whole = [], 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start, whole = middle, False
    if not whole:
        path.append((start, end))
    return path[::-1]


def complete_nodes(part: Range) -> list[Coordinates]:
    """The complete nodes that a range of a proof is folded from, from left to right."""
    start, end = part
    nodes = []
    while start < end:
        level = (end - start).bit_length() - 1
        nodes.append((level, start >> level))
        start += 1 << level
    return nodes


def nodes_needed(parts: Iterable[Range]) -> set[Coordinates]:
    """All complete nodes that these ranges are folded from."""
    return {node for part in parts for node in complete_nodes(part)}


def range_hash(part: Range, node: NodeAt) -> bytes:
    """MTH over the leaves of a range of a proof."""
    nodes = complete_nodes(part)
    if not nodes:
        return EMPTY_ROOT
    folded = node(nodes[-1])
    for at in reversed(nodes[:-1]):
        folded = node_hash(node(at), folded)
    return folded


def completed_by(index: int, leaf: bytes, node: NodeAt) -> list[tuple[Coordinates, bytes]]:
    """The nodes that become complete when a leaf is appended: itself, and those above it.

    Args:
        index: Of the leaf: the size of the tree before.
        leaf: Its hash.
        node: Gives the complete nodes that stand to its left.
    """
    added, level, place, folded = [((0, index), leaf)], 0, index, leaf
    while place % 2:
        folded = node_hash(node((level, place - 1)), folded)
        level, place = level + 1, place >> 1
        added.append(((level, place), folded))
    return added


def check_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """RFC 9162, section 2.1.3.2.

    Raises:
        ProofError: The proof does not show that the leaf is at that place in the tree of that root.
    """
    if not 0 <= index < size:
        raise ProofError(f"there is no leaf {index} in a tree of {size}")
    place, last, folded = index, size - 1, leaf
    for step in proof:
        if last == 0:
            raise ProofError("the inclusion proof is too long")
        if place % 2 or place == last:
            folded = node_hash(step, folded)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            folded = node_hash(folded, step)
        place, last = place >> 1, last >> 1
    if last or folded != root:
        raise ProofError("the inclusion proof does not lead to the root")


def check_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """RFC 9162, section 2.1.4.2, and the plain cases around it.

    Raises:
        ProofError: The proof does not show that the old tree is a beginning of the new one.
    """
    if not 0 <= old <= new:
        raise ProofError(f"a tree of {new} cannot begin with one of {old}")
    if old in {0, new}:
        if proof or old_root != (new_root if old else EMPTY_ROOT):
            raise ProofError("trees of the same size have the same root and need no proof")
        return
    if not proof:
        raise ProofError("the consistency proof is empty")
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place >> 1, last >> 1
    if _fold_both(place, last, steps) != (old_root, new_root):
        raise ProofError("the consistency proof does not lead to both roots")


def _fold_both(place: int, last: int, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the old and of the new tree that the steps of a consistency proof lead to."""
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("the consistency proof is too long")
        if place % 2 or place == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while place % 2 == 0 and place:
                place, last = place >> 1, last >> 1
        else:
            second = node_hash(second, step)
        place, last = place >> 1, last >> 1
    if last:
        raise ProofError("the consistency proof is too short")
    return first, second


def _split(size: int) -> int:
    """The largest power of two smaller than `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def hidden_ranges(shown: Sequence[int], size: int) -> list[Range]:
    """The largest subtrees of a tree that hold none of these leaves, from left to right.

    With their hashes and the leaves, `root_of_shown` finds the root: one proof for many leaves, by
    the definition of MTH itself. For one leaf these are the ranges of its inclusion proof.

    Args:
        shown: Indices, growing; at least one.
        size: Of the tree.
    """
    hidden: list[Range] = []

    def descend(start: int, end: int, low: int, high: int) -> None:
        """Leaves start to end, of which shown[low:high] are shown."""
        if low == high:
            hidden.append((start, end))
        elif end - start > 1:
            middle = start + _split(end - start)
            between = bisect.bisect_left(shown, middle, low, high)
            descend(start, middle, low, between)
            descend(middle, end, between, high)

    descend(0, size, 0, len(shown))
    return hidden


def root_of_shown(shown: Mapping[int, bytes], size: int, hidden: Sequence[bytes]) -> bytes:
    """MTH of a tree of which some leaves and the hashes of `hidden_ranges` are known.

    Raises:
        ProofError: The hashes are too few or too many, or a leaf is not in the tree.
    """
    places, rest = sorted(shown), iter(hidden)
    if not places or not 0 <= places[0] <= places[-1] < size:
        raise ProofError("the leaves are not in the tree")

    def descend(start: int, end: int, low: int, high: int) -> bytes:
        if low == high:
            found = next(rest, None)
            if found is None:
                raise ProofError("the proof has too few hashes")
            return found
        if end - start == 1:
            return shown[start]
        middle = start + _split(end - start)
        between = bisect.bisect_left(places, middle, low, high)
        return node_hash(descend(start, middle, low, between), descend(middle, end, between, high))

    root = descend(0, size, 0, len(places))
    if next(rest, None) is not None:
        raise ProofError("the proof has too many hashes")
    return root
