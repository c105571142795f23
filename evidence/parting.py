"""Which leaves of a batch go, and what has to be kept of those that stay. No I/O.

All leaves of the batch are hashed, so that its root can be compared; opened are those alone that the
plan is about, and of these only what is kept: the commitment of one that goes, the salt of one that
stays although the key of its day is destroyed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evidence.keeping import Plan, Touched
from evidence.log.leaves import Gone, Head, Row, commitment_of, in_order, key_of, salt_of, seal


@dataclass(slots=True)
class Parted:
    """A batch, parted.

    Attributes:
        hashes: Of all its leaves, in order.
        gone: Chain, place and commitment of those that go, in order.
        salts: Chain, place and salt of those that stay and whose day is touched, in order; without
            those whose salt was kept by an erasure before.
        stay: How many stay of touched days, those included.
    """

    hashes: list[bytes]
    gone: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    salts: list[tuple[bytes, int, bytes]] = field(default_factory=list)
    stay: int = 0


def part(
    rows: Sequence[Row],
    heads: dict[bytes, Head],
    keys: Mapping[tuple[bytes, int], bytes],
    before: Gone,
    plan: Plan,
    chains: Mapping[bytes, Touched],
) -> Parted:
    """Part a batch.

    Args:
        rows: All of it, in any order.
        heads: Where each chain stands; each is followed on. Changed.
        keys: K by chain and day.
        before: What erasures before this one left of it.
        plan: What goes.
        chains: Of the plan.

    Raises:
        KeyDestroyedError: A key is missing.
    """
    touched = [row for row in rows if row[0] in chains]
    starts = {row[0]: heads.get(row[0]) or Head.of_new(row[0]) for row in touched}
    done = Parted(seal(rows, heads, keys, before))
    for chain, payloads in in_order(touched):
        table, subject, days = chains[chain]
        salts = before.salts.get(chain, {})
        places = _places(starts[chain].length, before.commitments.get(chain, {}).keys())
        for (payload, day), place in zip(payloads, places, strict=False):
            if plan.takes(table, subject, payload, day):
                salt = salts.get(place) or salt_of(key_of(keys, chain, day), place)
                done.gone.append((chain, place, commitment_of(salt, payload)))
            elif day in days:
                done.stay += 1
                if place not in salts:
                    salt = salt_of(key_of(keys, chain, day), place)
                    done.salts.append((chain, place, salt))
    return done


def _places(length: int, erased: Collection[int]) -> Iterator[int]:
    """The places behind a head that were not erased, without an end."""
    place = length
    while True:
        place += 1
        if place not in erased:
            yield place
