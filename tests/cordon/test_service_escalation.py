"""The whole way: nobody acts, and the police's own system is asked, over the wire."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec

from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.instants import to_iso
from tests.alerts.receivers import http_receiver
from tests.conftest import Database
from tests.cordon.running import LIMIT_S, one_pair, settings_for_tests, until, world

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


async def test_an_alert_nobody_takes_reaches_the_police(
    broker: EmbeddedBroker, database: Database, tmp_path: Path
) -> None:
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    (profiles / "default.toml").write_text(PROFILE)
    contacts = tmp_path / "contacts.toml"
    async with http_receiver() as receiver:
        contacts.write_text(
            f'[[contact]]\nname = "Control"\nrole = "police"\nwebhook = "{receiver.origin}/x"\n'
        )
        settings = settings_for_tests()
        alerts = msgspec.structs.replace(
            settings.alerts,
            profiles=str(profiles),
            contacts=str(contacts),
            webhook_secret="whsec_" + base64.b64encode(b"k" * 32).decode(),
        )
        settings = msgspec.structs.replace(settings, alerts=alerts)
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
