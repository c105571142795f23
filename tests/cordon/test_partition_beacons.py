"""Devices that hear each other's beacon: contact, one alert, and nothing from late reports."""

from __future__ import annotations

import math
from importlib import resources

import pytest

from alerts.profile import Profiles, parse_profile
from tests.cordon.partitions import PROFILES, Room
from tests.cordon.running import one_pair

SHIPPED = (resources.files("alerts") / "profiles" / "default.toml").read_text("utf-8")

BOTH_WAYS = pytest.mark.parametrize(
    ("device", "peer"), [("tag-1", "phone-1"), ("phone-1", "tag-1")]
)


def _far(room: Room, first_s: int, last_s: int) -> None:
    """Five kilometres apart by their satellites, a fix of each a second."""
    for second in range(first_s, last_s):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (5000.0, 0.0)})


def _levels(room: Room) -> list[str]:
    return [decision.transition.level.label for decision in room.out.decisions]


@BOTH_WAYS
def test_a_beacon_is_contact_whatever_the_satellites_say(device: str, peer: str) -> None:
    room = Room(one_pair())
    _far(room, 0, 5)
    room.bring(5, events=[room.event(device, "beacon_seen", 5, peer)])
    [decision] = room.out.decisions
    assert (decision.transition.level.label, decision.transition.cause.label) == (
        "contact",
        "beacon",
    )
    assert decision.transition.probability == 1.0
    [change] = room.out.changes
    assert (change.kind, change.data.tier, change.data.condition) == ("raised", 1, "proximity")
    _far(room, 6, 90)  # one who still hears him is not let go by positions
    assert _levels(room)[-1] == "clear"
    assert decision.transition.onset_us == room.now_us(5)
    assert room.kinds().count("raised") == 1


def test_a_beacon_before_any_fix_is_contact_all_the_same() -> None:
    room = Room(one_pair())
    room.bring(5, events=[room.event("tag-1", "beacon_seen", 5, "phone-1")])
    [decision] = room.out.decisions
    assert decision.transition.level.label == "contact"
    assert math.isnan(decision.transition.distance_m)
    assert room.out.changes[0].data.distance_m is None


def test_one_encounter_by_beacon_and_by_position_is_one_alert() -> None:
    room = Room(one_pair())
    for second in range(30):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (10.0 * (30 - second), 0.0)})
        if second % 5 == 0:
            pair = ("tag-1", "phone-1") if second % 2 else ("phone-1", "tag-1")
            room.bring(second, events=[room.event(pair[0], "beacon_seen", second, pair[1])])
    assert room.kinds().count("raised") == 1
    assert len(room.partition.desk.open_alerts()) == 1


def test_a_profile_with_a_rule_for_beacons_raises_no_second_alert() -> None:
    more = '[events.beacon_seen]\ncondition = "device"\ntier = 3\n\n[events.panic]'
    profile = parse_profile(SHIPPED.replace("[events.panic]", more).encode(), "own.toml")
    room = Room(one_pair(), Profiles({**PROFILES.by_name, "default": profile}))
    room.bring(1, events=[room.event("tag-1", "beacon_seen", 1, "phone-1")])
    assert [change.data.condition for change in room.out.changes] == ["proximity"]
    room.bring(2, events=[room.event("tag-1", "beacon_seen", 2, "home-9")])
    assert [change.data.condition for change in room.out.changes] == ["proximity", "device"]


def test_silent_satellites_do_not_make_a_beacon_flap() -> None:
    """Both indoors: no fix for minutes, the beacon is heard every 15 s."""
    room = Room(one_pair())
    for second in range(3):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (20.0, 0.0)})
    for second in range(10, 600, 15):
        room.bring(second, events=[room.event("tag-1", "beacon_seen", second, "phone-1")])
    assert _levels(room) == ["contact"]
    room.partition.tick_until(room.now_us(700))
    assert _levels(room) == ["contact", "unknown"]


