"""One story for each jurisdiction: who is told what, when, in which order; and wherever it dies."""

from __future__ import annotations

import functools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.deliveries import DeliveryRecord, Entry
from alerts.model import AlertChange
from alerts.rehearsal import START_US, Rehearsal
from alerts.steps import Acknowledge
from alerts.stories import CONTACTS, POLICE, STORIES, Comes, near, story_for, takes
from alerts.story_page import plain
from devices.instants import MICROSECONDS
from geofence.levels import Level
from tests.alerts.builders import PROFILES
from tests.alerts.rehearsals import Mortal
from tests.alerts.story_tables import TABLES

NAMES = sorted(STORIES)


@functools.cache
def played(name: str) -> Rehearsal:
    rehearsal = Rehearsal(STORIES[name], PROFILES)
    rehearsal.play()
    return rehearsal


def seconds_of(rehearsal: Rehearsal) -> list[int]:
    """When something happened."""
    told = {(one.at_us - START_US) // MICROSECONDS for one in rehearsal.told}
    return sorted(told | {beat.at_s for beat in rehearsal.story.beats})


def steps_of(entries: list[Entry]) -> set[str]:
    """Ids of all that is written. What was received need not be written as sent."""
    received = {
        entry.delivery_id
        for entry in entries
        if isinstance(entry, DeliveryRecord) and entry.state == "received"
    }
    return {
        entry.id
        for entry in entries
        if isinstance(entry, AlertChange)
        or (
            isinstance(entry, DeliveryRecord)
            and (entry.state != "sent" or entry.delivery_id not in received)
        )
    }


@pytest.mark.parametrize("name", NAMES)
def test_who_is_told_what_when(name: str) -> None:
    rehearsal = played(name)
    assert plain(rehearsal.story, rehearsal.told, START_US) == TABLES[name]
    assert rehearsal.desk.open_alerts() == []


def test_every_shipped_profile_has_a_story() -> None:
    assert set(STORIES) == set(PROFILES.by_name) == set(TABLES)


@pytest.mark.parametrize("name", NAMES)
def test_a_service_that_dies_after_any_entry_repeats_nothing_and_forgets_nothing(name: str) -> None:
    whole = played(name)
    for checkpointed in (False, True):
        for entry in range(1, len(whole.entries) + 1):
            mortal = Mortal(whole.story, seconds_of(whole))
            mortal.play_and_die_after(entry, checkpointed=checkpointed)
            assert plain(whole.story, mortal.told, START_US) == TABLES[name], entry
            assert steps_of(mortal.entries) == steps_of(whole.entries), entry
            assert mortal.desk.open_alerts() == [], entry


@given(data=st.data(), name=st.sampled_from(NAMES), checkpointed=st.booleans())
@settings(max_examples=40, deadline=None)
def test_nor_does_one_that_dies_again_and_again(
    data: st.DataObject,
    name: str,
    checkpointed: bool,  # noqa: FBT001 - hypothesis gives it
) -> None:
    whole = played(name)
    deaths = st.sets(st.integers(1, len(whole.entries)), min_size=2, max_size=8)
    mortal = Mortal(whole.story, seconds_of(whole))
    mortal.play_and_die_after(*sorted(data.draw(deaths)), checkpointed=checkpointed)
    assert plain(whole.story, mortal.told, START_US) == TABLES[name]
    assert steps_of(mortal.entries) == steps_of(whole.entries)


def test_that_nobody_could_be_asked_is_written_though_the_service_dies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story = STORIES["spain"]
    people = tuple(one for one in CONTACTS if one.name != POLICE)
    monkeypatch.setattr("alerts.rehearsal.CONTACTS", people)
    whole = Rehearsal(story, PROFILES)
    whole.play()
    refused = [entry.id for entry in whole.entries if entry.type == "cordon.delivery.refused"]
    assert len(refused) == 1
    for entry in range(1, len(whole.entries) + 1):
        mortal = Mortal(story, seconds_of(whole))
        mortal.play_and_die_after(entry, checkpointed=True)
        assert [one.id for one in mortal.entries if one.id in refused] == refused


# What each jurisdiction is known for, said of the tables themselves


def first_staff_action(name: str, about: str) -> str:
    found = [line for line in TABLES[name].splitlines() if f": {about}" in line and "staff" in line]
    return found[0].partition("staff: ")[2].split(", ")[0]


def test_spain_calls_him_first_and_her_first_of_a_tamper() -> None:
    assert first_staff_action("spain", "proximity pre_alert") == "call wearer"
    assert first_staff_action("spain", "tamper case_open") == "call protected"
    assert first_staff_action("spain", "tamper strap_cut") == "call protected"


def test_france_tells_her_only_of_one_who_does_not_comply_and_which_way_to_go() -> None:
    story = STORIES["france"]
    assert story.pre_alert_m == 2 * story.alert_m
    complied, _, rest = TABLES["france"].partition("comes into the outer ring again")
    assert "\n        she " not in complied
    assert "vers le nord" in rest


def test_uruguay_has_three_rings_and_calls_her_first() -> None:
    levels = [b.does.level.label for b in STORIES["uruguay"].beats if isinstance(b.does, Comes)]
    assert levels == ["pre_alert", "alert", "contact", "clear"]
    for level in ("pre_alert", "alert"):
        assert first_staff_action("uruguay", f"proximity {level}") == "call protected"


def test_england_and_wales_tells_her_of_a_zone_by_a_call() -> None:
    zone, _, _ = TABLES["england-wales"].partition("around her")
    assert "\n        she " not in zone
    assert "call protected" in zone


def test_levels_of_stories_change_when_devices_report() -> None:
    for story in STORIES.values():
        assert all(b.at_s % 10 == 0 for b in story.beats if isinstance(b.does, Comes))


def test_a_profile_without_a_story_is_told_that_of_the_one_it_extends() -> None:
    mine = story_for("mine", "france")
    assert (mine.profile, mine.beats) == ("mine", STORIES["france"].beats)
    assert story_for("mine").beats == STORIES["default"].beats


def test_a_step_without_an_alert_is_told_and_the_story_goes_on() -> None:
    beats = (takes(1, "Kim acts", "tamper", Acknowledge()), near(10, "he comes", Level.ALERT))
    story = msgspec.structs.replace(STORIES["default"], beats=beats, ends_s=10)
    table = plain(story, Rehearsal(story, PROFILES).play(), START_US)
    assert "cannot do this: no alert of the condition tamper is open" in table
    assert "raised, tier 2: proximity alert" in table
