"""Where a device is, for those few who may be told."""

from __future__ import annotations

import pytest

from cordon.places import Places
from tests.cordon.partitions import Room
from tests.cordon.running import HOME, METRE_DEG, one_pair


def test_the_place_of_a_device_is_where_it_was_last_seen() -> None:
    room, places = Room(one_pair()), Places()
    assert places.of("tag-1") is None, "there is no engine yet"
    places.partition = room.partition
    room.bring(0, {"tag-1": (1_000.0, 0.0)})
    found = places.of("tag-1")
    assert found is not None
    assert found.fix_us == room.now_us(0)
    assert (found.lat_deg, found.lon_deg) == pytest.approx(
        (HOME[0] + 1_000.0 * METRE_DEG, HOME[1]), abs=1e-6
    )
    assert found.accuracy_m is not None
    assert found.accuracy_m > 0
    assert places.of("phone-1") is None, "it has not been heard"
    assert places.of("nobody's") is None
