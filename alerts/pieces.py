"""Very many things as MessagePack, bit by bit, so that whoever writes them holds nobody up for long.

What comes out is what one call would have made of all of it: a map of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

AT_ONCE = 500
"""Items in a piece: alerts of about a megabyte, some milliseconds."""

_encoder = msgspec.msgpack.Encoder()


def pieces_of(head: bytes, pages: Mapping[str, Sequence[Any]]) -> Iterator[bytes]:
    """The bytes of a map of arrays behind a head, piece by piece.

    Args:
        head: What stands in front.
        pages: At most 15 arrays, each of fewer than 2**32 items; none may change meanwhile, and
            neither may an item.
    """
    yield head + bytes([0x80 | len(pages)])
    for name, items in pages.items():
        yield _encoder.encode(name) + b"\xdd" + len(items).to_bytes(4, "big")
        for start in range(0, len(items), AT_ONCE):
            yield b"".join(map(_encoder.encode, items[start : start + AT_ONCE]))
