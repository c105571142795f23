"""The whole way: nobody acts, and the police's own system is asked, over the wire."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec

from alerts.steps import Acknowledge
from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.settings import Settings
from devices.instants import to_iso
from tests.alerts.receivers import http_receiver
from tests.conftest import Database
from tests.cordon.running import HOME, LIMIT_S, one_pair, settings_for_tests, until, world

PROFILE = """
extends = "default"
name = "default"

[[escalation]]
when = "unacknowledged"
tier = 1
after_s = 1
ask = "police"
via = ["webhook"]
"""


def asking(folder: Path, contact: str) -> Settings:
    """Settings of a service that asks one contact over its webhook after a second."""
    profiles = folder / "profiles"
    profiles.mkdir()
    (profiles / "default.toml").write_text(PROFILE)
    contacts = folder / "contacts.toml"
    contacts.write_text(f"[[contact]]\n{contact}\n")
    settings = settings_for_tests()
    alerts = msgspec.structs.replace(
        settings.alerts,
        profiles=str(profiles),
        contacts=str(contacts),
        webhook_secret="whsec_" + base64.b64encode(b"k" * 32).decode(),
        eido_element="cordon.example.org",
    )
    return msgspec.structs.replace(settings, alerts=alerts)


async def test_an_alert_nobody_takes_reaches_the_police(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    async with http_receiver() as receiver:
        contact = f'name = "Control"\nrole = "police"\nwebhook = "{receiver.origin}/x"'
        settings = asking(tmp_path, contact)
        async with world(broker, database.dsn, one_pair(), settings=settings) as seen:
            event = {"type": "panic", "seq": 1, "time": to_iso(wall_clock_us())}
            await seen.publish("phone-1", "event", json.dumps(event).encode())
            await until(lambda: receiver.requests, "the police are asked", LIMIT_S)
            [asked] = await until(lambda: seen.events("escalated"), "the agency is told")
    posted = json.loads(receiver.requests[0].body)
    assert posted["subject"] == asked["subject"]
    assert posted["data"]["tier"] == 1
    assert asked["asked"][0]["recipient"] == "Control"
    assert asked["data"]["escalated_to"] == "Control, police (webhook)"
    assert {r.headers["webhook-id"] for r in receiver.requests} == {posted["id"]}


async def test_a_dispatch_system_is_told_where_she_is_who_asks_for_help(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    async with http_receiver() as receiver:
        contact = f'name = "CAD"\nrole = "police"\nformat = "eido"\nwebhook = "{receiver.origin}/x"'
        settings = asking(tmp_path, contact)
        async with world(broker, database.dsn, one_pair(), settings=settings) as seen:
            await seen.fix("phone-1", 0)
            await until(lambda: seen.stored() == set(seen.sent), "her position is known")
            event = {"type": "panic", "seq": 9, "time": to_iso(wall_clock_us())}
            await seen.publish("phone-1", "event", json.dumps(event).encode())
            await until(lambda: receiver.requests, "the dispatch system is asked", LIMIT_S)
            [asked] = await until(lambda: seen.events("escalated"), "the agency is told")
            first = json.loads(receiver.requests[0].body)
            service = seen.service
            backend = service.parts.worker.partition.desk
            [alert] = [one for one in backend.open_alerts() if one.alert_id == asked["subject"]]
            changes = backend.act(
                alert.alert_id,
                Acknowledge(),
                version=alert.version,
                operator="Kim",
                now_us=wall_clock_us(),
            )
            service.parts.outgoing.changed(changes)
            await until(lambda: len(receiver.requests) > 1, "and hears how it goes on", LIMIT_S)
            second = json.loads(receiver.requests[-1].body)
    assert first["incidentComponent"]["incidentTypeCommonRegistryText"] == "ALRPANS"
    assert first["incidentComponent"]["internalIncidentId"] == asked["subject"]
    assert first["$id"] == second["$id"]
    assert second["incidentComponent"]["incidentStatusInternalText"][0] == "acknowledged"
    [where] = first["locationComponent"]
    assert f"<gml:pos>{HOME[0]:.3f}" in where["locationByValue"]
    assert asked["data"]["contacts_asked"] == ["CAD"]
