"""A device goes from one case to another: nothing of the one may reach the other."""

from __future__ import annotations

import msgspec
import pytest

from cordon.keep import KeptCaseload
from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity
from devices.instants import to_datetime
from geofence.levels import UNKNOWN_TIME_US
from tests.cordon.partitions import START_US, Room
from tests.cordon.running import SINCE

SWAP_S = 600
"""The tag goes from the first wearer to the second."""

AT_HERS = (0.0, 0.0)
FAR = (60_000.0, 0.0)


def two_cases(*, handset: str | None = None) -> Caseload:
    """Two wearers, each with one protected person; tag-1 goes from one to the other.

    The first protected person lives where `AT_HERS` is, the second 30 km north.
    """
    swap = to_datetime(START_US + SWAP_S * 1_000_000)
    people = [(f"he-{n}", "wearer") for n in "12"] + [(f"she-{n}", "protected") for n in "12"]
    phones = (
        [Assignment(device=f"phone-{n}", person=f"she-{n}", from_=SINCE) for n in "12"]
        if handset is None
        else [
            Assignment(device="phone-1", person="she-1", from_=SINCE, to=swap),
            Assignment(device="phone-1", person="she-2", from_=swap),
        ]
    )
    return Caseload(
        agencies=tuple(Agency(id=f"centre-{n}", name=n) for n in "12"),
        people=tuple(Person(id=name, role=role) for name, role in people),  # type: ignore[arg-type]
        devices=(
            Device(id="tag-1", kind="tag"),
            Device(id="phone-1", kind="handset"),
            Device(id="phone-2", kind="handset"),
        ),
        assignments=(
            Assignment(device="tag-1", person="he-1", from_=SINCE, to=swap),
            Assignment(device="tag-1", person="he-2", from_=swap),
            *phones,
        ),
        orders=tuple(
            Order(
                id=f"order-{n}",
                agency=f"centre-{n}",
                wearer=f"he-{n}",
                valid_from=SINCE,
                conditions=(Proximity(id=f"near-{n}", protected=f"she-{n}", alert_m=200),),
            )
            for n in "12"
        ),
    )


def before_the_swap() -> Room:
    """He-1 walks far from both; both women are at home."""
    room = Room(two_cases())
    for second in range(0, SWAP_S, 60):
        room.bring(second, {"tag-1": FAR, "phone-1": AT_HERS, "phone-2": (30_000.0, 0.0)})
    return room


def fix_us(room: Room, device: str) -> int:
    index = room.partition.compiled.plan.tracks.index(device)
    return int(room.partition.engine.picture().tracks.time_us[index])


def test_the_new_wearer_begins_without_a_track() -> None:
    room = before_the_swap()
    assert fix_us(room, "tag-1") == room.now_us(540)
    room.partition.tick_until(room.now_us(SWAP_S))
    assert room.partition.compiled.bearers["tag-1"].person == "he-2"
    assert fix_us(room, "tag-1") == UNKNOWN_TIME_US


def test_late_fixes_of_the_former_wearer_move_nobody() -> None:
    """He-1 was beside she-2's home; that comes when he-2 wears the tag. He-2 has done nothing."""
    room = before_the_swap()
    room.partition.tick_until(room.now_us(SWAP_S))
    beside = (30_010.0, 0.0)
    late = [("tag-1", SWAP_S - 60.0 + second, *beside) for second in range(60)]
    room.bring(SWAP_S + 10, [*late, ("phone-2", SWAP_S + 10.0, 30_000.0, 0.0)])
    assert fix_us(room, "tag-1") == UNKNOWN_TIME_US
    assert room.partition.counts.fixes_unused >= 60
    for second in range(SWAP_S + 20, SWAP_S + 200, 20):
        room.bring(second, {"tag-1": FAR, "phone-1": AT_HERS, "phone-2": (30_000.0, 0.0)})
    assert [d for d in room.out.decisions if d.wearer == "he-2"] == []
    assert fix_us(room, "tag-1") == room.now_us(SWAP_S + 180)
    assert [one.change.kind for one in room.out.anomalies] == []


