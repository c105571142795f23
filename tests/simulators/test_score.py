"""Keeping the score."""

from __future__ import annotations

import pytest

from devices.commands import Locate, Notify
from devices.instants import to_iso
from simulators.outbox import Item
from simulators.score import Ledger
from tests.simulators.pretend import START_US


def fix(number: int) -> Item:
    return Item("fix", b"", seq=number, time_us=START_US + number)


def notify(alert: str, version: int, kind: str, level: str, *fixes: int) -> Notify:
    return Notify(
        id=f"{alert}/{version}",
        time=to_iso(START_US),
        expires=to_iso(START_US),
        alert_id=alert,
        version=version,
        kind=kind,
        tier=2,
        level=level,
        title="",
        text="",
        fix_times={f"device-{n}": to_iso(START_US + n) for n in fixes},
    )


def test_latency_counts_from_the_later_fix_of_a_rise_in_danger() -> None:
    ledger = Ledger()
    ledger.on_published("tag", fix(1), 10.0)
    ledger.on_published("phone", fix(2), 12.0)
    ledger.on_command("phone", notify("a", 1, "raised", "pre_alert", 1, 2), 12.004)
    ledger.on_command("phone", notify("a", 1, "raised", "pre_alert", 1, 2), 99.0)  # again
    ledger.on_command("phone", notify("a", 3, "level", "alert", 2), 12.006)
    ledger.on_command("phone", notify("a", 2, "level", "contact", 1, 2), 50.0)  # overtaken
    ledger.on_command("phone", notify("a", 4, "level", "pre_alert", 2), 60.0)  # falls
    ledger.on_command("phone", notify("a", 5, "returned", "clear", 2), 70.0)
    ledger.on_command("phone", notify("b", 1, "raised", "unknown", 1, 2), 80.0)  # by time
    ledger.on_command("phone", notify("c", 1, "raised", "alert", 1, 3), 90.0)  # not ours
    ledger.on_command("phone", notify("d", 1, "raised", "panic"), 90.0)
    ledger.on_command("phone", Locate(id="x", time="", expires=""), 91.0)
    latency = ledger.latency()
    assert latency.count == 2
    assert latency.p50 == pytest.approx(5.0)
    assert (ledger.alerts_raised, ledger.alerts_returned) == (4, 1)


def test_what_is_not_acknowledged_is_known() -> None:
    ledger = Ledger()
    assert ledger.latency().p50 is None
    for number in (3, 1, 2):
        ledger.on_published("tag", fix(number), 0.0)
    ledger.on_acknowledged("tag", fix(3), 1.0)
    assert (ledger.published, ledger.acknowledged) == (3, 1)
    assert [key.seq for key in ledger.unacknowledged()] == [1, 2]
    assert ledger.published_keys() == {("tag", START_US + n, n) for n in (1, 2, 3)}
    assert (ledger.first_us, ledger.last_us) == (START_US + 1, START_US + 3)


def test_a_very_long_run_forgets_the_oldest_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.score.FIXES_REMEMBERED", 2)
    ledger = Ledger()
    for number in (1, 2, 3):
        ledger.on_published("tag", fix(number), 0.0)
    ledger.on_acknowledged("tag", fix(1), 0.0)
    assert {key.seq for key in ledger.published_keys()} == {2, 3}
    assert (ledger.published, ledger.acknowledged, ledger.forgotten) == (3, 1, 1)
