"""Who plays which recorded track, and the caseload that makes them matter to each other.

Two by two in file order: the first is a wearer with a tag, the second the person protected from him,
with a handset. One who is left over is a wearer barred from the first protected person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity
from simulators.naming import identifiers
from simulators.recording import Track
from simulators.story import ALERT_M, SINCE

_PREFIX_ROOM = len("protected-")
_LONGEST_INTERVAL_S = 86_400.0  # of `devices.caseload.Device.fix_interval_s`


@dataclass(frozen=True, slots=True)
class Part:
    """What one track is played as.

    Attributes:
        name: Made of the track's name; the end of all ids below.
        handset: A protected person's handset, otherwise a wearer's tag.
    """

    name: str
    handset: bool

    @property
    def device(self) -> str:
        """Device id."""
        return f"{'phone' if self.handset else 'tag'}-{self.name}"

    @property
    def person(self) -> str:
        """Person id."""
        return f"{'protected' if self.handset else 'wearer'}-{self.name}"


def cast(tracks: Sequence[Track]) -> list[Part]:
    """A part for each track."""
    names = identifiers([track.name for track in tracks], room=_PREFIX_ROOM)
    return [Part(name, handset=number % 2 == 1) for number, name in enumerate(names)]


def tracks_caseload(
    tracks: Sequence[Track], *, speed: float = 1.0, alert_m: float = ALERT_M
) -> Caseload:
    """The caseload for playing these tracks at this speed.

    Args:
        tracks: In the order in which `simulators.run.run_tracks` will play them.
        speed: Devices are expected to report so much more often than recorded.
        alert_m: Radius of the alert ring of every order.
    """
    parts = cast(tracks)
    wearers = [part for part in parts if not part.handset]
    protected = [part for part in parts if part.handset]
    return Caseload(
        agencies=(Agency(id="centre", name="Monitoring centre"),),
        people=tuple(_person(part) for part in parts),
        devices=tuple(
            _device(part, track.interval_s / speed)
            for part, track in zip(parts, tracks, strict=True)
        ),
        assignments=tuple(
            Assignment(device=part.device, person=part.person, from_=SINCE) for part in parts
        ),
        orders=tuple(
            _order(wearer, protected[number if number < len(protected) else 0], alert_m)
            for number, wearer in enumerate(wearers)
            if protected
        ),
    )


def _person(part: Part) -> Person:
    role = "protected" if part.handset else "wearer"
    return Person(id=part.person, role=role, name=f"{role.capitalize()} {part.name}")  # type: ignore[arg-type]


def _device(part: Part, interval_s: float) -> Device:
    interval_s = min(interval_s, _LONGEST_INTERVAL_S)
    return Device(
        id=part.device, kind="handset" if part.handset else "tag", fix_interval_s=interval_s
    )


def _order(wearer: Part, protected: Part, alert_m: float) -> Order:
    near = Proximity(id=f"near-{wearer.name}", protected=protected.person, alert_m=alert_m)
    return Order(
        id=f"order-{wearer.name}",
        agency="centre",
        wearer=wearer.person,
        valid_from=SINCE,
        conditions=(near,),
    )
