"""Signed notes and checkpoints as C2SP writes them down. No cryptography here.

A checkpoint is three lines (origin, size, root) and nothing more: extension lines would not be
covered by every kind of signature. https://c2sp.org/signed-note, https://c2sp.org/tlog-checkpoint
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from evidence.log.merkle import HASH_BYTES

NOTE_LIMIT_BYTES = 64 * 1024
SIGNATURES_LIMIT = 32
"""Of one note; the others are not looked at, the note is refused."""

SIZE_LIMIT = 1 << 63
_NUMBER = re.compile("0|[1-9][0-9]{0,18}")


class NoteFormatError(ValueError):
    """Bytes that are not a signed note, a checkpoint or a key as C2SP writes them."""


@dataclass(frozen=True, slots=True)
class SignatureLine:
    """One signature of a note.

    Attributes:
        name: Of the key.
        key_id: The first four bytes of the SHA-256 that names key and kind.
        signature: What follows them.
    """

    name: str
    key_id: bytes
    signature: bytes

    @property
    def text(self) -> str:
        """The line, with its end."""
        packed = base64.b64encode(self.key_id + self.signature).decode()
        return f"\u2014 {self.name} {packed}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def encode(self) -> str:
        """The note as it is written down."""
        return self.text + "\n" + "".join(line.text for line in self.signatures)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its name, how many leaves it has, and the root over them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The note text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def check_name(name: str) -> str:
    """The name, if it may name a key or a log.

    Raises:
        NoteFormatError: It is empty, or holds spaces, plus signs or control characters.
    """
    if not name or "+" in name or any(c.isspace() or ord(c) < 0x20 for c in name):
        raise NoteFormatError("a name is not empty and has no spaces, plus signs or line ends")
    return name


def parse_signature_line(line: str) -> SignatureLine:
    """One signature line, without its end.

    Raises:
        NoteFormatError: It is not one.
    """
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "\u2014":
        raise NoteFormatError("a signature line is: dash, name, base64")
    packed = unpack(parts[2])
    if len(packed) < 5:
        raise NoteFormatError("a signature has more than its four bytes of key id")
    return SignatureLine(check_name(parts[1]), packed[:4], packed[4:])


def parse_note(data: bytes) -> Note:
    """A signed note.

    Raises:
        NoteFormatError: These bytes are not one.
    """
    if len(data) > NOTE_LIMIT_BYTES:
        raise NoteFormatError(f"a note has at most {NOTE_LIMIT_BYTES} bytes")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise NoteFormatError("a note is UTF-8") from error
    if any(ord(c) < 0x20 and c != "\n" for c in whole):
        raise NoteFormatError("a note has no control characters but line ends")
    body, gap, signatures = whole.rpartition("\n\n")
    lines = signatures.split("\n")
    if not gap or lines[-1] or len(lines) < 2:
        raise NoteFormatError("a note is a text, an empty line, and signature lines")
    if len(lines) - 1 > SIGNATURES_LIMIT:
        raise NoteFormatError(f"a note has at most {SIGNATURES_LIMIT} signatures")
    return Note(body + "\n", tuple(parse_signature_line(line) for line in lines[:-1]))


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint that a note's text is.

    Raises:
        NoteFormatError: It is not one, or it has extension lines.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise NoteFormatError("a checkpoint is three lines: origin, size, root")
    root = unpack(lines[2])
    if not lines[0] or len(root) != HASH_BYTES:
        raise NoteFormatError("a checkpoint has an origin and a root of 32 bytes")
    return Checkpoint(lines[0], parse_size(lines[1]), root)


def parse_size(text: str) -> int:
    """A tree size in decimal.

    Raises:
        NoteFormatError: Leading zeroes, signs, or more than 63 bits.
    """
    if not _NUMBER.fullmatch(text) or int(text) >= SIZE_LIMIT:
        raise NoteFormatError("a size is a decimal number without leading zeroes")
    return int(text)


def unpack(text: str) -> bytes:
    """Bytes of strict base64: exactly one text for each.

    Raises:
        NoteFormatError: It is not base64, or not as an encoder writes it.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteFormatError("not base64") from error
    if base64.b64encode(data).decode() != text:
        raise NoteFormatError("base64 that no encoder writes")
    return data
