"""What devices report, after decoding: batches of fixes, events and refusals with the raw bytes.

A `Batch` is what the gateway makes of everything that arrived since its last turn, and what the
journal holds. It carries the bytes exactly as received and the decoded rows beside them, so that
every consumer works on the same numbers and none decodes twice. Rows are integers: what the
engine computes on is what the database stores, so a replay from the database is exact.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

DEGREE_E7 = 10_000_000
"""Latitude and longitude are stored in 1e-7 degrees: 1.1 cm at the equator."""

MISSING = -1
"""A value the device did not send, in every integer column but `altitude_dm` and `course_cdeg`."""

ALTITUDE_MISSING = -(2**31)


class FixKind(IntEnum):
    """Where a position came from. Stored: never renumber."""

    GNSS = 0
    NETWORK = 1
    BEACON = 2
    LAST_KNOWN = 3


_LAST_KNOWN = int(FixKind.LAST_KNOWN)  # NumPy compares with an Enum four times as slowly

EventType = Literal[
    "panic",
    "strap_cut",
    "strap_closed",
    "case_open",
    "battery_low",
    "battery_critical",
    "charging",
    "gnss_lost",
    "gnss_jammed",
    "beacon_seen",
    "beacon_lost",
    "no_motion",
    "permission_off",
    "permission_on",
    "choices",
    "own_alarm",
]
"""What a device may notice. Names are part of the contract with devices."""

BEACONS = ("beacon_seen", "beacon_lost")
"""Events that name the other device as their peer."""

CHOOSING = "choices"
"""Event by which a protected person's handset says what she has chosen; see `devices.choices`."""

URGENT = ("panic", "strap_cut", "case_open")
"""Events that are taken in whenever their type can be read, whatever else is wrong with them."""

ORDINARY = ("not_a_position", "not_used")
"""Codes of refusals that are no fault: the message is of a kind that says nothing of use here."""

FIX_DTYPE = np.dtype(
    [
        ("message", "<u4"),  # index into Batch.messages
        ("device", "<u4"),  # index into Batch.devices
        ("seq", "<i8"),  # the device's own count; below 0: derived from the content
        ("time_us", "<i8"),  # fix time
        ("lat_e7", "<i4"),
        ("lon_e7", "<i4"),
        ("accuracy_cm", "<i4"),  # radius of 68 %; MISSING = unknown, never perfect
        ("speed_cms", "<i4"),
        ("course_cdeg", "<i4"),  # 0 to 35999; MISSING when not sent
        ("altitude_dm", "<i4"),  # ALTITUDE_MISSING when not sent
        ("satellites", "<i2"),
        ("hdop_c", "<i2"),
        ("kind", "u1"),
        ("battery_pct", "i1"),
        ("charging", "i1"),  # 0, 1 or MISSING
        ("buffered", "u1"),
    ]
)
"""One fix. Packed little-endian: the same bytes on every machine."""

FixArray = NDArray[np.void]
"""(n,) array of `FIX_DTYPE`."""


class Signature(IntEnum):
    """What became of the check of a message's signature. Stored: never renumber."""

    UNSIGNED = 0
    VALID = 1
    INVALID = 2
    UNKNOWN_KEY = 3


class Message(msgspec.Struct, frozen=True, array_like=True):
    """One MQTT message as it arrived, its signature included."""

    received_us: int
    topic: str
    payload: bytes
    signature: Signature = Signature.UNSIGNED


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Something a device noticed: panic, strap_cut, battery_low, ...

    Attributes:
        message: Index into `Batch.messages`.
        device: Device id.
        seq: The device's own count; below 0 where it was derived from the content.
        time_us: When, by the device.
        type: One of the names in the event contract.
        peer: The other device, for beacon events.
        detail: Whatever else the device sent, kept as it is.
        time_doubted: `time_us` is when it arrived, as what the device said cannot be. Only of
            `URGENT` ones; a refusal beside it says what was wrong.
    """

    message: int
    device: str
    seq: int
    time_us: int
    type: str
    peer: str | None
    detail: dict[str, Any]
    time_doubted: bool = False


class Refusal(msgspec.Struct, frozen=True, array_like=True):
    """A message, or one item of an array, that could not be accepted. Kept, with the reason.

    Attributes:
        message: Index into `Batch.messages`; the payload itself stands there.
        device: Device id from the topic, as far as it can be told.
        code: Short stable name of the reason, used as a metric label.
        reason: One sentence for the operator. Never contains a coordinate.
        item: Position in an array of fixes; None when it is about the whole message, or about the
            part of it that the reason names.
        size_bytes: Length of the payload as received.
        sha256: Of the payload as received, since an oversized one is kept cut.
    """

    message: int
    device: str
    code: str
    reason: str
    item: int | None
    size_bytes: int
    sha256: bytes


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """A device's answer to a command."""

    message: int
    device: str
    command_id: str
    state: str
    time_us: int
    answer: str | None


