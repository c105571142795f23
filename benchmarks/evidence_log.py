"""What sealing and verifying cost: the log's own code over made-up fixes, on one core.

Times are of the processor, not of the clock: other programs on the machine disturb them less.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import msgspec

from benchmarks.evidence_store import StoreReport, run_store
from benchmarks.printed import Result, shown
from evidence.log.headers import NO_ANCHOR, Header
from evidence.log.leaves import FIX_PAYLOAD, Row, chain_of, open_rows, seal
from evidence.log.merkle import root_of

DEVICES = 1_000
ROUNDS = 5
DAY = 20_775
START_US = DAY * 86_400_000_000
KEY = bytes(range(32))


class EvidenceReport(StoreReport, frozen=True, kw_only=True):
    """Figures of one run: those of the store, and those of the log alone.

    Attributes:
        batch_rows: Fixes in the batch that is sealed and verified in memory.
        seal_us_per_row: Salt, commitment, chain and tree.
        seal_rows_per_s: The same, as rows in a second.
        verify_rows_per_s: The stand-alone verifier: reading, commitments, chains, trees.
        pymerkle_rows_per_s: pymerkle's tree in memory over the same payloads: no salts, no
            commitments, no chains. None where it is not installed.
    """

    batch_rows: int
    seal_us_per_row: float
    seal_rows_per_s: float
    verify_rows_per_s: float
    pymerkle_rows_per_s: float | None


def run_evidence(
    rows: int, stored: int, dsn: str, tell: Callable[[str], None], *, replayed: bool = True
) -> Result:
    """Seal and verify so many fixes in memory, and measure a store.

    Args:
        rows: Fixes in the batch.
        stored: Fixes in the store.
        dsn: See `benchmarks.evidence_store.run_store`.
        tell: Where progress goes.
        replayed: See there.
    """
    store = run_store(stored, dsn, tell, replayed=replayed)
    tell("Making fixes up")
    fixes = made_up(rows)
    keys = {(chain, DAY): KEY for chain, _, _ in fixes}
    tell("Sealing")
    seal_s = _fastest_s(lambda: root_of(seal(fixes, {}, keys)))
    tell("Verifying")
    lines, runs, batch = _exported(fixes, keys)
    verify_s = _fastest_s(lambda: _verified(lines, runs, batch))
    peer_s = _pymerkle_s(fixes)
    report = EvidenceReport(
        **msgspec.structs.asdict(store),
        batch_rows=rows,
        seal_us_per_row=seal_s / rows * 1e6,
        seal_rows_per_s=rows / seal_s,
        verify_rows_per_s=rows / verify_s,
        pymerkle_rows_per_s=rows / peer_s if peer_s else None,
    )
    table = [
        ["seal", shown(report.seal_us_per_row), shown(report.seal_rows_per_s)],
        ["verify", shown(1e6 / report.verify_rows_per_s), shown(report.verify_rows_per_s)],
    ]
    if peer_s:
        table.append(["pymerkle (tree alone)", shown(peer_s / rows * 1e6), shown(rows / peer_s)])
    line = f"{rows} fixes of {DEVICES} devices in one batch, one core, best of {ROUNDS}"
    figures = [[name, shown(value)] for name, value in msgspec.structs.asdict(store).items()]
    tables = [(["", "us_per_row", "rows_per_s"], table), (["store", ""], figures)]
    return Result(report, line, tables)


def made_up(rows: int) -> list[Row]:
    """Fixes of `DEVICES` devices in turn, a second apart."""
    chains = [chain_of("fix", f"tag-{number}") for number in range(DEVICES)]
    found = []
    for number in range(rows):
        chain = chains[number % DEVICES]
        time_us = START_US + number * 1_000
        values = (time_us, number, time_us + 9, number, 0, 515_074_000 + number, -1_278_000)
        rest = (650, 130, 8700, 210, 9, 110, 0, 81, 0, 0)
        found.append((chain, FIX_PAYLOAD.pack(1, chain, *values, *rest), DAY))
    return found


def _exported(
    fixes: list[Row], keys: dict[tuple[bytes, int], bytes]
) -> tuple[list[str], list[dict[str, Any]], dict[str, Any]]:
    """The fixes as an export of all of them would have them: lines, runs, and their batch."""
    leaves = open_rows(fixes, {}, keys)
    names = {chain_of("fix", f"tag-{number}"): f"tag-{number}" for number in range(DEVICES)}
    lines, runs = [], []
    chain = b""
    for index, leaf in enumerate(leaves):
        if leaf.chain != chain:
            chain = leaf.chain
            run = {"log": 0, "kind": "fix", "subject": names[chain]}
            runs.append(run | {"first": leaf.place, "before": leaf.before.hex()})
        assert leaf.salt is not None
        assert leaf.payload is not None
        place = [len(runs) - 1, leaf.place, 0, index, leaf.salt.hex(), leaf.payload.hex()]
        lines.append(json.dumps(place))
    root = root_of([leaf.hash for leaf in leaves])
    header = Header(1, 0, len(leaves), START_US, START_US, root, NO_ANCHOR, bytes(32))
    return lines, runs, {"header": header.encode().hex(), "hashes": []}


def _verified(lines: list[str], runs: list[dict[str, Any]], batch: dict[str, Any]) -> None:
    # Parts of a program without types, for others to run.
    verifier, trees = (import_module(f"evidence.verifier.{name}") for name in ("records", "trees"))
    [opened] = verifier.open_batches({"batches": [batch]})
    verifier.read_runs(lines, runs, [[opened]])
    root = trees.tree_root(opened["leaves"], opened["rows"], opened["hashes"])
    assert root == opened["root"], "the verifier finds the root that was sealed"


def _pymerkle_s(fixes: list[Row]) -> float | None:
    """Seconds that the peer takes; None without it."""
    try:
        pymerkle = import_module("pymerkle")  # a package of the tests
    except ImportError:
        return None

    def append() -> None:
        tree = pymerkle.InmemoryTree(algorithm="sha256")
        for _, payload, _ in fixes:
            tree.append_entry(payload)
        tree.get_root()

    return _fastest_s(append)


def _fastest_s(act: Callable[[], object]) -> float:
    """Processor seconds of the fastest of `ROUNDS`."""
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        act()
        taken.append(time.process_time() - start)
    return min(taken)
