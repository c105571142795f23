"""A case as one record: in order of what happened, with when it was known, and of this case alone."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest
from click.testing import CliRunner

from alerts.model import AlertChange
from cordon.cli import cordon
from devices.caseload import Assignment, Caseload, Person
from devices.instants import from_iso, to_datetime, to_iso
from devices.reports import Event
from devices.store import CaseloadStore
from evidence.store import Store
from tests.conftest import Database
from tests.cordon.running import one_pair
from tests.evidence.granting import grant
from tests.evidence.samples import (
    NOW_US,
    anomaly_of,
    batch_of,
    change_of,
    decision_of,
    health_of,
)
from tests.evidence.test_store import alert_entries

MINUTE_US = 60_000_000


def handed_on() -> Caseload:
    """The pair; an hour from then his tag is another's."""
    pair = one_pair()
    [tag, phone] = pair.assignments
    until = to_datetime(NOW_US + 60 * MINUTE_US)
    anothers = Assignment(device="tag-1", person="another", from_=until)
    return msgspec.structs.replace(
        pair,
        people=(*pair.people, Person(id="another", role="wearer", name="Another")),
        assignments=(msgspec.structs.replace(tag, to=until), phone, anothers),
    )


def of_event(alert_id: str, wearer: str) -> AlertChange:
    """An alert that names no order, of what his tag reported."""
    change = change_of(1, alert_id=alert_id)
    data = msgspec.structs.replace(change.data, device="tag-1", wearer=wearer, protected=None)
    return msgspec.structs.replace(change, data=data)


@pytest.mark.timeout(120)
async def test_a_case_is_one_record(store: Store, database: Database) -> None:
    caseloads = CaseloadStore(database.dsn)
    await caseloads.migrate()
    await caseloads.save(handed_on())
    await caseloads.close()
    decision = msgspec.structs.replace(decision_of(1), order_id="order-1")
    other = msgspec.structs.replace(decision_of(2), order_id="order-2")
    late_us = NOW_US + 61 * MINUTE_US
    anomaly = anomaly_of(2, onset_us=late_us, decided_at_us=late_us)
    trouble = health_of(2, onset_us=late_us, decided_at_us=late_us)
    await store.write_decisions(
        [
            (1, [decision, other]),
            (2, [anomaly_of(1), anomaly]),
            (3, [health_of(1), trouble]),
        ]
    )
    change = change_of(1)
    data = msgspec.structs.replace(change.data, order_id="order-1")
    mine = msgspec.structs.replace(change, data=data)
    await store.write_alerts(
        alert_entries(
            (1, msgspec.json.encode(mine)),
            (2, msgspec.json.encode(of_event("cut", "he"))),
            (3, msgspec.json.encode(of_event("anothers", "somebody else"))),
        )
    )
    early = Event(0, "tag-1", 7, NOW_US - 30 * MINUTE_US, "strap_cut", None, {})
    strange = Event(0, "tag-9", 8, NOW_US, "strap_cut", None, {})
    after = Event(0, "tag-1", 9, late_us, "strap_cut", None, {})
    batch = batch_of(1, [("tag-1", 1, NOW_US)], events=(early, strange, after))
    await store.write_journal([(1, batch)])

    def run() -> list[dict[str, str]]:
        span = ["--from", to_iso(NOW_US - 86_400_000_000), "--to", to_iso(NOW_US + 86_400_000_000)]
        who = ["--actor", "DC Roe", "--purpose", "investigation", "--case", "26/1", "--json"]
        grant(database.dsn, "DC Roe", "26/1", "he", "she")
        done = CliRunner().invoke(
            cordon,
            ["evidence", "timeline", "--order", "order-1", *span, *who],
            env={"CORDON_DATABASE_URL": database.dsn},
        )
        assert done.exit_code == 0, done.output
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    lines = await asyncio.to_thread(run)
    happened = [from_iso(line["happened"]) for line in lines]
    assert happened == sorted(happened)
    kinds = [line["kind"] for line in lines]
    assert kinds.count("decision") == kinds.count("event") == 1
    assert kinds.count("anomaly") == kinds.count("device_health") == 1
    alerts = [line["subject"] for line in lines if line["kind"] == "alert_change"]
    assert sorted(alerts) == ["a1", "cut"]
    [event] = [line for line in lines if line["kind"] == "event"]
    assert (event["subject"], event["what"]) == ("tag-1", "strap_cut")
    assert from_iso(event["known"]) - from_iso(event["happened"]) >= 30 * MINUTE_US
