"""Secret keys in a file, and the guard that stands before the log's own.

The guard is what makes "persist, then sign" true where it matters: beside the key. It remembers the
newest head it signed for each log, on disk before it signs, and signs nothing that does not
continue it. A database restored from an old backup, or rewritten, gets no second signature.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from devices.durable import make_durable_folder, read_settled, write_durably
from evidence.log.notes import Checkpoint, Note
from evidence.log.signing import KeyPair
from evidence.log.witnessing import NOTHING_SEEN, Seen, next_seen

SEED_BYTES = 32

Crashpoint = Callable[[str], None]
"""Called between the steps of what must survive a crash; tests end the process there."""


def no_crash(_step: str) -> None:
    """The crash point of ordinary runs."""


class KeyFileError(RuntimeError):
    """The file of keys, or the guard's, cannot be used. The text is for people."""


class Seeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seeds of an Ed25519 and an ML-DSA-44 key, hexadecimal."""

    ed25519: str
    mldsa44: str

    def pair(self, name: str, kind: int) -> KeyPair:
        """The keys, under a name."""
        return KeyPair(name, kind, bytes.fromhex(self.ed25519), bytes.fromhex(self.mldsa44))


class _Signed(msgspec.Struct, frozen=True):
    size: int
    root: bytes


def load_seeds(path: Path) -> Seeds:
    """The seeds in a file; made there, readable by its owner only, when there is none.

    Raises:
        KeyFileError: It cannot be read, or is not such a file.
    """
    try:
        make_durable_folder(path.parent)
        with contextlib.suppress(FileNotFoundError):
            return _checked(path)
        made = Seeds(secrets.token_hex(SEED_BYTES), secrets.token_hex(SEED_BYTES))
        write_durably(path, msgspec.json.encode(made))
    except OSError as error:
        raise KeyFileError(f"The key file {path} cannot be used: {error.strerror}.") from error
    return made


def _checked(path: Path) -> Seeds:
    try:
        seeds = msgspec.json.decode(read_settled(path), type=Seeds)
        if any(len(bytes.fromhex(seed)) != SEED_BYTES for seed in (seeds.ed25519, seeds.mldsa44)):
            raise ValueError("wrong length")  # noqa: TRY301
    except ValueError as error:
        raise KeyFileError(
            f"{path} is not a file of keys. If it is damaged, bring it back from where you keep a "
            "copy: with new keys, everything signed before needs the old public ones."
        ) from error
    return seeds


class Guard:
    """Signs the heads of a log, each a continuation of the one before.

    Args:
        path: Where it remembers what it signed. Lies beside the key, not in the database.
        seeds: The log's keys.
        crashpoint: See `Crashpoint`.
    """

    def __init__(self, path: Path, seeds: Seeds, crashpoint: Crashpoint = no_crash) -> None:
        self._path = path
        self._seeds = seeds
        self._crashpoint = crashpoint
        self._signed = self._read()

    def pair(self, origin: str) -> KeyPair:
        """The keys under the name of a log. What they sign directly, the guard does not see."""
        return self._seeds.pair(origin, 0x01)

    def seen(self, origin: str) -> Seen:
        """The newest head signed for a log."""
        signed = self._signed.get(origin)
        return Seen(signed.size, signed.root) if signed else NOTHING_SEEN

    def sign(self, checkpoint: Checkpoint, proof: Sequence[bytes], time_s: int) -> Note:
        """Sign a head.

        Args:
            checkpoint: The head.
            proof: Consistency proof from the size of `seen` to it.
            time_s: Seconds since 1970.

        Raises:
            InconsistentError: It does not continue what was signed before. Nothing is signed.
            OSError: It cannot be remembered. Nothing is signed.
        """
        seen = self.seen(checkpoint.origin)
        new = next_seen(seen, seen.size, proof, Seen(checkpoint.size, checkpoint.root))
        self._crashpoint("head proven")
        if new != seen:
            signed = self._signed | {checkpoint.origin: _Signed(new.size, new.root)}
            write_durably(self._path, msgspec.json.encode(signed))
            self._signed = signed
        self._crashpoint("head remembered")
        pair = self.pair(checkpoint.origin)
        return Note(checkpoint.text, pair.sign(checkpoint.text, time_s))

    def _read(self) -> dict[str, _Signed]:
        try:
            return msgspec.json.decode(read_settled(self._path), type=dict[str, _Signed])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise KeyFileError(
                f"{self._path} holds what the log has signed and cannot be read. Without it a "
                "second history could be signed: bring it back. If it is lost, remove it and begin a "
                "new log with `cordon evidence recover`."
            ) from error
