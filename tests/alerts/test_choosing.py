"""What she chooses: nothing held back is forgotten, nothing urgent is held, every choice is kept."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from alerts.choosing import ALWAYS_TIER, Choosing
from alerts.deliveries import DeliveryRecord, decode_entry, encode_entry
from alerts.errors import DeskStateError
from alerts.holding import ANSWER_LONGEST_S, HELD_LIMIT, Held, Holding
from alerts.model import AlertChange
from devices.choices import Choices, How, Topic
from devices.commands import Digest, Notify, decode_command
from devices.instants import to_iso
from geofence.levels import Level
from tests.alerts.builders import (
    SECOND_US,
    START_US,
)
from tests.alerts.choosing_centre import DIGESTS, HOUR_US, NIGHT, Centre


def ids(held: list[Held]) -> set[str]:
    return {one.alert_id for one in held}


class Chosen(RuleBasedStateMachine):
    """Choices, notices, digests, lost messages and restarts, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.centre = Centre()
        self.owed: dict[str, int] = {}  # by alert: the newest version held back

    def note(self, records: list[DeliveryRecord], changes: int) -> None:
        newest = [decode_entry(data) for data in self.centre.stream[-(changes + len(records)) :]]
        tiers = {e.id: e.data.tier for e in newest if isinstance(e, AlertChange)}
        for record in records:
            if record.state == "held":
                assert tiers[record.change_id] > ALWAYS_TIER
                self.owed[record.alert_id] = int(record.change_id.rpartition("/")[2])
            elif record.state == "declined":
                assert tiers[record.change_id] > ALWAYS_TIER

    @rule(hours=st.integers(0, 5), seconds=st.integers(1, 3_000))
    def time_passes(self, hours: int, seconds: int) -> None:
        self.centre.now_us += hours * HOUR_US + seconds * SECOND_US

    @rule(level=st.sampled_from([Level.PRE_ALERT, Level.ALERT, Level.CONTACT, Level.UNKNOWN]))
    def he_comes_or_goes(self, level: Level) -> None:
        before = len(self.centre.stream)
        records = self.centre.level(level)
        self.note(records, len(self.centre.stream) - before)

    @rule()
    def he_is_gone(self) -> None:
        before = len(self.centre.stream)
        records = self.centre.level(Level.CLEAR)
        self.note(records, len(self.centre.stream) - before)

    @rule(kind=st.sampled_from(["battery_low", "permission_off", "charging", "permission_on"]))
    def her_handset_has_trouble(self, kind: str) -> None:
        before = len(self.centre.stream)
        records = self.centre.battery(kind)
        self.note(records, len(self.centre.stream) - before)

    @rule(
        outer=st.sampled_from(["now", "digest", "off"]),
        device=st.sampled_from(["now", "digest", "off"]),
        quiet=st.booleans(),
        pause_h=st.integers(0, 48),
    )
    def she_chooses(self, outer: How, device: How, quiet: bool, pause_h: int) -> None:  # noqa: FBT001
        topics: dict[Topic, How] = {"outer_ring": outer, "device": device}
        pause = to_iso(self.centre.now_us + pause_h * HOUR_US) if pause_h else None
        at = "08:00" if "digest" in topics.values() else None
        hours = NIGHT.quiet if quiet else None
        self.centre.choose(
            Choices(
                topics=topics, quiet=hours, zone="Europe/Madrid", paused_until=pause, digest_at=at
            )
        )

    @rule(answered=st.booleans())
    def what_waits_is_sent(self, answered: bool) -> None:  # noqa: FBT001 - drawn
        self.centre.send(answered=answered)

    @rule()
    def the_hour_comes(self) -> None:
        self.centre.digest()

    @rule(from_snapshot=st.booleans())
    def it_starts_anew(self, from_snapshot: bool) -> None:  # noqa: FBT001 - drawn
        self.centre.restart(from_snapshot=from_snapshot)

    @invariant()
    def nothing_held_is_forgotten(self) -> None:
        centre = self.centre
        held = ids(centre.outbox.choosing.held("protected1"))
        waiting = {one.alert_id for one in centre.outbox.pending("handset")}
        for alert_id, version in self.owed.items():
            knows = centre.versions.get(alert_id, 0) >= version
            overtaken = self.newest_told(alert_id) > version
            assert knows or alert_id in held or alert_id in waiting or overtaken

    def newest_told(self, alert_id: str) -> int:
        """The newest version that went to her at once."""
        found = 0
        for data in self.centre.stream:
            entry = decode_entry(data)
            if not isinstance(entry, DeliveryRecord) or entry.channel != "handset":
                continue
            if entry.alert_id == alert_id and entry.state not in {"held", "declined"}:
                found = max(found, int(entry.change_id.rpartition("/")[2]))
        return found

    def teardown(self) -> None:
        """In the end, with her handset answering, she has been told of all of it."""
        centre = self.centre
        for _ in range(40):
            centre.now_us += 6 * HOUR_US
            centre.digest()
            centre.send()
        assert centre.outbox.choosing.held("protected1") == []
        for alert_id, version in self.owed.items():
            assert max(centre.versions.get(alert_id, 0), self.newest_told(alert_id)) >= version


