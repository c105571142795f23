"""The order of persisting and signing, as a machine with crashes, power cuts and old backups.

The database and the guard's disk are modelled, guard, trees and signatures are the real ones. The
same machine with one step out of order has to be caught: else it would prove nothing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from evidence.keys import Guard, Seeds, no_crash
from evidence.log.merkle import Levels, leaf_hash, root_of
from evidence.log.notes import Checkpoint, Note, SignatureLine, parse_checkpoint
from evidence.log.witnessing import InconsistentError, Seen, StaleError, next_seen
from tests.evidence.sealing_world import ORIGIN, SEEDS

POINTS = ["batch written", "batch committed", "head proven", "head remembered", "head signed"]


class Killed(Exception):  # noqa: N818 - it is no error
    """The process ends here."""


class Signed:
    """Stands in for the key: whatever it signs may be in anybody's hands at once."""

    def __init__(self) -> None:
        self.heads: list[Checkpoint] = []

    def sign(self, text: str, _time_s: int) -> tuple[SignatureLine, ...]:
        self.heads.append(parse_checkpoint(text))
        return (SignatureLine(ORIGIN, bytes(4), b"x"),)


class WatchedGuard(Guard):
    """The real guard, with a key that can be watched."""

    def __init__(self, path: Path, seeds: Seeds, crashpoint: Any, signed: Signed) -> None:
        super().__init__(path, seeds, crashpoint)
        self.signed = signed

    def pair(self, _origin: str) -> Any:
        return self.signed


class ForgetfulGuard(WatchedGuard):
    """Signs before it remembers."""

    def sign(self, checkpoint: Checkpoint, proof: Sequence[bytes], time_s: int) -> Note:
        seen = self.seen(checkpoint.origin)
        next_seen(seen, seen.size, proof, Seen(checkpoint.size, checkpoint.root))
        self.signed.sign(checkpoint.text, time_s)
        self._crashpoint("head remembered")
        return super().sign(checkpoint, proof, time_s)


class SealerMachine(RuleBasedStateMachine):
    """What may happen, in any order."""

    guard_type: type[WatchedGuard] = WatchedGuard
    commits_first = True

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.signed = Signed()
        self.kill_at = ""
        self.histories: dict[bytes, list[bytes]] = {}
        self.leaves: list[bytes] = []
        self.backup: list[bytes] = []
        self.restored = False
        self.start()

    def teardown(self) -> None:
        self.folder.cleanup()

    def start(self) -> None:
        path = Path(self.folder.name) / "log.signed"
        self.guard = self.guard_type(path, SEEDS, self.reach, self.signed)

    def reach(self, point: str) -> None:
        if point == self.kill_at:
            raise Killed

    @rule(content=st.binary(min_size=1, max_size=3), kill_at=st.sampled_from(["", *POINTS]))
    def turn(self, content: bytes, kill_at: str) -> None:
        self.kill_at = kill_at
        try:
            self.seal(leaf_hash(content))
        except Killed:
            self.start()
        except (InconsistentError, StaleError):
            assert self.restored, "a log that was never restored can always be continued"

    def seal(self, leaf: bytes) -> None:
        """As `Sealer._turn` does it."""
        seen = self.guard.seen(ORIGIN)
        if seen.size > len(self.leaves) or root_of(self.leaves[: seen.size]) != seen.root:
            raise InconsistentError("refused")
        after = [*self.leaves, leaf]
        if self.commits_first:
            self.reach("batch written")
            self.leaves = after
            self.reach("batch committed")
        head = Checkpoint(ORIGIN, len(after), root_of(after))
        self.histories[head.root] = after
        self.guard.sign(head, Levels(after).consistency(seen.size), 1)
        self.reach("head signed")
        self.leaves = after

    @rule()
    def back_up(self) -> None:
        self.backup = list(self.leaves)

    @rule()
    def restore(self) -> None:
        self.restored = self.restored or self.backup != self.leaves
        self.leaves = list(self.backup)
        self.start()

    @invariant()
    def one_history_is_signed(self) -> None:
        heads = sorted(self.signed.heads, key=lambda head: head.size)
        line = self.histories[heads[-1].root] if heads else []
        for head in heads:
            assert root_of(line[: head.size]) == head.root, "two histories are signed"


SETTINGS = settings(max_examples=80, stateful_step_count=12, deadline=None)


def test_the_sealer_signs_one_history() -> None:
    run_state_machine_as_test(SealerMachine, settings=SETTINGS)


def test_signing_before_remembering_is_caught() -> None:
    class Wrong(SealerMachine):
        guard_type = ForgetfulGuard

    with pytest.raises(AssertionError, match="two histories"):
        run_state_machine_as_test(Wrong, settings=SETTINGS)


def test_signing_before_committing_is_caught() -> None:
    class Wrong(SealerMachine):
        commits_first = False

    with pytest.raises(AssertionError, match="can always be continued"):
        run_state_machine_as_test(Wrong, settings=SETTINGS)


def test_what_was_signed_is_remembered_over_restarts(tmp_path: Path) -> None:
    guard = Guard(tmp_path / "log.signed", SEEDS, no_crash)
    head = Checkpoint(ORIGIN, 1, leaf_hash(b"a"))
    guard.sign(head, (), 1)
    again = Guard(tmp_path / "log.signed", SEEDS)
    assert again.seen(ORIGIN) == Seen(1, head.root)
    assert again.sign(head, (), 2).text == head.text
    with pytest.raises(InconsistentError):
        again.sign(Checkpoint(ORIGIN, 1, leaf_hash(b"b")), (), 3)
    assert msgspec.json.decode((tmp_path / "log.signed").read_bytes())[ORIGIN]["size"] == 1
