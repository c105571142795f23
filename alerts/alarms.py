"""Alarms that her handset raises by itself, before the centre: what they say, and whose alert they are.

The handset names its alarm; the alert that it belongs to keeps the name, and she, the centre and the
police speak of one alert. What it belongs to: a panic to the alert of the panic; a beacon, or what the
handset's own engine has found, to the alert of the pair. Where the centre has none, an alarm of the
handset's own engine is an alert by itself, and becomes part of the pair's when that is raised soon after.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from devices.instants import to_iso
from devices.reports import BEACONS, Event

OWN_ALARM = "own_alarm"
"""Event by which a handset says what its own engine has found."""

ALARMS_LIMIT = 20
"""Alarms that one alert keeps, the newest. Of an older one the handset is told nothing more."""

ALARM_ID_CHARS = 64
LINK_US = 300_000_000
"""An alert of the pair that is raised within so long is about the same as the handset's own alarm."""

Cause = Literal["panic", "beacon", "engine"]


class Alarm(msgspec.Struct, frozen=True):
    """One alarm of a handset.

    Attributes:
        id: As the handset names it.
        time: When, by the handset.
        seq: Number of the event that told of it.
        cause: What the handset raised it for.
    """

    id: str
    device: str
    time: str
    seq: int
    cause: Cause


def alarm_of(event: Event) -> Alarm | None:
    """The alarm that an event tells of; None when it tells of none.

    What a handset's own engine has found is an alarm even without a name: the event's number names it.
    """
    name = event.detail.get("alarm")
    named = isinstance(name, str) and 0 < len(name) <= ALARM_ID_CHARS
    if not named and event.type != OWN_ALARM:
        return None
    causes: dict[str, Cause] = {OWN_ALARM: "engine", "panic": "panic", BEACONS[0]: "beacon"}
    cause = causes.get(event.type)
    if cause is None:
        return None
    found = str(name) if named else str(event.seq)
    return Alarm(found, event.device, to_iso(event.time_us), event.seq, cause)
