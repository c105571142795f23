"""What she chooses, over the whole way: from her handset and the console to notices and the history."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.her_backend import ChoiceRefusedError, SetChoices
from cordon.clock import wall_clock_us
from cordon.embedded.broker import EmbeddedBroker
from cordon.her_backend import ServiceHerBackend
from devices.choices import Choices
from devices.instants import to_iso
from tests.conftest import Database
from tests.cordon.running import World, one_pair, until, world

pytestmark = pytest.mark.timeout(240)

PAUSE_S = 3_600


async def choose(seen: World, seq: int, **choices: Any) -> None:
    """Her handset sends what she has chosen."""
    event = {"type": "choices", "seq": seq, "time": to_iso(wall_clock_us()), "detail": choices}
    await seen.publish("phone-1", "event", json.dumps(event).encode())


def answers(seen: World) -> list[dict[str, Any]]:
    return [one for one in seen.commands if one["type"] == "choices"]


def digests(seen: World) -> list[dict[str, Any]]:
    return [one for one in seen.commands if one["type"] == "digest"]


def her(seen: World) -> ServiceHerBackend:
    return seen.service._backend.her


async def battery(seen: World, kind: str, seq: int) -> None:
    event = {"type": kind, "seq": seq, "time": to_iso(wall_clock_us())}
    await seen.publish("phone-1", "event", json.dumps(event).encode())


async def test_what_she_pauses_is_held_over_a_restart_and_the_inner_ring_is_not(
    broker: EmbeddedBroker, database: Database
) -> None:
    until_time = to_iso(wall_clock_us() + PAUSE_S * 1_000_000)
    async with world(broker, database.dsn, one_pair()) as seen:
        await seen.fix("phone-1", 0)
        await seen.fix("tag-1", 5_000)
        await choose(seen, 900_001, topics={"inner_ring": "off"})
        [refused] = await until(lambda: answers(seen), "she is told that it is refused")
        assert (refused["accepted"], refused["version"]) == (False, 0)
        assert refused["title"] == "This cannot be switched off"

        await choose(seen, 900_002, paused_until=until_time)
        await until(lambda: len(answers(seen)) == 2, "she is told that it is in force")
        assert answers(seen)[1]["accepted"]
        assert answers(seen)[1]["by"] == "herself"
        assert "always reach you" in answers(seen)[1]["text"]

        await battery(seen, "battery_low", 900_003)
        held = "select state from evidence.delivery where state = 'held'"
        await until(lambda: seen.query(held), "the notice is held, and that is kept")
        await seen.fix("tag-1", 100)
        await until(lambda: seen.notices("raised"), "he is near: she is told at once")
        assert {one["tier"] for one in seen.notices("raised")} <= {1, 2}
        assert digests(seen) == []

    async with world(broker, database.dsn, one_pair()) as later:
        found = await her(later).choices("she")
        assert (found.version, found.by, found.held) == (1, "she", 1)
        assert found.choices.paused_until == until_time
        # She asks the centre to end it: what was held comes in one message.
        asked = SetChoices(choices=Choices(), note="asked on the phone")
        await her(later).choose("she", asked, "Kim")
        [digest] = await until(lambda: digests(later), "what was held is told in one message")
        assert [one["title"] for one in digest["items"]] == ["Please charge this phone"]
        assert digest["topic"] == "cordon/v1/phone-1/command"
        [answer] = answers(later)
        assert (answer["by"], answer["accepted"]) == ("Kim", True)
        bad = SetChoices(choices=Choices(topics={"inner_ring": "off"}), note="asked")
        with pytest.raises(ChoiceRefusedError, match="for your safety"):
            await her(later).choose("she", bad, "Kim")
        receipt = {"id": digest["id"], "state": "shown", "time": to_iso(wall_clock_us())}
        await later.publish("phone-1", "receipt", json.dumps(receipt).encode())
        choosing = later.service.parts.outgoing.outbox.choosing
        await until(lambda: choosing.held("she") == [], "her handset has it")

        rows = "select actor, way, accepted from evidence.choice order by time"
        await until(lambda: len(later.query(rows)) == 4, "every choice and refusal is kept")
        assert later.query(rows) == [
            ("she", "handset", False),
            ("she", "handset", True),
            ("Kim", "console", True),
            ("Kim", "console", False),
        ]
        history = (await her(later).choices("she")).history
        assert [one.note for one in history[:2]] == ["asked", "asked on the phone"]


async def test_who_looks_at_the_map_is_recorded_and_can_be_asked(
    broker: EmbeddedBroker, database: Database
) -> None:
    async with world(broker, database.dsn, one_pair()) as seen:
        backend = her(seen)
        for _ in range(3):
            backend.look("Kim", "map", "*", role="operator", purpose="duty")
        stored = "select who, what, subject from evidence.access"
        await until(lambda: seen.query(stored), "it is kept")
        assert seen.query(stored) == [("Kim", "map", "*")]
        [found] = await backend.looked("she", 10)
        assert (found.who, found.role, found.purpose) == ("Kim", "operator", "duty")
