"""Cordon's own wire format: what devices publish, field by field, with the limits of each.

The limits are wide on purpose. They keep out what cannot be true of any device, such as a latitude
of 91 degrees; what is merely unlikely is for the track estimator to judge.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal, get_args

import msgspec

from devices.caseload import Id
from devices.reports import EventType

MAX_FIXES = 500
"""Fixes in one message; a longer buffer is flushed in several messages."""

MAX_PAYLOAD_BYTES = 256 * 1024
"""Payload of one message. 500 fixes with every field need about 130 KiB."""

MAX_DEVICE_CHARS = 64
MAX_DETAIL_BYTES = 4 * 1024
MAX_DETAIL_DEPTH = 8
MAX_ANSWER_CHARS = 2_000
MAX_COMMAND_ID_CHARS = 100

MAX_ACCURACY_M = 100_000.0
"""Beyond this a position says nothing; the coarsest cell network fix is some tens of km."""

MAX_SPEED_MPS = 500.0
"""Faster than any airliner: 340 m/s over ground has been seen in a jet stream."""

MIN_ALTITUDE_M = -1_000.0
MAX_ALTITUDE_M = 20_000.0
MAX_SATELLITES = 200
MAX_HDOP = 100.0
"""Receivers report 99.9 and the like when they have no solution."""

OLDEST_S = 400 * 86_400
"""How far before its arrival a report may lie: a device found in a drawer after a year still
delivers, while a receiver that lost its calendar (1970, 1980, a week number rolled over) does not.
"""

FUTURE_S = 300
"""How far after its arrival a report may lie: phones without a network drift by minutes."""

_INT64_MAX = 2**63 - 1
_DEVICE_ID = re.compile(get_args(Id)[1].pattern)
_TOPIC = re.compile(r"cordon/v1/([^/]*)/(fix|event|status|receipt)")

Kind = Literal["fix", "event", "status", "receipt"]
KINDS: tuple[Kind, ...] = ("fix", "event", "status", "receipt")

Time = Annotated[datetime, msgspec.Meta(tz=True)]
Seq = Annotated[int, msgspec.Meta(ge=0, le=_INT64_MAX)]
FixSource = Literal["gnss", "network", "beacon", "last_known"]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class Fix(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One position. Angles in degrees on WGS84.

    Attributes:
        seq: Counts per device and never repeats; without it one is derived from the content.
        accuracy_m: Radius that holds the true position in 68 % of cases; 0 or absent: unknown.
        course_deg: Clockwise from true north.
        buffered: Recorded while there was no connection and sent later.
    """

    time: Time
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    seq: Seq | None = None
    accuracy_m: Annotated[float, msgspec.Meta(ge=0, le=MAX_ACCURACY_M)] | None = None
    speed_mps: Annotated[float, msgspec.Meta(ge=0, le=MAX_SPEED_MPS)] | None = None
    course_deg: Annotated[float, msgspec.Meta(ge=0, le=360)] | None = None
    altitude_m: Annotated[float, msgspec.Meta(ge=MIN_ALTITUDE_M, le=MAX_ALTITUDE_M)] | None = None
    satellites: Annotated[int, msgspec.Meta(ge=0, le=MAX_SATELLITES)] | None = None
    hdop: Annotated[float, msgspec.Meta(ge=0, le=MAX_HDOP)] | None = None
    kind: FixSource = "gnss"
    battery_pct: Percent | None = None
    charging: bool | None = None
    buffered: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something the device noticed. `detail` is an object of the device's own choosing."""

    time: Time
    type: EventType
    seq: Seq | None = None
    peer: str | None = None
    detail: msgspec.Raw = msgspec.Raw()


class Receipt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a command; `id` is the command's."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_COMMAND_ID_CHARS)]
    state: Literal["received", "shown", "answered"]
    time: Time
    answer: Annotated[str, msgspec.Meta(max_length=MAX_ANSWER_CHARS)] | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The device came or went; the same form serves as its last will."""

    online: bool
    time: Time


def topic(device: str, kind: Kind) -> str:
    """Where a device publishes reports of this kind."""
    return f"cordon/v1/{device}/{kind}"


def topic_filter(kind: Kind) -> str:
    """What to subscribe to for the reports of this kind of all devices."""
    return topic("+", kind)


def parse_topic(text: str) -> tuple[str, Kind] | None:
    """Device level (unchecked) and kind of a topic; None if it is not one of ours."""
    match = _TOPIC.fullmatch(text)
    if match is None:
        return None
    kind: Kind = match[2]  # type: ignore[assignment]  # the pattern admits nothing else
    return match[1], kind


def is_device_id(text: str) -> bool:
    """Whether the text may be the id of a device: see `devices.caseload.Id`."""
    return _DEVICE_ID.fullmatch(text) is not None
