"""From MQTT messages to a batch: every message ends as rows or as refusals, none disappears.

The usual case is fast: a payload is decoded whole, with types and limits, in one call. Only when
that fails are the items of an array taken one by one, so that a bad fix costs itself and not the
buffer it came in. Nothing here reads a clock or does I/O, and no input makes it raise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from devices.instants import MICROSECONDS, from_datetime
from devices.reports import (
    ALTITUDE_MISSING,
    DEGREE_E7,
    FIX_DTYPE,
    MISSING,
    Batch,
    Event,
    FixKind,
    Message,
    Receipt,
    Refusal,
    Status,
)
from ingest import native
from ingest.refusals import DECODE_ERRORS, Code, Explanation, Refused, explain

KEPT_BYTES = 4 * 1024
"""How much of an oversized payload is kept, beside its full length and digest."""

_MAX_DEVICE_CHARS = 64
_INT64 = range(-(2**63), 2**63)
_KINDS = {
    "gnss": FixKind.GNSS,
    "network": FixKind.NETWORK,
    "beacon": FixKind.BEACON,
    "last_known": FixKind.LAST_KNOWN,
}

Row = tuple[int, ...]
"""Columns of `FIX_DTYPE`, in order."""


class _NotANumber:
    """Stands for the NaN and Infinity that some JSON libraries write."""


_NOT_A_NUMBER = _NotANumber()


class _Origin(NamedTuple):
    """The message that is being decoded."""

    message: int
    device: str
    received_us: int


class Decoder:
    """Decodes batches. Holds nothing but its compiled decoders; one serves all messages."""

    def __init__(self) -> None:
        array = Annotated[list[native.Fix], msgspec.Meta(max_length=native.MAX_FIXES)]
        raw_array = Annotated[list[msgspec.Raw], msgspec.Meta(max_length=native.MAX_FIXES)]
        self._fix = msgspec.json.Decoder(native.Fix)
        self._fixes = msgspec.json.Decoder(array)
        self._items = msgspec.json.Decoder(raw_array)
        self._event = msgspec.json.Decoder(native.Event)
        self._receipt = msgspec.json.Decoder(native.Receipt)
        self._status = msgspec.json.Decoder(native.Status)
        self._object = msgspec.json.Decoder(dict[str, Any])

    def decode(
        self, messages: Sequence[Message], *, gateway: str, number: int, received_us: int
    ) -> Batch:
        """Decodes everything that arrived in one turn of the gateway.

        Args:
            messages: As received. Topics and payloads may be anything at all.
            gateway: See `Batch.gateway`.
            number: See `Batch.number`.
            received_us: When the batch was closed.

        Returns:
            A batch with the same messages in the same order (oversized payloads cut), in which
            each message stands behind at least one fix, event, receipt, status or refusal.
        """
        draft = _Draft()
        for index, message in enumerate(messages):
            self._message(draft, index, message)
        return Batch(
            gateway=gateway,
            number=number,
            received_us=received_us,
            messages=tuple(_kept(message) for message in messages),
            devices=tuple(draft.devices),
            fixes=np.array(draft.rows, FIX_DTYPE),
            events=tuple(draft.events),
            receipts=tuple(draft.receipts),
            statuses=tuple(draft.statuses),
            refusals=tuple(draft.refusals),
        )

    def _message(self, draft: _Draft, index: int, message: Message) -> None:
        parsed = native.parse_topic(message.topic)
        device = parsed[0][:_MAX_DEVICE_CHARS] if parsed else ""
        origin = _Origin(index, device, message.received_us)
        try:
            kind = _admitted(parsed, message.payload)
            if kind == "fix":
                self._fix_message(draft, origin, message)
            elif kind == "event":
                draft.events.append(self._event_row(origin, message.payload))
            elif kind == "receipt":
                draft.receipts.append(self._receipt_row(origin, message.payload))
            else:
                draft.statuses.append(self._status_row(origin, message.payload))
        except (Refused, *DECODE_ERRORS) as error:
            draft.refuse(origin, message, [(None, explain(error))])

    def _fix_message(self, draft: _Draft, origin: _Origin, message: Message) -> None:
        is_array = message.payload.lstrip(b" \t\r\n")[:1] == b"["
        results = self._fix_array(message.payload) if is_array else [self._one_fix(message.payload)]
        if not results:
            raise Refused(Code.EMPTY, "An array without a fix.")
        bad: list[tuple[int | None, Explanation]] = []
        for position, result in enumerate(results):
            try:
                if isinstance(result, Explanation):
                    raise Refused(*result)  # noqa: TRY301 -- one place decides about the item
                draft.add_fix(origin, _fix_columns(origin, result))
            except Refused as refused:
                bad.append((position if is_array else None, explain(refused)))
        draft.refuse(origin, message, bad)

    def _one_fix(self, payload: bytes) -> native.Fix | Explanation:
        try:
            return self._fix.decode(payload)
        except msgspec.ValidationError as error:
            return explain(error)
        except DECODE_ERRORS as error:
            loose = _loose_json(payload)
            return explain(error) if loose is None else _fix_from_loose(loose)

    def _fix_array(self, payload: bytes) -> Sequence[native.Fix | Explanation]:
        """The items of an array, each as a fix or as the reason why it is none.

        Raises:
            Refused: The payload as a whole is no array of admissible length.
        """
        try:
            return self._fixes.decode(payload)
        except DECODE_ERRORS:
            pass
        try:
            return [self._one_fix(bytes(item)) for item in self._items.decode(payload)]
        except msgspec.ValidationError as error:
            raise Refused(*explain(error)) from None
        except DECODE_ERRORS as error:
            loose = _loose_json(payload)
            if not isinstance(loose, list):
                raise Refused(*explain(error)) from None
        if len(loose) > native.MAX_FIXES:
            raise Refused(Code.TOO_MANY, f"More than {native.MAX_FIXES} fixes in one message.")
        return [_fix_from_loose(item) for item in loose]

    def _event_row(self, origin: _Origin, payload: bytes) -> Event:
        event = self._event.decode(payload)
        time_us = _time_us(event, origin.received_us)
        if event.peer is not None and not native.is_device_id(event.peer):
            raise Refused(Code.BAD_DEVICE, "$.peer: not the id of a device.")
        raw = bytes(event.detail)
        seq = event.seq
        if seq is None:
            seq = _derived_seq(origin.device, time_us, event.type, event.peer or "", raw)
        return Event(
            message=origin.message,
            device=origin.device,
            seq=seq,
            time_us=time_us,
            type=event.type,
            peer=event.peer,
            detail=self._detail(raw),
        )

    def _detail(self, raw: bytes) -> dict[str, Any]:
        if raw in {b"", b"null"}:
            return {}
        if len(raw) > native.MAX_DETAIL_BYTES:
            limit = native.MAX_DETAIL_BYTES
            raise Refused(Code.TOO_LARGE, f"$.detail: more than {limit} bytes.")
        try:
            detail = self._object.decode(raw)
        except msgspec.ValidationError as error:
            code, _ = explain(error)
            # Keys of the device's own choosing must not reach the reason.
            raise Refused(code, "$.detail: not an object of usable values.") from None
        _check_detail(detail, native.MAX_DETAIL_DEPTH)
        return detail

    def _receipt_row(self, origin: _Origin, payload: bytes) -> Receipt:
        receipt = self._receipt.decode(payload)
        _check_text(receipt.id, "id")
        _check_text(receipt.answer or "", "answer")
        return Receipt(
            message=origin.message,
            device=origin.device,
            command_id=receipt.id,
            state=receipt.state,
            time_us=_time_us(receipt, origin.received_us),
            answer=receipt.answer,
        )

    def _status_row(self, origin: _Origin, payload: bytes) -> Status:
        status = self._status.decode(payload)
        return Status(
            message=origin.message,
            device=origin.device,
            online=status.online,
            time_us=_time_us(status, origin.received_us),
        )


class _Draft:
    """A batch in the making."""

    def __init__(self) -> None:
        self.devices: dict[str, int] = {}
        self.rows: list[Row] = []
        self.events: list[Event] = []
        self.receipts: list[Receipt] = []
        self.statuses: list[Status] = []
        self.refusals: list[Refusal] = []

    def add_fix(self, origin: _Origin, columns: Row) -> None:
        device = self.devices.setdefault(origin.device, len(self.devices))
        self.rows.append((origin.message, device, *columns))

    def refuse(
        self,
        origin: _Origin,
        message: Message,
        reasons: Sequence[tuple[int | None, Explanation]],
    ) -> None:
        if not reasons:
            return
        sha256 = hashlib.sha256(message.payload).digest()
        self.refusals.extend(
            Refusal(
                message=origin.message,
                device=origin.device,
                code=code.value,
                reason=reason,
                item=item,
                size_bytes=len(message.payload),
                sha256=sha256,
            )
            for item, (code, reason) in reasons
        )


def _admitted(parsed: tuple[str, native.Kind] | None, payload: bytes) -> native.Kind:
    """The kind of report, once topic and size allow a look inside."""
    if parsed is None:
        raise Refused(Code.UNKNOWN_TOPIC, "No report is expected on this topic.")
    if not native.is_device_id(parsed[0]):
        raise Refused(Code.BAD_DEVICE, "The topic does not hold the id of a device.")
    if len(payload) > native.MAX_PAYLOAD_BYTES:
        limit = native.MAX_PAYLOAD_BYTES
        raise Refused(Code.TOO_LARGE, f"The payload is larger than {limit} bytes.")
    if not payload:
        raise Refused(Code.EMPTY, "The payload is empty.")
    return parsed[1]


def _kept(message: Message) -> Message:
    if len(message.payload) <= native.MAX_PAYLOAD_BYTES:
        return message
    return Message(message.received_us, message.topic, message.payload[:KEPT_BYTES])


def _fix_columns(origin: _Origin, fix: native.Fix) -> Row:
    """The columns from `seq` on. Accuracy stays off 0, which would read as a perfect fix.

    Raises:
        Refused: The time cannot be right.
    """
    time_us = _time_us(fix, origin.received_us)
    measured = (
        time_us,
        round(fix.lat * DEGREE_E7),
        round(fix.lon * DEGREE_E7),
        max(1, round(fix.accuracy_m * 100)) if fix.accuracy_m else MISSING,
        _scaled(fix.speed_mps, 100),
        MISSING if fix.course_deg is None else round(fix.course_deg * 100) % 36_000,
        ALTITUDE_MISSING if fix.altitude_m is None else round(fix.altitude_m * 10),
        MISSING if fix.satellites is None else fix.satellites,
        _scaled(fix.hdop, 100),
        int(_KINDS[fix.kind]),
    )
    seq = _derived_seq(origin.device, *measured) if fix.seq is None else fix.seq
    charging = MISSING if fix.charging is None else int(fix.charging)
    battery = _scaled(fix.battery_pct, 1)
    return (seq, *measured, battery, charging, int(fix.buffered))


def _scaled(value: float | None, factor: int) -> int:
    return MISSING if value is None else round(value * factor)


def _derived_seq(device: str, *content: object) -> int:
    """A count below 0 for a report that has none: equal for the same content, else distinct.

    63 bits of BLAKE2b; what the device says about itself (battery, charger, buffered) is left out
    by the callers, since a fix that is sent again later is still the same measurement.
    """
    digest = hashlib.blake2b(repr((device, *content)).encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest) >> 1)


def _time_us(
    report: native.Fix | native.Event | native.Receipt | native.Status, now_us: int
) -> int:
    """The report's instant, if the device can have known it.

    Raises:
        Refused: It lies too far from the time of arrival.
    """
    time_us = from_datetime(report.time)
    if time_us > now_us + native.FUTURE_S * MICROSECONDS:
        reason = f"$.time: more than {native.FUTURE_S} s after the report arrived."
        raise Refused(Code.BAD_TIME, reason)
    if time_us < now_us - native.OLDEST_S * MICROSECONDS:
        days = native.OLDEST_S // 86_400
        raise Refused(Code.BAD_TIME, f"$.time: more than {days} days before the report arrived.")
    return time_us


def _check_text(text: str, field: str) -> None:
    if "\0" in text:  # PostgreSQL stores no such text
        raise Refused(Code.BAD_TEXT, f"$.{field}: holds a NUL character.")


def _check_detail(value: object, depth: int) -> None:
    """Refuses what the journal (64-bit integers) or the database (no NUL) could not keep."""
    if depth < 0:
        limit = native.MAX_DETAIL_DEPTH
        raise Refused(Code.TOO_DEEP, f"$.detail: nested more than {limit} deep.")
    if isinstance(value, str):
        _check_text(value, "detail")
    elif isinstance(value, int) and value not in _INT64:
        raise Refused(Code.OUT_OF_RANGE, "$.detail: an integer of more than 64 bits.")
    else:
        for inner in _parts(value):
            _check_detail(inner, depth - 1)


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _loose_json(payload: bytes) -> Any:
    """The payload read by the rule book of libraries that write NaN and Infinity; or None."""
    try:
        return json.loads(payload.decode(), parse_constant=lambda _: _NOT_A_NUMBER)
    except (ValueError, RecursionError):
        return None


def _fix_from_loose(item: object) -> native.Fix | Explanation:
    values: Iterable[object] = item.values() if isinstance(item, dict) else ()
    if any(value is _NOT_A_NUMBER for value in values):
        return Explanation(Code.NOT_A_NUMBER, "A number is NaN or infinite.")
    try:
        return msgspec.convert(item, native.Fix)
    except DECODE_ERRORS as error:
        return explain(error)
