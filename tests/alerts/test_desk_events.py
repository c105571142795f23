"""Alerts that events of devices raise, repeat and clear."""

from __future__ import annotations

import pytest

from alerts.errors import IllegalStep
from alerts.steps import NOTE_LIMIT_CHARS
from devices.watches import Bearer
from tests.alerts.builders import (
    NOW_US,
    SECOND_US,
    START_US,
    TAG,
    close,
    desk,
    event,
    kinds,
    notice,
    take,
)


def test_panic_latches() -> None:
    on = desk()
    [raised] = notice(on, "panic", 1)
    assert (raised.data.tier, raised.data.condition) == (1, "panic")
    with pytest.raises(IllegalStep, match="acknowledge it first"):
        close(on)
    take(on)
    with pytest.raises(IllegalStep, match="note"):
        close(on, "  ")
    with pytest.raises(IllegalStep, match="note"):
        close(on, "x" * (NOTE_LIMIT_CHARS + 1))
    [resolved] = close(on)
    assert resolved.data.note == "spoken to her, all is well"
    assert resolved.data.resolved_by == "ada"
    assert on.open_alerts() == []


def test_a_closed_strap_does_not_clear_a_cut_one() -> None:
    on = desk()
    for kind, seq in (("strap_cut", 1), ("strap_closed", 2), ("charging", 3)):
        on.on_event(event(kind, seq, device="tag1"), TAG, now_us=NOW_US)
    [alert] = on.open_alerts()
    assert (alert.condition, alert.state, alert.agency) == ("tamper", "active", "centre")


def test_charging_clears_the_battery() -> None:
    on = desk()
    notice(on, "battery_low", 1)
    notice(on, "battery_critical", 2)
    assert kinds(notice(on, "charging", 3)) == ["returned", "returned"]
    assert kinds(take(on)) == ["acknowledged", "resolved"]


def test_charging_from_before_the_trouble_clears_nothing() -> None:
    on = desk()
    notice(on, "battery_low", 5)
    assert notice(on, "charging", 4) == []


def test_the_same_event_again_is_the_same_alert() -> None:
    on = desk()
    assert kinds(notice(on, "battery_low", 1)) == ["raised"]
    assert [notice(on, "battery_low", seq) for seq in (2, 3, 4)] == [[], [], []]
    [acknowledged] = take(on)
    assert acknowledged.data.repeats == 3
    assert on.counts.repeats == 3


def test_trouble_that_comes_back_unseen_is_the_same_alert() -> None:
    on = desk()
    [raised] = notice(on, "battery_low", 1)
    notice(on, "charging", 2)
    [again] = notice(on, "battery_low", 3)
    assert (again.kind, again.subject, again.data.state) == ("level", raised.subject, "active")
    assert len(on.open_alerts()) == 1


@pytest.mark.parametrize("seq", [7, -7])
def test_an_event_delivered_again_raises_nothing(seq: int) -> None:
    on = desk()
    at = {"time_us": START_US}
    notice(on, "panic", seq, **at)
    assert notice(on, "panic", seq, **at) == []
    take(on)
    close(on)
    assert notice(on, "panic", seq, **at) == []
    assert on.counts.replayed == 2


@pytest.mark.parametrize(
    ("seq", "time_us"),
    [
        (8, START_US + SECOND_US),  # pressed again
        (1, START_US + SECOND_US),  # a handset whose counter began anew
        (8, START_US - SECOND_US),  # a handset whose clock was set back
        (-3, START_US + SECOND_US),  # a handset that does not count
    ],
)
def test_a_new_panic_after_a_closed_one_is_heard(seq: int, time_us: int) -> None:
    on = desk()
    [first] = notice(on, "panic", 7, time_us=START_US)
    take(on)
    close(on)
    [second] = notice(on, "panic", seq, time_us=time_us)
    assert second.kind == "raised"
    assert second.subject != first.subject


def test_events_without_a_rule_are_counted() -> None:
    on = desk()
    assert notice(on, "beacon_seen", 1) == []
    assert notice(on, "charging", 2) == []  # it has a use, though nothing to clear now
    assert on.counts.unmapped == 1


def test_trouble_with_a_device_that_no_signal_ends_is_closed_by_a_person() -> None:
    on = desk()
    notice(on, "gnss_lost", 1)
    take(on)
    assert kinds(close(on)) == ["resolved"]


def test_a_device_of_nobody_still_raises_its_alarm() -> None:
    stranger = Bearer(device="phone9", kind="handset", person=None, role=None, fix_interval_s=60.0)
    [change] = desk().on_event(event("panic", 1, device="phone9"), stranger, now_us=NOW_US)
    assert (change.data.agency, change.data.told, change.data.tier) == ("", False, 1)
