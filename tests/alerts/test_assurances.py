"""From the verdict to her screen over a network that loses, with services that die: no old "safe"."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.assurances import Assurance, Assurances, sent_record
from alerts.protection import LONGEST_US, Footing, statuses
from alerts.weakening import Weakening
from devices.choices import Choices
from devices.commands import ProtectionStatus, decode_command, encode_for_handset
from devices.fleet import overdue_after_us
from devices.health_state import NEVER_US, silent_after_us
from devices.instants import from_iso
from devices.reports import Receipt
from simulators.status_screen import UNKNOWN, StatusScreen
from tests.alerts.builders import PROFILES, SECOND_US
from tests.alerts.test_protection import COMPILED, NOW_US, health

OVERDUE_US = overdue_after_us(COMPILED.bearers["phone-1"].fix_interval_s)
SILENT_US = silent_after_us(COMPILED.bearers["tag-1"].fix_interval_s)


class World:
    """A service that judges and tells, and the handset it tells."""

    def __init__(self) -> None:
        self.now_us = NOW_US
        self.phone, self.tag = health("phone-1", NEVER_US), health("tag-1", NEVER_US)
        self.broken_us: int | None = None
        self.desk = Assurances(PROFILES)
        self.screen = StatusScreen()

    @property
    def uptime_s(self) -> float:
        return (self.now_us - NOW_US) / SECOND_US

    def judge(self) -> list[Assurance]:
        known = {"phone-1": self.phone, "tag-1": self.tag}
        footing = Footing(broken_us=self.broken_us)
        [found] = statuses(COMPILED, known, Weakening(), self.now_us, footing)
        return self.desk.due(found, self.now_us)

    def arrive(self, assurance: Assurance) -> ProtectionStatus:
        command = decode_command(encode_for_handset(assurance.command))
        assert isinstance(command, ProtectionStatus)
        self.screen.take(command, self.uptime_s)
        return command

    def answer(self, command: ProtectionStatus, device: str = "phone-1") -> Any:
        receipt = Receipt(0, device, command.id, "shown", self.now_us, None)
        return self.desk.answered(receipt, self.now_us)

    def hear(self) -> None:
        self.phone.heard_us = self.tag.heard_us = self.now_us

    @property
    def shown(self) -> str:
        return self.screen.at(self.now_us, self.uptime_s).state


class Telling(RuleBasedStateMachine):
    """Reports, silence, losses, deaths and returns of the service, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.alive = True
        self.on_the_way: list[Assurance] = []
        self.last_arrival_us = NEVER_US

    @rule(seconds=st.integers(1, 150))
    def time_passes(self, seconds: int) -> None:
        self.world.now_us += seconds * SECOND_US

    @rule()
    def the_handset_is_heard(self) -> None:
        self.world.phone.heard_us = self.world.now_us

    @rule()
    def the_tag_is_heard(self) -> None:
        self.world.tag.heard_us = self.world.now_us

    @precondition(lambda self: self.alive)
    @rule()
    def the_service_tells(self) -> None:
        self.on_the_way += self.world.judge()

    @rule(broken=st.booleans())
    def a_part_fails_or_comes_back(self, broken: bool) -> None:  # noqa: FBT001 - drawn
        self.world.broken_us = self.world.now_us if broken else None

    @rule()
    def the_service_dies(self) -> None:
        self.alive = False

    @rule()
    def a_service_starts(self) -> None:
        self.alive = True
        self.world.desk = Assurances(PROFILES)

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), answered=st.booleans())
    def one_arrives(self, data: st.DataObject, answered: bool) -> None:  # noqa: FBT001 - drawn
        one = data.draw(st.sampled_from(self.on_the_way))
        self.on_the_way.remove(one)
        command = self.world.arrive(one)
        self.last_arrival_us = self.world.now_us
        if answered:
            self.world.answer(command)

    @precondition(lambda self: self.on_the_way)
    @rule()
    def all_is_lost(self) -> None:
        self.on_the_way.clear()

    @invariant()
    def live_is_shown_only_while_both_are_heard(self) -> None:
        world = self.world
        if world.shown == "live":
            assert world.now_us <= world.phone.heard_us + OVERDUE_US
            assert world.now_us <= world.tag.heard_us + SILENT_US

    @invariant()
    def nothing_stands_for_longer_than_it_was_told_for(self) -> None:
        if self.world.now_us >= self.last_arrival_us + LONGEST_US:
            assert self.world.shown == UNKNOWN

    @precondition(lambda self: self.alive)
    @rule()
    def when_all_is_well_it_is_shown(self) -> None:
        world = self.world
        world.broken_us = None
        world.hear()
        for one in world.judge():
            world.answer(world.arrive(one))
        # What was told before and is on its way still, or is lost, is told again in its time.
        world.desk.lost("phone-1")
        for one in world.judge():
            world.arrive(one)
        self.last_arrival_us = world.now_us
        self.on_the_way.clear()
        assert world.shown == "live"


TestTelling = Telling.TestCase
TestTelling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_while_it_lasts_it_is_renewed_before_it_ends_and_not_all_the_time() -> None:
    world, sent = World(), 0
    for _ in range(600):
        if world.uptime_s % 60 == 0:
            world.hear()
        for one in world.judge():
            sent += 1
            world.answer(world.arrive(one))
        assert world.shown == "live"
        world.now_us += SECOND_US
    assert sent <= 20


