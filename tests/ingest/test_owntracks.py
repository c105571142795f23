"""OwnTracks: real messages of phones, the units, and what must not be believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.instants import from_iso
from devices.reports import MISSING, ORDINARY, Batch, FixKind, Message
from ingest.formats.owntracks import device_id, topic_of
from ingest.native import is_device_id
from tests.ingest.reports import NOW_US, codes, decode, payload

TOPIC = "owntracks/jane/phone"
DEVICE = "jane__phone"
TST = NOW_US // 1_000_000 - 30
LOCATION: dict[str, Any] = {
    "_type": "location",
    "lat": 48.85833,
    "lon": 2.29513,
    "tst": TST,
    "acc": 5,
    "vel": 61,
    "cog": 271,
    "alt": 167,
    "batt": 67,
    "bs": 2,
    "t": "u",
    "tid": "JJ",
    "conn": "w",
}


def owntracks(value: Any, below: str = "", received_us: int = NOW_US) -> Message:
    body = value if isinstance(value, bytes) else payload(value)
    return Message(received_us, TOPIC + below, body)


def located(**changes: Any) -> Batch:
    value = {name: part for name, part in (LOCATION | changes).items() if part is not None}
    return decode(owntracks(value))


def field(batch: Batch, name: str) -> int:
    (row,) = batch.fixes
    return int(row[name])


def test_a_location_field_by_field() -> None:
    batch = located()
    assert not batch.refusals
    assert batch.devices == (DEVICE,)
    names = ("lat_e7", "lon_e7", "accuracy_cm", "speed_cms", "course_cdeg", "battery_pct")
    assert [field(batch, name) for name in names] == [
        488_583_300,
        22_951_300,
        500,
        1694,  # 61 km/h
        27_100,
        67,
    ]
    assert field(batch, "time_us") == TST * 1_000_000
    assert (field(batch, "charging"), field(batch, "kind")) == (1, FixKind.GNSS)
    assert field(batch, "seq") < 0


@pytest.mark.parametrize("value", [-1, None])
def test_what_the_phone_does_not_know_is_missing(value: int | None) -> None:
    batch = located(vel=value, cog=value, batt=value, bs=0, acc=None)
    names = ("speed_cms", "course_cdeg", "battery_pct", "charging", "accuracy_cm")
    assert [field(batch, name) for name in names] == [MISSING] * 5


@pytest.mark.parametrize(("bs", "charging"), [(0, MISSING), (1, 0), (2, 1), (3, 1), (9, MISSING)])
def test_battery_states(bs: int, charging: int) -> None:
    assert field(located(bs=bs), "charging") == charging


@pytest.mark.parametrize("trigger", ["p", "l", "L"])
def test_a_ping_is_no_new_position_though_its_time_is_new(trigger: str) -> None:
    assert field(located(t=trigger), "kind") == FixKind.LAST_KNOWN


@pytest.mark.parametrize("trigger", ["u", "t", "c", "b", "r", "v", None])
def test_all_other_triggers_are_positions(trigger: str | None) -> None:
    assert field(located(t=trigger), "kind") == FixKind.GNSS


@pytest.mark.parametrize("changes", [{"vel": 5000}, {"batt": "full"}, {"cog": 720}, {"bs": "x"}])
def test_nonsense_beside_a_position_costs_nothing_but_itself(changes: dict[str, Any]) -> None:
    batch = located(**changes)
    assert field(batch, "lat_e7") == 488_583_300
    (refusal,) = batch.refusals
    assert refusal.reason.startswith(f"$.{next(iter(changes))}")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"lat": 91}, "out_of_range"),
        ({"lat": None}, "missing_field"),
        ({"acc": -1}, "out_of_range"),  # on iOS: the position is not valid
        ({"tst": None}, "missing_field"),
        ({"tst": "soon"}, "bad_time"),
        ({"tst": "9" * 5000}, "bad_time"),
        ({"tst": 10**30}, "bad_time"),
        ({"tst": 1e300}, "bad_time"),
        ({"tst": TST - 500 * 86_400}, "bad_time"),
        ({"tst": 1_068_138_065}, "bad_time"),  # a phone of 2023 that counted GPS weeks wrongly
    ],
)
def test_what_cannot_be_a_position_is_refused(changes: dict[str, Any], code: str) -> None:
    batch = located(**changes)
    assert (codes(batch), len(batch.fixes)) == ([code], 0)


@pytest.mark.parametrize("kind", ["transition", "waypoint", "waypoints", "card", "status", "steps"])
def test_the_ordinary_is_kept_and_is_no_error(kind: str) -> None:
    batch = decode(owntracks(LOCATION | {"_type": kind}, "/event"))
    assert len(batch.fixes) == 0
    assert codes(batch) == ["not_a_position"]
    assert set(codes(batch)) <= set(ORDINARY)


def test_what_is_said_to_the_phone_is_not_its_position() -> None:
    assert codes(decode(owntracks(LOCATION, "/cmd"))) == ["not_a_position"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"_type": "encrypted", "data": "c2VjcmV0"}, "encrypted"),
        ({"_type": "thought"}, "unknown_value"),
        ({"lat": 1}, "missing_field"),
        (b"", "empty"),
        (b"B,561ebac3,v,50123456,65987654", "not_json"),
        ([LOCATION], "wrong_type"),
    ],
)
def test_everything_else_is_refused_with_its_reason(body: Any, code: str) -> None:
    assert codes(decode(owntracks(body))) == [code]


@pytest.mark.parametrize("tst", [TST - 40_000, str(TST - 40_000)])
def test_a_last_will_carries_the_time_of_the_connect(tst: Any) -> None:
    (status,) = decode(owntracks({"_type": "lwt", "tst": tst})).statuses
    assert (status.device, status.online) == (DEVICE, False)
    assert status.time_us == (TST - 40_000) * 1_000_000


def test_ten_positions_under_one_timestamp_are_all_kept_apart(data_dir: Path) -> None:
    lines = (data_dir / "payloads/owntracks_android_issue317.jsonl").read_bytes().split(b"\n")
    flush = [json.loads(line) for line in lines if line.strip()]
    received_us = flush[0]["tst"] * 1_000_000 + 5_000_000
    batch = decode(*(owntracks(value, received_us=received_us) for value in flush))
    assert not batch.refusals
    assert len(batch.fixes) == len(flush) == 10
    assert len(set(batch.fixes["time_us"].tolist())) == 1
    assert len(set(batch.fixes["seq"].tolist())) == 10
    expected = [round(value["lat"] * 1e7) for value in flush]
    assert batch.fixes["lat_e7"].tolist() == expected
    assert batch.fixes["accuracy_cm"].tolist() == [value["acc"] * 100 for value in flush]


def test_a_recording_of_a_phone(data_dir: Path) -> None:
    """A train ride of 2015 as the recorder wrote it: arrival, trigger, payload."""
    lines = (data_dir / "payloads/owntracks_demo-iphone.rec").read_text().splitlines()
    records = [line.split("\t") for line in lines if line.strip()]
    arrivals = [
        owntracks(body.encode(), received_us=from_iso(at.replace("Z", "+00:00")))
        for at, _, body in records
    ]
    batch = decode(*arrivals)
    values = [json.loads(body) for _, _, body in records]
    located = [value for value in values if value["_type"] == "location"]
    assert not batch.refusals
    assert len(batch.fixes) == len(located) > 15
    assert len(batch.statuses) == sum(value["_type"] == "lwt" for value in values)
    assert batch.fixes["time_us"].tolist() == [value["tst"] * 1_000_000 for value in located]
    for row, value in zip(batch.fixes, located, strict=True):
        assert row["speed_cms"] == (MISSING if value["vel"] < 0 else round(value["vel"] / 0.036))
        assert row["course_cdeg"] == (MISSING if value["cog"] < 0 else value["cog"] * 100)
        assert row["battery_pct"] == value["batt"]


def test_messages_of_several_apps_and_trackers(data_dir: Path) -> None:
    lines = (data_dir / "payloads/traccar_owntracks.jsonl").read_bytes().splitlines()
    for line in lines:
        tst = json.loads(line)["tst"]
        batch = decode(owntracks(line, received_us=tst * 1_000_000 + 1))
        assert (len(batch.fixes), batch.refusals) == (1, ()), line


names = st.text(min_size=1, max_size=12).filter(lambda text: "/" not in text)
plain = st.text("ab_-5F.é", min_size=1, max_size=6)


@given(names | plain, names | plain, names | plain, names | plain)
def test_no_two_topics_give_one_id(user: str, device: str, user_2: str, device_2: str) -> None:
    if any("\ud800" <= char <= "\udfff" for char in user + device + user_2 + device_2):
        return  # no topic holds half a surrogate pair
    same = (user, device) == (user_2, device_2)
    assert (device_id(user, device) == device_id(user_2, device_2)) == same


@given(plain, plain)
def test_an_id_leads_back_to_its_topic(user: str, device: str) -> None:
    assert topic_of(device_id(user, device)) == f"owntracks/{user}/{device}"


@given(st.text("ab_5FC-", max_size=10))
def test_only_ids_that_a_topic_gives_lead_to_one(text: str) -> None:
    topic = topic_of(text)
    if topic is not None:
        assert device_id(*topic.split("/")[1:]) == text


@pytest.mark.parametrize(
    ("user", "device", "expected"),
    [
        ("jane", "phone", "jane__phone"),
        ("jane", "22A67880-15C3-41A6-9157-25545C7993AC", None),
        ("jane_doe", "my.phone", "jane_5Fdoe__my_2Ephone"),
        ("jane", "Téléphone", "jane__T_C3_A9l_C3_A9phone"),
    ],
)
def test_ordinary_names_give_possible_ids(user: str, device: str, expected: str | None) -> None:
    name = device_id(user, device)
    assert name == (expected or f"{user}__{device}")
    assert is_device_id(name)


@pytest.mark.parametrize("topic", ["owntracks/_/phone", "owntracks/jane/" + "x" * 60])
def test_names_that_give_no_possible_id_are_refused(topic: str) -> None:
    assert codes(decode(Message(NOW_US, topic, payload(LOCATION)))) == ["bad_device"]


@given(st.floats(0, 1800), st.floats(0, 1800))
def test_speed_is_km_per_hour_and_grows_with_it(slow: float, fast: float) -> None:
    low, high = sorted((slow, fast))
    rows = [field(located(vel=value), "speed_cms") for value in (low, high)]
    assert rows[0] <= rows[1]
    for value, row in zip((low, high), rows, strict=True):
        assert abs(row * 0.036 - value) <= 0.0181
