"""Devices that do not number their reports: no call for help is lost, and none is raised twice.

Such a device is known by the content of what it sends and by when that arrived; its clock may be
set back at any time. The twin keeps a plain list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts import marks
from alerts.desk import Desk
from alerts.model import AlertChange
from alerts.steps import Acknowledge, Resolve, Step
from devices.reports import Event
from ingest.rows import derived_seq
from tests.alerts.builders import PHONE, START_US, desk, event, kinds

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US


def pressed(device_us: int, detail: int = 0, *, doubted: bool = False) -> Event:
    """A panic as the gateway reads it: the number follows from what was sent."""
    seq = derived_seq("phone1", 0 if doubted else device_us, "panic", "", detail)
    return event("panic", seq, time_us=device_us, time_doubted=doubted)


def close(on: Desk, now_us: int) -> list[AlertChange]:
    changes: list[AlertChange] = []
    steps: list[Step] = [Acknowledge(), Resolve(outcome="help_given", note="spoken to her")]
    for alert in on.open_alerts():
        for version, taken in enumerate(steps, alert.version):
            changes += on.act(alert.alert_id, taken, version=version, operator="ada", now_us=now_us)
    return changes


def test_a_clock_that_went_back_does_not_hide_a_panic() -> None:
    on, now_us = desk(), START_US
    assert kinds(on.on_event(pressed(now_us), PHONE, now_us=now_us)) == ["raised"]
    close(on, now_us + SECOND_US)
    for days in (1, 30, 399):
        now_us += 60 * SECOND_US
        behind = pressed(now_us - days * DAY_US)
        assert kinds(on.on_event(behind, PHONE, now_us=now_us)) == ["raised"]
        close(on, now_us + SECOND_US)
        assert on.on_event(behind, PHONE, now_us=now_us + 2 * SECOND_US) == []


def test_a_device_that_begins_to_count_is_heard_though_its_clock_went_back() -> None:
    on, now_us = desk(), START_US
    on.on_event(pressed(now_us, doubted=True), PHONE, now_us=now_us)
    close(on, now_us + SECOND_US)
    now_us += 60 * SECOND_US
    counted = event("panic", 5, time_us=now_us - DAY_US)
    assert kinds(on.on_event(counted, PHONE, now_us=now_us)) == ["raised"]


def test_two_presses_without_a_clock_are_two_though_their_bytes_are_the_same() -> None:
    on, now_us = desk(), START_US
    for _ in range(2):
        now_us += 60 * SECOND_US
        made = pressed(now_us, doubted=True)
        assert kinds(on.on_event(made, PHONE, now_us=now_us)) == ["raised"]
        close(on, now_us + SECOND_US)


def test_the_memory_of_contents_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "RECENT_EVENTS", 3)
    on, now_us = desk(), START_US
    made = []
    for number in range(5):
        now_us += 60 * SECOND_US
        made.append(pressed(START_US - number * SECOND_US))
        on.on_event(made[-1], PHONE, now_us=now_us)
        close(on, now_us + SECOND_US)
    later_us = now_us + 60 * SECOND_US
    assert on.on_event(made[-1], PHONE, now_us=later_us) == []
    assert kinds(on.on_event(made[1], PHONE, now_us=later_us)) == ["raised"]  # rather twice


@dataclass
class Story:
    """One desk, its journal and its alert stream, beside the plain list of what was pressed."""

    desk: Desk = field(default_factory=desk)
    now_us: int = START_US
    journal: list[tuple[Event, int]] = field(default_factory=list)
    stream: list[AlertChange] = field(default_factory=list)
    kept: tuple[bytes, int, int] = (b"", 0, 0)
    known: set[int] = field(default_factory=set)

    def bring(self, made: Event) -> None:
        self.now_us += SECOND_US
        is_open = bool(self.desk.open_alerts())
        self.journal.append((made, self.now_us))
        changes = self.desk.on_event(made, PHONE, now_us=self.now_us)
        self.stream += changes
        is_new = made.seq not in self.known
        self.known.add(made.seq)
        assert kinds(changes) == (["raised"] if is_new and not is_open else [])

    def staff_close(self) -> None:
        self.now_us += SECOND_US
        self.stream += close(self.desk, self.now_us)

    def keep(self) -> None:
        self.kept = (self.desk.snapshot(), len(self.stream), len(self.journal))

    def crash(self) -> None:
        """A new desk: the checkpoint, what was recorded after it, then the journal once more."""
        snapshot, recorded, position = self.kept
        before = [alert.alert_id for alert in self.desk.open_alerts()]
        self.desk = desk()
        if snapshot:
            self.desk.load_snapshot(snapshot)
        self.desk.restore(self.stream[recorded:])
        for made, arrived_us in self.journal[position:]:
            assert self.desk.on_event(made, PHONE, now_us=arrived_us) == []
        assert [alert.alert_id for alert in self.desk.open_alerts()] == before


steps = st.lists(
    st.one_of(
        st.tuples(st.just("press"), st.integers(-400, 0), st.integers(0, 3)),
        st.tuples(st.just("again"), st.integers(0, 15), st.just(0)),
        st.tuples(st.sampled_from(["close", "keep", "crash"]), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=400, deadline=None)
@given(steps)
def test_as_the_plain_list(taken: list[tuple[str, int, int]]) -> None:
    story = Story()
    for what, number, detail in taken:
        if what == "press" and len(story.known) < marks.RECENT_EVENTS:
            story.bring(pressed(story.now_us + number * DAY_US, detail))
        elif what == "again" and story.journal:
            story.bring(story.journal[number % len(story.journal)][0])
        elif what == "close":
            story.staff_close()
        elif what == "keep":
            story.keep()
        elif what == "crash":
            story.crash()
    raised = [change.subject for change in story.stream if change.kind == "raised"]
    assert len(raised) == len(set(raised))
