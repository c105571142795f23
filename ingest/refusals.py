"""Why something was refused: stable codes, and sentences that hold nothing the device sent.

A reason names the field and the limit, never the value, so that it may stand in a log or on a
screen without giving a position away. The payload itself is kept beside it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

import msgspec


class Code(StrEnum):
    """Names of the reasons. They label metrics and are stored: never rename one."""

    UNKNOWN_TOPIC = "unknown_topic"
    BAD_DEVICE = "bad_device"
    TOO_LARGE = "too_large"
    TOO_MANY = "too_many"
    TOO_DEEP = "too_deep"
    EMPTY = "empty"
    NOT_JSON = "not_json"
    NOT_A_NUMBER = "not_a_number"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    OUT_OF_RANGE = "out_of_range"
    UNKNOWN_VALUE = "unknown_value"
    BAD_TIME = "bad_time"
    BAD_TEXT = "bad_text"
    NOT_MSGPACK = "not_msgpack"
    NOT_A_POSITION = "not_a_position"
    NOT_USED = "not_used"
    ENCRYPTED = "encrypted"
    BAD_SIGNATURE = "bad_signature"
    NOT_SIGNED = "not_signed"
    ADAPTER_FAILED = "adapter_failed"


class Refused(Exception):  # noqa: N818 -- a verdict on the input, not a fault of the program
    """The input cannot be accepted."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Explanation(NamedTuple):
    """A code and its sentence."""

    code: Code
    reason: str


DECODE_ERRORS = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""Everything that decoding hostile bytes raises: bad UTF-8 is a ValueError of its own."""

_SIMPLE_PATH = re.compile(r"\$[\w.\[\]]*")


def explain(error: BaseException) -> Explanation:
    """The code and reason for an error of `DECODE_ERRORS`, or a `Refused`."""
    if isinstance(error, Refused):
        return Explanation(error.code, error.reason)
    if isinstance(error, RecursionError):
        return Explanation(Code.TOO_DEEP, "The payload is nested too deeply.")
    if isinstance(error, UnicodeError):
        return Explanation(Code.BAD_TEXT, "A text is not valid UTF-8.")
    if isinstance(error, msgspec.ValidationError):
        return _invalid(str(error))
    return Explanation(Code.NOT_JSON, "The payload is not JSON.")


def _invalid(message: str) -> Explanation:
    """Sorts msgspec's message. Only parts made from our own types are passed on."""
    what, _, tail = message.rpartition(" - at ")
    if not what:
        what, tail = message, "`$`"
    path = tail.strip("`")
    field = path if _SIMPLE_PATH.fullmatch(path) else "$"
    if what.startswith("Invalid enum value"):
        return Explanation(Code.UNKNOWN_VALUE, f"{field}: not one of the known values.")
    code = _code(what, field)
    return Explanation(code, f"{field}: {what}.")


def _code(what: str, field: str) -> Code:
    if field.rpartition(".")[2] == "time" or "RFC3339" in what:
        return Code.BAD_TIME
    if what.startswith("Object missing"):
        return Code.MISSING_FIELD
    if "array` of length <=" in what:
        return Code.TOO_MANY
    if any(sign in what for sign in (" <= ", " >= ", " > ", " < ", "of length", "out of range")):
        return Code.OUT_OF_RANGE
    return Code.WRONG_TYPE
