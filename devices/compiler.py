"""Turns a caseload into what the engine watches at one instant.

Expects a caseload that `devices.rules` finds nothing wrong with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from devices.canonical import canonical, digest
from devices.caseload import (
    DEFAULT_PROFILE,
    Assignment,
    Caseload,
    Condition,
    Exclusion,
    Order,
    Proximity,
)
from devices.instants import from_datetime, to_iso
from devices.outlines import joined, outline_of
from devices.schedule import is_active, next_change_us, time_zone
from devices.watches import Bearer, Compiled, Watch, protectees_of
from geofence.plan import Companions, IntArray, Pairs, Plan, ZoneKind, Zones
from geofence.sensitivity import DEFAULT_SENSITIVITY, Sensitivity

MAX_WATCHES = 1_000_000
"""Watches in one plan, far above what one engine is meant for; guards against a caseload whose
cross product of devices would fill the memory."""

NO_SENSITIVITIES: Mapping[str, Sensitivity] = MappingProxyType({})

MAX_CONTACT_M = 50.0
"""Contact ring where the order names none: two receivers side by side are told apart by less than
this in nearly all cases (95 % of errors of a worn receiver are below 48 m), so a larger ring would
call people in the next street a contact."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A watch and the condition it comes from."""

    watch: Watch
    condition: Condition


@dataclass(frozen=True, slots=True)
class _Present:
    """The caseload as it stands at one instant.

    Attributes:
        orders: In force, by id.
        carrier: Person by device.
        since_us: From when on, by device.
        tags: Tags by wearer, sorted.
        handsets: Handsets by protected person, sorted. Never a wearer's.
        companions: Handsets by the wearer who carries them, sorted.
        sensitivities: By jurisdiction profile.
    """

    orders: list[Order]
    carrier: dict[str, str]
    since_us: dict[str, int]
    tags: dict[str, list[str]]
    handsets: dict[str, list[str]]
    companions: dict[str, list[str]]
    sensitivities: Mapping[str, Sensitivity]

    def sensitivity(self, profile: str) -> Sensitivity:
        """What the watches of an order with this profile go by."""
        default = self.sensitivities.get(DEFAULT_PROFILE, DEFAULT_SENSITIVITY)
        return self.sensitivities.get(profile, default)


def rings_m(condition: Proximity) -> tuple[float, float, float]:
    """Radii of the contact, alert and pre-alert rings in metres, defaults filled in.

    The pre-alert ring defaults to twice the alert ring, as French law has it (Code de procedure
    penale, R. 24-18); the contact ring to half of it, at most `MAX_CONTACT_M`.
    """
    contact_m = condition.contact_m
    if contact_m is None:
        contact_m = min(MAX_CONTACT_M, condition.alert_m / 2)
    pre_alert_m = condition.pre_alert_m
    if pre_alert_m is None:
        pre_alert_m = 2 * condition.alert_m
    return contact_m, condition.alert_m, pre_alert_m


def compile_caseload(
    caseload: Caseload,
    at_us: int,
    version: str = "",
    sensitivities: Mapping[str, Sensitivity] = NO_SENSITIVITIES,
) -> Compiled:
    """What to watch at an instant: assignments and orders then valid, zones by their schedules.

    The same caseload in any order of its items gives the same plan.

    Args:
        caseload: Free of problems by `devices.rules.check`.
        at_us: The instant.
        version: Names the caseload in `Plan.version`; by default a digest of it.
        sensitivities: By jurisdiction profile, what the watches of its orders go by. An order
            whose profile is not there goes by the default profile's.

    Raises:
        ValueError: More than `MAX_WATCHES` watches.
    """
    present = _present(caseload, at_us, sensitivities)
    entries = sorted(_entries(present, at_us), key=lambda entry: entry.watch.key)
    pairs = [entry for entry in entries if entry.watch.handset is not None]
    zones = [entry for entry in entries if entry.watch.handset is None]
    companions = _companions(entries, present)
    tracks = sorted(
        {entry.watch.tag for entry in entries}
        | {entry.watch.handset for entry in entries if entry.watch.handset is not None}
        | {carried for _, carried in companions}
    )
    number = {device: i for i, device in enumerate(tracks)}
    sensitivities_in_use, sensitivity = _sensitivities([*pairs, *zones], present)
    plan = Plan(
        version=f"{version or digest(canonical(caseload))}@{to_iso(at_us)}",
        tracks=tuple(tracks),
        pairs=_pairs(pairs, number),
        zones=_zones(zones, number),
        sensitivities=sensitivities_in_use,
        sensitivity=sensitivity,
        companions=Companions(
            np.array([number[worn] for worn, _ in companions], dtype=np.int64),
            np.array([number[carried] for _, carried in companions], dtype=np.int64),
        ),
    )
    watches = {entry.watch.key: entry.watch for entry in (*pairs, *zones)}
    bearers = _bearers(caseload, present)
    return Compiled(
        plan=plan,
        watches=watches,
        bearers=bearers,
        handsets=present.handsets,
        valid_until_us=_valid_until_us(caseload, present.orders, at_us),
        pairs=_by_devices(pairs),
        protectees=protectees_of(watches, bearers),
    )


