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
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
"""Bytes of a number behind its head."""
_SIMPLE = {20: False, 21: True}


def encode(value: Value) -> bytes:
    """The one encoding of a value.

    Raises:
        OverflowError: An integer beyond 64 bits.
        TypeError: Something that has no encoding here.
    """
    parts: list[bytes] = []
    _encode(value, parts)
    return b"".join(parts)


def encode_start(size: int, *first: Value) -> bytes:
    """How the encoding of an array of so many items begins, up to and with its first ones."""
    return b"".join((_head(_ARRAY, size), *map(encode, first)))


def bytes_start(size: int) -> bytes:
    """How the encoding of a byte string of so many bytes begins: all before the bytes."""
    return _head(_BYTES, size)


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


def decode(data: bytes) -> list[Value]:
    """The values of an array that `encode` wrote, whose items are no arrays themselves.

    Raises:
        ValueError: Other bytes.
    """
    values: list[Value] = []
    at = 0
    while at < len(data):
        try:
            value, at = _decode(data, at)
        except struct.error as error:
            raise ValueError("cut off within a number") from error
        if not (isinstance(value, list) and not values):
            values.append(value)
    if encode(values) != data:
        raise ValueError("not as records are encoded")
    return values


def decode_start(data: bytes, count: int) -> list[Value]:
    """The first so many values of an array that `encode` wrote; the rest is not looked at."""
    values: list[Value] = []
    _, at = _decode(data, 0)
    for _ in range(count):
        value, at = _decode(data, at)
        values.append(value)
    return values


def _decode(data: bytes, at: int) -> tuple[Value, int]:
    """The value at a place, and where the next one stands; an empty list for an array's head."""
    head, at = data[at], at + 1
    major, number, raw = head & 0xE0, head & 0x1F, b""
    width = _WIDTHS.get(number, 0)
    if width:
        raw, at = data[at : at + width], at + width
        number = int.from_bytes(raw, "big")
    if major == _UINT:
        return number, at
    if major in {_BYTES, _TEXT}:
        body, at = data[at : at + number], at + number
        return (body if major == _BYTES else body.decode()), at
    if major == _NEGATIVE:
        return -1 - number, at
    if major == _ARRAY:
        return [], at
    if width == 8:
        return float(struct.unpack(">d", raw)[0]), at
    return _SIMPLE.get(number), at
