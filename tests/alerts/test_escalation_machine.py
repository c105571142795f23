"""Whatever people and handsets do, and wherever the service dies: each step once, none forgotten.

The twin below knows the rules as a table and keeps its own clocks. The desk must ask exactly whom
the twin expects, at the same tick; a restart between any two steps may change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.model import AlertChange
from alerts.steps import Acknowledge, Shelve, Unshelve
from geofence.levels import Level
from tests.alerts.builders import NOW_US, SECOND_US, act
from tests.alerts.test_escalation import Room

# clock, tier, seconds, contact, channel, and the seconds of the step whose receipt spares this one
TABLE = [
    ("seen", 1, 30, "operators", "console", None),
    ("seen", 1, 60, "First supervisor", "push", None),
    ("seen", 1, 90, "First supervisor", "sms", ("First supervisor", "push")),
    ("seen", 1, 90, "Second supervisor", "sms", None),
    ("seen", 1, 120, "Control room", "webhook", None),
    ("seen", 2, 120, "operators", "console", None),
    ("seen", 2, 300, "First supervisor", "push", None),
    ("seen", 2, 360, "First supervisor", "sms", ("First supervisor", "push")),
    ("seen", 3, 900, "operators", "console", None),
    ("told", 1, 20, "Her phone", "sms", "notice"),
    ("told", 2, 30, "Her phone", "sms", "notice"),
    ("done", 1, 900, "ada", "console", None),
    ("done", 1, 1800, "ada", "console", None),
    ("done", 1, 2700, "ada", "console", None),
    ("done", 1, 3600, "ada", "console", None),
    ("done", 1, 3600, "First supervisor", "push", None),
    ("done", 2, 3600, "ada", "console", None),
]
TIERS = {Level.PRE_ALERT: 3, Level.ALERT: 2, Level.CONTACT: 1}


@dataclass
class Twin:
    """One alert's clocks by their beginnings, and what has been asked on each."""

    tier: int
    clocks: dict[str, int]
    asked: set[tuple[str, int, str, str, int]] = field(default_factory=set)
    heard: set[tuple[str, str, int]] = field(default_factory=set)
    shelved: bool = False

    def due(self, now_us: int) -> list[tuple[str, str]]:
        found = []
        for clock, tier, seconds, who, channel, spared_by in TABLE:
            start = self.clocks.get(clock)
            if start is None or tier != self.tier or self.shelved:
                continue
            # The same step of another tier counts as taken; a reminder is told by its number.
            number = seconds if (clock, channel) == ("done", "console") else 0
            key = (clock, start, who, channel, number)
            if start + seconds * SECOND_US > now_us or key in self.asked:
                continue
            if spared_by == "notice":
                if ("notice", "", start) in self.heard:
                    continue
            elif spared_by is not None and (*spared_by, start) in self.heard:
                continue
            self.asked.add(key)
            found.append((who, channel))
        return sorted(found)


class EscalationMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.room = Room()
        self.now_us = NOW_US
        self.number = 1
        self.level = Level.ALERT
        self.room.step(1, Level.ALERT, self.now_us)
        self.twin = Twin(2, {"seen": self.now_us, "told": self.now_us})
        self.snapshots = (self.room.desk.snapshot(), self.room.outbox.snapshot())
        self.after = len(self.room.entries)
        self.ids: list[str] = []

    @rule(seconds=st.sampled_from([1, 5, 10, 30, 60, 300, 900]))
    def time_passes(self, seconds: int) -> None:
        for _ in range(1 if seconds > 60 else seconds):
            self.now_us += SECOND_US if seconds <= 60 else seconds * SECOND_US
            self.advance()

    def advance(self) -> None:
        changes = self.room.keep(self.room.desk.advance(self.now_us))
        back = [change for change in changes if change.kind == "unshelved"]
        if back:
            self.twin.shelved = False
            self.twin.clocks["seen"] = self.now_us
            if self.room.only().acknowledged_by is not None:
                del self.twin.clocks["seen"]
        asked = [ask for change in changes for ask in change.asked]
        assert sorted((a.recipient, a.channel) for a in asked) == self.twin.due(self.now_us)
        assert len([c for c in changes if c.kind == "escalated"]) <= 1
        self.ids += [f"{ask.key}{ask.channel}" for ask in asked]

    @rule(level=st.sampled_from(sorted(TIERS)))
    def the_engine_decides(self, level: Level) -> None:
        if level is self.level:
            return
        self.number += 1
        self.room.step(self.number, level, self.now_us)
        if TIERS[level] < TIERS[self.level]:
            self.twin.clocks.pop("done", None)
            self.twin.clocks["seen"] = self.now_us
            self.twin.shelved = False
        self.level, self.twin.tier = level, TIERS[level]
        self.twin.clocks["told"] = self.now_us
        self.twin.heard.discard(("notice", "", self.now_us))

    @precondition(lambda self: "seen" in self.twin.clocks)
    @rule()
    def somebody_acknowledges(self) -> None:
        self.room.keep(act(self.room.desk, self.room.only(), Acknowledge(), now_us=self.now_us))
        del self.twin.clocks["seen"]
        self.twin.clocks["done"] = self.now_us

    @precondition(lambda self: self.twin.tier > 1 and not self.twin.shelved)
    @rule(minutes=st.sampled_from([1, 10]))
    def somebody_shelves(self, minutes: int) -> None:
        shelve = Shelve(minutes=minutes, reason="known")
        self.room.keep(act(self.room.desk, self.room.only(), shelve, now_us=self.now_us))
        self.twin.shelved = True

    @precondition(lambda self: self.twin.shelved)
    @rule()
    def somebody_takes_it_off_the_shelf(self) -> None:
        self.room.keep(act(self.room.desk, self.room.only(), Unshelve(), now_us=self.now_us))
        self.twin.shelved = False
        if "seen" in self.twin.clocks:
            self.twin.clocks["seen"] = self.now_us

    @rule(data=st.data())
    def a_receipt_comes(self, data: st.DataObject) -> None:
        waiting = [d for d in self.room.outbox.pending() if d.channel in {"handset", "push"}]
        if not waiting:
            return
        delivery = data.draw(st.sampled_from(waiting))
        self.room.hear(delivery)
        alert = self.room.only()
        if delivery.channel == "push":
            [change] = [e for e in self.room.entries if e.id == delivery.change_id]
            assert isinstance(change, AlertChange)
            asks = [a for a in change.asked if a.channel == "push"]
            clocks = {"unacknowledged": "seen", "unresolved": "done"}
            for ask in asks:
                start = self.twin.clocks.get(clocks[ask.step.partition("/")[0]])
                if start is not None:
                    self.twin.heard.add((ask.recipient, "push", start))
        elif delivery.change_id == f"{alert.alert_id}/{alert.told_version}":
            self.twin.heard.add(("notice", "", self.twin.clocks["told"]))

    @rule()
    def keep_a_snapshot(self) -> None:
        self.snapshots = (self.room.desk.snapshot(), self.room.outbox.snapshot())
        self.after = len(self.room.entries)

    @rule(from_snapshot=st.booleans())
    def the_service_dies(self, *, from_snapshot: bool) -> None:
        before = self.room.desk.open_alerts()
        if from_snapshot:
            self.room.restart(self.snapshots, self.after)
        else:
            self.room.restart()
        assert self.room.desk.open_alerts() == before

    @invariant()
    def no_step_is_taken_twice(self) -> None:
        assert len(set(self.ids)) == len(self.ids)
        deliveries = [d.id for d in self.room.outbox.pending()]
        assert len(set(deliveries)) == len(deliveries)

    @invariant()
    def what_stands_in_the_alert_stays_small(self) -> None:
        assert len(self.room.only().escalated) <= 16


TestEscalation = EscalationMachine.TestCase
TestEscalation.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