def _holds(item: Assignment | Order, at_us: int) -> bool:
    begin_us, end_us = _period(item)
    return begin_us <= at_us and (end_us is None or at_us < end_us)


def _period(item: Assignment | Order) -> tuple[int, int | None]:
    """Begin, and end or None, of an assignment or an order."""
    if isinstance(item, Assignment):
        begin, end = item.from_, item.to
    else:
        begin, end = item.valid_from, item.valid_to
    return from_datetime(begin), None if end is None else from_datetime(end)


def _present(caseload: Caseload, at_us: int, sensitivities: Mapping[str, Sensitivity]) -> _Present:
    role = {person.id: person.role for person in caseload.people}
    kind = {device.id: device.kind for device in caseload.devices}
    in_force = [a for a in caseload.assignments if _holds(a, at_us)]
    carrier = {a.device: a.person for a in in_force}
    tags: dict[str, list[str]] = defaultdict(list)
    handsets: dict[str, list[str]] = defaultdict(list)
    companions: dict[str, list[str]] = defaultdict(list)
    for device, person in sorted(carrier.items()):
        if (kind[device], role[person]) == ("tag", "wearer"):
            tags[person].append(device)
        elif (kind[device], role[person]) == ("handset", "protected"):
            handsets[person].append(device)
        elif (kind[device], role[person]) == ("handset", "wearer"):
            companions[person].append(device)
    orders = sorted(
        (order for order in caseload.orders if _holds(order, at_us)), key=lambda order: order.id
    )
    return _Present(
        orders=orders,
        carrier=carrier,
        since_us={a.device: from_datetime(a.from_) for a in in_force},
        tags=dict(tags),
        handsets=dict(handsets),
        companions=dict(companions),
        sensitivities=sensitivities,
    )


def _entries(present: _Present, at_us: int) -> Iterator[_Entry]:
    count = 0
    for order in present.orders:
        zone = time_zone(order.time_zone)
        for condition in order.conditions:
            if not isinstance(condition, Proximity) and not is_active(
                condition.schedule, zone, at_us
            ):
                continue
            for watch in _watches(order, condition, present):
                count += 1
                if count > MAX_WATCHES:
                    raise ValueError(
                        f"the caseload asks for more than {MAX_WATCHES:,} watches; "
                        "split it over several sites"
                    )
                yield _Entry(watch, condition)


def _watches(order: Order, condition: Condition, present: _Present) -> Iterator[Watch]:
    """One per tag for a zone, one per tag and handset for a proximity condition."""
    protected = condition.protected
    own = tuple(present.handsets.get(protected, ())) if protected is not None else ()
    against = own if isinstance(condition, Proximity) else (None,)
    for tag in present.tags.get(order.wearer, ()):
        for handset in against:
            yield Watch(
                key="/".join(filter(None, (condition.id, tag, handset))),
                condition_id=condition.id,
                condition=_name(condition),
                order_id=order.id,
                agency=order.agency,
                profile=order.profile,
                wearer=order.wearer,
                protected=protected,
                tag=tag,
                handset=handset,
                notify=own,
                name="" if isinstance(condition, Proximity) else condition.name,
                sensitivity=present.sensitivity(order.profile).version,
            )


def _name(condition: Condition) -> Literal["proximity", "exclusion", "inclusion"]:
    if isinstance(condition, Proximity):
        return "proximity"
    return "exclusion" if isinstance(condition, Exclusion) else "inclusion"


def _pairs(entries: list[_Entry], number: dict[str, int]) -> Pairs:
    rings = [rings_m(e.condition) for e in entries if isinstance(e.condition, Proximity)]
    radii = np.array(rings, dtype=np.float64).reshape(len(entries), 3)
    return Pairs(
        keys=tuple(entry.watch.key for entry in entries),
        a=np.array([number[e.watch.tag] for e in entries], dtype=np.int64),
        b=np.array([number[e.watch.handset or ""] for e in entries], dtype=np.int64),
        contact_m=radii[:, 0].copy(),
        alert_m=radii[:, 1].copy(),
        pre_alert_m=radii[:, 2].copy(),
    )


