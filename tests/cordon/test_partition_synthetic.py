"""The synthetic pair's walks through engine and desk: an alert each minute that closes by itself."""

from __future__ import annotations

from devices.caseload import Caseload
from devices.synthetic import HANDSET, TAG, WALK_S, place_deg
from tests.cordon.partitions import Room
from tests.cordon.running import one_pair


def test_each_walk_gives_an_alert_that_nobody_must_act_on() -> None:
    room = Room(Caseload(), synthetic=True)
    room.partition.go_live(room.now_us(0))
    near: set[int] = set()
    for second in range(0, 5 * int(WALK_S), 2):
        fixes = []
        for device in (HANDSET, TAG):
            lat, lon = place_deg(device, second)
            fixes.append((device, float(second), round(lat * 1e7), round(lon * 1e7)))
        before = len(room.out.changes)
        room.bring_raw(second, fixes)
        for change in room.out.changes[before:]:
            assert change.data.synthetic
            assert change.data.agency.startswith("cordon-synthetic-")
            if change.data.level in {"alert", "contact"}:
                near.add(second // int(WALK_S))
                assert second % WALK_S <= 30
    assert near == {0, 1, 2, 3, 4}
    assert "escalated" not in room.kinds()
    assert len([a for a in room.partition.desk.open_alerts() if a.state == "returned"]) == 0


def test_real_alerts_bear_no_mark() -> None:
    room = Room(one_pair(), synthetic=True)
    room.bring(1, events=[room.event("tag-1", "strap_cut", 1)])
    [alert] = room.partition.desk.open_alerts()
    assert not alert.synthetic