def test_a_change_is_sent_again_until_it_is_answered_and_is_kept_once() -> None:
    world = World()
    world.hear()
    [first] = world.judge()
    assert first.changed
    assert first.command.confirm
    record = sent_record(first, world.now_us)
    assert (record.reason, record.alert_id, record.recipient) == ("protection live", "", "phone-1")
    world.now_us += 10 * SECOND_US
    [again] = world.judge()
    assert not again.changed
    assert again.command.confirm
    assert first.command.id != again.command.id
    shown = world.answer(first.command)  # it says the same as the newest
    assert (shown.state, shown.delivery_id) == ("shown", first.command.id)
    assert world.answer(again.command) is None
    world.now_us += 10 * SECOND_US
    assert world.judge() == []


def test_what_was_not_sent_is_new_still() -> None:
    world = World()
    world.hear()
    [first] = world.judge()
    world.desk.unsent(first)
    [again] = world.judge()
    assert again.changed
    assert again.command.confirm
    world.desk.lost("phone-1")
    [third] = world.judge()  # that one was sent
    assert not third.changed


def test_a_handset_that_changes_hands_is_told_anew_and_is_forgotten_with_its_bearer() -> None:
    world = World()
    world.hear()
    world.judge()
    world.desk.lost("phone-1")
    [again] = world.judge()
    assert not again.changed
    world.desk.keep(())
    assert len(world.desk) == 0


def test_a_clock_that_is_slow_does_not_keep_an_old_status() -> None:
    world = World()
    world.hear()
    [one] = world.judge()
    world.arrive(one)
    slow_us = world.now_us - 3_600 * SECOND_US
    assert world.screen.at(slow_us, 0.0).state == "live"
    assert world.screen.at(slow_us, OVERDUE_US / SECOND_US).state == UNKNOWN


def test_what_comes_late_does_not_replace_what_is_newer() -> None:
    world = World()
    world.hear()
    [well] = world.judge()
    world.now_us += SECOND_US
    world.broken_us = world.now_us
    [worse] = world.judge()
    world.arrive(worse)
    world.arrive(well)
    shown = world.screen.at(world.now_us, world.uptime_s)
    assert (shown.state, shown.title) == ("not_working", "Warnings may not reach you")
    assert [one.code for one in worse.command.reasons] == ["service"]


def test_before_the_first_word_nothing_is_known() -> None:
    assert StatusScreen().at(NOW_US, 0.0).state == UNKNOWN


def test_a_change_is_announced_as_she_has_chosen_but_never_hushed_when_nothing_works() -> None:
    world = World()
    chosen = {"she": Choices(topics={"device": "off"})}
    world.desk = Assurances(PROFILES, lambda person: chosen.get(person, Choices()))
    world.hear()
    # The first word after a start of the service: she may have been told the same before.
    [well] = world.judge()
    assert not well.command.aloud
    world.phone = health("phone-1", world.now_us, "battery_low")
    [weaker] = world.judge()
    assert (weaker.command.state, weaker.command.aloud) == ("degraded", False)
    chosen["she"] = Choices(paused_until="2027-01-01T00:00:00Z")
    world.broken_us = world.now_us
    [nothing] = world.judge()
    assert (nothing.command.state, nothing.command.aloud) == ("not_working", True)
    world.broken_us = None
    world.phone = health("phone-1", world.now_us)
    [again] = world.judge()
    assert (again.command.state, again.command.aloud) == ("live", False)


def test_a_start_of_the_service_sounds_no_handset_unless_nothing_works() -> None:
    world = World()
    world.hear()
    world.phone = health("phone-1", world.now_us, "battery_low")
    for broken_us in (None, None, world.now_us):
        world.broken_us = broken_us
        world.desk = Assurances(PROFILES)
        [first] = world.judge()
        assert first.command.aloud == (first.command.state == "not_working")


def test_what_the_broker_was_slow_to_confirm_is_announced_once_and_kept_once() -> None:
    world = World()
    world.hear()
    [well] = world.judge()
    world.answer(well.command)
    world.phone = health("phone-1", world.now_us, "battery_low")
    [weaker] = world.judge()
    assert weaker.command.aloud
    world.desk.unsent(weaker)
    [again] = world.judge()
    assert (again.changed, again.command.aloud, again.command.confirm) == (True, False, True)
    world.desk.lost("phone-1")
    [third] = world.judge()
    assert (third.changed, third.command.aloud) == (False, False)


def test_a_handset_that_is_away_is_told_ever_more_rarely_and_at_once_when_it_is_there() -> None:
    world, sent = World(), list[ProtectionStatus]()
    world.hear()
    world.now_us += LONGEST_US  # it is overdue, so that nothing new becomes of it
    for _ in range(3_600):
        sent += [one.command for one in world.judge()]
        world.now_us += SECOND_US
    times = [from_iso(one.time) for one in sent]
    pauses = [(later - earlier) // SECOND_US for earlier, later in pairwise(times)]
    quarters = [at // (900 * SECOND_US) for at in (one - times[0] for one in times)]
    assert pauses[:2] == [10, 20]
    assert max(pauses) <= LONGEST_US // SECOND_US // 2
    assert len(sent) <= 70
    assert set(quarters) == {0, 1, 2, 3}
    assert world.judge() == []
    world.desk.lost("phone-1")
    [there] = world.judge()
    assert there.command.confirm
    world.now_us += 10 * SECOND_US
    [once_more] = world.judge()
    assert world.answer(sent[0]) is None  # of long ago: what it said has been forgotten
    assert world.answer(there.command).delivery_id == there.command.id
    assert once_more.command.confirm
