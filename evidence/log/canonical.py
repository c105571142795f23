"""One way to write a record down: deterministic CBOR (RFC 8949, section 4.2.1), a small part of it.

Integers, floats (always 64 bits, bit for bit), byte strings, text, arrays, true, false, null. No
maps, no tags, no indefinite lengths: there is exactly one encoding of each value, and any CBOR
library reads it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

Value = None | bool | int | float | str | bytes | Sequence["Value"]

_UINT, _NEGATIVE, _BYTES, _TEXT, _ARRAY = 0x00, 0x20, 0x40, 0x60, 0x80
_SIZES = ((0x18, 1 << 8, ">BB"), (0x19, 1 << 16, ">BH"), (0x1A, 1 << 32, ">BI"))
_FLOAT = struct.Struct(">Bd")


def encode(value: Value) -> bytes:
    """The one encoding of a value.

    Raises:
        OverflowError: An integer beyond 64 bits.
        TypeError: Something that has no encoding here.
    """
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


def _encode(value: Value, parts: list[bytes]) -> None:
    if value is None or isinstance(value, bool):
        parts.append(b"\xf6" if value is None else b"\xf5" if value else b"\xf4")
    elif isinstance(value, int):
        parts.append(_head(_UINT, value) if value >= 0 else _head(_NEGATIVE, -1 - value))
    elif isinstance(value, float):
        parts.append(_FLOAT.pack(0xFB, value))
    elif isinstance(value, str):
        text = value.encode()
        parts += (_head(_TEXT, len(text)), text)
    elif isinstance(value, bytes):
        parts += (_head(_BYTES, len(value)), value)
    elif isinstance(value, Sequence):
        parts.append(_head(_ARRAY, len(value)))
        for item in value:
            _encode(item, parts)
    else:
        raise TypeError(f"{type(value).__name__} has no encoding in a record")


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes((major | number,))
    for extra, limit, layout in _SIZES:
        if number < limit:
            return struct.pack(layout, major | extra, number)
    if number >= 1 << 64:
        raise OverflowError("an integer beyond 64 bits")
    return struct.pack(">BQ", major | 0x1B, number)
