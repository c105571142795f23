"""What is wrong with one device, and when it is not any more."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.health import Health, HealthStateError
from devices.health_changes import HealthChange
from devices.reports import MISSING
from devices.watches import Bearer

SECOND_US = 1_000_000
START_US = 1_795_000_000 * SECOND_US


def bearer(device: str, *, interval_s: float = 60.0, person: str = "she", **more: str) -> Bearer:
    return Bearer(
        device=device,
        kind=more.get("kind", "handset"),  # type: ignore[arg-type]
        person=person,
        role="protected",
        fix_interval_s=interval_s,
        agencies=("centre",),
    )


def watched(*bearers: Bearer) -> Health:
    health = Health(START_US)
    assert health.plan({one.device: one for one in bearers}, START_US) == []
    return health


def at(seconds: float) -> int:
    return START_US + round(seconds * SECOND_US)


def told(changes: list[HealthChange]) -> list[tuple[str, bool]]:
    return [(change.kind, change.began) for change in changes]


def speak(health: Health, device: str, seconds: float) -> list[HealthChange]:
    return [
        *health.hear(device, at(seconds)),
        *health.position(device, at(seconds), at(seconds)),
    ]


@pytest.mark.parametrize(("interval_s", "after_s"), [(10.0, 90), (60.0, 240), (600.0, 1860)])
def test_each_device_is_silent_by_its_own_interval(interval_s: float, after_s: int) -> None:
    health = watched(bearer("phone-1", interval_s=interval_s))
    speak(health, "phone-1", 5)
    assert health.advance(at(5 + after_s) - 1) == []
    [change] = health.advance(at(5 + after_s))
    assert (change.kind, change.began, change.cause) == ("silent", True, "no_word")
    assert (change.onset_us, change.quantity) == (at(5), after_s)
    [back] = health.hear("phone-1", at(9000))
    assert (back.began, back.number, back.onset_us) == (False, change.number, change.onset_us)


def test_tag_and_handset_go_by_the_same_rules() -> None:
    def life(kind: str) -> list[HealthChange]:
        health = watched(bearer("d", kind=kind))
        changes = speak(health, "d", 5)
        changes += health.battery("d", 7, MISSING, at(6), at(6))
        changes += health.event("d", "permission_off", at(7), at(7))
        changes += health.event("d", "gnss_lost", at(8), at(8))
        return changes + health.advance(at(9000))

    assert life("tag") == life("handset")
    assert len(life("tag")) == 5


def test_the_last_will_is_no_word_and_the_cause_of_silence() -> None:
    health = watched(bearer("phone-1"))
    assert health.status("phone-1", at(1), at(1), online=True) == []
    assert health.status("phone-1", at(1), at(100), online=False) == []
    [change] = health.advance(at(241))
    assert (change.kind, change.cause, change.onset_us) == ("silent", "offline", at(1))
    # The broker repeats what it retains: still the same statement, still no word.
    assert health.status("phone-1", at(1), at(300), online=False) == []
    assert health.status("phone-1", at(1), at(301), online=True) == []
    assert told(health.status("phone-1", at(302), at(302), online=True)) == [("silent", False)]


def test_heard_without_a_position_is_lost_satellites_not_silence() -> None:
    health = watched(bearer("phone-1"))
    changes = speak(health, "phone-1", 0)
    for second in range(30, 600, 30):
        changes += health.hear("phone-1", at(second))
    assert told(changes) == [("gnss_lost", True)]
    assert (changes[0].cause, changes[0].decided_at_us) == ("no_fix", at(420))
    assert told(health.position("phone-1", at(600), at(600))) == [("gnss_lost", False)]


def test_a_home_unit_has_no_position_to_lose() -> None:
    health = watched(bearer("unit-1", kind="home_unit"))
    changes = [change for s in range(0, 3000, 60) for change in health.hear("unit-1", at(s))]
    assert changes == []


def test_one_who_comes_back_is_given_time_for_his_satellites() -> None:
    health = watched(bearer("phone-1"))
    speak(health, "phone-1", 0)
    health.advance(at(5000))
    assert told(health.hear("phone-1", at(5000))) == [("silent", False)]
    assert health.advance(at(5060)) == []


def test_buffered_reports_change_nothing_that_newer_ones_have_settled() -> None:
    health = watched(bearer("phone-1"))
    speak(health, "phone-1", 1000)
    assert told(health.event("phone-1", "permission_on", at(900), at(1000))) == []
    assert health.event("phone-1", "permission_off", at(800), at(1001)) == []
    assert health.event("phone-1", "gnss_lost", at(700), at(1001)) == []
    health.battery("phone-1", 80, MISSING, at(990), at(1001))
    assert health.battery("phone-1", 5, MISSING, at(500), at(1002)) == []
    assert health.event("phone-1", "battery_low", at(600), at(1002)) == []


def test_one_percent_up_and_down_is_one_trouble() -> None:
    health = watched(bearer("phone-1"))
    levels = [22, 21, 20, 21, 20, 22, 20, 11, 10, 11, 10, 29, 20, 30, 29]
    changes = [
        change
        for second, level in enumerate(levels)
        for change in health.battery("phone-1", level, MISSING, at(second), at(second))
    ]
    assert told(changes) == [
        ("battery_low", True),
        ("battery_critical", True),
        ("battery_critical", False),
        ("battery_low", False),
    ]
    assert [change.quantity for change in changes] == [20, 10, 10, 20]


def test_a_loose_charger_ends_nothing_until_it_charges() -> None:
    health = watched(bearer("phone-1"))
    assert len(health.battery("phone-1", 9, 0, at(0), at(0))) == 2
    for second in range(1, 20):
        assert health.battery("phone-1", 9, second % 2, at(second), at(second)) == []
    ended = health.battery("phone-1", 21, 1, at(30), at(30))
    assert told(ended) == [("battery_critical", False), ("battery_low", False)]


def test_a_device_that_never_says_its_level_is_believed_in_its_events() -> None:
    health = watched(bearer("phone-1"))
    [low] = health.event("phone-1", "battery_low", at(1), at(1))
    assert (low.began, math.isnan(low.quantity)) == (True, True)
    assert health.event("phone-1", "battery_low", at(1), at(2)) == []
    assert told(health.event("phone-1", "charging", at(3), at(3))) == [("battery_low", False)]


def test_charging_said_once_does_not_hide_that_it_runs_down() -> None:
    health = watched(bearer("phone-1"))
    health.battery("phone-1", 25, MISSING, at(0), at(0))
    health.event("phone-1", "charging", at(1), at(1))
    assert health.battery("phone-1", 26, MISSING, at(2), at(2)) == []
    assert told(health.battery("phone-1", 19, MISSING, at(3), at(3))) == [("battery_low", True)]


def test_with_another_bearer_everything_begins_anew() -> None:
    health = watched(bearer("phone-1"))
    health.battery("phone-1", 5, MISSING, at(0), at(0))
    other = {"phone-1": bearer("phone-1", person="another")}
    ended = health.plan(other, at(10))
    assert told(ended) == [("battery_low", False), ("battery_critical", False)]
    assert {change.cause for change in ended} == {"plan"}
    assert health.going_on(at(10)) == []


def test_only_those_whom_an_order_concerns_are_watched() -> None:
    health = Health(START_US)
    nobody = msgspec.structs.replace(bearer("spare"), person=None, role=None)
    free = msgspec.structs.replace(bearer("free"), agencies=())
    health.plan({"spare": nobody, "free": free}, START_US)
    assert health.advance(at(100_000)) == []
    assert health.hear("unheard-of", at(100_001)) == []


def fleet(count: int) -> Health:
    health = watched(*[bearer(f"d{number:05}") for number in range(count)])
    for number in range(count):
        speak(health, f"d{number:05}", 60 * number / count)
    return health


def test_ten_thousand_silent_devices_are_one_incident() -> None:
    health = fleet(10_000)
    changes = health.advance(at(7200))
    assert told(changes) == [("fleet_silent", True)]
    assert (changes[0].agency, changes[0].device) == ("centre", "")
    assert health.incident is not None
    assert health.incident.missing == 10_000
    # They come back within a minute, but for three.
    back = [
        change
        for second in (7200, 7260, 7320)
        for number in range(3, 10_000)
        for change in health.hear(f"d{number:05}", at(second + 60 * number / 10_000))
    ]
    assert told(back) == [("fleet_silent", False), *[("silent", True)] * 3]
    released = [change for change in back if change.began]
    assert [(c.kind, c.device) for c in released] == [
        ("silent", f"d{number:05}") for number in range(3)
    ]
    assert [change.onset_us for change in released] == [at(60 * n / 10_000) for n in range(3)]


def test_few_who_fall_silent_among_many_are_told_one_by_one() -> None:
    health = fleet(1000)
    changes: list[HealthChange] = []
    for second in range(60, 1200, 60):
        for number in range(100, 1000):
            changes += speak(health, f"d{number:05}", second + 60 * number / 1000)
    assert told(changes) == [("silent", True)] * 100


def test_one_who_was_silent_before_an_outage_stays_told() -> None:
    health = fleet(100)
    changes: list[HealthChange] = []
    for second in range(60, 600, 60):
        for number in range(1, 100):
            changes += speak(health, f"d{number:05}", second + 60 * number / 100)
    assert told(changes) == [("silent", True)]
    outage = health.advance(at(3000))
    assert told(outage) == [("fleet_silent", True)]
    keys = {change.key for change in health.going_on(at(3000))}
    assert keys == {"silent/d00000", "fleet_silent/centre"}


def test_while_an_outage_lasts_others_are_still_told_of() -> None:
    """A third has lost its network for the night; one of the rest falls silent by himself."""
    health = fleet(300)
    changes: list[HealthChange] = []
    for second in range(60, 3600, 60):
        alone = range(101, 300) if second > 1800 else range(100, 300)
        for number in alone:
            changes += speak(health, f"d{number:05}", second + 60 * number / 300)
    assert [(c.kind, c.device or c.agency) for c in changes] == [
        ("fleet_silent", "centre"),
        ("silent", "d00100"),
    ]


def test_our_own_deafness_accuses_nobody() -> None:
    health = fleet(100)
    health.listen_from(at(3600))
    assert health.advance(at(3600 + 100)) == []
    for number in range(100):
        assert speak(health, f"d{number:05}", 3600 + 101) == []


@given(data=st.binary(max_size=60), cut=st.integers(1, 40))
def test_a_damaged_state_is_told(data: bytes, cut: int) -> None:
    whole = fleet(3).snapshot()
    for damaged in (b"", data, b"CV9" + whole[3:], whole[:-cut]):
        with pytest.raises(HealthStateError):
            Health.restore(damaged)