def test_his_way_to_where_the_tag_was_handed_over_is_not_his() -> None:
    """Between the last fix of the one and the first of the other nobody has travelled."""
    room = before_the_swap()
    room.partition.tick_until(room.now_us(SWAP_S))
    for second in range(SWAP_S + 1, SWAP_S + 120, 5):
        # Beyond she-2's home, on the other side of where he-1 was.
        room.bring(second, {"tag-1": (-60_000.0, 0.0), "phone-2": (30_000.0, 0.0)})
    assert [d for d in room.out.decisions if d.wearer == "he-2"] == []
    assert room.out.anomalies == []


def events(room: Room) -> list[tuple[str, str | None, str]]:
    return [
        (change.data.level, change.data.wearer or change.data.protected, change.data.agency)
        for change in room.out.changes
        if change.kind == "raised" and change.data.condition in {"tamper", "panic"}
    ]


def test_a_late_tamper_is_the_former_wearers() -> None:
    room = before_the_swap()
    cut = room.event("tag-1", "strap_cut", SWAP_S - 30)
    room.bring(SWAP_S + 60, events=[cut])
    assert events(room) == [("strap_cut", "he-1", "centre-1")]
    [alert] = [a for a in room.partition.desk.open_alerts() if a.condition == "tamper"]
    assert alert.notify == ("phone-1",)
    # His own is another: an alert that is open for the other one hides nothing.
    room.bring(SWAP_S + 90, events=[room.event("tag-1", "strap_cut", SWAP_S + 80)])
    room.bring(SWAP_S + 91, events=[cut])
    assert events(room)[1:] == [("strap_cut", "he-2", "centre-2")]


@pytest.mark.parametrize("order", [1, -1])
def test_a_late_call_for_help_is_told_of_both(order: int) -> None:
    room = Room(two_cases(handset="phone-1"))
    room.bring(SWAP_S + 10, {"phone-1": AT_HERS})
    late = room.event("phone-1", "panic", SWAP_S - 30)
    now = room.event("phone-1", "panic", SWAP_S + 30)
    for number, event in enumerate([late, now][::order]):
        room.bring(SWAP_S + 60 + number, events=[event])
    assert ("panic", "she-1", "centre-1") in events(room)
    assert ("panic", "she-2", "centre-2") in events(room)
    panics = [a for a in room.partition.desk.open_alerts() if a.condition == "panic"]
    assert len({alert.alert_id for alert in panics}) == len(panics) == 2
    # Her handset of then is another's today: nothing of she-1 is told to it.
    assert [a.notify for a in panics if a.protected == "she-1"] == [()]


def test_a_late_beacon_of_the_former_wearer_is_no_contact_of_the_new_one() -> None:
    room = before_the_swap()
    room.partition.tick_until(room.now_us(SWAP_S))
    seen = room.event("phone-2", "beacon_seen", SWAP_S - 5, peer="tag-1")
    room.bring(SWAP_S + 5, events=[seen])
    assert room.out.decisions == []


def test_late_troubles_of_the_former_wearers_device_are_not_the_new_ones() -> None:
    room = before_the_swap()
    room.partition.tick_until(room.now_us(SWAP_S))
    room.bring(SWAP_S + 5, events=[room.event("tag-1", "battery_low", SWAP_S - 5)])
    assert [one for one in room.out.health if one.person == "he-2"] == []


def test_a_caseload_that_changed_while_nobody_looked_moves_no_track_over() -> None:
    swapped = two_cases()
    kept = tuple(
        msgspec.structs.replace(one, to=None) if one.person == "he-1" else one
        for one in swapped.assignments
        if one.person != "he-2"
    )
    room = Room(msgspec.structs.replace(swapped, assignments=kept))
    room.bring(0, {"tag-1": FAR, "phone-1": AT_HERS})
    checkpoint = room.partition.checkpoint()
    given = tuple(
        msgspec.structs.replace(one, person="he-2") if one.device == "tag-1" else one
        for one in kept
    )
    again = Room(swapped)
    again.partition.load(
        KeptCaseload("2", msgspec.structs.replace(swapped, assignments=given)),
        checkpoint,
        room.now_us(10),
    )
    assert fix_us(again, "tag-1") == UNKNOWN_TIME_US
