"""Keys and signatures of notes, as https://c2sp.org/tlog-cosignature describes them.

===========  ====  ===========================================================================
kind         type  what is signed
===========  ====  ===========================================================================
log          0x01  the note text, Ed25519
cosignature  0x04  ``cosignature/v1``, the time and the note text, Ed25519
cosignature  0x06  origin, size, root, time and the signer's name, ML-DSA-44 (FIPS 204)
===========  ====  ===========================================================================

A log signs with 0x01 and, against quantum computers, with 0x06; a witness with 0x04 and 0x06.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from evidence.log.notes import (
    Checkpoint,
    Note,
    NoteFormatError,
    SignatureLine,
    check_name,
    parse_checkpoint,
    unpack,
)

ED25519 = 0x01
COSIGNATURE_ED25519 = 0x04
COSIGNATURE_MLDSA44 = 0x06
_KEY_BYTES = {ED25519: 32, COSIGNATURE_ED25519: 32, COSIGNATURE_MLDSA44: 1312}
_TIMED = {COSIGNATURE_ED25519: 8 + 64, COSIGNATURE_MLDSA44: 8 + 2420}
_TIME = struct.Struct(">Q")
_LATEST_S = (1 << 63) - 1


class SignatureError(ValueError):
    """A note without the signatures it needs, or with one that is false."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key of a kind, under a name."""

    name: str
    kind: int
    public: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if _KEY_BYTES.get(self.kind) != len(self.public):
            raise NoteFormatError("a verifier key of an unknown kind, or of a wrong length")

    @property
    def key_id(self) -> bytes:
        """Four bytes that name key and kind."""
        packed = self.name.encode() + b"\n" + bytes((self.kind,)) + self.public
        return hashlib.sha256(packed).digest()[:4]

    @property
    def text(self) -> str:
        """The key as C2SP writes it down: name, id and key with plus signs between."""
        packed = base64.b64encode(bytes((self.kind,)) + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{packed}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key that `text` is.

        Raises:
            NoteFormatError: It is not one, or its id is not that of the key.
        """
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise NoteFormatError("a verifier key is: name+id+base64")
        packed = unpack(parts[2])
        key = cls(parts[0], packed[0] if packed else 0, packed[1:])
        if key.key_id.hex() != parts[1]:
            raise NoteFormatError("the id of a verifier key is not that of its name and bytes")
        return key

    def is_of(self, line: SignatureLine) -> bool:
        """Whether a signature line claims to be by this key."""
        return line.name == self.name and line.key_id == self.key_id

    def check(self, text: str, line: SignatureLine) -> int:
        """See that the signature is true. Returns its time in seconds; 0 where it has none.

        Raises:
            SignatureError: It is false.
        """
        time_s, signature = 0, line.signature
        if self.kind in _TIMED:
            if len(signature) != _TIMED[self.kind]:
                raise SignatureError(f"the signature of {self.name} has a wrong length")
            time_s = _TIME.unpack(signature[:8])[0]
            signature = signature[8:]
            if time_s > _LATEST_S:
                raise SignatureError(f"the signature of {self.name} has an impossible time")
        try:
            message = signed_message(self.kind, self.name, text, time_s)
            if self.kind == COSIGNATURE_MLDSA44:
                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureError(f"the signature of {self.name} is false") from error
        return time_s


def signed_message(kind: int, name: str, text: str, time_s: int) -> bytes:
    """What a signature of this kind is made over.

    Raises:
        NoteFormatError: A cosignature over something that is not a checkpoint.
    """
    if kind == ED25519:
        return text.encode()
    checkpoint = parse_checkpoint(text)
    if kind == COSIGNATURE_ED25519:
        return f"cosignature/v1\ntime {time_s}\n{text}".encode()
    return b"".join(
        (
            b"subtree/v1\n\0",
            _short(name),
            _TIME.pack(time_s),
            _short(checkpoint.origin),
            _TIME.pack(0),
            _TIME.pack(checkpoint.size),
            checkpoint.root,
        )
    )


def _short(text: str) -> bytes:
    data = text.encode()
    if not 1 <= len(data) <= 255:
        raise NoteFormatError("names that are signed have 1 to 255 bytes")
    return bytes((len(data),)) + data


class Signer(Protocol):
    """Whatever can sign a checkpoint: a key in memory, or one in a device."""

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The public keys it signs with."""

    def sign(self, text: str, time_s: int) -> tuple[SignatureLine, ...]:
        """Sign a checkpoint's text, once with each key."""


class KeyPair:
    """An Ed25519 and an ML-DSA-44 key in memory, under one name.

    Args:
        name: Origin of the log, or name of the witness.
        kind: `ED25519` for a log, `COSIGNATURE_ED25519` for a witness.
        ed25519_seed: 32 bytes.
        mldsa_seed: 32 bytes.
    """

    def __init__(self, name: str, kind: int, ed25519_seed: bytes, mldsa_seed: bytes) -> None:
        self._ed25519 = Ed25519PrivateKey.from_private_bytes(ed25519_seed)
        self._mldsa = MLDSA44PrivateKey.from_seed_bytes(mldsa_seed)
        self._keys = (
            VerifierKey(name, kind, self._ed25519.public_key().public_bytes_raw()),
            VerifierKey(name, COSIGNATURE_MLDSA44, self._mldsa.public_key().public_bytes_raw()),
        )

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """The public keys: Ed25519, then ML-DSA-44."""
        return self._keys

    def sign(self, text: str, time_s: int) -> tuple[SignatureLine, ...]:
        """Sign with both keys.

        Raises:
            NoteFormatError: The text is not a checkpoint.
        """
        lines = []
        for key in self._keys:
            message = signed_message(key.kind, key.name, text, time_s)
            by_mldsa = key.kind == COSIGNATURE_MLDSA44
            signature = self._mldsa.sign(message) if by_mldsa else self._ed25519.sign(message)
            stamp = _TIME.pack(time_s) if key.kind in _TIMED else b""
            lines.append(SignatureLine(key.name, key.key_id, stamp + signature))
        return tuple(lines)


@dataclass(frozen=True, slots=True)
class Attested:
    """A true signature: whose, and when it says it was made (0: it does not say)."""

    key: VerifierKey
    time_s: int


def verified(note: Note, keys: tuple[VerifierKey, ...]) -> list[Attested]:
    """The true signatures of these keys. Lines of other keys are passed over.

    Raises:
        SignatureError: One that claims to be by one of these keys is false.
    """
    return [
        Attested(key, key.check(note.text, line))
        for line in note.signatures
        for key in keys
        if key.is_of(line)
    ]


def open_checkpoint(note: Note, log_keys: tuple[VerifierKey, ...]) -> Checkpoint:
    """The checkpoint in a note that its log signed.

    Raises:
        SignatureError: No true signature of the log, or a false one.
        NoteFormatError: The note is not a checkpoint.
    """
    if not verified(note, log_keys):
        raise SignatureError("the checkpoint has no signature of its log")
    return parse_checkpoint(note.text)
