"""What is tried at the door, from what the journal holds to alerts and their ends."""

from __future__ import annotations

import msgspec

from cordon.device_care import DeviceCare
from devices.caseload import Caseload
from devices.compiler import compile_caseload
from devices.door import QUIET_US
from devices.fleet import FLEET_LEAST, FLUSH_US
from devices.health import Health
from devices.health_changes import DoorCause, HealthChange
from devices.reports import Batch, Message, Refusal, no_fixes
from devices.watches import Bearer
from devices.wearing import Wearing
from tests.cordon.partitions import SECOND_US, START_US, Room
from tests.cordon.running import one_pair

QUIET_S = QUIET_US // SECOND_US


def refused(room: Room, at_s: float, device: str, code: DoorCause, times: int = 1) -> None:
    """A batch with refusals, as the gateway and those at the door journal them."""
    refusal = Refusal(0, device, code, "Because.", None, 0, bytes(32))
    room._number += 1
    room.partition.apply(
        Batch(
            gateway="gw.watch",
            number=room._number,
            received_us=room.now_us(at_s),
            messages=(Message(room.now_us(at_s), "$broker/violation", b"x"),),
            fixes=no_fixes(),
            refusals=(refusal,) * times,
        )
    )


def alerts(room: Room) -> list[tuple[str, str, str | None, int, str]]:
    kinds = {"flood", "beyond_rights", "badly_signed", "turned_away", "strangers"}
    return [
        (c.kind, c.data.level, c.data.device, c.data.tier, c.data.agency)
        for c in room.out.changes
        if c.data.health in kinds
    ]


def all_that_is_tried(room: Room) -> None:
    refused(room, 1, "tag-1", "flood", times=2)
    for minute in range(5):
        refused(room, 60 * minute + 2, "tag-1", "not_its_topic")
        refused(room, 60 * minute + 3, "phone-1", "wrong_password")
        refused(room, 60 * minute + 4, f"made-up-{minute}", "unknown_device")
    refused(room, 300, "phone-1", "not_signed", times=50)


def test_each_device_and_kind_is_one_alert_with_the_tier_of_the_profile() -> None:
    room = Room(one_pair())
    all_that_is_tried(room)
    assert alerts(room) == [
        ("raised", "flood", "tag-1", 4, "centre"),
        ("raised", "beyond_rights", "tag-1", 3, "centre"),
        ("raised", "turned_away", "phone-1", 3, "centre"),
        ("raised", "strangers", "", 4, ""),
        ("raised", "badly_signed", "phone-1", 2, "centre"),
    ]
    raised = [c.data for c in room.out.changes if c.data.level == "badly_signed"]
    assert [(a.condition, a.cause, a.protected, a.told) for a in raised] == [
        ("device", "not_signed", "she", False)
    ]
    before = len(room.out.changes)
    room.partition.tick_until(room.now_us(300 + QUIET_S))
    ended = {c.data.level: c.kind for c in room.out.changes[before:] if c.data.health}
    assert {ended[level] for _, level, *_ in alerts(room)[:5]} == {"returned"}
    kept = [(o.change.kind, o.change.began) for o in room.out.health if o.change.kind == "flood"]
    assert kept == [("flood", True), ("flood", False)]


def test_a_replay_raises_the_same_alerts_with_the_same_ids() -> None:
    live, replayed = Room(one_pair()), Room(one_pair())
    for room in (live, replayed):
        all_that_is_tried(room)
    for second in range(300, 300 + 2 * QUIET_S):  # live: step by step; read again: in one
        live.partition.tick_until(live.now_us(second))
    for room in (live, replayed):
        refused(room, 300 + 2 * QUIET_S, "tag-1", "flood", times=2)
    told = [[(c.id, c.kind, c.data.onset) for c in r.out.changes] for r in (live, replayed)]
    assert told[0] == told[1]
    records = [
        [msgspec.structs.replace(one.change, quantity=0.0) for one in room.out.health]
        for room in (live, replayed)
    ]
    assert records[0] == records[1]
    assert len(alerts(live)) == 11  # five that began and returned, and the flood anew


def test_a_restart_goes_on_with_what_went_on_and_says_nothing_twice() -> None:
    room = Room(one_pair())
    all_that_is_tried(room)
    again = Room(one_pair())
    assert again.partition.load(room.partition.kept, room.partition.checkpoint(), room.now_us(310))
    again.partition.go_live(room.now_us(310))
    refused(again, 320, "tag-1", "not_its_topic")
    assert alerts(again) == []
    again.partition.tick_until(again.now_us(320 + QUIET_S))
    assert [kind for kind, *_ in alerts(again) if kind != "escalated"] == ["returned"] * 5
    before = msgspec.structs.replace(room.partition.checkpoint(), door=b"")
    older = Room(one_pair())
    older.partition.load(room.partition.kept, before, room.now_us(310))
    older.partition.go_live(room.now_us(310))  # of a version that knew of no door
    assert {kind for kind, *_ in alerts(older)} == {"returned"}
    assert older.partition.counts.unreadable_parts == 0


def test_after_an_outage_what_devices_have_kept_is_no_flood_of_theirs() -> None:
    care = DeviceCare(b"secret", START_US)
    names = [f"tag-{number}" for number in range(FLEET_LEAST)]
    bearers = {
        name: Bearer(
            device=name,
            kind="home_unit",
            person=name,
            role="wearer",
            fix_interval_s=60.0,
            agencies=("centre",),
        )
        for name in names
    }
    care.plan(bearers, START_US)

    def floods(at_s: float) -> list[HealthChange]:
        """All devices are heard, and the gateway tells of a flood of each."""
        at_us = START_US + round(at_s * SECOND_US)
        reasons = [Refusal(0, name, "flood", "Much.", None, 0, bytes(32)) for name in names]
        batch = Batch(
            gateway="gw",
            number=round(at_s),
            received_us=at_us,
            messages=(Message(at_us, "$gateway/flood", b""),),
            fixes=no_fixes(),
            refusals=tuple(reasons),
        )
        return care.take(batch, Wearing(Caseload(), compile_caseload(Caseload(), at_us))).troubles

    floods(1)
    outage = care.advance(START_US + 3600 * SECOND_US).troubles
    assert [(one.kind, one.began) for one in outage] == [("fleet_silent", True)]
    back = floods(3600) + floods(3660)
    assert [(one.kind, one.began) for one in back] == [("fleet_silent", False)]
    care.health = Health.restore(care.health.snapshot())
    end_s = 3600 + FLUSH_US // SECOND_US
    assert [one for at_s in range(3720, end_s + 1, 60) for one in floods(at_s)] == []
    assert {one.kind for one in floods(end_s + 60)} == {"flood"}
