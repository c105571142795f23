"""Incidents for dispatch systems: a golden object, updates under one id, and what is never told."""

from __future__ import annotations

import asyncio
import base64
import json
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.eido import EidoChannel
from alerts.channels.webhook import decode_secret, signature
from alerts.contacts import Contact, Contacts, parse_contacts
from alerts.deliveries import DeliveryRecord, delivery_id
from alerts.dispatcher import Dispatcher, DispatchLimits
from alerts.eido import eido_of, incident_id
from alerts.errors import ContactsError
from alerts.incidents import UPDATES, Draft, incident_of, takes_incidents
from alerts.model import Alert, AlertChange, Ask
from alerts.outbox import Outbox
from alerts.pidf import Place, pidf_lo
from alerts.profile import Words
from alerts.steps import Acknowledge, Dispatch, Resolve, Step
from geofence.levels import Level
from tests.alerts.builders import (
    BEARERS,
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    TAG,
    WATCH,
    ZONE,
    desk,
    event,
    transition,
)
from tests.alerts.receivers import http_receiver
from tests.alerts.test_contact_channels import until

ELEMENT = "cordon.centre.example"
GOLDEN = Path(__file__).parent / "eido_golden.json"
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
CAD = Contact(name="Dispatch", role="police", webhook="https://cad.example/hook", format="eido")
HIS_PLACE = Place(54.0021, 4.0021, 12.0, START_US - 5 * SECOND_US)
WORDS = Words(title="An alert waits", text="Nobody <has> acknowledged it.")


def raised(level: Level = Level.ALERT, watch: Any = WATCH) -> AlertChange:
    change = transition(1, level, watch=watch.key)
    [told] = desk().on_transition(change, watch, now_us=START_US)
    return told


def draft_of(change: AlertChange, words: Words | None = None) -> Draft:
    delivery = incident_of(change, CAD, words)
    return msgspec.json.decode(delivery.payload, type=Draft)


def document(change: AlertChange, place: Place | None = HIS_PLACE) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(
        msgspec.json.encode(eido_of(draft_of(change, WORDS), place, ELEMENT))
    )
    return made


def test_the_golden_object() -> None:
    assert document(raised()) == json.loads(GOLDEN.read_text())


def required_by_the_standard(made: dict[str, Any]) -> None:
    """What NENA-STA-021.1 requires of the object and of each component that we use."""
    assert made["eidoVersion"] == "1.0"
    assert made["issuingElementIdentification"]
    names = ("location", "person", "notes", "agency")
    components = [one for name in names for one in made.get(f"{name}Component", [])]
    known = {one["$id"] for one in components}
    for one in (made, made["incidentComponent"], *components):
        assert {"$id", "lastUpdateTimeStamp", "updatedByAgencyReference"} <= one.keys()
        assert one["updatedByAgencyReference"]["$ref"] in known
    incident = made["incidentComponent"]
    assert incident["incidentTypeCommonRegistryText"] in {"ORDERV", "ALRPANS", "ALRU"}
    for field in ("locationReference", "personReference", "notesReference"):
        assert {one["$ref"] for one in incident.get(field, [])} <= known
    for one in made.get("locationComponent", []):
        assert one["locationTypeDescriptionRegistryText"] == "CurrentIncident"
        ET.fromstring(one["locationByValue"])
    assert all(one["agencyRoleDescriptionRegistryText"] for one in made["agencyComponent"])
    assert all(one["personIncidentRoleRegistryText"] for one in made["personComponent"])


@pytest.mark.parametrize("place", [HIS_PLACE, HIS_PLACE._replace(accuracy_m=None), None])
@pytest.mark.parametrize("watch", [WATCH, ZONE])
def test_each_object_has_what_the_standard_requires(watch: Any, place: Place | None) -> None:
    made = document(raised(watch=watch), place)
    required_by_the_standard(made)
    assert ("locationComponent" in made) == (place is not None)


