"""The life of an alert, step by step."""

from __future__ import annotations

import msgspec
import pytest

from alerts.desk import NOTE_LIMIT_CHARS, Desk
from alerts.errors import DeskStateError, IllegalStep, NoSuchAlert, VersionConflict
from alerts.model import AlertChange
from devices.watches import Bearer
from geofence.levels import Level
from tests.alerts.builders import (
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    TAG,
    WATCH,
    ZONE,
    desk,
    event,
    kinds,
    profiles_with,
    transition,
)

NOW_US = START_US + 60 * SECOND_US


def step(on: Desk, number: int, level: Level, **fields: object) -> list[AlertChange]:
    return on.on_transition(transition(number, level, **fields), WATCH, now_us=NOW_US)


def notice(on: Desk, kind: str, seq: int, **fields: object) -> list[AlertChange]:
    return on.on_event(event(kind, seq, **fields), PHONE, now_us=NOW_US)


def take(on: Desk, operator: str = "ada") -> list[AlertChange]:
    """Acknowledge the first of the list that nobody has in hand."""
    alert = next(alert for alert in on.open_alerts() if alert.acknowledged_by is None)
    return on.acknowledge(alert.alert_id, version=alert.version, operator=operator, now_us=NOW_US)


def close(on: Desk, note: str = "spoken to her, all is well") -> list[AlertChange]:
    alert = on.open_alerts()[0]
    return on.resolve(
        alert.alert_id, version=alert.version, operator="ada", note=note, now_us=NOW_US
    )


def test_one_episode_is_one_alert_that_rises_and_falls() -> None:
    on = desk()
    changes = [
        *step(on, 1, Level.PRE_ALERT),
        *step(on, 2, Level.ALERT),
        *step(on, 3, Level.UNKNOWN),
        *step(on, 4, Level.CONTACT),
        *step(on, 5, Level.PRE_ALERT),
        *step(on, 6, Level.CLEAR),
    ]
    assert kinds(changes) == ["raised", "tier", "level", "tier", "tier", "returned"]
    assert [change.data.tier for change in changes] == [3, 2, 2, 1, 3, 3]
    assert [change.data.version for change in changes] == [1, 2, 3, 4, 5, 6]
    assert len({change.subject for change in changes}) == 1
    assert changes[-1].data.highest_level == "contact"
    assert changes[-1].data.level == "clear"
    assert changes[-1].data.state == "returned"


def test_the_same_level_with_contact_near_is_another_tier() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    [change] = step(on, 2, Level.ALERT, time_to_contact_s=60.0)
    assert (change.kind, change.data.tier, change.data.level) == ("tier", 1, "alert")


def test_what_changes_neither_level_nor_tier_is_no_change() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    assert step(on, 2, Level.ALERT) == []


def test_a_repeated_or_older_transition_changes_nothing() -> None:
    on = desk()
    step(on, 1, Level.PRE_ALERT)
    step(on, 2, Level.ALERT)
    assert step(on, 2, Level.ALERT) == []
    assert step(on, 1, Level.PRE_ALERT) == []
    assert on.counts.replayed == 2


def test_a_closed_episode_is_not_raised_again_by_a_replay() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    take(on)
    assert kinds(step(on, 2, Level.CLEAR)) == ["returned", "resolved"]
    assert on.open_alerts() == []
    assert step(on, 1, Level.ALERT) == []
    assert step(on, 2, Level.CLEAR) == []


def test_the_next_episode_is_another_alert() -> None:
    on = desk()
    [first] = step(on, 1, Level.ALERT)
    step(on, 2, Level.CLEAR)
    [second] = step(on, 3, Level.ALERT, onset_us=START_US + SECOND_US)
    assert second.kind == "raised"
    assert second.subject != first.subject
    assert len(on.open_alerts()) == 2  # the first returned, and nobody has seen it


def test_two_episodes_from_one_fix_are_two_alerts() -> None:
    on = desk()
    [first] = step(on, 1, Level.ALERT)
    step(on, 2, Level.CLEAR)
    [second] = step(on, 3, Level.UNKNOWN)
    assert second.subject != first.subject
    assert second.id != first.id


