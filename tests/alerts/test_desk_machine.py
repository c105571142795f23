"""Whatever happens in whatever order: the desk's promises hold, and its rebuilt twins equal it."""

from __future__ import annotations

import contextlib
import json

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from alerts.deliveries import decode_entry, encode_entry
from alerts.errors import IllegalStep, NoSuchAlert, StepRefused, VersionConflict
from alerts.model import Alert, AlertChange
from alerts.steps import Acknowledge, Assign, Check, Dispatch, Resolve, Shelve, Step, Unshelve
from devices.reports import Event
from devices.watches import Watch
from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_state import Anomaly
from geofence.levels import Level, Transition
from tests.alerts.builders import (
    BEARERS,
    SECOND_US,
    START_US,
    WATCH,
    ZONE,
    anomaly,
    desk,
    event,
    transition,
)
from tests.alerts.step_twin import MINUTE_US, StepTwin

WATCHES: dict[str, Watch] = {WATCH.key: WATCH, ZONE.key: ZONE}
EVENT_TYPES = ("panic", "strap_cut", "strap_closed", "battery_low", "charging", "gnss_lost")
ANOMALIES = (Anomaly.CLONE, Anomaly.FROZEN)
OPEN_LIMIT = 6
BY_PEOPLE = {
    "acknowledged",
    "assigned",
    "dispatched",
    "checked",
    "shelved",
    "unshelved",  # or by time
    "resolved",
}
STEPS: tuple[Step, ...] = (
    Acknowledge(),
    Assign(to="bob"),
    Assign(to=""),
    Dispatch(to="unit 7"),
    Dispatch(to=""),
    Check(by="inspected", note="strap whole"),
    Check(by="second_person", note="seen with the shift leader"),
    Check(by="replaced", note=""),
    Shelve(minutes=30, reason="known: he is in hospital"),
    Shelve(minutes=481, reason="too long"),
    Shelve(minutes=30, reason=""),
    Unshelve(),
    Resolve(outcome="no_breach", note="seen to"),
    Resolve(outcome="breach", note=""),
)

Input = Transition | Event | AnomalyChange


