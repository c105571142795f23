"""Traccar's forwarded positions: units, alarms, and what its server fills in."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import from_iso
from devices.reports import MISSING, ORDINARY, Batch, FixKind, Message
from ingest.formats.traccar import ALARMS, TOPIC
from tests.ingest.reports import NOW_US, codes, decode, payload
from tests.ingest.test_decoder_properties import json_values

DOCUMENT: dict[str, Any] = {
    "position": {
        "id": 0,
        "attributes": {"batteryLevel": 53, "motion": False, "charge": True, "sat": 9, "hdop": 1.2},
        "deviceId": 1,
        "type": None,
        "protocol": "gl200",
        "serverTime": "2026-11-23T18:04:05.770+0000",
        "deviceTime": "2026-11-23T18:04:04.000+0000",
        "fixTime": "2026-11-23T18:04:03.000+0000",
        "outdated": False,
        "valid": True,
        "latitude": 21.1416013,
        "longitude": 99.6410078,
        "altitude": 12.0,
        "speed": 10.0,
        "course": 90.0,
        "address": None,
        "accuracy": 22.0,
        "network": None,
    },
    "device": {"id": 1, "uniqueId": "868487004353181", "name": "Tag 7", "status": "online"},
}


def document(device: dict[str, Any] | None = None, **position: Any) -> dict[str, Any]:
    value = copy.deepcopy(DOCUMENT)
    value["position"] |= position
    value["device"] |= device or {}
    return value


def attributes(**values: Any) -> dict[str, Any]:
    return document(attributes=values)


def forwarded(value: Any) -> Batch:
    body = value if isinstance(value, bytes) else payload(value)
    return decode(Message(NOW_US, TOPIC, body))


def field(batch: Batch, name: str) -> int:
    (row,) = batch.fixes
    return int(row[name])


def test_a_position_field_by_field() -> None:
    batch = forwarded(DOCUMENT)
    assert not batch.refusals
    assert batch.devices == ("868487004353181",)
    names = ("lat_e7", "lon_e7", "accuracy_cm", "speed_cms", "course_cdeg", "satellites", "hdop_c")
    assert [field(batch, name) for name in names] == [
        211_416_013,
        996_410_078,
        2200,
        514,  # ten knots
        9000,
        9,
        120,
    ]
    assert field(batch, "time_us") == from_iso("2026-11-23T18:04:03Z")
    assert (field(batch, "battery_pct"), field(batch, "charging")) == (53, 1)
    assert (field(batch, "kind"), field(batch, "buffered")) == (FixKind.GNSS, 0)


@pytest.mark.parametrize(
    "time",
    [
        "2026-11-23T18:04:03.000+0000",
        "2026-11-23T18:04:03.000+00:00",
        "2026-11-23T19:04:03+01:00",
        "2026-11-23T18:04:03Z",
        from_iso("2026-11-23T18:04:03Z") // 1000,
    ],
)
def test_times_as_its_versions_write_them(time: Any) -> None:
    assert field(forwarded(document(fixTime=time)), "time_us") == from_iso("2026-11-23T18:04:03Z")


def test_accuracy_zero_is_unknown() -> None:
    assert field(forwarded(document(accuracy=0.0)), "accuracy_cm") == MISSING


@pytest.mark.parametrize("changes", [{"outdated": True}, {"valid": False}])
def test_what_the_server_or_the_receiver_fills_in_is_no_new_position(
    changes: dict[str, Any],
) -> None:
    assert field(forwarded(document(**changes)), "kind") == FixKind.LAST_KNOWN


def test_from_cells_and_from_the_archive() -> None:
    batch = forwarded(attributes(approximate=True, archive=True))
    assert (field(batch, "kind"), field(batch, "buffered")) == (FixKind.NETWORK, 1)


def test_a_tracker_that_never_had_a_position_says_so_in_order() -> None:
    value = document(outdated=True, fixTime="1970-01-01T00:00:00.000+0000", latitude=0, longitude=0)
    batch = forwarded(value)
    assert len(batch.fixes) == 0
    assert codes(batch) == ["not_a_position"]
    assert set(codes(batch)) <= set(ORDINARY)


@pytest.mark.parametrize(("alarm", "kind"), ALARMS.items())
def test_alarms_become_events(alarm: str, kind: str) -> None:
    batch = forwarded(attributes(alarm=alarm))
    (event,) = batch.events
    assert (event.type, event.device) == (kind, "868487004353181")
    assert event.time_us == from_iso("2026-11-23T18:04:04Z")  # when the tracker spoke
    assert len(batch.fixes) == 1
    assert not batch.refusals


def test_several_alarms_and_some_that_mean_nothing() -> None:
    batch = forwarded(attributes(alarm="overspeed,sos, lowBattery,sos,"))
    assert [event.type for event in batch.events] == ["panic", "battery_low"]
    assert codes(batch) == ["not_used"]
    assert set(codes(batch)) <= set(ORDINARY)


def test_the_same_alarm_forwarded_twice_is_the_same_event() -> None:
    first, again = forwarded(attributes(alarm="sos")), forwarded(attributes(alarm="sos"))
    assert first.events[0].seq == again.events[0].seq


@pytest.mark.parametrize(
    "changes",
    [
        {"latitude": 91},
        {"latitude": None},
        {"fixTime": "1970-01-01T00:00:00Z"},
        {"fixTime": "soon"},
        {"deviceTime": "soon"},
        {"deviceTime": None},
        {"deviceTime": "1970-01-01T00:00:00Z"},
        {"deviceTime": {"a": 1}},
        {"speed": "fast"},
        {"accuracy": -5},
        {"valid": "yes"},
        {"course": 1e300},
    ],
)
def test_nothing_in_a_position_costs_a_panic(changes: dict[str, Any]) -> None:
    batch = forwarded(document(attributes={"alarm": "sos"}, **changes))
    (event,) = batch.events
    assert event.type == "panic"
    assert event.time_doubted == ("deviceTime" in changes)
    assert len(batch.refusals) == 1


@pytest.mark.parametrize(
    ("changes", "field_name"),
    [({"speed": -1}, "speed"), ({"course": 400}, "course"), ({"speed": 2000}, "speed")],
)
def test_nonsense_beside_a_position_costs_nothing_but_itself(
    changes: dict[str, Any], field_name: str
) -> None:
    batch = forwarded(document(**changes))
    assert field(batch, "lat_e7") == 211_416_013
    assert batch.refusals[0].reason.startswith(f"$.{field_name}")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (document({"uniqueId": "tag 7"}), "bad_device"),
        (document({"uniqueId": "x" * 65}), "bad_device"),
        (document({"uniqueId": 7}), "wrong_type"),
        ({"position": DOCUMENT["position"]}, "missing_field"),
        ({"device": DOCUMENT["device"]}, "missing_field"),
        (document(latitude=-90.1), "out_of_range"),
        (document(fixTime="2026-11-23T18:04:03"), "bad_time"),
        (document(fixTime="0001-01-01T00:00:00+23:59"), "bad_time"),
        (document(fixTime=10**40), "bad_time"),
        ([DOCUMENT], "wrong_type"),
        (b"id=1&lat=2", "not_json"),
        (b"", "empty"),
    ],
)
def test_what_cannot_be_a_position_is_refused(value: Any, code: str) -> None:
    batch = forwarded(value)
    assert (codes(batch), len(batch.fixes)) == ([code], 0)
    assert len(batch.messages) == 1


@given(st.floats(0, 970), st.floats(0, 970))
def test_speed_is_knots_and_grows_with_them(slow: float, fast: float) -> None:
    low, high = sorted((slow, fast))
    rows = [field(forwarded(document(speed=value)), "speed_cms") for value in (low, high)]
    assert rows[0] <= rows[1]
    for value, row in zip((low, high), rows, strict=True):
        assert abs(row / 100 * 3600 / 1852 - value) <= 0.0098


@given(st.dictionaries(st.sampled_from(sorted(DOCUMENT["position"])), json_values, max_size=4))
def test_whatever_stands_in_a_position(changes: dict[str, Any]) -> None:
    batch = forwarded(document(**changes))
    assert "adapter_failed" not in codes(batch)
    assert len(batch.fixes) + len(batch.events) + len(batch.refusals) >= 1