def test_an_engine_that_counts_anew_is_heard() -> None:
    on = desk()
    step(on, 57, Level.ALERT)
    step(on, 58, Level.CLEAR)
    later = {"onset_us": START_US + 600 * SECOND_US}
    assert kinds(step(on, 1, Level.ALERT, **later)) == ["raised"]
    take(on)
    take(on)  # the old one, which must not set the count back
    assert kinds(step(on, 2, Level.CONTACT, **later)) == ["tier"]


def test_returned_and_seen_closes_by_itself() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    assert kinds(take(on)) == ["acknowledged"]
    returned, resolved = step(on, 2, Level.CLEAR)
    assert resolved.actor == "system"
    assert resolved.data.resolved_by == "system"
    assert resolved.data.acknowledged_by == "ada"
    assert resolved.data.version == returned.data.version + 1
    assert on.open_alerts() == []


def test_returned_unseen_stays_until_it_is_seen() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    assert kinds(step(on, 2, Level.CLEAR)) == ["returned"]
    [waiting] = on.open_alerts()
    assert waiting.state == "returned"
    acknowledged, resolved = take(on)
    assert (acknowledged.actor, resolved.actor) == ("ada", "system")
    assert on.open_alerts() == []


def test_a_worse_tier_asks_for_a_person_again() -> None:
    on = desk()
    step(on, 1, Level.PRE_ALERT)
    take(on)
    [worse] = step(on, 2, Level.CONTACT)
    assert worse.data.acknowledged_by is None
    assert worse.data.acknowledged_at is None
    assert kinds(take(on, "bob")) == ["acknowledged"]
    [milder] = step(on, 3, Level.PRE_ALERT)
    assert milder.data.acknowledged_by == "bob"


def test_a_danger_that_lasts_cannot_be_closed_away() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    take(on)
    with pytest.raises(IllegalStep, match="still lasts"):
        close(on)


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


def test_of_two_operators_one_is_told_of_the_other() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    alert = on.open_alerts()[0]
    on.acknowledge(alert.alert_id, version=1, operator="ada", now_us=NOW_US)
    with pytest.raises(VersionConflict, match="'acknowledged' by ada") as caught:
        on.acknowledge(alert.alert_id, version=1, operator="bob", now_us=NOW_US)
    error = caught.value
    assert (error.alert_id, error.seen, error.version) == (alert.alert_id, 1, 2)
    assert (error.actor, error.kind) == ("ada", "acknowledged")
    with pytest.raises(IllegalStep, match="acknowledged by ada"):
        on.acknowledge(alert.alert_id, version=2, operator="bob", now_us=NOW_US)


def test_an_unknown_alert_is_said_to_be_so() -> None:
    with pytest.raises(NoSuchAlert):
        desk().acknowledge("no-such", version=1, operator="ada", now_us=NOW_US)
    with pytest.raises(NoSuchAlert):
        desk().resolve("no-such", version=1, operator="ada", note="x", now_us=NOW_US)


@pytest.mark.parametrize("operator", ["", "  ", "system", "x" * 201])
def test_nobody_acts_without_a_name(operator: str) -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    with pytest.raises(IllegalStep, match="name"):
        take(on, operator)
    assert on.open_alerts()[0].acknowledged_by is None


def test_worst_first_then_oldest() -> None:
    on = desk()
    notice(on, "battery_low", 1)
    zone = transition(1, Level.ALERT, watch=ZONE.key)
    on.on_transition(zone, ZONE, now_us=NOW_US + 2)
    step(on, 1, Level.ALERT)
    notice(on, "panic", 2)
    assert [(a.tier, a.level) for a in on.open_alerts()] == [
        (1, "panic"),
        (2, "alert"),
        (2, "alert"),
        (4, "battery_low"),
    ]
    assert [a.condition for a in on.open_alerts()[1:3]] == ["proximity", "exclusion"]


def test_a_tag_is_never_among_those_to_tell() -> None:
    on = desk()
    careless = transition(1, Level.ALERT)
    wrong = msgspec.structs.replace(WATCH, notify=("tag1", "phone1"))
    [change] = on.on_transition(careless, wrong, now_us=NOW_US)
    assert change.data.notify == ("phone1",)
    bearer = msgspec.structs.replace(TAG, notify=("tag1", "phone1"))
    [change] = on.on_event(event("strap_cut", 1, device="tag1"), bearer, now_us=NOW_US)
    assert change.data.notify == ("phone1",)