def test_the_circle_holds_the_truth_with_95_percent_and_unknown_is_no_circle() -> None:
    root = ET.fromstring(pidf_lo(HIS_PLACE, "pres:x@y", "d1"))
    space = {"gs": "http://www.opengis.net/pidflo/1.0", "gml": "http://www.opengis.net/gml"}
    con = "{urn:ietf:params:xml:ns:geopriv:conf}confidence"
    assert root.findtext(".//gml:pos", namespaces=space) == "54.002100 4.002100"
    radius_m = float(root.findtext(".//gs:radius", namespaces=space) or "nan")
    # 68 % of a Rayleigh distribution lie within 12 m; 95 % within
    sigma_m = 12 / (-2 * 0.5 * 2.2788685 * -1) ** 0.5
    assert radius_m == pytest.approx(sigma_m * 2.4477468, abs=0.1)
    assert root.findtext(f".//{con}") == "95"
    unknown = ET.fromstring(pidf_lo(HIS_PLACE._replace(accuracy_m=None), "pres:x@y", "d1"))
    assert unknown.findtext(f".//{con}") == "unknown"
    assert unknown.find(".//gs:Circle", space) is None


def test_hers_is_told_when_she_asks_for_help_and_never_for_an_alert_about_him() -> None:
    machine = desk()
    [panic] = machine.on_event(event("panic", 1), PHONE, now_us=START_US)
    assert (draft_of(panic).whose, draft_of(panic).device) == ("protected", "phone1")
    [battery] = machine.on_event(event("battery_low", 2), PHONE, now_us=START_US)
    assert (draft_of(battery).whose, draft_of(battery).device) == ("", "")
    for change in (
        raised(),
        raised(watch=ZONE),
        *machine.on_event(event("strap_cut", 3, device="tag1"), TAG, now_us=START_US),
    ):
        assert (draft_of(change).whose, draft_of(change).device) == ("wearer", "tag1")


@given(st.sampled_from([Level.PRE_ALERT, Level.ALERT, Level.CONTACT, Level.UNKNOWN]), st.booleans())
def test_no_distance_and_nothing_of_her_is_told_but_that_she_is(level: Level, zone: bool) -> None:  # noqa: FBT001
    change = raised(level, ZONE if zone else WATCH)
    text = json.dumps(document(change))
    assert change.data.distance_m == 321.5
    for secret in ("321.5", "300.25", "343", "phone1", "keep-away", "order1"):
        assert secret not in text


def test_the_words_cannot_become_markup() -> None:
    [note] = document(raised())["notesComponent"]
    assert "Nobody &lt;has&gt; acknowledged it." in note["notesActionComments"]


def life() -> list[AlertChange]:
    """An alert that is escalated, acknowledged, dispatched, and closed."""
    machine = desk()
    [first] = machine.on_transition(transition(1, Level.CONTACT), WATCH, now_us=START_US)
    ask = Ask("unacknowledged/1", first.time, "police", "Dispatch", "webhook")
    asked = msgspec.structs.replace(first.data, contacts_asked=("Dispatch",))
    escalated = msgspec.structs.replace(
        first, id="x/e", type="cordon.alert.escalated", data=asked, asked=(ask,)
    )
    changes = [first, escalated]
    steps: tuple[Step, ...] = (
        Acknowledge(),
        Dispatch(to="unit 7"),
        Resolve(outcome="breach", note="arrested"),
    )
    for number, step in enumerate(steps, 1):
        at_us = START_US + number * 60 * SECOND_US
        if isinstance(step, Resolve):
            clear = transition(2, Level.CLEAR, previous=Level.CONTACT)
            changes += machine.on_transition(clear, WATCH, now_us=at_us)
        changes += machine.act(
            first.data.alert_id,
            step,
            version=changes[-1].data.version,
            operator="Kim",
            now_us=at_us,
        )
    return [first, escalated, *(with_asked(change) for change in changes[2:])]


def with_asked(change: AlertChange) -> AlertChange:
    data: Alert = msgspec.structs.replace(change.data, contacts_asked=("Dispatch",))
    return msgspec.structs.replace(change, data=data)


def has(requests: list[Any], count: int) -> bool:
    return len(requests) == count


