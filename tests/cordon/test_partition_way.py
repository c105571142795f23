"""The way that leads away: in the alert for officers, and told to her where the profile says so."""

from __future__ import annotations

import msgspec
import pytest

from alerts.deliveries import for_handset
from alerts.errors import ProfileError
from alerts.model import AlertChange
from alerts.profile import Profiles, parse_profile
from devices.commands import HandsetAddress, Notify, decode_command
from devices.instants import from_iso
from tests.cordon.partitions import PROFILES, Room
from tests.cordon.running import one_pair

ADDRESS = HandsetAddress("phone-1")


def under(profile: str, tag: tuple[float, float]) -> AlertChange:
    """He comes near from one side; the newest change of the alert."""
    whole = one_pair()
    orders = tuple(msgspec.structs.replace(one, profile=profile) for one in whole.orders)
    room = Room(msgspec.structs.replace(whole, orders=orders))
    for second in range(40):
        share = max(0.0, 1.0 - second / 20)
        place = (tag[0] * (1 + 5 * share), tag[1] * (1 + 5 * share))
        room.bring(second, {"phone-1": (0.0, 0.0), "tag-1": place})
    return room.out.changes[-1]


def notice(change: AlertChange, profiles: Profiles = PROFILES) -> Notify:
    delivery = for_handset(change, profiles, ADDRESS, "en")
    assert delivery is not None
    command = decode_command(delivery.payload)
    assert isinstance(command, Notify)
    return command


@pytest.mark.parametrize(
    ("tag", "bearing_deg", "way"),
    [
        ((-100.0, 0.0), 0.0, "north"),
        ((100.0, 0.0), 180.0, "south"),
        ((0.0, -100.0), 90.0, "east"),
        ((0.0, 100.0), 270.0, "west"),
    ],
)
def test_officers_have_the_way_and_france_tells_it_to_her(
    tag: tuple[float, float], bearing_deg: float, way: str
) -> None:
    change = under("france", tag)
    alert = change.data
    assert alert.away_deg is not None
    assert alert.away_spread_deg is not None
    off = (alert.away_deg - bearing_deg + 180.0) % 360.0 - 180.0
    assert abs(off) <= alert.away_spread_deg <= 45.0
    told = notice(change)
    assert way in told.way
    assert from_iso(told.way_until) - from_iso(told.time) == 60_000_000
    assert way not in told.text


def test_other_profiles_tell_her_no_way() -> None:
    change = under("default", (-100.0, 0.0))
    assert change.data.away_deg is not None
    assert notice(change).way == ""


def test_what_is_not_known_well_enough_is_not_said() -> None:
    change = under("france", (-100.0, 0.0))
    for fields in ({"away_deg": None, "away_spread_deg": None}, {"away_spread_deg": 50.0}):
        doubtful = msgspec.structs.replace(change.data, **fields)
        assert notice(msgspec.structs.replace(change, data=doubtful)).way == ""


def test_a_profile_that_tells_a_way_needs_the_words() -> None:
    text = 'extends = "default"\nname = "x"\n[levels.proximity]\nalert = { way = true }\n'
    with pytest.raises(ProfileError, match=r"way\.north"):
        parse_profile(text.encode(), "x.toml")
