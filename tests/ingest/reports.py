"""Reports as devices send them, for the tests."""

from __future__ import annotations

import json
from typing import Any

from devices.instants import from_iso
from devices.reports import Batch, Message
from ingest.decoder import Decoder
from ingest.native import topic

NOW_US = from_iso("2026-11-23T18:04:06Z")
DEVICE = "tag-1"

FULL_FIX: dict[str, Any] = {
    "seq": 4711,
    "time": "2026-11-23T18:04:05.250Z",
    "lat": 51.5074,
    "lon": -0.1278,
    "accuracy_m": 6.5,
    "speed_mps": 1.3,
    "course_deg": 87.0,
    "altitude_m": 21.0,
    "satellites": 9,
    "hdop": 1.1,
    "kind": "gnss",
    "battery_pct": 81,
    "charging": False,
    "buffered": False,
}


def fix(**changes: Any) -> dict[str, Any]:
    """The full fix with some fields changed; None removes one."""
    return {name: value for name, value in (FULL_FIX | changes).items() if value is not None}


def payload(value: Any) -> bytes:
    """As JSON; Python's writer knows NaN."""
    return json.dumps(value).encode()


def message(value: Any, kind: str = "fix", device: str = DEVICE) -> Message:
    """A message that arrived at `NOW_US`; bytes are taken as they are."""
    body = value if isinstance(value, bytes) else payload(value)
    return Message(NOW_US, topic(device, kind), body)  # type: ignore[arg-type]


def decode(*messages: Message) -> Batch:
    """One batch of these messages."""
    return Decoder().decode(messages, gateway="gw-test", number=1, received_us=NOW_US)


def codes(batch: Batch) -> list[str]:
    """Why things were refused, in order."""
    return [refusal.code for refusal in batch.refusals]
