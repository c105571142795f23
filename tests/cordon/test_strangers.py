"""Counting what devices send that nobody carries."""

from __future__ import annotations

import pytest

from cordon.strangers import Strangers
from devices.reports import Message
from ingest.decoder import Decoder
from tests.ingest.reports import NOW_US, fix, payload

DECODER = Decoder()
PANIC = payload({"time": "2026-11-23T18:04:05Z", "type": "panic"})


def bring(strangers: Strangers, *messages: tuple[str, str, bytes]) -> None:
    arrived = [
        Message(NOW_US, f"cordon/v1/{device}/{kind}", body) for device, kind, body in messages
    ]
    strangers.note(DECODER.decode(arrived, gateway="gw", number=1, received_us=NOW_US))


def test_reports_of_whoever_is_carried_are_not_counted() -> None:
    strangers = Strangers({"tag-1"}.__contains__)
    two = payload([fix(seq=1), fix(seq=2)])
    bring(strangers, ("tag-1", "fix", two), ("tag-1", "event", PANIC), ("tag-2", "fix", two))
    bring(strangers, ("phone-9", "event", PANIC), ("tag-2", "fix", b"nonsense"))
    assert (strangers.reports, strangers.devices) == (3, 2)


def test_who_is_assigned_later_is_no_stranger_any_more() -> None:
    carried: set[str] = set()
    strangers = Strangers(carried.__contains__)
    bring(strangers, ("tag-1", "fix", payload(fix())))
    assert strangers.devices == 1
    carried.add("tag-1")
    assert (strangers.reports, strangers.devices) == (1, 0)


def test_devices_are_told_apart_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cordon.strangers.MAX_STRANGERS", 3)
    strangers = Strangers(lambda _: False)
    bring(strangers, *((f"tag-{n}", "fix", payload(fix())) for n in range(5)))
    assert (strangers.reports, strangers.devices) == (5, 3)
