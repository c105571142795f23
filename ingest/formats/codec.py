"""Typed decoding of the native format, the same for JSON and MessagePack but for the notation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Protocol, TypeVar

import msgspec

from ingest import native
from ingest.refusals import DECODE_ERRORS, Code, Explanation, Refused, explain

_INT64 = range(-(2**63), 2**63)
_PLAIN = (str, int, float, bool, type(None))

T = TypeVar("T")
Read_co = TypeVar("Read_co", covariant=True)


class _Typed(Protocol[Read_co]):
    """A compiled decoder of one type."""

    def decode(self, payload: bytes, /) -> Read_co: ...


class NotANumber:
    """Stands for the NaN and Infinity that some JSON libraries write."""


class Loose(msgspec.Struct, frozen=True):
    """As much of an event as can be read one by one when it cannot be read whole."""

    type: str
    time: msgspec.Raw = msgspec.Raw()
    seq: msgspec.Raw = msgspec.Raw()
    peer: msgspec.Raw = msgspec.Raw()
    detail: msgspec.Raw = msgspec.Raw()


class Codec:
    """Compiled decoders of one notation.

    Args:
        decoder: `msgspec.json.Decoder` or `msgspec.msgpack.Decoder`.
        is_array: Whether a payload is an array, by its beginning.
        loosely: Reads a payload by wider rules than the decoder, with `NotANumber` for what is
            none, to learn what is wrong with it; None when that fails, too.
        has_nan: Whether the notation itself can write NaN, so that only a limit stops it.
        null: How the notation writes nothing.
        unreadable: What to say of a payload that is not in the notation.
    """

    def __init__(
        self,
        decoder: type[msgspec.json.Decoder[Any] | msgspec.msgpack.Decoder[Any]],
        *,
        is_array: Callable[[bytes], bool],
        loosely: Callable[[bytes], Any],
        has_nan: bool,
        null: bytes,
        unreadable: Explanation,
    ) -> None:
        most = msgspec.Meta(max_length=native.MAX_FIXES)
        self._make = decoder
        self._fix = decoder(native.Fix)
        self._fixes = decoder(Annotated[list[native.Fix], most])
        self._items = decoder(Annotated[list[msgspec.Raw], most])
        self._event: _Typed[native.Event] = decoder(native.Event)
        self._receipt: _Typed[native.Receipt] = decoder(native.Receipt)
        self._status: _Typed[native.Status] = decoder(native.Status)
        self._object: _Typed[dict[str, Any]] = decoder(dict[str, Any])
        self._loose: _Typed[Loose] = decoder(Loose)
        self.is_array = is_array
        self._loosely = loosely
        self._has_nan = has_nan
        self._null = null
        self._unreadable = unreadable

    def event(self, payload: bytes) -> native.Event:
        """One event."""
        return self._read(self._event, payload)

    def receipt(self, payload: bytes) -> native.Receipt:
        """One receipt."""
        return self._read(self._receipt, payload)

    def status(self, payload: bytes) -> native.Status:
        """One status."""
        return self._read(self._status, payload)

    def loose(self, payload: bytes) -> Loose:
        """The parts of an event, each to be read by `part`."""
        return self._read(self._loose, payload)

    def part(self, raw: bytes, kind: type[T]) -> T | None:
        """A part of its own; None when it is absent or null."""
        if self.is_absent(raw):
            return None
        decoder: _Typed[T] = self._make(kind)
        return self._read(decoder, raw)

    def is_absent(self, raw: bytes) -> bool:
        """Whether a part was left out or is null."""
        return raw in {b"", self._null}

    def one_fix(self, payload: bytes) -> native.Fix | Explanation:
        """A fix, or the reason why it is none."""
        try:
            fix: native.Fix = self._fix.decode(payload)
        except msgspec.ValidationError as error:
            if self._has_nan and _has_no_number(self._loosely(payload)):
                return _NOT_A_NUMBER
            return explain(error)
        except DECODE_ERRORS as error:
            loose = self._loosely(payload)
            return self._explain(error) if loose is None else _fix_from_loose(loose)
        return fix

    def fixes(self, payload: bytes) -> Sequence[native.Fix | Explanation]:
        """The items of an array, each as a fix or as the reason why it is none.

        The usual case is one call. Only when that fails are the items taken one by one, so that a
        bad fix costs itself and not the buffer it came in.

        Raises:
            Refused: The payload as a whole is no array of admissible length.
        """
        try:
            fixes: list[native.Fix] = self._fixes.decode(payload)
        except DECODE_ERRORS:
            return self._fixes_one_by_one(payload)
        return fixes

    def _fixes_one_by_one(self, payload: bytes) -> Sequence[native.Fix | Explanation]:
        try:
            items = self._items.decode(payload)
        except msgspec.ValidationError as error:
            raise Refused(*explain(error)) from None
        except DECODE_ERRORS as error:
            loose = self._loosely(payload)
            if not isinstance(loose, list):
                raise Refused(*self._explain(error)) from None
        else:
            return [self.one_fix(bytes(item)) for item in items]
        if len(loose) > native.MAX_FIXES:
            raise Refused(Code.TOO_MANY, f"More than {native.MAX_FIXES} fixes in one message.")
        return [_fix_from_loose(item) for item in loose]

    def detail(self, raw: bytes) -> dict[str, Any]:
        """What an event says in its own way.

        Raises:
            Refused: It is too large, too deep, or holds what could not be kept.
        """
        if self.is_absent(raw):
            return {}
        if len(raw) > native.MAX_DETAIL_BYTES:
            limit = native.MAX_DETAIL_BYTES
            raise Refused(Code.TOO_LARGE, f"$.detail: more than {limit} bytes.")
        try:
            detail: dict[str, Any] = self._object.decode(raw)
        except DECODE_ERRORS as error:
            # Keys of the device's own choosing must not reach the reason.
            raise Refused(
                explain(error).code, "$.detail: not an object of usable values."
            ) from None
        _check_detail(detail, native.MAX_DETAIL_DEPTH)
        return detail

    def _read(self, decoder: _Typed[T], payload: bytes) -> T:
        try:
            return decoder.decode(payload)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            raise Refused(*self._unreadable) from None

    def _explain(self, error: Exception) -> Explanation:
        known = explain(error)
        return self._unreadable if known.code is Code.NOT_JSON else known


def check_text(text: str, field: str) -> None:
    """Refuses text that PostgreSQL does not store.

    Raises:
        Refused: It holds the character NUL.
    """
    if "\0" in text:
        raise Refused(Code.BAD_TEXT, f"$.{field}: holds a NUL character.")


_NOT_A_NUMBER = Explanation(Code.NOT_A_NUMBER, "A number is NaN or infinite.")


def _fix_from_loose(item: object) -> native.Fix | Explanation:
    if _has_no_number(item):
        return _NOT_A_NUMBER
    try:
        return msgspec.convert(item, native.Fix)
    except DECODE_ERRORS as error:
        return explain(error)


def _has_no_number(item: object) -> bool:
    values = item.values() if isinstance(item, dict) else ()
    return any(isinstance(value, NotANumber) for value in values)


def _check_detail(value: object, depth: int) -> None:
    """Refuses what the journal (64-bit integers) or the database (no NUL, JSON) could not keep."""
    if depth < 0:
        limit = native.MAX_DETAIL_DEPTH
        raise Refused(Code.TOO_DEEP, f"$.detail: nested more than {limit} deep.")
    if isinstance(value, str):
        check_text(value, "detail")
    elif isinstance(value, int) and value not in _INT64:
        raise Refused(Code.OUT_OF_RANGE, "$.detail: an integer of more than 64 bits.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise Refused(Code.NOT_A_NUMBER, "$.detail: a number is NaN or infinite.")
    elif not isinstance(value, (*_PLAIN, dict, list)):
        raise Refused(Code.WRONG_TYPE, "$.detail: holds what JSON has no word for.")
    else:
        for inner in _parts(value):
            _check_detail(inner, depth - 1)


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list):
        yield from value