class DeskMachine(RuleBasedStateMachine):
    """Drives a desk, and keeps its own simple account of what must be true."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = desk(open_limit=OPEN_LIMIT)
        self.now_us = START_US
        self.changes: list[AlertChange] = []
        self.twins: dict[str, StepTwin] = {}
        self.tiers: dict[str, int] = {}
        self.inputs: list[Input] = []
        self.level = dict.fromkeys(WATCHES, Level.CLEAR)
        self.number = dict.fromkeys(WATCHES, 0)
        self.onset_us = dict.fromkeys(WATCHES, START_US)
        self.anomalies: dict[tuple[str, Anomaly], AnomalyChange] = {}
        self.snapshot = self.desk.snapshot()
        self.snapshot_after = (0, 0)

    @property
    def events(self) -> list[Event]:
        return [made for made in self.inputs if isinstance(made, Event)]

    def replay(self, inputs: list[Input]) -> None:
        """Say again what was said before; nothing may change."""
        if self.desk.counts.refused:
            return  # what was refused for want of room may be raised later: that is no replay
        before = self.desk.open_alerts()
        for made in inputs:
            assert self.feed(made) == []
        assert self.desk.open_alerts() == before

    def feed(self, made: Input) -> list[AlertChange]:
        if isinstance(made, Event):
            repeats = self.desk.counts.repeats
            changes = self.desk.on_event(made, BEARERS[made.device], now_us=self.now_us)
            if self.desk.counts.repeats > repeats:
                about = (made.device, made.type)
                [alert] = [a for a in self.desk.open_alerts() if (a.device, a.level) == about]
                self.twins[alert.alert_id].repeats += 1
            return changes
        if isinstance(made, AnomalyChange):
            return self.desk.on_anomaly(made, BEARERS[made.track], now_us=self.now_us)
        return self.desk.on_transition(made, WATCHES[made.watch], now_us=self.now_us)

    def keep(self, changes: list[AlertChange]) -> None:
        for change in changes:
            assert change.id == f"{change.subject}/{change.data.version}"
            if change.kind == "raised":
                self.twins[change.subject] = StepTwin()
            elif change.kind == "tier" and change.data.tier < self.tiers[change.subject]:
                self.twins[change.subject].worse()
            elif change.kind == "resolved":
                del self.twins[change.subject]
            self.tiers[change.subject] = change.data.tier
        self.changes += changes

    def tick(self) -> None:
        self.now_us += SECOND_US

    @rule(key=st.sampled_from(sorted(WATCHES)), level=st.sampled_from(Level), fix=st.booleans())
    def engine_decides(self, key: str, level: Level, *, fix: bool) -> None:
        if level is self.level[key]:
            return
        self.tick()
        if self.level[key] is Level.CLEAR and fix:
            self.onset_us[key] = self.now_us
        self.number[key] += 1
        made = transition(
            self.number[key],
            level,
            watch=key,
            previous=self.level[key],
            onset_us=self.onset_us[key],
            decided_at_us=self.now_us,
        )
        self.level[key] = level
        self.inputs.append(made)
        self.keep(self.feed(made))

    @rule(
        kind=st.sampled_from(EVENT_TYPES),
        device=st.sampled_from(sorted(BEARERS)),
        counts=st.booleans(),
        late_s=st.integers(0, 3),
    )
    def device_notices(self, kind: str, device: str, late_s: int, *, counts: bool) -> None:
        self.tick()
        if kind == "battery_low":
            late_s = 0  # one that comes after its own end is ended by a replay: see on_event
        number = len(self.inputs) + 1
        made = event(
            kind,
            number if counts else -number,
            device=device,
            time_us=self.now_us - late_s * SECOND_US,
        )
        self.inputs.append(made)
        self.keep(self.feed(made))

    @rule(kind=st.sampled_from(ANOMALIES), device=st.sampled_from(sorted(BEARERS)))
    def a_device_errs_or_no_longer_does(self, kind: Anomaly, device: str) -> None:
        self.tick()
        known = self.anomalies.get((device, kind))
        if known is not None and known.began:
            made = known.ended(self.now_us)
        else:
            number = 1 if known is None else known.number + 1
            made = anomaly(
                kind, number, track=device, onset_us=self.now_us, decided_at_us=self.now_us
            )
        self.anomalies[device, kind] = made
        self.inputs.append(made)
        self.keep(self.feed(made))

    @precondition(lambda self: self.desk.open_alerts())
    @rule(
        data=st.data(),
        step=st.sampled_from(STEPS),
        operator=st.sampled_from(["ada", "bob"]),
        stale=st.booleans(),
    )
    def somebody_takes_a_step(
        self, data: st.DataObject, step: Step, operator: str, *, stale: bool
    ) -> None:
        """Allowed or refused as the plain twin says."""
        self.tick()
        alert = data.draw(st.sampled_from(self.desk.open_alerts()))
        expected: type[StepRefused] | None = None
        if stale:
            expected = VersionConflict
        elif not self.twins[alert.alert_id].allows(alert, step, operator):
            expected = IllegalStep
        before = self.desk.snapshot()
        with refused_with(expected):
            changes = self.desk.act(
                alert.alert_id,
                step,
                version=0 if stale else alert.version,
                operator=operator,
                now_us=self.now_us,
            )
            assert changes[0].actor == operator
            self.twins[alert.alert_id].take(step, operator, self.now_us)
            self.keep(changes)
        if expected is not None:
            assert self.desk.snapshot() == before

    @rule(minutes=st.sampled_from([1, 5, 60]))
    def time_passes(self, minutes: int) -> None:
        """What was shelved until now comes back, each once."""
        self.now_us += minutes * MINUTE_US
        due = {
            found
            for found, twin in self.twins.items()
            if twin.shelf_until_us is not None and twin.shelf_until_us <= self.now_us
        }
        changes = self.desk.advance(self.now_us)
        back = [change.subject for change in changes if change.kind == "unshelved"]
        assert sorted(back) == sorted(due)
        asked = [change.subject for change in changes if change.kind != "unshelved"]
        assert {c.kind for c in changes} <= {"unshelved", "escalated"}
        assert len(set(asked)) == len(asked)
        for found in due:
            self.twins[found].shelf_until_us = None
        self.keep(changes)
        assert self.desk.advance(self.now_us) == []

    @precondition(lambda self: self.changes)
    @rule(data=st.data())
    def somebody_acts_on_a_closed_one(self, data: st.DataObject) -> None:
        known = {alert.alert_id for alert in self.desk.open_alerts()}
        closed = [c for c in self.changes if c.subject not in known]
        if not closed:
            return
        change = data.draw(st.sampled_from(closed))
        with refused_with(NoSuchAlert):
            self.desk.act(
                change.subject,
                Acknowledge(),
                version=change.data.version,
                operator="ada",
                now_us=self.now_us,
            )

    @rule()
    def everything_is_replayed(self) -> None:
        """The journal read from its beginning."""
        self.replay(self.inputs)

    @rule()
    def keep_a_snapshot(self) -> None:
        self.snapshot = self.desk.snapshot()
        self.snapshot_after = (len(self.changes), len(self.inputs))

    @rule()
    def restart_from_the_snapshot(self) -> None:
        """The desk dies; back from its snapshot, the changes and the journal written after it."""
        before = self.desk.open_alerts()
        counts = self.desk.counts
        self.desk = desk(open_limit=OPEN_LIMIT)
        self.desk.load_snapshot(self.snapshot)
        changes, inputs = self.snapshot_after
        self.desk.restore(decode(self.changes[changes:]))
        self.desk.counts.refused = counts.refused
        assert self.desk.open_alerts() == before
        self.replay(self.inputs[inputs:])

    @invariant()
    def a_desk_rebuilt_from_its_changes_is_the_same(self) -> None:
        twin = desk()
        twin.restore(decode(self.changes))
        assert twin.open_alerts() == self.desk.open_alerts()
        twin.restore(decode(self.changes))  # the stream may hold entries twice
        assert twin.open_alerts() == self.desk.open_alerts()

    @invariant()
    def a_desk_from_its_snapshot_is_the_same(self) -> None:
        twin = desk()
        twin.load_snapshot(self.desk.snapshot())
        assert twin.open_alerts() == self.desk.open_alerts()
        assert twin.snapshot() == self.desk.snapshot()
        twin.restore(self.changes)
        assert twin.open_alerts() == self.desk.open_alerts()

    @invariant()
    def the_history_makes_sense(self) -> None:
        assert len({change.id for change in self.changes}) == len(self.changes)
        last: dict[str, AlertChange] = {}
        for change in self.changes:
            check_step(last.get(change.subject), change)
            last[change.subject] = change

    @invariant()
    def one_active_alert_for_each_watch_that_is_not_clear(self) -> None:
        active = [a.watch for a in self.desk.open_alerts() if a.watch and a.state == "active"]
        assert len(set(active)) == len(active)
        assert set(active) <= {key for key, level in self.level.items() if level}
        if not self.desk.counts.refused:
            assert set(active) == {key for key, level in self.level.items() if level}
        for alert in self.desk.open_alerts():
            if alert.watch and alert.state == "active":
                assert alert.level == self.level[alert.watch].label

    @invariant()
    def one_active_alert_at_most_for_each_anomaly_that_goes_on(self) -> None:
        alerts = [a for a in self.desk.open_alerts() if a.anomaly and a.state == "active"]
        active = [(alert.device, alert.anomaly) for alert in alerts]
        assert len(set(active)) == len(active)
        going_on = {(key[0], key[1].label) for key, one in self.anomalies.items() if one.began}
        assert set(active) <= going_on  # a person may have closed one that goes on

    @invariant()
    def no_alarm_of_hers_is_ever_refused(self) -> None:
        raised = {c.data.device for c in self.changes if c.data.level == "panic"}
        assert raised == {e.device for e in self.events if e.type == "panic"}

    @invariant()
    def nothing_is_open_that_nobody_needs(self) -> None:
        for alert in self.desk.open_alerts():
            assert alert.resolved_by is None
            sent = alert.dispatched_by is not None
            assert alert.state == "active" or alert.acknowledged_by is None or sent

    @invariant()
    def what_people_did_is_what_the_plain_twin_says(self) -> None:
        alerts = {alert.alert_id: alert for alert in self.desk.open_alerts()}
        assert alerts.keys() == self.twins.keys()
        for found, alert in alerts.items():
            assert self.twins[found].agrees(alert)
            assert alert.shelved_until is None or alert.tier > 1


def refused_with(
    expected: type[StepRefused] | None,
) -> contextlib.AbstractContextManager[object]:
    return contextlib.nullcontext() if expected is None else pytest.raises(expected)


def check_step(before: AlertChange | None, change: AlertChange) -> None:
    """One alert's changes: raised first, resolved last, versions by ones, no illegal step."""
    alert = change.data
    if before is None:
        assert change.kind == "raised"
        assert alert.version == 1
        assert alert.asks_since == change.time
        assert alert.acknowledged_by is None
        return
    assert change.kind != "raised"
    assert before.kind != "resolved"
    assert alert.version == before.data.version + 1
    assert change.time >= before.time
    assert latches(alert) <= (change.kind in BY_PEOPLE | {"escalated"})
    assert change.actor == "system" or change.kind in BY_PEOPLE
    if change.kind == "acknowledged":
        assert before.data.acknowledged_by is None
    if change.kind == "returned":
        assert before.data.state == "active"
    if change.kind == "resolved" and latches(alert):
        assert before.data.acknowledged_by is not None
        assert alert.note
        assert alert.outcome
    if change.kind == "resolved" and alert.condition == "tamper":
        assert before.data.checked_by is not None
    if change.kind == "resolved" and alert.dispatched_by is not None:
        assert alert.outcome or change.actor == "system"
    if change.kind in {"level", "tier"}:
        assert (change.kind == "tier") == (alert.tier != before.data.tier)


def latches(alert: Alert) -> bool:
    return alert.condition in {"panic", "tamper"}


def decode(changes: list[AlertChange]) -> list[AlertChange]:
    """As they come back from the stream."""
    decoded = [decode_entry(encode_entry(change)) for change in changes]
    assert json.loads(msgspec.json.encode(decoded)) == json.loads(msgspec.json.encode(changes))
    return [change for change in decoded if isinstance(change, AlertChange)]


TestDesk = DeskMachine.TestCase
TestDesk.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