TestChosen = Chosen.TestCase
TestChosen.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_at_night_the_outer_ring_waits_and_the_inner_ring_does_not() -> None:
    centre = Centre()
    centre.now_us += 6 * HOUR_US  # a quarter to midnight
    assert centre.choose(NIGHT).accepted
    [held] = [r for r in centre.level(Level.PRE_ALERT) if r.channel == "handset"]
    assert held.state == "held"
    assert centre.send() == []
    centre.level(Level.ALERT)
    [notice] = centre.send()
    assert isinstance(notice, Notify)
    assert notice.tier == 2
    # It has overtaken what was held, and what began aloud ends aloud.
    assert centre.outbox.choosing.held("protected1") == []
    centre.level(Level.PRE_ALERT)
    centre.level(Level.CLEAR)
    assert [getattr(one, "kind", "") for one in centre.send()] == ["tier", "returned"]


def test_one_message_at_her_hour_has_what_was_held_back() -> None:
    centre = Centre()
    centre.choose(DIGESTS)
    centre.level(Level.PRE_ALERT)
    centre.level(Level.CLEAR)
    [declined] = [r for r in centre.battery("battery_low") if r.channel == "handset"]
    assert declined.state == "declined"
    centre.digest()
    assert centre.send() == []
    centre.now_us += 16 * HOUR_US  # past eight in the morning
    centre.digest()
    centre.digest()
    [digest] = centre.send()
    assert isinstance(digest, Digest)
    assert [(one.title, one.count) for one in digest.items] == [("The warning is over", 2)]
    assert digest.title == "What we kept for you"
    centre.now_us += 24 * HOUR_US
    centre.digest()
    assert centre.send() == []


@pytest.mark.parametrize("restarted", [False, True])
def test_what_was_held_comes_to_the_phone_that_she_has_at_her_hour(
    restarted: bool,  # noqa: FBT001 - given
) -> None:
    centre = Centre()
    centre.choose(DIGESTS)
    centre.level(Level.PRE_ALERT)
    centre.now_us += 16 * HOUR_US  # past eight in the morning
    if restarted:  # it was made for the old one, and not sent
        centre.digest()
    centre.gets_another_phone()
    if restarted:
        centre.restart(from_snapshot=False)
    else:
        centre.digest()
    [delivery] = [one for one in centre.outbox.pending("handset") if one.recipient == "phone2"]
    command = decode_command(delivery.payload)
    assert isinstance(command, Digest)
    assert len(command.items) == 1


