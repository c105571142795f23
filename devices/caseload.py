"""The caseload: who is protected from whom, by which devices, under which order.

One schema for the file, the API and the database. `devices.loader` reads it, `devices.rules`
checks what a schema cannot say (references, overlaps), `devices.store` keeps it in PostgreSQL and
`devices.compiler` turns it into what the engine watches.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Identifiers may stand in an MQTT topic and a subject: letters, digits, - and _; at most 64."""

Text = Annotated[str, msgspec.Meta(max_length=200)]
Radius = Annotated[float, msgspec.Meta(gt=0, le=50_000)]
Aware = Annotated[datetime, msgspec.Meta(tz=True)]
LocalTime = Annotated[str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$")]


DEFAULT_PROFILE = "default"
"""The jurisdiction profile of an order that names none, or one that is not there."""


class Agency(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A monitoring centre or police force; alert changes are published per agency."""

    id: Id
    name: Text


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Someone in the caseload. `name` is what staff see; use an alias where policy asks for it."""

    id: Id
    role: Literal["wearer", "protected"]
    name: Text = ""
    language: Annotated[str, msgspec.Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"


class Device(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A tag, a handset or a home unit. `fix_interval_s`: how often it is expected to report."""

    id: Id
    kind: Literal["tag", "handset", "home_unit"]
    model: Text = ""
    fix_interval_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 60.0


class Assignment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who carries a device, and when. Periods of one device must not overlap; `to` is excluded."""

    device: Id
    person: Id
    from_: Aware = msgspec.field(name="from")
    to: Aware | None = None


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A weekly window in the order's local time. With `to` at or before `from` it ends next day."""

    days: Annotated[
        tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...],
        msgspec.Meta(min_length=1, max_length=7),
    ]
    from_: LocalTime = msgspec.field(name="from")
    to: LocalTime


class Circle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A round zone: WGS84 centre in degrees, radius in metres."""

    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    radius_m: Radius


class Corridor(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A way through an exclusion zone that is allowed: a GeoJSON line and its width in metres."""

    geometry: dict[str, Any]
    width_m: Radius


class Proximity(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="type",
    tag="proximity",
):
    """Keep away from a person. Rings around her, in metres; `pre_alert_m` defaults to twice."""

    id: Id
    protected: Id
    alert_m: Radius
    pre_alert_m: Radius | None = None
    contact_m: Radius | None = None


class _Zone(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: Id
    name: Text = ""
    geometry: dict[str, Any] | None = None
    circle: Circle | None = None
    buffer_m: Annotated[float, msgspec.Meta(ge=0, le=50_000)] = 0.0
    schedule: tuple[Window, ...] = ()
    corridors: tuple[Corridor, ...] = ()
    protected: Id | None = None


class Exclusion(
    _Zone, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="exclusion"
):
    """Stay out of a place: GeoJSON Polygon or MultiPolygon, or a circle. No schedule = always."""


class Inclusion(
    _Zone, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type", tag="inclusion"
):
    """Stay inside a place, for example at home at night (a curfew)."""


Condition = Proximity | Exclusion | Inclusion


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A court order: whom it binds, from when to when, and what it demands."""

    id: Id
    agency: Id
    wearer: Id
    valid_from: Aware
    valid_to: Aware | None = None
    time_zone: Text = "UTC"
    profile: Id = DEFAULT_PROFILE
    conditions: tuple[Condition, ...]


class Caseload(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a site watches over."""

    agencies: tuple[Agency, ...] = ()
    people: tuple[Person, ...] = ()
    devices: tuple[Device, ...] = ()
    assignments: tuple[Assignment, ...] = ()
    orders: tuple[Order, ...] = ()
