"""Traccar: positions that its server forwards, for the hundreds of trackers that it understands.

Traccar publishes one JSON document per position, ``{"position": ..., "device": ...}``, on one topic
for all devices (`forward.type` = ``mqtt``), or posts it (``json``; see `cordon.forwarding`). What
stands in it is described by the source of Traccar's own model. Units and traps:

- `speed` is in knots; `accuracy` 0 is not known; `batteryLevel` is percent, `battery` volts.
- `fixTime` is when the position was taken, `deviceTime` when the tracker spoke.
- `outdated`: the tracker spoke without a position, and the server has filled in the last one. Kept
  as last known, and moves nobody. If there never was one, the position is of 1970.
- `valid` false: the receiver itself does not vouch for the position. The same.
- `approximate`: made from cells or WLAN by the server; `archive`: recorded earlier, sent later.
- `alarm` is one name, or several with commas. They are read first: a position that cannot be read
  costs no panic.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from devices.instants import to_datetime
from devices.reports import EventType
from ingest import native
from ingest.formats.contract import Route
from ingest.formats.times import from_text_or_ms
from ingest.reading import Reading
from ingest.refusals import DECODE_ERRORS, Code, Refused
from ingest.rows import believable_us

TOPIC = "cordon/v1/forward/traccar"

KIND = "forwarded"

KNOT = 1852 / 3600
"""Metres per second, by definition."""

MAX_ALARMS = 16
"""Alarms in one position; Traccar knows about fifty names."""

ALARMS: dict[str, EventType] = {
    "sos": "panic",
    "removing": "strap_cut",
    "tampering": "case_open",
    "lowBattery": "battery_low",
    "jamming": "gnss_jammed",
    "gpsAntennaCut": "gnss_lost",
}
"""What Traccar's alarms mean here. All others are kept, and mean nothing."""

Instant = str | int


class _Device(msgspec.Struct, frozen=True, rename="camel"):
    unique_id: str


class _Document(msgspec.Struct, frozen=True):
    device: _Device
    position: msgspec.Raw


class _Alarm(msgspec.Struct, frozen=True):
    alarm: str | None = None


class _Alarmed(msgspec.Struct, frozen=True):
    attributes: _Alarm = _Alarm()


class _Spoken(msgspec.Struct, frozen=True, rename="camel"):
    device_time: Instant | None = None


class _Place(msgspec.Struct, frozen=True, rename="camel"):
    """Without these there is no position."""

    fix_time: Instant
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=native.MAX_ACCURACY_M)] | None = None
    valid: bool = True
    outdated: bool = False


class _Attributes(msgspec.Struct, frozen=True, rename="camel"):
    battery_level: native.Percent | None = None
    charge: bool | None = None
    sat: Annotated[int, msgspec.Meta(ge=0, le=native.MAX_SATELLITES)] | None = None
    hdop: Annotated[float, msgspec.Meta(ge=0, le=native.MAX_HDOP)] | None = None
    approximate: bool = False
    archive: bool = False


class _Rest(msgspec.Struct, frozen=True):
    """Nonsense in these costs nothing but itself."""

    speed: Annotated[float, msgspec.Meta(ge=0, le=native.MAX_SPEED_MPS / KNOT)] | None = None
    course: Annotated[float, msgspec.Meta(ge=0, le=360)] | None = None
    attributes: _Attributes = _Attributes()


class TraccarAdapter:
    """Reads what a Traccar server forwards."""

    event_filters: tuple[str, ...] = (TOPIC,)
    position_filters: tuple[str, ...] = ()
    urgent_kinds = frozenset((KIND,))

    def __init__(self) -> None:
        self._document = msgspec.json.Decoder(_Document)
        self._alarmed = msgspec.json.Decoder(_Alarmed)
        self._spoken = msgspec.json.Decoder(_Spoken)
        self._place = msgspec.json.Decoder(_Place)
        self._rest = msgspec.json.Decoder(_Rest)

    def route(self, topic: str) -> Route | None:
        """See `Adapter.route`; whose position it is stands in the payload."""
        return Route(None, KIND) if topic == TOPIC else None

    def read(self, reading: Reading, kind: str, payload: bytes) -> None:  # noqa: ARG002 -- one kind
        """See `Adapter.read`."""
        document = self._document.decode(payload)
        device = document.device.unique_id
        if not native.is_device_id(device):
            raise Refused(
                Code.BAD_DEVICE,
                "$.device.uniqueId: an identifier in Traccar that no device here can have.",
            )
        may_speak = reading.speak_for(device)
        raw = bytes(document.position)
        self._read_alarms(reading, raw)
        if may_speak:
            self._read_position(reading, raw)

    def rescue(self, reading: Reading, kind: str, payload: bytes) -> None:
        """Nothing: alarms are read before anything that can be refused."""

    def _read_alarms(self, reading: Reading, raw: bytes) -> None:
        try:
            names = self._alarmed.decode(raw).attributes.alarm
        except DECODE_ERRORS as error:
            reading.refuse(error)
            return
        found = dict.fromkeys((names or "").split(",", MAX_ALARMS)[:MAX_ALARMS])
        for name in (name.strip() for name in found if name.strip()):
            meaning = ALARMS.get(name)
            if meaning is None:
                reading.refuse(Refused(Code.NOT_USED, "$.attributes.alarm: means nothing here."))
                continue
            try:
                reading.add_event(meaning, self._spoken_us(raw))
            except Refused as refused:
                reading.refuse(refused)

    def _spoken_us(self, raw: bytes) -> int | None:
        """When the tracker spoke; None where that cannot be read."""
        try:
            time = self._spoken.decode(raw).device_time
            return None if time is None else from_text_or_ms(time, "deviceTime")
        except (Refused, *DECODE_ERRORS):
            return None

    def _read_position(self, reading: Reading, raw: bytes) -> None:
        place = self._place.decode(raw)
        time_us = from_text_or_ms(place.fix_time, "fixTime")
        if place.outdated and time_us == 0:
            raise Refused(Code.NOT_A_POSITION, "The tracker spoke before it ever had a position.")
        time_us = believable_us(time_us, reading.received_us)
        try:
            rest = self._rest.decode(raw)
        except msgspec.ValidationError as error:
            reading.refuse(error)
            rest = _Rest()
        more = rest.attributes
        reading.add_fix(
            native.Fix(
                time=to_datetime(time_us),
                lat=place.latitude,
                lon=place.longitude,
                accuracy_m=place.accuracy,
                speed_mps=None if rest.speed is None else rest.speed * KNOT,
                course_deg=rest.course,
                satellites=more.sat,
                hdop=more.hdop,
                kind=_kind(place, more),
                battery_pct=more.battery_level,
                charging=more.charge,
                buffered=more.archive,
            )
        )


def _kind(place: _Place, more: _Attributes) -> native.FixSource:
    if place.outdated or not place.valid:
        return "last_known"
    return "network" if more.approximate else "gnss"
