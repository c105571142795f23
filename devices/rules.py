"""What a caseload must satisfy beyond its schema, so that the engine can watch all of it.

Everything is checked, nothing stops at the first problem. The rules look at the whole caseload:
for a file that is loaded on top of another, check the merged result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from devices import geometry
from devices.caseload import Caseload, Corridor, Exclusion, Inclusion, Order, Person, Proximity
from devices.compiler import rings_m
from devices.outlines import corridor_problems, outline_of, size_problem
from devices.problems import Problem
from devices.schedule import TimeZoneError, time_zone

FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_INSTANT = datetime(2200, 1, 1, tzinfo=UTC)
"""Periods begin and end between these; anything else is a slip of the keyboard."""

MIN_ALERT_M = geometry.MIN_RADIUS_M
"""Smallest alert ring, for the same reason as the smallest zone."""

MIN_WIDTH_M = 2 * geometry.MIN_RADIUS_M
"""Narrowest corridor, for the same reason."""

MAX_CORRIDORS = 50
"""Ways through one zone; each is measured with every fix."""

_ROLE_OF_KIND = {"tag": ("wearer",), "handset": ("protected",)}


@dataclass(frozen=True, slots=True)
class _Index:
    """What a reference may point to."""

    agencies: frozenset[str]
    people: dict[str, Person]
    kinds: dict[str, str]


def check(caseload: Caseload) -> list[Problem]:
    """Every problem of a caseload, in the order of the file's sections; none when it is usable."""
    index = _Index(
        frozenset(agency.id for agency in caseload.agencies),
        {person.id: person for person in caseload.people},
        {device.id: device.kind for device in caseload.devices},
    )
    found = [
        *_duplicates(caseload),
        *_texts(caseload),
        *_assignments(caseload, index),
        *_overlaps(caseload),
    ]
    for number, order in enumerate(caseload.orders):
        found += _order(order, f"orders[{number}]", index)
    return [Problem(None, field, message) for field, message in found]


Found = Iterator[tuple[str, str]]
"""Field path and message."""


def _duplicates(caseload: Caseload) -> Found:
    for section in ("agencies", "people", "devices", "orders"):
        items = getattr(caseload, section)
        yield from _repeated((f"{section}[{i}].id", item.id) for i, item in enumerate(items))
    yield from _repeated(
        (f"orders[{i}].conditions[{j}].id", condition.id)
        for i, order in enumerate(caseload.orders)
        for j, condition in enumerate(order.conditions)
    )


def _repeated(ids: Iterable[tuple[str, str]]) -> Found:
    first: dict[str, str] = {}
    for field, name in ids:
        if name in first:
            yield field, f"{name!r} is already the id of {first[name]}; choose another"
        first.setdefault(name, field.removesuffix(".id"))


def _texts(caseload: Caseload) -> Found:
    texts = [
        *((f"agencies[{i}].name", agency.name) for i, agency in enumerate(caseload.agencies)),
        *((f"people[{i}].name", person.name) for i, person in enumerate(caseload.people)),
        *((f"devices[{i}].model", device.model) for i, device in enumerate(caseload.devices)),
        *(
            (f"orders[{i}].conditions[{j}].name", condition.name)
            for i, order in enumerate(caseload.orders)
            for j, condition in enumerate(order.conditions)
            if not isinstance(condition, Proximity)
        ),
    ]
    for field, text in texts:
        if any(ord(letter) < 32 or 0x7F <= ord(letter) < 0xA0 for letter in text):
            yield field, "contains control characters; remove them"
        elif any(0xD800 <= ord(letter) < 0xE000 for letter in text):
            yield field, "contains half of a character (a lone surrogate); type it again"


def _assignments(caseload: Caseload, index: _Index) -> Found:
    for number, assignment in enumerate(caseload.assignments):
        field = f"assignments[{number}]"
        kind = index.kinds.get(assignment.device)
        person = index.people.get(assignment.person)
        if kind is None:
            yield f"{field}.device", _unknown(assignment.device, "devices")
        if person is None:
            yield f"{field}.person", _unknown(assignment.person, "people")
        yield from _period(field, ("from", assignment.from_), ("to", assignment.to))
        if kind is None or person is None:
            continue
        roles = _ROLE_OF_KIND.get(kind, (person.role,))
        if person.role not in roles:
            yield (
                f"{field}.person",
                (
                    f"{person.id!r} has the role {person.role}, but a {kind} is for someone whose role "
                    f"is {roles[0]}; correct the device, the person or the role"
                ),
            )


def _overlaps(caseload: Caseload) -> Found:
    by_device = defaultdict(list)
    for number, assignment in enumerate(caseload.assignments):
        by_device[assignment.device].append((assignment.from_, number, assignment))
    for periods in by_device.values():
        periods.sort(key=lambda period: period[:2])
        last = periods[0]
        for period in periods[1:]:
            if last[2].to is None or period[0] < last[2].to:
                yield (
                    f"assignments[{period[1]}].from",
                    (
                        f"{period[2].device!r} is still assigned by assignments[{last[1]}] then; "
                        "end that one first (its `to` is excluded) or begin this one later"
                    ),
                )
            if last[2].to is not None and (period[2].to is None or period[2].to > last[2].to):
                last = period


