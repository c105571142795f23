"""Instants as other people's formats write them."""

from __future__ import annotations

from datetime import datetime

from devices.instants import MICROSECONDS, from_datetime
from ingest.refusals import Code, Refused

_EPOCH_DIGITS = 20
"""More than any instant has; Python refuses to read numbers of thousands of digits."""


def from_epoch_s(value: float | str, field: str) -> int:
    """Seconds since 1970, as a number or as text.

    Raises:
        Refused: The text is no such number.
    """
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= _EPOCH_DIGITS):
            raise Refused(Code.BAD_TIME, f"$.{field}: not a count of seconds.")
        value = int(value)
    return round(value * MICROSECONDS)


def from_text_or_ms(value: str | int, field: str) -> int:
    """ISO 8601 text with an offset, with or without its colon, or milliseconds since 1970.

    Raises:
        Refused: It names no instant.
    """
    if isinstance(value, int):
        return value * 1000
    try:
        return from_datetime(datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        raise Refused(Code.BAD_TIME, f"$.{field}: not an instant with an offset.") from None
