"""Parting a batch keeps, bit for bit, what opening every leaf of it would have kept."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from evidence.keeping import MESSAGE, Plan, Touched, key_of, union
from evidence.log.canonical import encode
from evidence.log.leaves import (
    FIX_PAYLOAD,
    Gone,
    Head,
    Row,
    chain_of,
    open_rows,
)
from evidence.parting import Parted, part
from evidence.partitions import DAY_US

DEVICES = ("tag-1", "tag-2", "phone-1")
TIMES = st.integers(0, 3 * DAY_US - 1)
HEADS = {
    chain_of(table, device): Head(7 * place, bytes([place]) * 32)
    for place, (table, device) in enumerate((t, d) for t in ("fix", MESSAGE) for d in DEVICES)
    if place % 2
}


def fix(device: str, time_us: int, seq: int) -> Row:
    chain = chain_of("fix", device)
    payload = FIX_PAYLOAD.pack(1, chain, time_us, seq, *([0] * 15))
    return chain, payload, time_us // DAY_US


def message(device: str, time_us: int, item: int) -> Row:
    payload = encode([2, MESSAGE, time_us, 7, item, device, "t", b"x", 0])
    return chain_of(MESSAGE, device), payload, time_us // DAY_US


ROWS = st.lists(
    st.builds(
        lambda make, device, time_us, number: make(device, time_us, number),
        st.sampled_from([fix, message]),
        st.sampled_from(DEVICES),
        TIMES,
        st.integers(0, 99),
    ),
    max_size=40,
    unique=True,
)
WINDOWS = st.dictionaries(
    st.sampled_from(DEVICES), st.lists(st.tuples(TIMES, TIMES), min_size=1, max_size=2).map(union)
)


class Kept(NamedTuple):
    gone: list[tuple[bytes, int, bytes]]
    salts: list[tuple[bytes, int, bytes]]
    stay: int
    hashes: list[bytes]


def one_by_one(
    rows: list[Row],
    heads: dict[bytes, Head],
    keys: Mapping[tuple[bytes, int], bytes],
    before: Gone,
    plan: Plan,
    chains: Mapping[bytes, Touched],
) -> Kept:
    """The plain way: every leaf is opened, and looked at."""
    days = {(chain, payload): day for chain, payload, day in rows}
    kept = Kept([], [], 0, [])
    for leaf in open_rows(rows, heads, keys, before):
        kept.hashes.append(leaf.hash)
        if leaf.payload is None or leaf.chain not in chains:
            continue
        table, subject, touched = chains[leaf.chain]
        day = days[leaf.chain, leaf.payload]
        assert leaf.salt is not None
        if plan.takes(table, subject, leaf.payload, day):
            kept.gone.append((leaf.chain, leaf.place, leaf.commitment))
        elif day in touched:
            kept = kept._replace(stay=kept.stay + 1)
            if leaf.place not in before.salts.get(leaf.chain, {}):
                kept.salts.append((leaf.chain, leaf.place, leaf.salt))
    return kept


def keys_of(rows: list[Row]) -> dict[tuple[bytes, int], bytes]:
    return {(c, day): hashlib.sha256(c + bytes([day])).digest() for c, _, day in rows}


def left_by(parted: Kept | Parted) -> Gone:
    """What a second erasure of the same batch finds."""
    commitments: dict[bytes, dict[int, bytes]] = {}
    salts: dict[bytes, dict[int, bytes]] = {}
    for found, leaves in ((commitments, parted.gone), (salts, parted.salts)):
        for chain, place, data in leaves:
            found.setdefault(chain, {})[place] = data
    return Gone(commitments, salts)


@given(ROWS, WINDOWS, WINDOWS, st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)))
def test_two_erasures_keep_what_the_plain_way_keeps(
    rows: list[Row],
    first: dict[str, tuple[tuple[int, int], ...]],
    second: dict[str, tuple[tuple[int, int], ...]],
    extra: set[int],
    kept: set[int],
) -> None:
    named = [key_of(payload) for _, payload, _ in rows if payload[0] != 1]
    keys, before, there = keys_of(rows), Gone(), rows
    for windows in (first, second):
        plan = Plan(
            {"fix": windows, MESSAGE: windows},
            {"tag-1": frozenset(named[n] for n in extra if n < len(named))},
            frozenset(named[n] for n in kept if n < len(named)),
        )
        chains = plan.chains()
        heads, slow_heads = dict(HEADS), dict(HEADS)
        slow = one_by_one(there, slow_heads, keys, before, plan, chains)
        fast = part(there, heads, keys, before, plan, chains)
        assert Kept(fast.gone, fast.salts, fast.stay, fast.hashes) == slow
        assert heads == slow_heads
        there = [
            row for row in there
            if row[0] not in chains or not plan.takes(*chains[row[0]][:2], *row[1:])
        ]  # fmt: skip
        before = left_by(fast)
        keys = {
            name: key for name, key in keys.items()
            if name[0] not in chains or name[1] not in chains[name[0]].days
        }  # fmt: skip