def _zones(entries: list[_Entry], number: dict[str, int]) -> Zones:
    conditions = [e.condition for e in entries if not isinstance(e.condition, Proximity)]
    # A wearer with two tags has the same zone twice.
    read = {condition.id: outline_of(condition) for condition in conditions}
    return joined(
        [read[condition.id] for condition in conditions],
        keys=tuple(entry.watch.key for entry in entries),
        track=np.array([number[entry.watch.tag] for entry in entries], dtype=np.int64),
        kind=np.array([_kind(condition) for condition in conditions], dtype=np.int64),
        buffer_m=np.array([condition.buffer_m for condition in conditions], dtype=np.float64),
    )


def _sensitivities(
    entries: list[_Entry], present: _Present
) -> tuple[tuple[Sensitivity, ...], IntArray]:
    """The sets of parameters that are in use, and which of them each watch goes by."""
    profiles = [entry.watch.profile for entry in entries]
    in_use = {profile: present.sensitivity(profile) for profile in sorted(set(profiles))}
    sets = tuple(dict.fromkeys(in_use.values())) or (present.sensitivity(DEFAULT_PROFILE),)
    index = [sets.index(in_use[profile]) for profile in profiles]
    return sets, np.array(index, dtype=np.int64)


def _companions(entries: list[_Entry], present: _Present) -> list[tuple[str, str]]:
    """A wearer's tags that are watched, each with the handsets that he carries himself."""
    worn = sorted({(entry.watch.tag, entry.watch.wearer) for entry in entries})
    return [(tag, own) for tag, wearer in worn for own in present.companions.get(wearer, ())]


def _by_devices(pairs: list[_Entry]) -> dict[tuple[str, str], tuple[str, ...]]:
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    for watch in (entry.watch for entry in pairs):
        devices = watch.tag, watch.handset or ""
        keys[devices] = (*keys.get(devices, ()), watch.key)
    return keys


def _kind(condition: Condition) -> ZoneKind:
    return ZoneKind.EXCLUSION if isinstance(condition, Exclusion) else ZoneKind.INCLUSION


def _bearers(caseload: Caseload, present: _Present) -> dict[str, Bearer]:
    role = {person.id: person.role for person in caseload.people}
    language = {person.id: person.language for person in caseload.people}
    concerned: dict[str, list[Order]] = defaultdict(list)
    protected_from: dict[str, set[str]] = defaultdict(set)
    for order in present.orders:
        protected = {c.protected for c in order.conditions if c.protected is not None}
        protected_from[order.wearer] |= protected
        for person in {order.wearer} | protected:
            concerned[person].append(order)
    bearers = {}
    for device in caseload.devices:
        carrier = present.carrier.get(device.id)
        orders = [] if carrier is None else concerned.get(carrier, [])
        to_tell = set() if carrier is None else {carrier} | protected_from.get(carrier, set())
        notify = {handset for one in to_tell for handset in present.handsets.get(one, ())}
        bearers[device.id] = Bearer(
            device=device.id,
            kind=device.kind,
            person=carrier,
            role=None if carrier is None else role[carrier],
            fix_interval_s=device.fix_interval_s,
            agencies=tuple(sorted({order.agency for order in orders})),
            # Several orders may name different profiles: the first by id, so that it is stable.
            profile=orders[0].profile if orders else DEFAULT_PROFILE,
            notify=tuple(sorted(notify)),
            since_us=present.since_us.get(device.id, 0),
            language="en" if carrier is None else language[carrier],
        )
    return bearers


def bearer_at(caseload: Caseload, device: str, at_us: int, now_us: int) -> Bearer | None:
    """Who carried a device at an instant of the past, under the orders of then.

    Those to be told are told by the handsets they have now: hers of then may be another's today.
    None for a device that is in no caseload.
    """
    then = _present(caseload, at_us, NO_SENSITIVITIES)
    now = _present(caseload, now_us, NO_SENSITIVITIES)
    return _bearers(caseload, replace(then, handsets=now.handsets)).get(device)


def _valid_until_us(caseload: Caseload, orders: list[Order], at_us: int) -> int | None:
    """The next begin or end of an assignment, an order, or a schedule of an order in force."""
    items: list[Assignment | Order] = [*caseload.assignments, *caseload.orders]
    instants = [instant_us for item in items for instant_us in _period(item)]
    for order in orders:
        zone = time_zone(order.time_zone)
        instants.extend(
            next_change_us(condition.schedule, zone, at_us)
            for condition in order.conditions
            if not isinstance(condition, Proximity)
        )
    return min((i for i in instants if i is not None and i > at_us), default=None)
