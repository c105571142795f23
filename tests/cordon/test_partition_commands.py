"""Commands, from two people who come near each other to what their devices are told."""

from __future__ import annotations

import msgspec
import numpy as np

from devices.command_desk import RAISED_S
from devices.reports import Batch, Message, Receipt, Status, no_fixes
from tests.cordon.partitions import Room
from tests.cordon.running import one_pair

HOUR_S = 3600


def walk(room: Room, her_m: float, until_s: int, *, from_s: int = 0) -> None:
    """He wanders about; she stands so many metres north of where he does."""
    chance = np.random.default_rng(7)
    for second in range(0, until_s, 60):
        place = (float(chance.normal(0, 300)), float(chance.normal(0, 300)))
        if second >= from_s:
            room.bring(second, {"tag-1": place, "phone-1": (her_m, 0.0)})


def told(room: Room, device: str) -> list[bytes]:
    return [msgspec.json.encode(one.command) for one in room.out.sendings if one.device == device]


def test_both_are_raised_at_the_outer_ring_and_told_why_nowhere() -> None:
    room = Room(one_pair())
    for second in range(0, 600, 10):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (max(250.0, 900.0 - 2 * second), 0.0)})
    near = [one.change for one in room.out.commands if one.change.reason == "near"]
    assert {(one.device, one.interval_s) for one in near} >= {("phone-1", RAISED_S)}
    assert "tag-1" in {one.device for one in room.out.sendings}
    for sending in room.out.sendings:
        assert set(msgspec.to_builtins(sending.command)) == {
            "type",
            "id",
            "time",
            "expires",
            "interval_s",
        }
    assert room.partition.care.commands.devices["tag-1"].near == ["near/tag-1/phone-1"]


def test_where_she_is_changes_nothing_of_what_the_tag_is_told() -> None:
    """Beyond the outer ring: byte for byte, and at the same instants."""
    rooms = [Room(one_pair(), tick_s=5.0) for _ in range(3)]
    for room, her_m in zip(rooms, (30_000.0, 60_000.0, 5_000.0), strict=True):
        walk(room, her_m, 12 * HOUR_S)
    first, *others = [told(room, "tag-1") for room in rooms]
    assert len(first) >= 2
    assert all(one == first for one in others)


def test_what_is_decided_again_after_a_restart_has_the_same_id() -> None:
    room = Room(one_pair(), tick_s=5.0)
    walk(room, 30_000.0, 4 * HOUR_S)
    half = Room(one_pair(), tick_s=5.0)
    walk(half, 30_000.0, 2 * HOUR_S)
    again = Room(one_pair(), secret=b"another that is not used", tick_s=5.0)
    again.partition.load(half.partition.kept, half.partition.checkpoint(), half.now_us(2 * HOUR_S))
    walk(again, 30_000.0, 4 * HOUR_S, from_s=2 * HOUR_S)
    assert told(half, "tag-1") + told(again, "tag-1") == told(room, "tag-1")
    assert told(again, "tag-1")


def bring(room: Room, at_s: float, **parts: object) -> None:
    now_us = room.now_us(at_s)
    room.partition.apply(
        Batch(
            gateway="gw",
            number=10**6 + round(at_s),
            received_us=now_us,
            messages=(Message(now_us, "cordon/v1/x/receipt", b""),),
            fixes=no_fixes(),
            **parts,  # type: ignore[arg-type]
        )
    )


def test_receipts_and_coming_back_reach_the_desk() -> None:
    room = Room(one_pair())
    for second in range(0, 600, 10):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (250.0, 0.0)})
    [first, *repeated] = [one for one in room.out.sendings if one.device == "phone-1"]
    assert {one.command.id for one in repeated} == {first.command.id}
    receipt = Receipt(0, "phone-1", first.command.id, "received", room.now_us(600), None)
    bring(room, 600, receipts=(receipt,))
    states = [o.change.state for o in room.out.commands if o.change.device == "phone-1"]
    assert states == ["issued", "received"]
    count = len(room.out.sendings)
    bring(room, 610, statuses=(Status(0, "phone-1", True, room.now_us(610)),))
    room.partition.tick_until(room.now_us(620))
    again = [one for one in room.out.sendings[count:] if one.device == "phone-1"]
    assert [one.command.interval_s for one in again] == [RAISED_S]


def test_a_service_that_finds_nobody_near_lets_the_raise_end() -> None:
    room = Room(one_pair())
    for second in range(0, 300, 10):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (250.0, 0.0)})
    checkpoint = msgspec.structs.replace(room.partition.checkpoint(), engine=b"XX9")
    again = Room(one_pair())
    again.partition.load(room.partition.kept, checkpoint, room.now_us(300))
    again.partition.go_live(room.now_us(300))
    assert again.partition.care.commands.devices["phone-1"].near == []
