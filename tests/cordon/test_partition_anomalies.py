"""What is wrong with devices, from their fixes to decisions, alerts and their ends."""

from __future__ import annotations

import msgspec

from cordon.keep import KeptCaseload
from devices.caseload import Assignment, Caseload, Device
from geofence.anomaly_state import Anomaly
from tests.cordon.partitions import PROFILES, Room
from tests.cordon.running import SINCE, one_pair


def with_own_phone() -> Caseload:
    """The wearer carries a phone of his own, too."""
    caseload = one_pair()
    return msgspec.structs.replace(
        caseload,
        devices=(*caseload.devices, Device(id="own-1", kind="handset")),
        assignments=(*caseload.assignments, Assignment(device="own-1", person="he", from_=SINCE)),
    )


def clone(room: Room, first_s: int = 0, times: int = 8) -> None:
    """Two devices 60 km apart report in turns as tag-1."""
    for number in range(times):
        at_s = first_s + 30.0 * number
        room.bring(at_s, {"tag-1": (60_000.0 * (number % 2), 0.0), "phone-1": (9000.0, 0.0)})


def anomalies(room: Room) -> list[tuple[str, bool]]:
    return [(found.change.kind.label, found.change.began) for found in room.out.anomalies]


def device_alerts(room: Room) -> list[tuple[str, str]]:
    return [(c.kind, c.data.level) for c in room.out.changes if c.data.anomaly]


def test_a_clone_is_decided_on_and_told_once() -> None:
    room = Room(one_pair())
    clone(room)
    assert anomalies(room) == [("clone", True)]
    [found] = room.out.anomalies
    assert (found.person, found.role, found.agency) == ("he", "wearer", "centre")
    assert found.change.quantity > 50_000
    assert found.rules == room.partition.engine.rules.version
    assert device_alerts(room) == [("raised", "clone")]
    [alert] = [a for a in room.partition.desk.open_alerts() if a.anomaly]
    assert (alert.tier, alert.wearer, alert.notify, alert.told) == (2, "he", (), False)
    assert room.partition.counts.anomalies == 1
    assert room.partition.counts.fixes_odd > 0


def test_it_ends_when_the_device_is_one_again() -> None:
    room = Room(one_pair())
    clone(room)
    for minute in range(40):
        room.bring(300 + 60 * minute, {"tag-1": (60_000.0 + minute, 0.0)})
    assert anomalies(room) == [("clone", True), ("clone", False)]
    assert device_alerts(room) == [("raised", "clone"), ("returned", "clone")]


def test_a_tag_left_at_home_while_his_phone_travels() -> None:
    room = Room(with_own_phone())
    for minute in range(30):
        at_s = 60.0 * minute
        room.bring(at_s, {"tag-1": (minute % 3, 0.0), "own-1": (300.0 * minute, 0.0)})
    assert anomalies(room) == [("stays_behind", True)]
    [alert] = [a for a in room.partition.desk.open_alerts() if a.anomaly]
    assert (alert.device, alert.companion, alert.tier) == ("tag-1", "own-1", 2)
    # The phone is taken from him: nothing is left to compare.
    room.partition.put_in_force(KeptCaseload("2", one_pair()), room.now_us(1800))
    assert anomalies(room)[-1] == ("stays_behind", False)
    assert device_alerts(room)[-1] == ("returned", "stays_behind")


def test_a_device_that_leaves_the_caseload_takes_its_anomalies_along() -> None:
    room = Room(one_pair())
    clone(room)
    empty = msgspec.structs.replace(one_pair(), orders=())
    room.partition.put_in_force(KeptCaseload("2", empty), room.now_us(600))
    assert anomalies(room)[-1] == ("clone", False)
    assert room.out.anomalies[-1].person == "he"
    assert device_alerts(room)[-1] == ("returned", "clone")


def test_a_restart_goes_on_with_what_went_on() -> None:
    room = Room(one_pair())
    clone(room)
    checkpoint = room.partition.checkpoint()
    again = Room(one_pair())
    assert again.partition.load(room.partition.kept, checkpoint, room.now_us(250))
    again.partition.go_live(room.now_us(250))
    assert device_alerts(again) == []
    clone(again, first_s=240)
    assert anomalies(again) == []
    assert [a.level for a in again.partition.desk.open_alerts() if a.anomaly] == ["clone"]


def test_an_engine_that_lost_its_state_leaves_no_alert_that_never_ends() -> None:
    room = Room(one_pair())
    clone(room)
    checkpoint = msgspec.structs.replace(room.partition.checkpoint(), engine=b"XX9")
    again = Room(one_pair())
    again.partition.load(room.partition.kept, checkpoint, room.now_us(250))
    again.partition.go_live(room.now_us(250))
    assert device_alerts(again) == [("returned", "clone")]


def test_a_blank_fix_moves_nobody_and_raises_nothing() -> None:
    room = Room(one_pair())
    for second in range(5):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (5000.0, 0.0)})
    room.bring_raw(5, [("tag-1", 5.0, 0, 0), ("phone-1", 5.0, 0, 0)])
    assert room.out.decisions == []
    assert room.partition.counts.fixes_unused == 2
    assert room.partition.counts.fixes_odd == 2


def test_every_kind_has_words_and_a_tier() -> None:
    assert set(PROFILES.by_name["default"].anomalies) == {kind.label for kind in Anomaly}
