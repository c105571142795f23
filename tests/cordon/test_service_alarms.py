"""Her handset's own alarms over the whole way: one id for her, the centre and the police."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alerts.errors import NoSuchAlert
from alerts.steps import Acknowledge, Resolve
from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from devices.instants import to_iso
from tests.conftest import Database
from tests.cordon.running import World, one_pair, until, world

pytestmark = pytest.mark.timeout(240)


async def tell(seen: World, kind: str, seq: int, alarm: str, **more: Any) -> None:
    event = {"type": kind, "seq": seq, "time": to_iso(wall_clock_us()), "detail": {"alarm": alarm}}
    await seen.publish("phone-1", "event", json.dumps(event | more).encode())


def answers(seen: World, alarm: str) -> list[dict[str, Any]]:
    return [c for c in seen.commands if c["type"] == "alarm" and c["alarm_id"] == alarm]


async def test_what_the_handset_sees_first_becomes_one_alert_with_one_answer(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 5_000)
        # Its own engine has found something that the centre cannot see.
        await tell(seen, "own_alarm", 800_001, "a-1")
        await until(lambda: answers(seen, "a-1"), "the handset is told whose alert it is")
        first = answers(seen, "a-1")[0]
        assert (first["verdict"], first["state"]) == ("only_handset", "open")
        raised = await until(lambda: seen.events("raised"), "the centre has it")
        assert raised[0]["subject"] == first["alert_id"]
        assert raised[0]["data"]["alarms"][0]["id"] == "a-1"

        # Then the handset hears the beacon of his tag, and the centre decides: contact.
        await tell(seen, "beacon_seen", 800_002, "a-2", peer="tag-1")
        await until(lambda: answers(seen, "a-2"), "the second alarm is answered, too")
        pair = answers(seen, "a-2")[-1]
        assert pair["verdict"] == "confirmed"
        await until(
            lambda: answers(seen, "a-1")[-1]["alert_id"] == pair["alert_id"],
            "the first alarm goes on as the same alert",
        )
        assert pair["alert_id"] == seen.notices("raised")[-1]["alert_id"]
        closed = await until(lambda: seen.events("resolved"), "the first alert was closed")
        assert closed[0]["data"]["merged_into"] == pair["alert_id"]
        partition = seen.service.parts.worker.partition
        assert [a.alert_id for a in partition.desk.open_alerts()] == [pair["alert_id"]]

        backend = seen.service._backend
        found = await backend.her.was_real(pair["alert_id"])
        assert (found.open, found.verdict) == (True, "confirmed")
        assert any("alarm a-1" in reason for reason in found.reasons)
        # The one that was closed is answered from the history.
        rows = f"select 1 from evidence.alert_change where alert_id = '{closed[0]['subject']}'"
        await until(lambda: len(seen.query(rows)) == 2, "it is in the history")
        older = await backend.her.was_real(closed[0]["subject"])
        assert not older.open
        with pytest.raises(NoSuchAlert):
            await backend.her.was_real("never-was")


async def test_whoever_closes_a_panic_answers_whether_it_was_real(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        await tell(seen, "panic", 800_001, "p-1")
        await until(lambda: answers(seen, "p-1"), "the handset is told whose alert it is")
        alert_id = answers(seen, "p-1")[0]["alert_id"]
        backend = seen.service._backend
        taken = await backend.act(alert_id, Acknowledge(), 1, "Kim")
        step = Resolve(outcome="help_given", note="a patrol was with her")
        await backend.act(alert_id, step, taken.version, "Kim")
        await until(lambda: answers(seen, "p-1")[-1]["state"] == "closed", "she has the answer")
        last = answers(seen, "p-1")[-1]
        assert (last["verdict"], last["title"]) == ("real", "It was real")
        assert "patrol" not in json.dumps(last)