def test_a_lost_beacon_lets_positions_clear_at_once_and_silence_of_it_later() -> None:
    ends = {}
    for kind in ("beacon_lost", ""):
        room = Room(one_pair())
        room.bring(0, events=[room.event("tag-1", "beacon_seen", 0, "phone-1")])
        if kind:
            room.bring(1, events=[room.event("tag-1", kind, 1, "phone-1")])
        _far(room, 2, 100)
        assert _levels(room)[-1] == "clear"
        ends[kind] = room.out.decisions[-1].transition.decided_at_us - room.now_us(0)
    assert ends["beacon_lost"] < 20_000_000
    assert 60_000_000 <= ends[""] < 80_000_000


def test_what_one_loses_the_other_may_still_hear() -> None:
    room = Room(one_pair())
    room.bring(0, events=[room.event("tag-1", "beacon_seen", 0, "phone-1")])
    room.bring(2, events=[room.event("phone-1", "beacon_seen", 2, "tag-1")])
    room.bring(3, events=[room.event("tag-1", "beacon_lost", 3, "phone-1")])
    _far(room, 4, 50)
    assert _levels(room) == ["contact"]
    room.bring(50, events=[room.event("phone-1", "beacon_lost", 50, "tag-1")])
    _far(room, 51, 70)
    assert _levels(room)[-1] == "clear"


@pytest.mark.parametrize("known", ["beacon_seen", "beacon_lost"])
@pytest.mark.parametrize("late", ["beacon_seen", "beacon_lost"])
def test_a_late_report_changes_nothing(known: str, late: str) -> None:
    def after(*reports: tuple[str, float]) -> list[tuple[str, int]]:
        room = Room(one_pair())
        room.bring(0, events=[room.event("tag-1", "beacon_seen", 0, "phone-1", seq=1)])
        for number, (kind, at_s) in enumerate(reports):
            event = room.event("tag-1", kind, at_s, "phone-1", seq=2 + number)
            room.bring(20 + number, events=[event])
        _far(room, 30, 120)
        return [(d.transition.level.label, d.transition.decided_at_us) for d in room.out.decisions]

    assert after((known, 19.0), (late, 10.0)) == after((known, 19.0))


@pytest.mark.parametrize("order", ["seen lost", "lost seen", "seen lost seen", "lost seen lost"])
def test_reports_of_one_instant_come_to_the_same_in_any_order(order: str) -> None:
    """A message may be delivered again, and again after others."""
    room = Room(one_pair())
    room.bring(0, events=[room.event("tag-1", "beacon_seen", 0, "phone-1")])
    for kind in order.split():
        room.bring(5, events=[room.event("tag-1", f"beacon_{kind}", 5, "phone-1")])
    _far(room, 6, 30)
    assert _levels(room)[-1] == "clear"
    assert room.kinds().count("raised") == 1


def test_an_old_report_raises_nothing_and_a_clock_ahead_outdates_nothing() -> None:
    room = Room(one_pair())
    _far(room, 0, 100)
    room.bring(100, events=[room.event("tag-1", "beacon_seen", 20, "phone-1")])
    assert room.out.decisions == []
    room.bring(101, events=[room.event("tag-1", "beacon_seen", 300, "phone-1")])
    room.bring(102, events=[room.event("tag-1", "beacon_lost", 302, "phone-1")])
    _far(room, 103, 130)
    assert _levels(room)[0] == "contact"
    assert _levels(room)[-1] == "clear"


def test_a_beacon_of_a_stranger_is_nothing_to_a_pair() -> None:
    room = Room(one_pair())
    for peer in ("tag-1", "phone-9", None):
        room.bring(1, events=[room.event("tag-1", "beacon_seen", 1, peer)])
    assert room.out.decisions == []
    assert room.out.changes == []


def test_a_restart_remembers_what_was_heard() -> None:
    room = Room(one_pair())
    room.bring(0, events=[room.event("tag-1", "beacon_seen", 0, "phone-1")])
    room.bring(5, events=[room.event("tag-1", "beacon_lost", 5, "phone-1")])
    again = Room(one_pair())
    again.partition.load(room.partition.kept, room.partition.checkpoint(), room.now_us(6))
    again.bring(7, events=[again.event("tag-1", "beacon_seen", 4, "phone-1")])
    _far(again, 8, 30)
    assert _levels(again)[-1] == "clear"
