"""Whatever a power cut leaves of keys and of what was signed, nothing that was given out is undone.

Each test does its work on a disk that records what was written and what was forced. Then it looks at
every state that a cut at any moment may have left, and goes on from there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from evidence.keys import Guard, load_seeds
from evidence.log.merkle import Levels, leaf_hash
from evidence.log.notes import Checkpoint, Note
from evidence.log.signing import COSIGNATURE_ED25519
from evidence.log.witnessing import InconsistentError, Request
from evidence.witness_server import WitnessDesk, WitnessMemory
from tests.evidence.samples import NOW_US
from tests.evidence.sealing_world import ORIGIN, SEEDS, log_keys
from tests.power.disk import Disk
from tests.power.mounted import LossyDisk
from tests.power.sweep import Found, states

pytestmark = pytest.mark.timeout(300)

SIZES = (1, 2, 4)
TREES = {size: Levels([leaf_hash(bytes([leaf])) for leaf in range(size)]) for size in (*SIZES, 5)}
FORGED = {size: Levels([leaf_hash(b"forged")] * size) for size in (*SIZES, 5)}


def head(tree: Levels) -> Checkpoint:
    return Checkpoint(ORIGIN, tree.size, tree.root)


def witness(folder: Path) -> tuple[WitnessDesk, WitnessMemory]:
    pair = load_seeds(folder / "witness.keys").pair("w.test", COSIGNATURE_ED25519)
    memory = WitnessMemory(folder / "witness.sqlite")
    return WitnessDesk(pair, {ORIGIN: log_keys()}, memory, lambda: NOW_US), memory


def asked(tree: Levels, old: int) -> bytes:
    """A request to cosign, signed by the log's own key, as by one who has stolen it."""
    text = head(tree).text
    note = Note(text, SEEDS.pair(ORIGIN, 0x01).sign(text, 1))
    return Request(old, tuple(tree.consistency(old)), note).encode()


def test_a_witness_loses_nothing_it_has_answered_for(lossy: LossyDisk, tmp_path: Path) -> None:
    desk, memory = witness(lossy.folder / "made" / "for" / "it")
    shown = load_seeds(lossy.folder / "made" / "for" / "it" / "witness.keys")
    answered = [(lossy.changes(), 0)]
    old = 0
    for size in SIZES:
        status, _, _ = desk.add_checkpoint(asked(TREES[size], old))
        assert status == 200
        old = size
        answered.append((lossy.changes(), size))
    memory.close()
    found, seen_sizes = Found(tmp_path / "found"), set()
    for moment, left in states(lossy.disk()):
        sizes = [size for by, size in answered if by <= moment]
        folder = found.with_(left) / "made" / "for" / "it"
        desk, memory = witness(folder)
        seen = memory.seen(ORIGIN)
        if sizes:
            assert load_seeds(folder / "witness.keys") == shown, "its keys were printed"
            assert seen.size >= sizes[-1]
        if seen.size:
            assert seen.root == TREES[seen.size].root
            status, _, _ = desk.add_checkpoint(asked(FORGED[5], seen.size))
            assert status == 422, "it signed another history"
        assert desk.add_checkpoint(asked(TREES[5], seen.size))[0] == 200
        memory.close()
        seen_sizes.add(seen.size)
    assert seen_sizes == {0, *SIZES}


def test_the_guard_remembers_every_head_it_let_be_signed(lossy: LossyDisk, tmp_path: Path) -> None:
    home = lossy.folder / "evidence"
    seeds = load_seeds(home / "log.keys")
    guard = Guard(home / "log.keys.signed", seeds)
    signed = [(lossy.changes(), 0)]
    for size in SIZES:
        old = guard.seen(ORIGIN).size
        guard.sign(head(TREES[size]), TREES[size].consistency(old), 1)
        signed.append((lossy.changes(), size))
    found, seen_sizes = Found(tmp_path / "found"), set()
    for moment, left in states(lossy.disk()):
        sizes = [size for by, size in signed if by <= moment]
        home = found.with_(left) / "evidence"
        again = load_seeds(home / "log.keys")
        guard = Guard(home / "log.keys.signed", again)
        size = guard.seen(ORIGIN).size
        if sizes:
            assert again == seeds, "something was signed with them"
            assert size >= sizes[-1]
        if size:
            with pytest.raises(InconsistentError):
                guard.sign(head(FORGED[5]), FORGED[5].consistency(size), 1)
        guard.sign(head(TREES[5]), TREES[5].consistency(size), 1)
        seen_sizes.add(size)
    assert seen_sizes == {0, *SIZES}


def test_what_was_read_and_used_is_not_undone(lossy: LossyDisk, tmp_path: Path) -> None:
    # Written by somebody who was killed between renaming the file and forcing its name.
    made = load_seeds(tmp_path / "elsewhere.keys")
    (lossy.folder / "log.keys.new").write_bytes((tmp_path / "elsewhere.keys").read_bytes())
    (lossy.folder / "log.keys.new").rename(lossy.folder / "log.keys")
    assert load_seeds(lossy.folder / "log.keys") == made
    used = lossy.changes()
    found = Found(tmp_path / "found")
    for moment, left in states(lossy.disk()):
        if moment >= used:
            assert load_seeds(found.with_(left) / "log.keys") == made


def test_the_sweep_finds_a_name_without_content_and_a_lost_name(
    lossy: LossyDisk, tmp_path: Path
) -> None:
    # The control: a file written as if there were no power cuts.
    (lossy.folder / "careless.new").write_bytes(b"content")
    (lossy.folder / "careless.new").rename(lossy.folder / "careless")
    found, contents = Found(tmp_path / "found"), set[bytes | None]()
    disk: Disk = lossy.disk()
    for moment, left in states(disk):
        if moment == len(disk.log):
            file = found.with_(left) / "careless"
            contents.add(file.read_bytes() if file.exists() else None)
    assert {None, b"", bytes(7), b"content"} <= contents