def _order(order: Order, field: str, index: _Index) -> Found:
    if order.agency not in index.agencies:
        yield f"{field}.agency", _unknown(order.agency, "agencies")
    yield from _role(f"{field}.wearer", order.wearer, "wearer", index)
    yield from _period(field, ("valid_from", order.valid_from), ("valid_to", order.valid_to))
    try:
        time_zone(order.time_zone)
    except TimeZoneError as error:
        yield f"{field}.time_zone", str(error)
    if not order.conditions:
        yield f"{field}.conditions", "has none, so nothing would be watched; add one"
    for number, condition in enumerate(order.conditions):
        path = f"{field}.conditions[{number}]"
        if isinstance(condition, Proximity):
            yield from _role(f"{path}.protected", condition.protected, "protected", index)
            yield from _rings(condition, path)
        else:
            if condition.protected is not None:
                yield from _role(f"{path}.protected", condition.protected, "protected", index)
            yield from _zone(condition, path)


def _role(field: str, name: str, role: str, index: _Index) -> Found:
    person = index.people.get(name)
    if person is None:
        yield field, _unknown(name, "people")
    elif person.role != role:
        yield field, f"{name!r} has the role {person.role}; name a person whose role is {role}"


def _period(field: str, start: tuple[str, datetime], end: tuple[str, datetime | None]) -> Found:
    for name, moment in (start, end):
        if moment is not None and not FIRST_INSTANT <= moment <= LAST_INSTANT:
            years = f"{FIRST_INSTANT.year} to {LAST_INSTANT.year}"
            yield f"{field}.{name}", f"is outside the years {years}; correct the date"
    if end[1] is not None and end[1] <= start[1]:
        yield f"{field}.{end[0]}", f"is not after `{start[0]}`; correct one of them"


def _rings(condition: Proximity, field: str) -> Found:
    contact_m, alert_m, pre_alert_m = rings_m(condition)
    if alert_m < MIN_ALERT_M:
        yield (
            f"{field}.alert_m",
            f"is below {MIN_ALERT_M:.0f} m, less than fixes are off by; make it larger",
        )
    if contact_m >= alert_m:
        yield f"{field}.contact_m", f"must be below alert_m ({alert_m:g}); make it smaller"
    if pre_alert_m <= alert_m:
        yield f"{field}.pre_alert_m", f"must be above alert_m ({alert_m:g}); make it larger"


def _zone(zone: Exclusion | Inclusion, field: str) -> Found:
    found = list(_shape(zone, field))
    yield from found
    for number, window in enumerate(zone.schedule):
        if window.from_ == "24:00":
            yield f"{field}.schedule[{number}].from", "24:00 ends a day; write 00:00 of the next"
    if isinstance(zone, Inclusion) and zone.corridors:
        advice = "widen the geometry of this one instead"
        yield f"{field}.corridors", f"lead through exclusion zones only; {advice}"
    elif len(zone.corridors) > MAX_CORRIDORS:
        advice = f"at most {MAX_CORRIDORS} are allowed; join some"
        yield f"{field}.corridors", f"{len(zone.corridors)} of them; {advice}"
    else:
        yield from _corridors(zone, f"{field}.corridors", measure=not found)


def _shape(zone: Exclusion | Inclusion, field: str) -> Found:
    if zone.geometry is not None and zone.circle is not None:
        yield field, "has both geometry and circle; keep one"
    elif zone.geometry is None and zone.circle is None:
        yield field, "has neither geometry nor circle; add one"
    elif zone.circle is not None:
        if zone.circle.radius_m < geometry.MIN_RADIUS_M:
            advice = "less than fixes are off by; make it larger"
            yield f"{field}.circle.radius_m", f"is below {geometry.MIN_RADIUS_M:.0f} m, {advice}"
    elif zone.geometry is not None:
        yield from _geometry(zone.geometry, f"{field}.geometry")


def _geometry(value: dict[str, object], field: str) -> Found:
    try:
        area = geometry.read_zone(value)
    except geometry.GeometryError as error:
        yield f"{field}.{error.field}", str(error)
        return
    problem = size_problem(area)
    if problem is not None:
        yield field, problem


def _corridors(zone: Exclusion | Inclusion, field: str, *, measure: bool) -> Found:
    """`measure`: the zone itself is sound, so that they can be laid beside it."""
    for number, corridor in enumerate(zone.corridors):
        for name, message in _corridor(corridor):
            measure = False
            yield f"{field}[{number}].{name}", message
    if measure and zone.corridors:
        for which, message in corridor_problems(outline_of(zone)):
            yield field if which is None else f"{field}[{which}].geometry", message


def _corridor(corridor: Corridor) -> Found:
    if corridor.width_m < MIN_WIDTH_M:
        advice = "less than fixes are off by, so nobody could keep to it; make it wider"
        yield "width_m", f"is below {MIN_WIDTH_M:.0f} m, {advice}"
    try:
        geometry.read_line(corridor.geometry)
    except geometry.GeometryError as error:
        yield f"geometry.{error.field}", str(error)


def _unknown(name: str, section: str) -> str:
    return f"{name!r} is not in `{section}`; add it there or correct the reference"