def test_what_gives_way_to_a_digest_is_recorded_after_a_restart_too() -> None:
    centre = Centre()
    centre.room = 1
    centre.outbox = centre.new_outbox()
    centre.choose(msgspec.structs.replace(DIGESTS, topics={"outer_ring": "digest"}))
    centre.level(Level.PRE_ALERT)
    centre.battery("battery_low")
    centre.now_us += 16 * HOUR_US  # past eight in the morning
    made, *records = centre.outbox.digest_due(centre.now_us)
    centre.keep(made)
    dropped = [(one.state, one.channel) for one in records if isinstance(one, DeliveryRecord)]
    assert dropped == [("dropped", "handset")]
    again = centre.restart(from_snapshot=False)
    assert records[0] in again


def test_what_nobody_answered_is_told_again_with_what_came_since() -> None:
    centre = Centre()
    centre.choose(DIGESTS)
    centre.level(Level.PRE_ALERT)
    centre.now_us += 16 * HOUR_US
    centre.digest()
    centre.send(answered=False)
    centre.restart(from_snapshot=True)
    centre.now_us += ANSWER_LONGEST_S * SECOND_US
    centre.digest()
    [again] = centre.send()
    assert isinstance(again, Digest)
    assert len(again.items) == 1


def test_a_pause_that_is_ended_gives_back_at_once_what_it_held() -> None:
    centre = Centre()
    centre.choose(Choices(paused_until=to_iso(START_US + 24 * HOUR_US)))
    centre.level(Level.PRE_ALERT)
    centre.now_us += HOUR_US
    centre.choose(Choices())
    centre.digest()
    assert [type(one) for one in centre.send()] == [Digest]


def test_every_choice_is_kept_with_who_when_and_how_and_older_ones_change_nothing() -> None:
    centre = Centre()
    first = centre.choose(NIGHT)
    assert (first.by, first.way, first.version, first.type) == (
        "protected1",
        "handset",
        1,
        "cordon.choice.set",
    )
    centre.now_us += SECOND_US
    refused = centre.choose(Choices(topics={"inner_ring": "off"}), by="Kim")
    assert (refused.problem, refused.version, refused.by) == ("locked", 1, "Kim")
    assert centre.outbox.choosing.of("protected1") == NIGHT
    centre.now_us -= 10 * SECOND_US  # a message that was kept back on the way
    assert centre.choose(Choices()) is None
    centre.restart(from_snapshot=False)
    assert centre.outbox.choosing.of("protected1") == NIGHT
    assert centre.outbox.choosing.by("protected1") == "protected1"


def test_without_a_choice_everything_is_told_at_once() -> None:
    centre = Centre()
    centre.level(Level.PRE_ALERT)
    centre.battery("battery_low")
    assert len(centre.send()) == 2


def test_more_than_can_be_held_is_counted() -> None:
    holding = Holding()
    for number in range(HELD_LIMIT + 5):
        holding.hold(Held(f"a{number}", 1, 4, "", "t", "x", 1), START_US)
    made = 0
    told = 0
    more = 0
    while holding.is_due(START_US):
        items, lost = holding.next_items()
        made += 1
        told += len(items)
        more += lost
        holding.make(str(made), made, items, lost, START_US)
        holding.arrived(str(made))
    assert (told, more) == (HELD_LIMIT, 5)


def test_a_snapshot_of_another_layout_is_refused() -> None:
    choosing = Choosing()
    choosing.load_snapshot(b"")
    for data in (b"XX1", b"CH1\xff", b"CH1"):
        with pytest.raises(DeskStateError):
            choosing.load_snapshot(data)


def test_entries_of_the_stream_come_back_as_they_were() -> None:
    centre = Centre()
    choice = centre.choose(DIGESTS)
    centre.level(Level.PRE_ALERT)
    centre.now_us += 16 * HOUR_US
    [made] = centre.outbox.digest_due(centre.now_us)
    for entry in (choice, made):
        assert decode_entry(encode_entry(entry)) == entry
    assert msgspec.json.decode(encode_entry(choice))["choices"]["digest_at"] == "08:00"
