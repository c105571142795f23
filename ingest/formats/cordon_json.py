"""The native format in JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ingest.formats.codec import Codec, NotANumber
from ingest.refusals import Code, Explanation

_NOT_A_NUMBER = NotANumber()


def _is_array(payload: bytes) -> bool:
    return payload.lstrip(b" \t\r\n")[:1] == b"["


def _loosely(payload: bytes) -> Any:
    """The payload by the rule book of libraries that write NaN and Infinity."""
    try:
        return json.loads(payload.decode(), parse_constant=lambda _: _NOT_A_NUMBER)
    except (ValueError, RecursionError):
        return None


JSON = Codec(
    msgspec.json.Decoder,
    is_array=_is_array,
    loosely=_loosely,
    has_nan=False,
    null=b"null",
    unreadable=Explanation(Code.NOT_JSON, "The payload is not JSON."),
)