class Status(msgspec.Struct, frozen=True, array_like=True):
    """A device came or went (its retained status, or the broker speaking its last will)."""

    message: int
    device: str
    online: bool
    time_us: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that arrived in one turn of the gateway's loop.

    Attributes:
        gateway: Id of the gateway process and its start, for example ``gw0-1a2b3c``.
        number: Counts up from 1 within one `gateway`; (gateway, number) names the batch.
        received_us: When the batch was closed; no message in it is later.
        devices: Device ids that the `device` column of the fixes points into.
        fixes: (n,) of `FIX_DTYPE`.
    """

    gateway: str
    number: int
    received_us: int
    messages: tuple[Message, ...]
    devices: tuple[str, ...] = ()
    fixes: FixArray
    events: tuple[Event, ...] = ()
    receipts: tuple[Receipt, ...] = ()
    statuses: tuple[Status, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def name(self) -> str:
        """Names the batch: the same bytes published twice carry the same name."""
        return f"{self.gateway}/{self.number}"


def _encode_hook(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tobytes()
    raise TypeError(f"cannot journal {type(value).__name__}")


def _decode_hook(_kind: type, value: object) -> object:
    if isinstance(value, bytes):
        return np.frombuffer(value, dtype=FIX_DTYPE)
    raise TypeError(f"expected fix rows, got {type(value).__name__}")


_FORMAT = b"CJ1"  # Cordon journal, layout 1: FIX_DTYPE and the structs above.
_CHECKSUM_BYTES = 4
_HEAD_BYTES = len(_FORMAT) + _CHECKSUM_BYTES
_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_hook)
_decoder = msgspec.msgpack.Decoder(Batch, dec_hook=_decode_hook)


class BatchFormatError(ValueError):
    """Bytes that are not a batch of a layout this version reads."""


def encode_batch(batch: Batch) -> bytes:
    """The batch as journal bytes: three of format, four of CRC-32, then MessagePack."""
    body = _encoder.encode(batch)
    return _FORMAT + zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little") + body


def decode_batch(data: bytes) -> Batch:
    """The batch that `encode_batch` wrote. The fix rows share memory with `data`: read-only.

    Raises:
        BatchFormatError: Unknown layout or damaged bytes.
    """
    if data[: len(_FORMAT)] != _FORMAT:
        raise BatchFormatError(
            f"unknown journal layout {data[:3]!r}; this version reads {_FORMAT!r}"
        )
    body = memoryview(data)[_HEAD_BYTES:]
    if zlib.crc32(body) != int.from_bytes(data[len(_FORMAT) : _HEAD_BYTES], "little"):
        raise BatchFormatError("damaged journal entry: its checksum does not fit")
    try:
        batch = _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise BatchFormatError(f"damaged journal entry: {error}") from error
    _check_indices(batch)
    return batch


def _check_indices(batch: Batch) -> None:
    """Raises BatchFormatError when a row points to a message or device that is not there."""
    fixes, last = batch.fixes, len(batch.messages) - 1
    items: list[Event | Receipt | Status | Refusal] = [
        *batch.events,
        *batch.receipts,
        *batch.statuses,
        *batch.refusals,
    ]
    if (
        (fixes["message"] > last).any()
        or (fixes["device"] >= len(batch.devices)).any()
        or any(not 0 <= item.message <= last for item in items)
    ):
        raise BatchFormatError("damaged journal entry: a row points outside its batch")


def positions(fixes: FixArray) -> FixArray:
    """The fixes that say where a device is: all but `FixKind.LAST_KNOWN`.

    A last known position that is sent again, perhaps under a new time, is no news of where the
    device is; it is kept, and moves nobody.
    """
    repeated = fixes["kind"] == _LAST_KNOWN
    return fixes[~repeated] if repeated.any() else fixes


def no_fixes() -> FixArray:
    """An empty array of fixes."""
    return np.zeros(0, FIX_DTYPE)
