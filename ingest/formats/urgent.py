"""A panic is never lost for a formality.

An event that cannot be accepted as it stands is looked at once more. If its type can be read and is
urgent (`devices.reports.URGENT`), it is taken with whatever else can be read, and what was wrong
stays beside it as a refusal. Where even the notation is broken (cut off, nested too deep, not
UTF-8, too large), the type is looked for in the bytes: a false alarm from a message that is broken
*and* spells such a type is a price worth paying.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from devices.instants import from_datetime
from devices.reports import URGENT
from ingest import native
from ingest.formats.codec import Codec
from ingest.reading import Reading
from ingest.refusals import DECODE_ERRORS, Code, Refused, explain

_SPELLED = re.compile(rb'"type"\s*:\s*"(%b)"' % "|".join(URGENT).encode())
_PACKED = re.compile(
    rb"\xa4type(?:%b)" % b"|".join(re.escape(bytes([0xA0 + len(t)]) + t.encode()) for t in URGENT)
)

T = TypeVar("T")


def rescue(reading: Reading, codec: Codec, payload: bytes) -> None:
    """Add the urgent event that a refused payload holds, if it does.

    Args:
        reading: Has the reason of the refusal already; gets more where more is wrong.
        codec: Of the notation in which the payload begins.
        payload: Not empty, of any size.
    """
    try:
        loose = codec.loose(payload)
    except (Refused, *DECODE_ERRORS):
        kind = _spelled(payload)
        if kind is not None:
            reading.add_event(kind, None)
        return
    if loose.type not in URGENT:
        return
    time = _part(reading, "time", lambda: codec.part(bytes(loose.time), native.Time))
    raw = bytes(loose.detail)
    detail = _part(reading, "detail", lambda: codec.detail(raw))
    reading.add_event(
        loose.type,
        None if time is None else from_datetime(time),
        seq=_part(reading, "seq", lambda: codec.part(bytes(loose.seq), native.Seq)),
        peer=_part(reading, "peer", lambda: _peer(codec, bytes(loose.peer))),
        detail=detail,
        raw_detail=raw,
    )


def _spelled(payload: bytes) -> str | None:
    """The urgent type that stands in broken bytes."""
    if found := _SPELLED.search(payload):
        return found[1].decode()
    if found := _PACKED.search(payload):
        return found[0][len(b"\xa4type") + 1 :].decode()
    return None


def _part(reading: Reading, field: str, read: Callable[[], T]) -> T | None:
    """One part of the event; None when it cannot be used, which is kept as a refusal."""
    try:
        return read()
    except (Refused, *DECODE_ERRORS) as error:
        if not any(reason.startswith(f"$.{field}") for reason in reading.reasons):
            code, _ = explain(error)
            code = Code.BAD_TIME if field == "time" else code
            reading.refuse(Refused(code, f"$.{field}: not usable; the event is taken without it."))
        return None


def _peer(codec: Codec, raw: bytes) -> str | None:
    peer = codec.part(raw, str)
    if peer is not None and not native.is_device_id(peer):
        raise Refused(Code.BAD_DEVICE, "$.peer: not the id of a device.")
    return peer
