"""`cordon who-looked`: the answer to a person who asks who looked at her."""

from __future__ import annotations

import asyncio
import json

from click.testing import CliRunner

from alerts.deliveries import encode_entry
from alerts.looks import Look
from cordon.cli import cordon
from devices.instants import to_iso
from evidence.decided import read_alert_entry
from evidence.store import Store
from tests.conftest import Database
from tests.cordon.running import load, one_pair
from tests.evidence.granting import grant
from tests.evidence.samples import NOW_US


async def stored(dsn: str) -> None:
    store = Store(dsn)
    look = Look(
        id="l1",
        time=to_iso(NOW_US),
        who="Kim",
        role="operator",
        purpose="duty",
        subject="*",
        what="map",
    )
    try:
        await store.migrate()
        await store.write_alerts([read_alert_entry(1, encode_entry(look))])
    finally:
        await store.close()


def test_she_can_be_told_who_looked(database: Database) -> None:
    asyncio.run(stored(database.dsn))
    environment = {"CORDON_DATABASE_URL": database.dsn}
    told = CliRunner().invoke(cordon, ["who-looked", "she"], env=environment)
    assert told.exit_code == 0, told.output
    assert "Kim (operator) read the map with everybody's position for 'duty'" in told.output
    answer = CliRunner().invoke(cordon, ["who-looked", "she", "--json"], env=environment)
    assert [row["who"] for row in json.loads(answer.output)] == ["Kim"]


async def in_force(dsn: str) -> None:
    await stored(dsn)
    await load(dsn, one_pair())


def test_questions_on_the_command_line_are_readings_too(database: Database) -> None:
    asyncio.run(in_force(database.dsn))
    environment = {"CORDON_DATABASE_URL": database.dsn}
    [order] = one_pair().orders
    said = ["--actor", "DC Roe", "--purpose", "investigation", "--case", "26/4711"]
    people = (order.wearer, "she")
    grant(database.dsn, "DC Roe", "26/4711", "*", *people)
    when = to_iso(NOW_US)
    near = ["near", "--lat", "54.0", "--lon", "4.0", "--within", "100", "--at", when]
    timeline = ["timeline", "--order", order.id, "--from", when, "--to", to_iso(NOW_US + 1)]
    for question in (near, timeline):
        asked = CliRunner().invoke(cordon, ["evidence", *question, *said], env=environment)
        assert asked.exit_code == 0, asked.output
    refused = ["evidence", *near, *said[:3], "prosecution", *said[4:]]
    assert CliRunner().invoke(cordon, refused, env=environment).exit_code == 1
    for person, whats in (
        (order.wearer, ["map", "near", "refused: near", "timeline"]),
        ("other", ["map", "near", "refused: near"]),
    ):
        answer = CliRunner().invoke(cordon, ["who-looked", person, "--json"], env=environment)
        assert sorted(row["what"] for row in json.loads(answer.output)) == whats
    lines = CliRunner().invoke(cordon, ["who-looked", "she"], env=environment).output
    read = "DC Roe (investigator) read all that is recorded of a case, of"
    assert f"{read} {when} to {to_iso(NOW_US + 1)} for 'investigation' in case 26/4711" in lines
    assert "asked for, and was refused, who was near a place" in lines
