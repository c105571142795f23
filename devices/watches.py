"""What a compiled plan means: the people and orders behind the engine's indices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from devices.caseload import DEFAULT_PROFILE
from geofence.plan import Plan

DeviceKind = Literal["tag", "handset", "home_unit"]


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """One watch of the plan, in the terms of the caseload.

    Attributes:
        key: As in `Plan.watch_keys`: ``condition/tag/handset`` or ``condition/tag``.
        condition: Kind of condition.
        tag: The wearer's device.
        handset: The protected person's device that is compared with; None for a zone.
        notify: Handsets of the protected person concerned. Never a wearer's device.
        name: What staff call the condition; empty if it has no name.
        sensitivity: Version of the parameters it goes by (`geofence.sensitivity`).
    """

    key: str
    condition_id: str
    condition: Literal["proximity", "exclusion", "inclusion"]
    order_id: str
    agency: str
    profile: str
    wearer: str
    protected: str | None
    tag: str
    handset: str | None
    notify: tuple[str, ...]
    name: str = ""
    sensitivity: str = ""

    def decided_by(self, rules: str) -> str:
        """Version of the rules that decide on it: the engine's, and of its own parameters."""
        return f"{rules}/{self.sensitivity}" if self.sensitivity else rules


class Bearer(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it is assigned now, or was at an instant.

    Attributes:
        since_us: From when on this person carries it; 0 when nobody does.
        agencies: Agencies of all orders that concern the person.
        notify: For a wearer's device, the handsets of those protected from him; for a protected
            person's device, her own handsets. Never a wearer's device.
        language: Of the person, for what the device shows.
    """

    device: str
    kind: DeviceKind
    person: str | None
    role: Literal["wearer", "protected"] | None
    fix_interval_s: float
    agencies: tuple[str, ...] = ()
    profile: str = DEFAULT_PROFILE
    notify: tuple[str, ...] = ()
    since_us: int = 0
    language: str = "en"

    @property
    def own_handsets(self) -> tuple[str, ...]:
        """Whom trouble with the device is told to: the handsets of a protected person herself."""
        return self.notify if self.role == "protected" else ()


@dataclass(frozen=True, slots=True)
class Protectee:
    """A protected person whom an order concerns.

    Attributes:
        handsets: That she carries.
        tags: Of those she is protected from.
    """

    handsets: tuple[Bearer, ...]
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Compiled:
    """A caseload compiled for one instant.

    Attributes:
        plan: For the engine.
        watches: By watch key; the same keys as `plan.watch_keys`.
        bearers: By device id; every device of the caseload.
        handsets: By protected person those that she carries, sorted. Never a wearer's.
        pairs: Keys of the watches that compare a tag and a handset, by both.
        protectees: By id of the person, sorted.
        valid_until_us: When an assignment, an order or a schedule next begins or ends: compile
            again then. None when nothing will.
    """

    plan: Plan
    watches: Mapping[str, Watch]
    bearers: Mapping[str, Bearer]
    handsets: Mapping[str, Sequence[str]]
    valid_until_us: int | None
    pairs: Mapping[tuple[str, str], tuple[str, ...]]
    protectees: Mapping[str, Protectee]

    def pairs_of(self, device: str, other: str) -> tuple[str, ...]:
        """Keys of the watches that compare these two devices, in whichever order."""
        return self.pairs.get((device, other)) or self.pairs.get((other, device), ())


def protectees_of(
    watches: Mapping[str, Watch], bearers: Mapping[str, Bearer]
) -> dict[str, Protectee]:
    """See `Compiled.protectees`."""
    handsets: dict[str, list[Bearer]] = defaultdict(list)
    for bearer in bearers.values():
        if bearer.role == "protected" and bearer.person is not None and bearer.agencies:
            own = handsets[bearer.person]
            if bearer.kind == "handset":
                own.append(bearer)
    tags: dict[str, set[str]] = defaultdict(set)
    for watch in watches.values():
        if watch.protected is not None:
            tags[watch.protected].add(watch.tag)
    return {
        person: Protectee(tuple(handsets.get(person, ())), frozenset(tags.get(person, ())))
        for person in sorted(handsets.keys() | tags.keys())
    }
