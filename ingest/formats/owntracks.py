"""OwnTracks: the phone app as it comes, and trackers that speak its format.

The apps publish JSON on ``owntracks/{user}/{device}``, and what is no position on topics below it.
Units and traps are those of the apps' documentation (owntracks.org/booklet/tech/json):

- `vel` is in km/h; -1 in `vel` or `cog`, and 0 in `acc`, say that it is not known.
- `tst` is when the position was taken, in whole seconds; several positions may carry the same one.
- A ping (`t` is ``p``) repeats the last position under a *new* `tst`. So do trackers of the same
  format that have lost their fix (``l``, ``L``). They are kept as last known, and move nobody.
- The last will (`_type` is ``lwt``) carries the time of the *connect*, not that of the loss.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from devices.instants import to_datetime
from ingest import native
from ingest.formats.contract import Route
from ingest.formats.times import from_epoch_s
from ingest.reading import Reading
from ingest.refusals import Code, Refused
from ingest.rows import believable_us

KMH = 1 / 3.6
"""Metres per second."""

_TOPIC = re.compile(r"owntracks/([^/]+)/([^/]+)(?:/([^/]+))?")
_SEPARATOR = "__"
_PLAIN = re.compile(r"[A-Za-z0-9-]")
_ESCAPED = re.compile(r"_([0-9A-F]{2})")
_UNKNOWN = -1

_ORDINARY = frozenset(
    (
        "beacon",
        "card",
        "cmd",
        "configuration",
        "dump",
        "request",
        "status",
        "step",
        "steps",
        "transition",
        "waypoint",
        "waypoints",
    )
)
_REPEATED = frozenset("plL")
_CHARGING = {1: False, 2: True, 3: True}

Instant = int | float | str


class _Message(msgspec.Struct, frozen=True):
    kind: str = msgspec.field(name="_type")
    tst: Instant = ""


class _Place(msgspec.Struct, frozen=True):
    """Without these there is no position."""

    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    tst: Instant
    acc: Annotated[float, msgspec.Meta(ge=0, le=native.MAX_ACCURACY_M)] | None = None
    t: str | None = None


class _Rest(msgspec.Struct, frozen=True):
    """Nonsense in these costs nothing but itself."""

    vel: Annotated[float, msgspec.Meta(ge=_UNKNOWN, le=native.MAX_SPEED_MPS / KMH)] | None = None
    cog: Annotated[float, msgspec.Meta(ge=_UNKNOWN, le=360)] | None = None
    batt: Annotated[float, msgspec.Meta(ge=_UNKNOWN, le=100)] | None = None
    bs: int | None = None


class OwnTracksAdapter:
    """Reads what the OwnTracks apps publish over MQTT."""

    event_filters: tuple[str, ...] = ()
    position_filters: tuple[str, ...] = ("owntracks/+/+", "owntracks/+/+/+")
    urgent_kinds: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._message = msgspec.json.Decoder(_Message)
        self._place = msgspec.json.Decoder(_Place)
        self._rest = msgspec.json.Decoder(_Rest)

    def route(self, topic: str) -> Route | None:
        """See `Adapter.route`; the kind is the last level of a topic below the device's own."""
        match = _TOPIC.fullmatch(topic)
        if match is None:
            return None
        return Route(device_id(match[1], match[2]), match[3] or "")

    def read(self, reading: Reading, kind: str, payload: bytes) -> None:
        """See `Adapter.read`."""
        message = self._message.decode(payload)
        if kind == "cmd" or message.kind in _ORDINARY:
            raise Refused(Code.NOT_A_POSITION, "An ordinary message of the app; not a position.")
        if message.kind == "location":
            self._read_location(reading, payload)
        elif message.kind == "lwt":
            reading.add_status(online=False, time_us=from_epoch_s(message.tst, "tst"))
        elif message.kind == "encrypted":
            raise Refused(
                Code.ENCRYPTED,
                "Encrypted by the app with a key that is not known here. Clear the encryption key "
                "in the app, and protect the connection by TLS.",
            )
        else:
            raise Refused(Code.UNKNOWN_VALUE, "$._type: not one of the known values.")

    def rescue(self, reading: Reading, kind: str, payload: bytes) -> None:
        """Nothing: the app knows no panic."""

    def _read_location(self, reading: Reading, payload: bytes) -> None:
        place = self._place.decode(payload)
        time_us = believable_us(from_epoch_s(place.tst, "tst"), reading.received_us)
        try:
            rest = self._rest.decode(payload)
        except msgspec.ValidationError as error:
            reading.refuse(error)
            rest = _Rest()
        reading.add_fix(
            native.Fix(
                time=to_datetime(time_us),
                lat=place.lat,
                lon=place.lon,
                accuracy_m=place.acc,
                speed_mps=None if rest.vel is None or rest.vel < 0 else rest.vel * KMH,
                course_deg=_known(rest.cog),
                kind="last_known" if place.t in _REPEATED else "gnss",
                battery_pct=_known(rest.batt),
                charging=_CHARGING.get(rest.bs or 0),
            )
        )


def device_id(user: str, device: str) -> str:
    """The id in the caseload of the phone that publishes on ``owntracks/{user}/{device}``.

    `user` and `device` joined by two underscores; in each, whatever is not an ASCII letter, a digit
    or a hyphen is written as an underscore and two hexadecimal digits for each of its bytes. So no
    two topics give one id. The result may be too long, or begin with an underscore: then it is no
    possible id, and the message is refused.
    """
    return _escaped(user) + _SEPARATOR + _escaped(device)


def topic_of(device: str) -> str | None:
    """The topic that gives this id: the one the phone may publish on; None if there is none."""
    user, separator, name = device.partition(_SEPARATOR)
    try:
        topic = f"owntracks/{_unescaped(user)}/{_unescaped(name)}"
    except UnicodeDecodeError:
        return None
    match = _TOPIC.fullmatch(topic) if separator else None
    return topic if match is not None and device_id(match[1], match[2]) == device else None


def _escaped(text: str) -> str:
    return "".join(
        char
        if _PLAIN.fullmatch(char)
        else "".join(f"_{byte:02X}" for byte in char.encode("utf-8", "replace"))
        for char in text
    )


def _unescaped(text: str) -> str:
    raw = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return raw.encode("latin-1").decode()


def _known(value: float | None) -> float | None:
    return None if value is None or value < 0 else value
