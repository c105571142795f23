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
