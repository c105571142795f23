"""States as bytes: the layout in the first bytes, then MessagePack."""

from __future__ import annotations

from typing import TypeVar

import msgspec

StateT = TypeVar("StateT")


def unpacked(
    data: bytes,
    layout: bytes,
    decoder: msgspec.msgpack.Decoder[StateT],
    error: type[Exception],
    what: str,
) -> StateT:
    """The state that was written in a layout.

    Args:
        data: The name of the layout, then the state.
        layout: The one this version reads.
        decoder: Of the state.
        error: Raised when it cannot be read.
        what: Whose state it is, for people.

    Raises:
        Exception: As `error`: another layout, or damaged bytes.
    """
    found = data[: len(layout)]
    if found != layout:
        raise error(f"unknown layout {found!r} of {what}; this version reads {layout!r}")
    try:
        return decoder.decode(memoryview(data)[len(layout) :])
    except (msgspec.MsgspecError, ValueError) as failure:
        raise error(f"damaged state of {what}: {failure}") from failure
