"""What a witness may sign: the rules of C2SP tlog-witness, as a core without I/O.

The same rules bind the log's own key (`evidence.keys.Guard`): it is the first witness of its log.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from evidence.log.merkle import EMPTY_ROOT, ProofError, check_consistency
from evidence.log.notes import (
    Checkpoint,
    Note,
    NoteFormatError,
    parse_checkpoint,
    parse_note,
    parse_size,
    unpack,
)

PROOF_LIMIT = 63
REQUEST_LIMIT_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest head of a log that was signed: all that a witness remembers of it."""

    size: int
    root: bytes


NOTHING_SEEN = Seen(0, EMPTY_ROOT)


class StaleError(ValueError):
    """The request builds on another size than the one that was signed last (HTTP 409).

    Attributes:
        size: The one that was.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"the head signed last has size {size}")
        self.size = size


class InconsistentError(ValueError):
    """The new head does not continue the one that was signed last (HTTP 422)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to cosign.

    Attributes:
        old_size: Size that the proof begins at.
        proof: RFC 6962 consistency proof from there to the checkpoint.
        note: The checkpoint as its log signed it.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: Note

    def encode(self) -> bytes:
        """The body of add-checkpoint."""
        lines = [f"old {self.old_size}\n"]
        lines += [base64.b64encode(step).decode() + "\n" for step in self.proof]
        return ("".join(lines) + "\n" + self.note.encode()).encode()


def parse_request(body: bytes) -> tuple[Request, Checkpoint]:
    """The request that a body of add-checkpoint is, and its checkpoint.

    Raises:
        NoteFormatError: It is not one (HTTP 400).
    """
    if len(body) > REQUEST_LIMIT_BYTES:
        raise NoteFormatError(f"a request has at most {REQUEST_LIMIT_BYTES} bytes")
    head, gap, rest = body.partition(b"\n\n")
    try:
        first, *proof = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise NoteFormatError("a request begins with its old size") from error
    if not gap or not first.startswith("old ") or len(proof) > PROOF_LIMIT:
        raise NoteFormatError("a request is: old size, at most 63 proof lines, a checkpoint")
    steps = tuple(unpack(line) for line in proof)
    if any(len(step) != 32 for step in steps):
        raise NoteFormatError("each step of a proof has 32 bytes")
    note = parse_note(rest)
    checkpoint = parse_checkpoint(note.text)
    old_size = parse_size(first.removeprefix("old "))
    if old_size > checkpoint.size:
        raise NoteFormatError("the old size is above that of the checkpoint")
    return Request(old_size, steps, note), checkpoint


def next_seen(seen: Seen, old_size: int, proof: Sequence[bytes], new: Seen) -> Seen:
    """What is remembered after signing `new`; to be on disk before anything is signed.

    Raises:
        StaleError: `old_size` is not that of `seen`.
        InconsistentError: The proof does not show that `new` continues `seen`.
    """
    if old_size != seen.size:
        raise StaleError(seen.size)
    if new.size == 0 and new.root != EMPTY_ROOT:
        raise InconsistentError("a log without leaves has the root of nothing")
    try:
        check_consistency(old_size, new.size, proof, seen.root, new.root)
    except ProofError as error:
        raise InconsistentError(str(error)) from error
    return new
