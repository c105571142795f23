"""From the bytes of a ping to the track it must not move."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cordon.picture import Heard
from devices.caseload import Assignment, Device
from devices.instants import to_iso
from devices.reports import Batch, Message
from ingest.decoder import Decoder
from ingest.formats import traccar
from tests.cordon.partitions import SECOND_US, Room
from tests.cordon.running import HOME, SINCE, one_pair
from tests.ingest.reports import payload

PHONE = "jane__phone"
IMEI = "868487004353181"
DECODER = Decoder()


def phone_room() -> Room:
    """She carries a phone with OwnTracks, and he a tracker behind Traccar beside his tag."""
    caseload = one_pair()
    return Room(
        msgspec.structs.replace(
            caseload,
            devices=(Device(id="tag-1", kind="tag"), Device(id=PHONE, kind="handset")),
            assignments=(
                Assignment(device="tag-1", person="he", from_=SINCE),
                Assignment(device=PHONE, person="she", from_=SINCE),
            ),
        )
    )


def batch(room: Room, at_s: float, topic: str, value: dict[str, Any]) -> Batch:
    now_us = room.now_us(at_s)
    message = Message(now_us, topic, payload(value))
    number = int(at_s) + 1
    return DECODER.decode([message], gateway="gw", number=number, received_us=now_us)


def location(room: Room, at_s: float, **changes: Any) -> Batch:
    value = {
        "_type": "location",
        "lat": HOME[0],
        "lon": HOME[1],
        "acc": 10,
        "tst": room.now_us(at_s) // SECOND_US,
    }
    return batch(room, at_s, "owntracks/jane/phone", value | changes)


def seen_us(room: Room, device: str) -> int:
    """When the position of a device that is believed was taken."""
    partition = room.partition
    return int(
        partition.engine.picture().tracks.time_us[partition.compiled.plan.tracks.index(device)]
    )


def test_a_ping_that_dates_an_old_position_anew_moves_nobody() -> None:
    room = phone_room()
    room.partition.apply(location(room, 10))
    for at_s in range(60, 1800, 60):
        ping = location(room, at_s, t="p")
        assert len(ping.fixes) == 1  # kept
        room.partition.apply(ping)
    assert seen_us(room, PHONE) == room.now_us(10)
    room.partition.apply(location(room, 1800, t="t"))
    assert seen_us(room, PHONE) == room.now_us(1800)


def test_so_with_pings_alone_she_is_not_known_to_be_away_from_him() -> None:
    """He comes from far away while her phone only repeats itself: that is never "safe"."""
    room = phone_room()
    room.partition.apply(location(room, 10))
    room.bring(10, {"tag-1": (3000.0, 0.0)})
    for at_s in range(60, 1500, 30):
        room.partition.apply(location(room, at_s, t="p"))
        room.bring(at_s, {"tag-1": (3000.0, float(at_s % 7))})
    levels = {decision.transition.level.label for decision in room.out.decisions}
    assert "unknown" in levels


@pytest.mark.parametrize("kind", ["gnss", "network", "beacon", "last_known"])
def test_of_the_native_kinds_only_last_known_moves_nobody(kind: str) -> None:
    room = Room(one_pair())
    value = {"time": to_iso(room.now_us(10)), "lat": HOME[0], "lon": HOME[1], "kind": kind}
    room.partition.apply(batch(room, 10, "cordon/v1/tag-1/fix", value))
    assert (seen_us(room, "tag-1") == room.now_us(10)) == (kind != "last_known")


def test_a_position_that_traccar_fills_in_moves_nobody() -> None:
    caseload = one_pair()
    room = Room(
        msgspec.structs.replace(
            caseload,
            devices=(Device(id=IMEI, kind="tag"), Device(id="phone-1", kind="handset")),
            assignments=(
                Assignment(device=IMEI, person="he", from_=SINCE),
                Assignment(device="phone-1", person="she", from_=SINCE),
            ),
        )
    )

    def forward(at_s: float, **changes: Any) -> None:
        position = {"fixTime": to_iso(room.now_us(at_s)), "latitude": 54.0, "longitude": 4.0}
        document = {"device": {"uniqueId": IMEI}, "position": position | changes}
        room.partition.apply(batch(room, at_s, traccar.TOPIC, document))

    forward(10)
    forward(70, outdated=True)
    forward(130, valid=False)
    assert seen_us(room, IMEI) == room.now_us(10)
    forward(190)
    assert seen_us(room, IMEI) == room.now_us(190)


def test_a_phone_that_reports_after_its_last_will_is_back() -> None:
    """The app says when it goes, and not that it is back."""
    room, heard = phone_room(), Heard()
    heard.note(location(room, 10))
    assert heard.online == {}  # it has said nothing of it
    will = {"_type": "lwt", "tst": room.now_us(0) // SECOND_US}
    heard.note(batch(room, 20, "owntracks/jane/phone", will))
    assert heard.online == {PHONE: False}
    heard.note(location(room, 30))
    assert heard.online == {PHONE: True}


def test_what_is_ordinary_is_not_counted_as_refused() -> None:
    room, heard = phone_room(), Heard()
    heard.note(location(room, 10, _type="transition"))
    heard.note(location(room, 20, _type="encrypted"))
    assert heard.refused == 1
