"""PostgreSQL's binary COPY format, as bytes that are made without asking for the type of each value."""

from __future__ import annotations

import struct

POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01: PostgreSQL counts microseconds from there
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"

ROW_START = struct.Struct(">h").pack
"""Of a row: how many fields follow."""

SIZE = struct.Struct(">i").pack
"""Of a field: how many bytes follow."""

_INT2, _INT4, _INT8 = struct.Struct(">ih"), struct.Struct(">ii"), struct.Struct(">iq")
_NULL = SIZE(-1)


def int2(value: int) -> bytes:
    """A field of type smallint."""
    return _INT2.pack(2, value)


def int4(value: int) -> bytes:
    """A field of type integer."""
    return _INT4.pack(4, value)


def int8(value: int) -> bytes:
    """A field of type bigint."""
    return _INT8.pack(8, value)


def instant(instant_us: int) -> bytes:
    """A field of type timestamptz."""
    return _INT8.pack(8, instant_us - POSTGRES_EPOCH_US)


def text(value: str | None) -> bytes:
    """A field of type text, or an empty one."""
    if value is None:
        return _NULL
    data = value.encode()
    return SIZE(len(data)) + data
