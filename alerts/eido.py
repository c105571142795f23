"""An alert as NENA's Emergency Incident Data Object (EIDO, NENA-STA-021.1), for dispatch systems.

Written after the published standard and its schema (github.com/NENA911/EIDO-JSON); docs/eido.md has
the table of what becomes what. An object says how the incident stands now. Every object of one alert
has the same id, and so has every component: a receiver that knows it replaces what it knew.
"""

from __future__ import annotations

import uuid
from html import escape
from typing import Any

import msgspec

from alerts.incidents import Draft
from alerts.pidf import Place, pidf_lo
from devices.instants import from_iso, to_iso

VERSION = "1.0"
MEDIA_TYPE = "application/json"

_TYPES = {"panic": "ALRPANS", "device": "ALRU"}
_VIOLATION = "ORDERV"
"""Of the registry EIDO-IncidentType-Common: order violation, for all that an order forbids."""

_TYPE_TEXTS = {
    "proximity": "Protective order: wearer near the protected person",
    "exclusion": "Protective order: wearer at or in a forbidden zone",
    "inclusion": "Protective order: wearer out of his zone",
    "tamper": "Protective order: tag tampered with",
    "panic": "Protected person or wearer asks for help",
    "device": "Protective order: trouble with a device",
}
_STATUS = {
    "new": "Active",
    "acknowledged": "Active",
    "dispatched": "ResourcesAssigned",
    "closed": "Closed",
    "cancelled": "Cancelled",
}
_PRIORITY = {1: 10, 2: 7, 3: 4, 4: 1}
"""The common priority goes from 0 to 10, the highest; tiers from 1, the gravest, to 4."""


class Reference(msgspec.Struct, frozen=True):
    """Names a component."""

    ref: str = msgspec.field(name="$ref")


class Component(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """What every component begins with."""

    id: str = msgspec.field(name="$id")
    last_update_time_stamp: str
    updated_by_agency_reference: Reference


class Agency(Component, frozen=True, kw_only=True):
    """Whose alert it is."""

    agency_role_description_registry_text: tuple[str, ...]
    agency_type: tuple[str, ...]
    incident_owning_agency_indicator: bool


class Incident(Component, frozen=True, kw_only=True):
    """What it is about, and how it stands."""

    incident_type_common_registry_text: str
    incident_type_internal_code: str
    incident_type_internal_text: str
    incident_status_common_registry_text: tuple[str, ...]
    incident_status_internal_text: tuple[str, ...]
    internal_incident_id: str
    incident_common_priority_number: int
    incident_priority_internal_text: str
    location_reference: tuple[Reference, ...] = ()
    person_reference: tuple[Reference, ...] = ()
    notes_reference: tuple[Reference, ...] = ()


class Location(Component, frozen=True, kw_only=True):
    """Where the one is whom it is about."""

    location_type_description_registry_text: str
    location_by_value: str
    location_description_text: str


class Person(Component, frozen=True, kw_only=True):
    """Somebody it is about, without a name."""

    person_incident_role_registry_text: tuple[str, ...]
    location_reference: tuple[Reference, ...] = ()


class Note(Component, frozen=True, kw_only=True):
    """What stands in words, as HTML."""

    notes_action_comments: str


class Eido(Component, frozen=True, kw_only=True):
    """The object."""

    eido_version: str
    issuing_element_identification: str
    incident_component: Incident
    agency_component: tuple[Agency, ...]
    location_component: tuple[Location, ...] = ()
    person_component: tuple[Person, ...] = ()
    notes_component: tuple[Note, ...] = ()


def incident_id(alert_id: str, element: str) -> str:
    """The incident tracking identifier of an alert."""
    return f"urn:emergency:uid:incidentid:{uuid.UUID(alert_id).hex}:{element}"


def eido_of(draft: Draft, place: Place | None, element: str) -> Eido:
    """The object for an alert.

    Args:
        draft: What may be told.
        place: Where the device in `draft.device` is; None where it is not known or not to be told.
        element: Domain name of this service, as dispatch systems know it.
    """
    agency = f"{draft.agency}.{element}" if draft.agency else element
    stamp = to_iso(from_iso(draft.time)).removesuffix("Z") + "+00:00"
    unique = uuid.UUID(draft.alert_id).hex

    def component(name: str) -> str:
        return f"urn:emergency:uid:eidodatacomponent:{name}{unique}:{agency}"

    common: dict[str, Any] = {
        "last_update_time_stamp": stamp,
        "updated_by_agency_reference": Reference(agency),
    }
    where: tuple[Location, ...] = ()
    if place is not None:
        where = (_location(draft, place, element, component("location"), common),)
    at = tuple(Reference(one.id) for one in where)
    people = tuple(
        Person(
            id=component(role.lower()),
            person_incident_role_registry_text=(role,),
            location_reference=at if draft.whose == whose else (),
            **common,
        )
        for role, whose, person in (
            ("PersonOfInterest", "wearer", draft.wearer),
            ("Victim", "protected", draft.protected),
        )
        if person
    )
    note = Note(id=component("note"), notes_action_comments=_note(draft, place), **common)
    incident = Incident(
        id=component("incident"),
        incident_type_common_registry_text=_TYPES.get(draft.condition, _VIOLATION),
        incident_type_internal_code=f"{draft.condition}/{draft.level}",
        incident_type_internal_text=_TYPE_TEXTS[draft.condition],
        incident_status_common_registry_text=(_STATUS[draft.status],),
        incident_status_internal_text=(draft.status, draft.state),
        internal_incident_id=draft.alert_id,
        incident_common_priority_number=_PRIORITY[draft.tier],
        incident_priority_internal_text=f"tier {draft.tier}",
        location_reference=at,
        person_reference=tuple(Reference(one.id) for one in people),
        notes_reference=(Reference(note.id),),
        **common,
    )
    return Eido(
        id=incident_id(draft.alert_id, element),
        eido_version=VERSION,
        issuing_element_identification=element,
        incident_component=incident,
        agency_component=(_agency(agency, common),),
        location_component=where,
        person_component=people,
        notes_component=(note,),
        **common,
    )


def _location(
    draft: Draft, place: Place, element: str, name: str, common: dict[str, Any]
) -> Location:
    whom = "the wearer" if draft.whose == "wearer" else "the person who asks for help"
    device = f"d{uuid.UUID(draft.alert_id).hex}"  # not the device's own id: it says nothing there
    return Location(
        id=name,
        location_type_description_registry_text="CurrentIncident",
        location_by_value=pidf_lo(place, f"pres:{device}@{element}", device),
        location_description_text=f"Last position of {whom}, of {to_iso(place.fix_us)}.",
        **common,
    )


def _agency(name: str, common: dict[str, Any]) -> Agency:
    return Agency(
        id=name,
        agency_role_description_registry_text=("Assisting",),
        agency_type=("psap",),
        incident_owning_agency_indicator=True,
        **common,
    )


def _note(draft: Draft, place: Place | None) -> str:
    people = [
        f"{role} {person}"
        for role, person in (("wearer", draft.wearer), ("protected person", draft.protected))
        if person
    ]
    lines = [
        draft.words,
        f"{_TYPE_TEXTS[draft.condition]}. Level: {draft.level}. Since: {draft.onset}.",
        f"In the monitoring centre's records: {', '.join(people)}." if people else "",
        "" if place is not None else "No position is given here: ask the monitoring centre.",
        "The signal has ended." if draft.state == "returned" else "",
    ]
    return "".join(f"<p>{escape(line)}</p>" for line in lines if line)
