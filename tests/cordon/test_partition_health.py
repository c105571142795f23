"""The health of devices, from what arrives to decisions, alerts and their ends."""

from __future__ import annotations

import msgspec

from alerts.deliveries import for_handset, tells_handsets
from alerts.steps import Acknowledge, Check, Resolve, Step
from cordon.keep import KeptCaseload
from devices.caseload import Assignment, Caseload, Device, Person
from devices.commands import HandsetAddress
from tests.cordon.partitions import PROFILES, Room
from tests.cordon.running import SINCE, one_pair

FAR = {"tag-1": (0.0, 0.0), "phone-1": (9000.0, 0.0)}


def troubles(room: Room) -> list[tuple[str, str, bool]]:
    return [(o.change.kind, o.change.device or o.agency, o.change.began) for o in room.out.health]


def alerts(room: Room) -> list[tuple[str, str, str | None]]:
    return [
        (c.kind, c.data.level, c.data.protected or c.data.wearer)
        for c in room.out.changes
        if c.data.condition == "device"
    ]


def test_a_silent_handset_is_told_as_a_silent_tag_is() -> None:
    for silent, other, person in (("tag-1", "phone-1", "he"), ("phone-1", "tag-1", "she")):
        room = Room(one_pair())
        room.bring(0, FAR)
        for second in range(60, 360, 60):
            room.bring(second, {other: FAR[other]})
        assert troubles(room) == [("silent", silent, True)]
        assert alerts(room) == [("raised", "silent", person)]
        [alert] = [a for a in room.partition.desk.open_alerts() if a.health]
        assert (alert.tier, alert.device, alert.agency) == (4, silent, "centre")
        assert (alert.cause, alert.quantity) == ("no_word", 240.0)
        room.bring(360, FAR)
        assert alerts(room)[-1] == ("returned", "silent", person)


def test_who_is_silent_is_told_of_while_flushed_buffers_are_taken_in() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    for second in range(20, 360, 20):
        room.gateway = "gw.0a1b2c3d.slow" if second % 40 else "gw.fixes"
        room.bring(second, {"tag-1": FAR["tag-1"]})
    assert troubles(room) == [("silent", "phone-1", True)]


def test_a_gateway_that_starts_anew_has_heard_nobody_before() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    for second in range(20, 360, 20):
        room.gateway = "gw-2.fixes" if second > 200 else "gw.fixes"
        room.bring(second, {"tag-1": FAR["tag-1"]})
    assert not troubles(room)


def test_her_phone_is_told_of_itself_and_nobody_of_his_tag() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    room.bring(1, events=[room.event("tag-1", "battery_low", 1)])
    room.bring(2, events=[room.event("phone-1", "battery_low", 2)])
    told = [change for change in room.out.changes if tells_handsets(change, PROFILES)]
    assert [change.data.device for change in told] == ["phone-1"]
    notice = for_handset(told[0], PROFILES, HandsetAddress("phone-1"))
    assert notice is not None
    assert b"charge this phone" in notice.payload


def test_an_event_of_health_gives_one_alert() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    off = room.event("phone-1", "permission_off", 5)
    room.bring(6, events=[off])
    room.bring(7, events=[off])  # delivered again
    room.bring(9, events=[room.event("phone-1", "permission_on", 8)])
    assert alerts(room) == [
        ("raised", "permission_off", "she"),
        ("returned", "permission_off", "she"),
    ]


def test_tampers_are_closed_by_a_named_person_only() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    for second, kind in enumerate(("strap_cut", "case_open"), 1):
        room.bring(second, events=[room.event("tag-1", kind, second)])
    later = ("strap_closed", "charging", "permission_on", "battery_low", "gnss_lost")
    for second, kind in enumerate(later, 10):
        room.bring(second, events=[room.event("tag-1", kind, second)])
    for second in range(60, 3600, 60):
        room.bring(second, FAR)
    desk = room.partition.desk
    tampers = [a for a in desk.open_alerts() if a.condition == "tamper"]
    assert [(a.level, a.state) for a in tampers] == [
        ("strap_cut", "active"),
        ("case_open", "active"),
    ]
    now_us = room.now_us(3600)
    for alert in tampers:
        note = "looked at the strap on site: whole"
        steps: list[Step] = [
            Acknowledge(),
            Check(by="inspected", note=note),
            Resolve(outcome="device_at_fault", note=note),
        ]
        changes = [
            change
            for version, step in enumerate(steps, 1)
            for change in desk.act(
                alert.alert_id, step, version=version, operator="Kim", now_us=now_us
            )
        ]
        assert [change.data.state for change in changes] == ["active"] * 3
        closed = changes[-1]
        assert (closed.data.resolved_by, closed.data.note) == ("Kim", note)


