"""Cordon's own topics: ``cordon/v1/{device}/fix``, ``event``, ``status`` and ``receipt``.

Each takes JSON and MessagePack alike; the first byte of the payload says which it is.
"""

from __future__ import annotations

from devices.instants import from_datetime
from ingest import native
from ingest.formats import urgent
from ingest.formats.codec import Codec, check_text
from ingest.formats.contract import Route
from ingest.formats.cordon_json import JSON
from ingest.formats.cordon_msgpack import MSGPACK, is_msgpack
from ingest.reading import Reading
from ingest.refusals import Code, Explanation, Refused


class CordonAdapter:
    """Reads the native format."""

    event_filters: tuple[str, ...] = tuple(
        native.topic_filter(kind) for kind in native.KINDS if kind != "fix"
    )
    position_filters: tuple[str, ...] = (native.topic_filter("fix"),)
    urgent_kinds = frozenset(("event",))

    def route(self, topic: str) -> Route | None:
        """See `Adapter.route`."""
        parsed = native.parse_topic(topic)
        return None if parsed is None else Route(*parsed)

    def read(self, reading: Reading, kind: str, payload: bytes) -> None:
        """See `Adapter.read`."""
        codec = MSGPACK if is_msgpack(payload) else JSON
        if kind == "fix":
            _read_fixes(reading, codec, payload)
        elif kind == "event":
            _read_event(reading, codec, payload)
        elif kind == "receipt":
            _read_receipt(reading, codec, payload)
        else:
            status = codec.status(payload)
            reading.add_status(online=status.online, time_us=from_datetime(status.time))

    def rescue(self, reading: Reading, kind: str, payload: bytes) -> None:
        """Takes an urgent event whose type can be read."""
        if kind == "event" and payload:
            urgent.rescue(reading, MSGPACK if is_msgpack(payload) else JSON, payload)


def _read_fixes(reading: Reading, codec: Codec, payload: bytes) -> None:
    is_array = codec.is_array(payload)
    results = codec.fixes(payload) if is_array else [codec.one_fix(payload)]
    if not results:
        raise Refused(Code.EMPTY, "An array without a fix.")
    for place, result in enumerate(results):
        try:
            if isinstance(result, Explanation):
                raise Refused(*result)  # noqa: TRY301 -- one place decides about the item
            reading.add_fix(result, place)
        except Refused as refused:
            reading.refuse(refused, place if is_array else None)


def _read_event(reading: Reading, codec: Codec, payload: bytes) -> None:
    event = codec.event(payload)
    if event.peer is not None and not native.is_device_id(event.peer):
        raise Refused(Code.BAD_DEVICE, "$.peer: not the id of a device.")
    raw = bytes(event.detail)
    detail = codec.detail(raw)
    reading.add_event(
        event.type,
        from_datetime(event.time),
        seq=event.seq,
        peer=event.peer,
        detail=detail,
        raw_detail=raw,
    )


def _read_receipt(reading: Reading, codec: Codec, payload: bytes) -> None:
    receipt = codec.receipt(payload)
    check_text(receipt.id, "id")
    check_text(receipt.answer or "", "answer")
    time_us = from_datetime(receipt.time)
    reading.add_receipt(receipt.id, receipt.state, time_us, receipt.answer)