def test_a_device_of_nobody_still_raises_its_alarm() -> None:
    stranger = Bearer(device="phone9", kind="handset", person=None, role=None, fix_interval_s=60.0)
    [change] = desk().on_event(event("panic", 1, device="phone9"), stranger, now_us=NOW_US)
    assert (change.data.agency, change.data.told, change.data.tier) == ("", False, 1)


def test_alerts_of_watches_that_vanished_return() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    assert on.retire([WATCH.key], now_us=NOW_US) == []
    [returned] = on.retire([], now_us=NOW_US)
    assert returned.kind == "returned"
    assert "no longer watched" in returned.data.note
    assert on.retire([], now_us=NOW_US) == []


def test_when_too_many_are_open_the_least_important_gives_way() -> None:
    on = desk(open_limit=2)
    notice(on, "battery_low", 1)
    notice(on, "permission_off", 2)
    assert notice(on, "gnss_lost", 3) == []  # nothing has returned: tier 4 must wait
    assert on.counts.refused == 1
    assert kinds(step(on, 1, Level.ALERT)) == ["raised"]  # tier 2 never waits
    notice(on, "charging", 4)
    closed, raised = notice(on, "panic", 5)
    assert (closed.kind, closed.actor, closed.data.level) == ("resolved", "system", "battery_low")
    assert "make room" in closed.data.note
    assert raised.kind == "raised"
    assert (on.counts.displaced, on.counts.refused) == (1, 1)


def test_a_refused_alert_is_raised_when_it_gets_worse() -> None:
    on = desk(open_limit=0)
    assert step(on, 1, Level.PRE_ALERT) == []
    assert kinds(step(on, 2, Level.ALERT)) == ["raised"]


@pytest.mark.parametrize("data", [b"", b"CA9\x80", b"CA1\xc1", b"CA1\x80"])
def test_a_damaged_snapshot_leaves_the_desk_as_it_was(data: bytes) -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    with pytest.raises(DeskStateError):
        on.load_snapshot(data)
    assert len(on.open_alerts()) == 1


def test_an_onset_that_went_back_does_not_make_a_replay_look_new() -> None:
    on = desk()
    step(on, 1, Level.UNKNOWN, onset_us=START_US + 100 * SECOND_US)  # begun by time alone
    step(on, 2, Level.CLEAR, onset_us=START_US + 100 * SECOND_US)
    step(on, 3, Level.ALERT, onset_us=START_US + 50 * SECOND_US)  # a fix that was on its way
    before = on.open_alerts()
    assert step(on, 1, Level.UNKNOWN, onset_us=START_US + 100 * SECOND_US) == []
    assert on.open_alerts() == before


def test_a_change_read_again_after_the_end_opens_nothing() -> None:
    made = desk()
    [raised] = step(made, 1, Level.ALERT)
    closing = [*take(made), *step(made, 2, Level.CLEAR)]
    [pressed] = notice(made, "panic", 3)
    closing += [*take(made), *close(made)]
    on = desk()
    on.restore([raised, pressed, *closing, raised, pressed])
    assert on.open_alerts() == []


def test_only_what_is_still_there_gives_way() -> None:
    on = desk(open_limit=2)
    notice(on, "battery_low", 1)
    notice(on, "charging", 2)
    take(on)  # it returned and was seen: it is off the desk
    notice(on, "gnss_lost", 3)
    notice(on, "no_motion", 4)
    assert notice(on, "permission_off", 5) == []
    assert kinds(notice(on, "panic", 6)) == ["raised"]


def test_once_told_stays_told_to_the_end() -> None:
    default = PROFILES.by_name["default"]
    rules = default.levels["proximity"]
    quiet = rules | {"pre_alert": msgspec.structs.replace(rules["pre_alert"], tell=False)}
    profiles = profiles_with(levels=default.levels | {"proximity": quiet})
    on = Desk(profiles, rules="r", build="b")
    levels = (Level.PRE_ALERT, Level.ALERT, Level.PRE_ALERT, Level.CLEAR)
    changes = [
        change for number, level in enumerate(levels, 1) for change in step(on, number, level)
    ]
    assert [change.data.told for change in changes] == [False, True, True, True]
