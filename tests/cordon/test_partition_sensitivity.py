"""What a jurisdiction profile says about the engine reaches the engine, and is named after."""

from __future__ import annotations

from importlib import resources

import msgspec

from alerts.profile import Profiles, parse_profile
from devices.caseload import Caseload
from tests.cordon.partitions import PROFILES, Room
from tests.cordon.running import one_pair

SHIPPED = (resources.files("alerts") / "profiles" / "default.toml").read_text("utf-8")


def profiles_with(engine: str) -> Profiles:
    """The shipped profile, and one named `strict` with another table `engine`."""
    text = SHIPPED.replace('name = "default"', 'name = "strict"')
    strict = parse_profile(text.replace("[engine]", f"[engine]\n{engine}").encode(), "strict.toml")
    return Profiles({**PROFILES.by_name, "strict": strict})


def under(profile: str) -> Caseload:
    caseload = one_pair(alert_m=200.0)
    [order] = caseload.orders
    return msgspec.structs.replace(
        caseload, orders=(msgspec.structs.replace(order, profile=profile),)
    )


def _meet(room: Room, apart_m: float) -> None:
    for second in range(5):
        room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (apart_m, 0.0)})


def test_a_profile_says_how_long_it_takes_to_clear() -> None:
    profiles = profiles_with("clear_dwell_s = 60")
    cleared = {}
    for name in ("default", "strict"):
        room = Room(under(name), profiles)
        _meet(room, 100.0)
        for second in range(5, 120):
            room.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (3000.0, 0.0)})
        last = room.out.decisions[-1].transition
        assert last.level.label == "clear"
        cleared[name] = last.decided_at_us
    assert 45e6 < cleared["strict"] - cleared["default"] < 55e6


def test_decisions_and_alerts_name_the_parameters_they_went_by() -> None:
    profiles = profiles_with("enter_probability = 0.6")
    named = {}
    for name in ("default", "strict", "not-there"):
        room = Room(under(name), profiles)
        _meet(room, 100.0)
        [rules] = {decision.rules for decision in room.out.decisions}
        assert {change.data.rules for change in room.out.changes} == {rules}
        named[name] = rules
    assert named["default"] != named["strict"]
    assert named["not-there"] == named["default"]
    assert named["strict"].endswith(profiles.by_name["strict"].sensitivity.version)
    head = {rules.rpartition("/")[0] for rules in named.values()}
    assert len(head) == 1


def test_a_change_of_the_parameters_goes_on_from_the_same_state() -> None:
    room = Room(under("strict"), profiles_with("clear_dwell_s = 60"))
    _meet(room, 100.0)
    checkpoint = room.partition.checkpoint()
    other = Room(under("strict"), profiles_with("clear_dwell_s = 30"))
    other.partition.load(room.partition.kept, checkpoint, checkpoint.ticked_us)
    assert other.out.decisions[:1] == []
    other.bring(5, {"tag-1": (0.0, 0.0), "phone-1": (3000.0, 0.0)})
    for second in range(6, 50):
        other.bring(second, {"tag-1": (0.0, 0.0), "phone-1": (3000.0, 0.0)})
    levels = [d.transition.level.label for d in other.out.decisions]
    assert levels[-1] == "clear"
    assert room.out.decisions[0].rules != other.out.decisions[0].rules
