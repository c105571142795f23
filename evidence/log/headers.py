"""The header of a batch: the entry of the log. Published; never changed.

::

    "CBH1" (4) || log (u32) || number (u64) || rows (u64) || opened_us (i64) || closed_us (i64)
    || root of the batch's tree (32) || anchor (32) || program (32)

136 bytes, big-endian. `anchor` is the SHA-256 of the newest signature line of a witness
that the log had seen (32 zeros before the first): the batch is not older than that line. `program`
is the SHA-256 of the text that names the software and the layout that sealed it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAGIC = b"CBH1"
NO_ANCHOR = bytes(32)
_LAYOUT = struct.Struct(">4sIQQqq32s32s32s")
HEADER_BYTES = _LAYOUT.size


class HeaderFormatError(ValueError):
    """Bytes that are not a header of a layout this version reads."""


@dataclass(frozen=True, slots=True)
class Header:
    """One batch.

    Attributes:
        log: Number of the log in its database; another one begins after a recovery.
        number: Its index in the log, from 0.
        rows: Leaves of its tree.
        opened_us: When the batch before was closed.
        closed_us: When the rows were read, by the sealer's clock.
        root: Of its tree.
    """

    log: int
    number: int
    rows: int
    opened_us: int
    closed_us: int
    root: bytes
    anchor: bytes
    program: bytes

    def encode(self) -> bytes:
        """The bytes that are a leaf of the log."""
        return _LAYOUT.pack(
            MAGIC,
            self.log,
            self.number,
            self.rows,
            self.opened_us,
            self.closed_us,
            self.root,
            self.anchor,
            self.program,
        )

    @classmethod
    def decode(cls, data: bytes) -> Header:
        """The header that `encode` wrote.

        Raises:
            HeaderFormatError: Other bytes.
        """
        if len(data) != HEADER_BYTES or data[:4] != MAGIC:
            raise HeaderFormatError(f"a header has {HEADER_BYTES} bytes and begins with {MAGIC!r}")
        return cls(*_LAYOUT.unpack(data)[1:])