async def test_one_incident_from_the_first_ask_to_the_end() -> None:
    now_us = START_US + 300 * SECOND_US
    async with http_receiver(lambda _number: 204) as receiver:
        cad = msgspec.structs.replace(CAD, webhook=f"{receiver.origin}/hook")
        contacts = Contacts([cad], ("webhook", "eido"))
        outbox = Outbox(PROFILES, BEARERS.get, contacts)
        records: list[DeliveryRecord] = []
        channel = EidoChannel(contacts, SECRET, ELEMENT, {"tag1": HIS_PLACE}.get, lambda: now_us)
        limits = DispatchLimits(attempt_s=5.0, retry_first_s=0.01, retry_longest_s=0.05)
        dispatcher = Dispatcher(outbox, {"eido": channel}, records.append, lambda: now_us, limits)
        running = asyncio.create_task(dispatcher.run())
        for change in life():
            dispatcher.submit([change])
            told = bool(change.data.contacts_asked) and change.kind in UPDATES
            wanted = len(receiver.requests) + (told or bool(change.asked))
            await until(partial(has, receiver.requests, wanted))
        await until(lambda: len(records) == 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    posted = [json.loads(request.body) for request in receiver.requests]
    [alert_id] = {change.data.alert_id for change in life()}
    assert {one["$id"] for one in posted} == {incident_id(alert_id, ELEMENT)}
    assert {one["incidentComponent"]["internalIncidentId"] for one in posted} == {alert_id}
    assert [one["incidentComponent"]["incidentStatusCommonRegistryText"] for one in posted] == [
        ["Active"],
        ["Active"],
        ["ResourcesAssigned"],
        ["ResourcesAssigned"],
        ["Closed"],
    ]
    stamps = [one["lastUpdateTimeStamp"] for one in posted]
    assert stamps == sorted(stamps)
    for request, one in zip(receiver.requests, posted, strict=True):
        required_by_the_standard(one)
        headers = {name.lower(): value for name, value in request.headers.items()}
        signed = signature(
            decode_secret(SECRET),
            headers["webhook-id"],
            int(headers["webhook-timestamp"]),
            request.body,
        )
        assert headers["webhook-signature"] == signed
    assert {record.channel for record in records} == {"eido"}
    assert outbox.arrived(delivery_id(life()[2].id, "eido:Dispatch"))


def test_who_was_not_asked_or_may_not_know_is_not_told() -> None:
    first = life()[2]
    others = msgspec.structs.replace(CAD, agency="elsewhere")
    for contact, change in (
        (
            CAD,
            msgspec.structs.replace(
                first, data=msgspec.structs.replace(first.data, contacts_asked=())
            ),
        ),
        (others, first),
        (msgspec.structs.replace(CAD, format="cloudevents"), first),
    ):
        outbox = Outbox(PROFILES, BEARERS.get, Contacts([contact], ("webhook", "eido")))
        outbox.take(change, now_us=START_US)
        assert outbox.next("eido") is None
    assert takes_incidents(CAD, first.data)


def test_what_closes_in_the_same_instant_is_told_once_and_as_closed() -> None:
    machine = desk()
    outbox = Outbox(PROFILES, BEARERS.get, Contacts([CAD], ("webhook", "eido")))
    [first] = machine.on_transition(transition(1, Level.ALERT), WATCH, now_us=START_US)
    machine.act(
        first.data.alert_id, Acknowledge(), version=1, operator="Kim", now_us=START_US + SECOND_US
    )
    clear = transition(2, Level.CLEAR, previous=Level.ALERT)
    ended = machine.on_transition(clear, WATCH, now_us=START_US + 2 * SECOND_US)
    assert [change.kind for change in ended] == ["returned", "resolved"]
    for change in ended:
        outbox.take(with_asked(change), now_us=START_US)
    [told] = outbox.pending("eido")
    assert msgspec.json.decode(told.payload, type=Draft).status == "closed"


def test_a_dispatch_system_that_is_set_up_no_more_is_not_told() -> None:
    outbox = Outbox(PROFILES, BEARERS.get, Contacts([CAD], ("webhook",)))
    for change in life()[2:]:
        outbox.take(change, now_us=START_US)
    assert outbox.pending("eido") == []


def test_without_the_setting_a_dispatch_system_cannot_be_reached() -> None:
    assert Contacts([CAD], ("webhook",)).channels(CAD, ["webhook", "sms"]) == []
    assert Contacts([CAD], ("webhook", "eido")).channels(CAD, ["webhook"]) == ["webhook"]
    plain = msgspec.structs.replace(CAD, format="cloudevents")
    assert Contacts([plain], ("webhook",)).channels(plain, ["webhook"]) == ["webhook"]


@pytest.mark.parametrize(
    "rest",
    ['role = "protected"\nperson = "p1"\nwebhook = "https://x.example/"', 'role = "police"'],
)
def test_a_dispatch_system_has_a_webhook_and_is_no_protected_person(rest: str) -> None:
    data = f'[[contact]]\nname = "X"\nformat = "eido"\n{rest}\n'.encode()
    with pytest.raises(ContactsError, match="eido"):
        parse_contacts(data, "contacts.toml")