def test_a_restart_goes_on_with_what_went_on_and_says_nothing_twice() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    for second in (150, 300):
        room.bring(second, {"tag-1": FAR["tag-1"]})
    assert troubles(room) == [("silent", "phone-1", True)]
    again = Room(one_pair())
    assert again.partition.load(room.partition.kept, room.partition.checkpoint(), room.now_us(310))
    again.partition.go_live(room.now_us(310))
    assert alerts(again) == []
    again.bring(320, FAR)
    assert alerts(again) == [("returned", "silent", "she")]
    assert again.out.health[0].change.number == 1


def test_a_replay_in_one_step_decides_what_was_decided_live() -> None:
    live, replayed = Room(one_pair()), Room(one_pair())
    live.bring(0, FAR)
    for tenth in range(5, 5000):
        live.partition.tick_until(live.now_us(tenth / 5))
    replayed.bring(0, FAR)
    for room in (live, replayed):
        room.bring(1000, FAR)
    said = [msgspec.structs.replace(one, after_position=0) for one in live.out.health]
    assert said == replayed.out.health
    assert len(said) == 4
    episodes = [c.id for c in live.out.changes if c.data.health]
    assert episodes == [c.id for c in replayed.out.changes if c.data.health]


def test_health_that_was_lost_leaves_no_alert_that_never_ends() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    for second in (150, 300):
        room.bring(second, {"tag-1": FAR["tag-1"]})
    checkpoint = msgspec.structs.replace(room.partition.checkpoint(), health=b"")
    again = Room(one_pair())
    again.partition.load(room.partition.kept, checkpoint, room.now_us(310))
    again.partition.go_live(room.now_us(310))
    assert alerts(again) == [("returned", "silent", "she")]
    assert again.partition.counts.unreadable_parts == 1


def crowd(count: int) -> Caseload:
    """The pair, and so many more handsets of hers."""
    caseload = one_pair()
    phones = [f"more-{number:03}" for number in range(count)]
    return msgspec.structs.replace(
        caseload,
        devices=(*caseload.devices, *(Device(id=name, kind="handset") for name in phones)),
        assignments=(
            *caseload.assignments,
            *(Assignment(device=name, person="she", from_=SINCE) for name in phones),
        ),
    )


def test_an_outage_is_one_alert() -> None:
    room = Room(crowd(40))
    everybody = dict.fromkeys(room.partition.compiled.bearers, (9000.0, 0.0))
    room.bring(0, everybody | FAR)
    room.bring(60, everybody | FAR)
    room.partition.tick_until(room.now_us(3600))
    assert alerts(room) == [("raised", "fleet_silent", None)]
    [alert] = [a for a in room.partition.desk.open_alerts() if a.health]
    assert (alert.tier, alert.agency, alert.device) == (2, "centre", "")
    assert alert.quantity is not None
    assert 10 <= alert.quantity < 42  # so many were missing when it was told
    room.bring(3600, everybody | FAR)
    assert alerts(room)[-1] == ("returned", "fleet_silent", None)
    assert room.partition.counts.troubles == 1


def test_a_handset_that_changes_hands_takes_nothing_along() -> None:
    room = Room(one_pair())
    room.bring(0, FAR)
    room.bring(1, events=[room.event("phone-1", "permission_off", 1)])
    caseload = one_pair()
    people = (*caseload.people, Person(id="another", role="protected"))
    [tag, phone] = caseload.assignments
    moved = msgspec.structs.replace(phone, person="another")
    handed = msgspec.structs.replace(caseload, people=people, assignments=(tag, moved))
    room.partition.put_in_force(KeptCaseload("2", handed), room.now_us(10))
    assert alerts(room)[-1] == ("returned", "permission_off", "she")
