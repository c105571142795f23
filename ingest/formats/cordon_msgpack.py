"""The native format in MessagePack: the same fields under the same names, in half the bytes.

`time` is ISO 8601 text, or MessagePack's own timestamp. A payload is taken for MessagePack when its
first byte opens a map or an array there; JSON begins with none of these bytes.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from ingest.formats.codec import Codec, NotANumber
from ingest.refusals import DECODE_ERRORS, Code, Explanation

_ARRAYS = frozenset((*range(0x90, 0xA0), 0xDC, 0xDD))
_MAPS = frozenset((*range(0x80, 0x90), 0xDE, 0xDF))


def is_msgpack(payload: bytes) -> bool:
    """Whether a payload that is not empty begins as MessagePack."""
    return payload[0] in _MAPS or payload[0] in _ARRAYS


def _is_array(payload: bytes) -> bool:
    return payload[0] in _ARRAYS


def _loosely(payload: bytes) -> Any:
    """The payload without its limits, to see whether a number is none."""
    try:
        value = msgspec.msgpack.decode(payload)
    except DECODE_ERRORS:
        return None
    if not isinstance(value, dict):
        return value
    return {name: NotANumber() if _is_nan(part) else part for name, part in value.items()}


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


MSGPACK = Codec(
    msgspec.msgpack.Decoder,
    is_array=_is_array,
    loosely=_loosely,
    has_nan=True,
    null=b"\xc0",
    unreadable=Explanation(Code.NOT_MSGPACK, "The payload begins as MessagePack, but is not."),
)
