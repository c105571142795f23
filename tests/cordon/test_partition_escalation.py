"""Time alone brings alerts back from the shelf and asks others, but only in the present."""

from __future__ import annotations

import msgspec

from alerts.profile import Profiles, load_profiles
from alerts.steps import Shelve
from tests.cordon.partitions import Room
from tests.cordon.running import one_pair


def alarmed() -> Room:
    room = Room(one_pair())
    strap_cut = room.event("tag-1", "strap_cut", 1)
    room.bring(1, events=[strap_cut])
    return room


def asked(room: Room) -> list[str]:
    """Roles asked so far. Her handset answers nothing here, so she is asked, too."""
    asks = [ask for change in room.out.changes for ask in change.asked]
    return [ask.role for ask in asks if ask.role != "protected"]


def test_ticks_ask_others_once_nobody_has_acted() -> None:
    room = alarmed()
    room.partition.go_live(room.now_us(2))
    room.partition.tick_until(room.now_us(29))
    assert asked(room) == []
    room.partition.tick_until(room.now_us(32))
    assert asked(room) == ["operators"]


def test_nobody_is_asked_of_what_is_only_read_again() -> None:
    room = alarmed()
    room.partition.tick_until(room.now_us(600))
    assert "escalated" not in room.kinds()
    room.partition.go_live(room.now_us(600))
    room.partition.tick_until(room.now_us(601))
    assert room.kinds().count("escalated") == 1  # all that is due, in one change


def test_the_shelf_ends_by_itself() -> None:
    room = Room(one_pair())
    room.bring(1, events=[room.event("tag-1", "case_open", 1)])
    room.partition.go_live(room.now_us(2))
    [alert] = room.partition.desk.open_alerts()
    step = Shelve(minutes=1, reason="known")
    room.partition.desk.act(alert.alert_id, step, version=1, operator="Kim", now_us=room.now_us(3))
    room.partition.tick_until(room.now_us(62))
    assert "unshelved" not in room.kinds()
    room.partition.tick_until(room.now_us(64))
    assert "unshelved" in room.kinds()


def test_another_policy_is_taken_over_while_running() -> None:
    profiles = load_profiles()
    room = Room(one_pair(), profiles)
    room.bring(1, events=[room.event("tag-1", "strap_cut", 1)])
    room.partition.go_live(room.now_us(2))
    room.partition.tick_until(room.now_us(5))
    default = profiles.by_name["default"]
    sooner = tuple(msgspec.structs.replace(rule, after_s=6) for rule in default.escalation)
    engine = {"clear_dwell_s": 7}
    changed = msgspec.structs.replace(default, escalation=sooner, engine=engine)
    profiles.replace(Profiles({"default": changed}))
    room.partition.go_by(profiles.sensitivities, room.now_us(5))
    [watch] = [w for w in room.partition.compiled.watches.values() if w.condition == "proximity"]
    assert watch.sensitivity == changed.sensitivity.version
    room.partition.tick_until(room.now_us(8))
    assert "operators" in asked(room)
