"""The life of an alert of a watch, step by step."""

from __future__ import annotations

import msgspec
import pytest

from alerts.desk import Desk
from alerts.errors import DeskStateError
from geofence.levels import Level
from tests.alerts.builders import (
    NOW_US,
    PROFILES,
    SECOND_US,
    START_US,
    TAG,
    WATCH,
    close,
    desk,
    event,
    kinds,
    notice,
    profiles_with,
    step,
    take,
    transition,
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


def test_a_tag_is_never_among_those_to_tell() -> None:
    on = desk()
    careless = transition(1, Level.ALERT)
    wrong = msgspec.structs.replace(WATCH, notify=("tag1", "phone1"))
    [change] = on.on_transition(careless, wrong, now_us=NOW_US)
    assert change.data.notify == ("phone1",)
    bearer = msgspec.structs.replace(TAG, notify=("tag1", "phone1"))
    [change] = on.on_event(event("strap_cut", 1, device="tag1"), bearer, now_us=NOW_US)
    assert change.data.notify == ("phone1",)


def test_alerts_of_watches_that_vanished_return() -> None:
    on = desk()
    step(on, 1, Level.ALERT)
    assert on.retire([WATCH.key], now_us=NOW_US) == []
    [returned] = on.retire([], now_us=NOW_US)
    assert returned.kind == "returned"
    assert "no longer watched" in returned.data.note
    assert on.retire([], now_us=NOW_US) == []


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
