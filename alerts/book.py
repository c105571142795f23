"""The desk's memory: what is open, and as much of the past as repetition needs.

The book changes only by `Book.apply`, in a live run and in a rebuild alike. That is why a desk
rebuilt from its changes equals the one that made them.

Two marks of the past outlive an alert (`alerts.marks`): one per subject, a watch of the engine or an
anomaly of a device, and one per device, bearer and type of event, so that a device that changed hands
begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec

from alerts.alarms import OWN_ALARM
from alerts.errors import DeskStateError
from alerts.marks import Mark, Passed, mark_of
from alerts.model import Alert, AlertChange
from alerts.pieces import pieces_of
from alerts.ranking import Ranking
from alerts.weakening import Weakening
from devices.instants import from_iso, to_iso
from devices.layouts import unpacked
from devices.reports import Event

SUBJECTS_REMEMBERED = 500_000
"""Subjects whose last transition is kept. Beyond it the one longest unchanged is forgotten."""

EVENTS_REMEMBERED = 500_000
"""Devices in one person's hands, and event types, whose newest event is kept. Beyond it, as above."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """An open alert and what is known about it beside its last change.

    Attributes:
        actor, kind: Of the newest change.
        mark: For events: the newest one taken in, that of repetitions included.
        acts_on: The oldest version whose sight still allows a step: what changed since then are
            escalations, which tell others and change nothing of what an operator saw.
        repeats: Repetitions since it was raised. They make no change by themselves, so the last
            few are written with the next one.
    """

    alert: Alert
    actor: str
    kind: str
    mark: Mark | None = None
    repeats: int = 0
    acts_on: int = 0

    def with_mark(self, new: Mark, *, repeats: int = 0) -> Entry:
        """The entry after one more event, which repeats so often what it is about."""
        mark = new if self.mark is None else self.mark.with_(new)
        return msgspec.structs.replace(self, mark=mark, repeats=self.repeats + repeats)

    def current(self) -> Alert:
        """The alert with what came in since its last change."""
        if self.mark is None:
            return self.alert
        return msgspec.structs.replace(
            self.alert,
            repeats=self.repeats,
            last_event_seq=self.mark.seq,
            last_event_at=to_iso(self.mark.time_us),
            last_event_received_at=_instant(self.mark.received_us),
        )


class _Pages(msgspec.Struct):
    """The whole book, as a snapshot holds it."""

    entries: list[Entry]
    passed: list[tuple[str, Passed]]
    marks: list[tuple[str, str, Mark]]


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

_FORMAT = b"CA2"  # Cordon alerts, layout 2: `_Pages` as MessagePack.
_decoder = msgspec.msgpack.Decoder(_Pages)


class Book:
    """All open alerts, by id and by what they are about."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        self._by_subject: dict[str, str] = {}
        self._by_event: dict[str, dict[str, str]] = {}
        self.ranking = Ranking()
        self.weakening = Weakening()
        self._touched: OrderedDict[str, None] = OrderedDict()
        self._returned: tuple[dict[str, None], ...] = ({}, {}, {}, {})
        self._passed: dict[str, Passed] = {}
        self._marks: dict[tuple[str, str], Mark] = {}

    def __len__(self) -> int:
        """How many alerts are open."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """The open alerts, in the order in which they were raised."""
        return iter(self._entries.values())

    def get(self, alert_id: str) -> Entry | None:
        """The open alert of this id."""
        return self._entries.get(alert_id)

    def of_subject(self, subject: str) -> Entry | None:
        """The active alert of a watch or an anomaly."""
        found = self._by_subject.get(subject)
        return None if found is None else self._entries[found]

    def of_the_engine(self) -> list[Entry]:
        """The active alerts of watches and anomalies."""
        return [self._entries[found] for found in self._by_subject.values()]

    def of_event(self, held: str, event_type: str) -> Entry | None:
        """The alert about this type of event, active or returned; `held` as `device_held`."""
        found = self._by_event.get(held, {}).get(event_type)
        return None if found is None else self._entries[found]

    def take_touched(self, limit: int) -> list[str]:
        """Ids of alerts that changed since this was last asked (after a start: of all), the first."""
        some = min(limit, len(self._touched))
        return [self._touched.popitem(last=False)[0] for _ in range(some)]

    def has_touched(self) -> bool:
        """Whether some changed since they were last asked for."""
        return bool(self._touched)

    def touch_all(self) -> None:
        """Count every open alert as changed."""
        self._touched = OrderedDict.fromkeys(self._entries)

    def oldest_returned(self, at_least_tier: int) -> Entry | None:
        """The alert of least concern that has returned, not above a tier; the oldest of such."""
        for tier in range(4, at_least_tier - 1, -1):
            for found in self._returned[tier - 1]:
                return self._entries[found]
        return None

    def has_passed(self, subject: str, number: int, onset_us: int) -> bool:
        """Whether a transition was applied already."""
        passed = self._passed.get(subject)
        return passed is not None and passed.has(number, onset_us)

    def onset_is_new(self, subject: str, onset_us: int) -> bool:
        """Whether the onset is later than every one known of this subject."""
        passed = self._passed.get(subject)
        return passed is None or onset_us > passed.onset_us

    def has_seen(self, event: Event, held: str, received_us: int) -> bool:
        """Whether an event, or a newer one of its kind, belonged to an alert known here."""
        entry = self.of_event(held, event.type)
        mark = self._marks.get((held, event.type))
        if entry is not None and entry.mark is not None:
            mark = entry.mark
        return mark is not None and mark.knows(
            event.seq, event.time_us, received_us, doubted=event.time_doubted
        )

    def recognise(self, event: Event, held: str) -> None:
        """Know the content of an event that `has_seen` knew by its arrival, however it comes again."""
        new = Mark(-1, event.time_us, -1, (event.seq,) if event.seq < -1 else ())
        if event.time_doubted or not new.recent:
            return
        entry = self.of_event(held, event.type)
        if entry is not None and entry.mark is not None:
            self._entries[entry.alert.alert_id] = entry.with_mark(new)
        known = self._marks.get((held, event.type))
        if known is not None:
            self._marks[held, event.type] = known.with_(new)

    def take_in(self, entry: Entry, event: Event, received_us: int, *, repeats: int) -> Entry:
        """Let an entry know of one more event, which changes nothing by itself."""
        known = entry.with_mark(mark_of(event.seq, event.time_us, received_us), repeats=repeats)
        self._entries[entry.alert.alert_id] = known
        return known

    def apply(self, change: AlertChange) -> None:
        """Take in a change, made just now or read back. One that is known changes nothing."""
        alert = change.data
        entry = self._entries.get(alert.alert_id)
        if entry is None and self._is_of_the_past(alert):
            return
        if entry is not None and alert.version <= entry.alert.version:
            return
        mark = self._remember(alert, entry)
        is_closed = change.kind == "resolved"
        before, after = None if entry is None else entry.alert, None if is_closed else alert
        self.ranking.change(before, after)
        self.weakening.change(before, after)
        if entry is not None:
            self._take_out(entry.alert)
        if is_closed:
            self._entries.pop(alert.alert_id, None)
        else:
            told_others = entry is not None and change.kind == "escalated"
            if entry is not None and told_others:
                actor, kind, acts_on = entry.actor, entry.kind, entry.acts_on
            else:
                actor, kind, acts_on = change.actor, change.kind, alert.version
            self._entries[alert.alert_id] = Entry(alert, actor, kind, mark, alert.repeats, acts_on)
            self._put_in(alert)
        self._touched[alert.alert_id] = None

    def _is_of_the_past(self, alert: Alert) -> bool:
        """Whether an alert that is not open was open once: a change that came twice."""
        if alert.subject:
            return self.has_passed(alert.subject, alert.transition, from_iso(alert.onset))
        known = self._marks.get((_held(alert), alert.level))
        mark = _last_event(alert)
        return (
            known is not None
            and mark is not None
            and known.knows(
                alert.last_event_seq, mark.time_us, mark.received_us, doubted=alert.onset_doubted
            )
        )

    def _remember(self, alert: Alert, entry: Entry | None) -> Mark | None:
        """Note how far the alert's subject has come; of an event's, the mark of its entry."""
        mark = _last_event(alert)
        if mark is not None:
            key = (_held(alert), alert.level)
            if entry is not None and entry.mark is not None:  # with contents no change has told of
                mark = mark.with_(entry.mark)
            self._marks[key] = self._marks.pop(key, mark).with_(mark)
            _forget_oldest(self._marks, EVENTS_REMEMBERED)
            return msgspec.structs.replace(mark, recent=self._marks[key].recent)
        for alarm in alert.alarms:  # one taken into another alert raises none when it comes again
            if alarm.cause == "engine":
                key = (device_held(alarm.device, alert.protected), OWN_ALARM)
                told = mark_of(alarm.seq, from_iso(alarm.time), -1)
                self._marks[key] = self._marks.pop(key, told).with_(told)
        if entry is None or entry.alert.transition != alert.transition:
            # A person's step repeats the alert's last number, which its watch may have left long
            # behind; only the engine's own changes move the watch on.
            self._pass(alert.subject, alert.transition, from_iso(alert.onset))
        return None

    def _pass(self, subject: str, number: int, onset_us: int) -> None:
        known = self._passed.get(subject)
        if known is not None:
            if known.has(number, onset_us):
                return
            del self._passed[subject]
            onset_us = max(onset_us, known.onset_us)
        self._passed[subject] = Passed(number, onset_us)
        _forget_oldest(self._passed, SUBJECTS_REMEMBERED)

    def _put_in(self, alert: Alert) -> None:
        if not alert.subject:
            self._by_event.setdefault(_held(alert), {})[alert.level] = alert.alert_id
        elif alert.state == "active":
            self._by_subject[alert.subject] = alert.alert_id
        if alert.state == "returned":
            self._returned[alert.tier - 1][alert.alert_id] = None

    def _take_out(self, alert: Alert) -> None:
        if not alert.subject:
            types = self._by_event[_held(alert)]
            del types[alert.level]
            if not types:
                del self._by_event[_held(alert)]
        elif self._by_subject.get(alert.subject) == alert.alert_id:
            del self._by_subject[alert.subject]
        self._returned[alert.tier - 1].pop(alert.alert_id, None)

    def pieces(self) -> Iterator[bytes]:
        """The whole book as it is now, as bytes, bit by bit: it may change meanwhile."""
        marks = [(held, kind, mark) for (held, kind), mark in self._marks.items()]
        pages: dict[str, list[Any]] = {
            "entries": list(self._entries.values()),
            "passed": list(self._passed.items()),
            "marks": marks,
        }
        return pieces_of(_FORMAT, pages)

    @classmethod
    def read(cls, data: bytes) -> Book:
        """The book that `pieces` wrote.

        Raises:
            DeskStateError: Unknown layout or damaged bytes.
        """
        pages = unpacked(data, _FORMAT, _decoder, DeskStateError, "the alerts")
        book = cls()
        book._passed = dict(pages.passed)
        book._marks = {(held, kind): mark for held, kind, mark in pages.marks}
        for entry in pages.entries:
            book._entries[entry.alert.alert_id] = entry
            book._put_in(entry.alert)
            book.ranking.change(None, entry.alert)
            book.weakening.change(None, entry.alert)
            book._touched[entry.alert.alert_id] = None
        return book


def device_held(device: str, person: str | None) -> str:
    """Names a device in one person's hands. No id has a slash in it."""
    return f"{device}/{person or ''}"


def _held(alert: Alert) -> str:
    return device_held(alert.device, alert.wearer or alert.protected)


def _last_event(alert: Alert) -> Mark | None:
    if alert.last_event_at is None:
        return None
    received_at = alert.last_event_received_at
    received_us = -1 if received_at is None else from_iso(received_at)
    return mark_of(alert.last_event_seq, from_iso(alert.last_event_at), received_us)


def _instant(at_us: int) -> str | None:
    return None if at_us < 0 else to_iso(at_us)


def _forget_oldest(memory: dict[_Key, _Value], limit: int) -> None:
    while len(memory) > limit:
        del memory[next(iter(memory))]
