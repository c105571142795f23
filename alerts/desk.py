"""The alert desk: transitions, events and people's steps in, alert changes out.

No I/O, no clock, no logging: time is given, and every change that is returned is to be written to
the alerts stream and handed to the deliveries by the caller. `Desk.restore` takes the same changes
back and arrives at the same desk.

The life of an alert, after ISA-18.2:

    raised --> active, unacknowledged  --acknowledge-->  active, acknowledged
                    |         ^                               |          |
                returned      | tier gets worse            returned   resolve (what no signal ends)
                    v         |                               v          v
               returned, unacknowledged  --acknowledge-->   resolved, off the desk
                                                           (after a dispatch: resolve)

What returned unseen stays until a person has seen it. Panic and tamper never return, and a tamper
is closed only after a check. What somebody was sent to stays until a person says how it ended. An
acknowledgement holds for the tier it was given at: when a warning that somebody has taken in hand
becomes critical, it asks for a person again, off the shelf if it lay there. `alerts.steps` has all
that people can do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from alerts.agenda import Agenda, next_us
from alerts.alarms import OWN_ALARM
from alerts.book import Book, Entry, device_held
from alerts.contacts import Contacts
from alerts.desk_counts import DeskCounts
from alerts.episodes import (
    alert_of_event,
    alert_of_watch,
    decision_fields,
    is_clear,
    tier_of,
    watch_episode_id,
    worse,
)
from alerts.escalation import Escalation, taken
from alerts.linking import alarm_tier, alert_of_pair, answered, goes_on, least_tier, link
from alerts.making import OPEN_LIMIT, Making
from alerts.model import Alert, AlertChange, subject_of_anomaly, subject_of_health
from alerts.profile import Profiles
from alerts.ranking import Ranking
from alerts.repeats import clear_by, repeat
from alerts.spells import Spell, spell_of_anomaly, spell_of_health
from alerts.steps import Step, asks_anew, off_the_shelf, seen_by
from alerts.weakening import Weakening
from devices.health_changes import HealthChange
from devices.instants import from_iso
from devices.reports import Event
from devices.watches import Bearer, Watch
from geofence.anomaly_changes import AnomalyChange
from geofence.levels import Transition


class Desk:
    """All open alerts and the rules by which they change.

    Args:
        profiles: Tiers and whom to tell.
        rules: Version of the engine's rules, written into each alert.
        build: Version of the code, written into each alert.
        escalation: Who else is asked, when nobody acts in time; None: the consoles only.
        source: CloudEvents source of the changes.
        open_limit: See `OPEN_LIMIT`.
    """

    def __init__(
        self,
        profiles: Profiles,
        *,
        rules: str,
        build: str,
        escalation: Escalation | None = None,
        source: str = "cordon",
        open_limit: int = OPEN_LIMIT,
    ) -> None:
        self._profiles = profiles
        self._rules = rules
        self._escalation = escalation or Escalation(profiles, Contacts(), lambda _delivery: False)
        self._agenda = Agenda()
        made_by = {"rules": rules, "build": build}
        self._making = Making(profiles, made_by, source=source, open_limit=open_limit)

    @property
    def counts(self) -> DeskCounts:
        """What the desk has done since it was made."""
        return self._making.counts

    @property
    def _book(self) -> Book:
        return self._making.book

    # What the engine says

    def on_transition(
        self, transition: Transition, watch: Watch, *, now_us: int
    ) -> list[AlertChange]:
        """Take in one transition of the engine.

        Args:
            transition: One that was applied before, or that comes before one that was, changes
                nothing.
            watch: The watch it is about. When it vanished from the plan, as it was.
            now_us: The present instant.

        Returns:
            The changes, in order: none, one, or two when an acknowledged alert returns and closes.
        """
        if self._book.has_passed(watch.key, transition.number, transition.onset_us):
            self.counts.replayed += 1
            return []
        entry = self._book.of_subject(watch.key)
        if is_clear(transition):
            return [] if entry is None else self._end_episode(entry, transition, watch, now_us)
        if entry is None:
            return self._begin_episode(transition, watch, now_us)
        return self._move(entry, transition, watch, now_us)

    def _begin_episode(
        self, transition: Transition, watch: Watch, now_us: int
    ) -> list[AlertChange]:
        profile = self._profiles.find(watch.profile)
        # Two episodes can begin at the same fix, when only time passed between them.
        is_new = self._book.onset_is_new(watch.key, transition.onset_us)
        number = None if is_new else transition.number
        episode_id = watch_episode_id(watch.key, transition.onset_us, number)
        fields = alert_of_watch(transition, watch, profile, episode_id, now_us)
        return goes_on(self._making, watch, fields | self._made(watch), now_us)

    def _move(
        self, entry: Entry, transition: Transition, watch: Watch, now_us: int
    ) -> list[AlertChange]:
        alert = entry.current()
        profile = self._profiles.find(watch.profile)
        decided = tier_of(transition, alert, profile)
        tier = least_tier(decided, alert, self._profiles, watch.profile)
        if tier == alert.tier and transition.level.label == alert.level:
            return []
        fields = decision_fields(transition, watch) | self._made(watch)
        fields["tier"] = tier
        fields["highest_level"] = worse(alert.highest_level, transition.level.label)
        fields["profile"] = profile.version
        if tier < alert.tier:
            fields |= asks_anew(now_us)
        moved = self._making.by_profile(msgspec.structs.replace(alert, **fields), now_us)
        return [self._making.change(moved, "level" if tier == alert.tier else "tier", now_us)]

    def _end_episode(
        self, entry: Entry, transition: Transition, watch: Watch, now_us: int
    ) -> list[AlertChange]:
        fields = decision_fields(transition, watch) | self._made(watch)
        return self._making.end(entry, fields, now_us)

    def _made(self, watch: Watch) -> dict[str, Any]:
        return {"rules": watch.decided_by(self._rules)}

    def retire(
        self,
        watches: Collection[str],
        anomalies: Collection[str] = (),
        health: Collection[str] = (),
        *,
        now_us: int,
    ) -> list[AlertChange]:
        """Let alerts return whose watch is watched no longer, or what is not going on.

        For the start of the service: what vanished from the caseload while it was down gives no
        transition that would end its episode. An alert whose closing was lost with the service that
        made it is closed now: what ended it is known and will not be decided again.

        Args:
            watches: Keys of all watches of the present plan.
            anomalies: Keys of all anomalies that go on.
            health: Keys of all that is wrong with devices.
            now_us: The present instant.
        """
        present = {*watches, *map(subject_of_anomaly, anomalies), *map(subject_of_health, health)}
        gone = [entry for entry in self._book.of_the_engine() if entry.alert.subject not in present]
        done = [entry for entry in self._book if entry.alert.is_done]
        closed = [self._making.close(entry.current(), now_us) for entry in done]
        return closed + [change for entry in gone for change in self._making.retire(entry, now_us)]

    # What is wrong with devices

    def on_anomaly(
        self, change: AnomalyChange, bearer: Bearer, *, now_us: int
    ) -> list[AlertChange]:
        """Take in one beginning or end of an anomaly.

        Args:
            change: One that was applied before, or that comes before one that was, changes
                nothing. Neither does one for which the profile has no rule.
            bearer: The device as it is assigned now.
            now_us: The present instant.
        """
        rules = self._profiles.find(bearer.profile)
        return self._take(spell_of_anomaly(change, bearer, rules, now_us), now_us)

    def on_health(self, change: HealthChange, bearer: Bearer, *, now_us: int) -> list[AlertChange]:
        """As `on_anomaly`, but there is always a rule. For very many the bearer stands for none."""
        rules = self._profiles.find(bearer.profile)
        return self._take(spell_of_health(change, bearer, rules, now_us), now_us)

    def _take(self, spell: Spell, now_us: int) -> list[AlertChange]:
        if self._book.has_passed(spell.subject, spell.number, spell.onset_us):
            self.counts.replayed += 1
            return []
        entry = self._book.of_subject(spell.subject)
        if entry is not None:
            return [] if spell.began else self._making.end(entry, spell.fields, now_us)
        self.counts.unmapped += not spell.has_rule
        if not spell.has_rule or not spell.began:
            return []
        is_new = self._book.onset_is_new(spell.subject, spell.onset_us)
        return self._making.begin(spell.new(None if is_new else spell.number), now_us)

    # What devices notice

    def on_event(self, event: Event, bearer: Bearer, *, now_us: int) -> list[AlertChange]:
        """Take in one event of a device.

        One that arrives after the event that ended its trouble raises an alert all the same: the
        desk keeps no events but those of its alerts.

        Args:
            event: One that was taken in before changes nothing.
            bearer: The device as it was assigned when the event happened.
            now_us: When it arrived.

        Returns:
            The changes, in order: of alerts that this event ends, and of the one it raises.
        """
        profile = self._profiles.find(bearer.profile)
        cleared = profile.cleared_by(event.type)
        held = device_held(event.device, bearer.person)
        ended = clear_by(self._making, event, held, cleared, now_us)
        if event.type not in profile.events:
            self.counts.unmapped += 0 if cleared else 1
            return ended
        if self._book.has_seen(event, held, now_us):
            self.counts.replayed += 1
            self._book.recognise(event, held)
            return ended
        entry = self._book.of_event(held, event.type)
        if entry is None:
            fields = alert_of_event(event, bearer, profile, now_us)
            return ended + self._making.begin(fields, now_us)
        self.counts.repeats += 1
        return ended + repeat(self._making, entry, event, now_us)

    def on_alarm(
        self, event: Event, bearer: Bearer, watches: Iterable[str], *, now_us: int
    ) -> list[AlertChange]:
        """Have the alert that an alarm of her handset belongs to keep it; see `alerts.alarms`.

        Args:
            event: Names the alarm. One of the handset's own engine raises an alert where there is none.
            bearer: The handset as it was assigned when it happened.
            watches: Keys of the pairs that are concerned.
            now_us: The present instant.
        """
        held = device_held(event.device, bearer.person)
        own = event.type == OWN_ALARM
        if own and self._book.has_seen(event, held, now_us):
            self.counts.replayed += 1
            return []
        entry = alert_of_pair(self._book, watches) or self._book.of_event(held, event.type)
        if entry is not None:
            tier = alarm_tier(self._profiles, bearer.profile, event.type)
            return link(self._making, entry, event, tier, now_us)
        if not own:
            return []
        return self.on_event(event, answered(bearer, self._profiles), now_us=now_us)

    # What people do

    def act(
        self, alert_id: str, step: Step, *, version: int, operator: str, now_us: int
    ) -> list[AlertChange]:
        """Somebody takes a step.

        Args:
            alert_id: Of an open alert.
            step: What to do; see `alerts.steps`.
            version: Of the alert as the operator saw it.
            operator: Who takes it.
            now_us: The present instant.

        Returns:
            The change the step makes, and the closing where it leaves nothing to be done.

        Raises:
            NoSuchAlert: There is no open alert with this id.
            VersionConflict: It has changed since `version`.
            IllegalStep: Its state does not allow the step, or the step lacks something.
        """
        alert = seen_by(operator, self._book.get(alert_id), alert_id, version)
        taken = msgspec.structs.replace(alert, **step.fields(alert, operator, now_us))
        return self._making.and_close(
            self._making.change(taken, step.kind, now_us, operator), now_us
        )

    def advance(self, now_us: int) -> list[AlertChange]:
        """Time passes: what was shelved until now comes back; who else must be asked, is.

        A limited number at once, so that nothing else waits long: call it again while the desk
        `is_behind`. Not to be called while the past is read again: nobody could have acted then.
        """
        changes: list[AlertChange] = []
        self._agenda.note(self._book, self._escalation)
        for alert_id in self._agenda.due(now_us):
            entry = self._book.get(alert_id)
            if entry is not None:
                changes += self._look_at(entry.current(), now_us)
        return changes

    def is_behind(self, now_us: int) -> bool:
        """Whether something that is due by now has not been looked at yet."""
        return self._book.has_touched() or self._agenda.has_due(now_us)

    def _look_at(self, alert: Alert, now_us: int) -> list[AlertChange]:
        """What is due for one alert."""
        changes: list[AlertChange] = []
        if alert.shelved_until is not None and from_iso(alert.shelved_until) <= now_us:
            back = msgspec.structs.replace(alert, **off_the_shelf(now_us))
            changes.append(self._making.change(back, "unshelved", now_us))
            alert = changes[-1].data
        asked = self._escalation.asks(alert, now_us)
        if asked:
            alert = msgspec.structs.replace(alert, **taken(alert, asked, now_us))
            changes.append(self._making.change(alert, "escalated", now_us, asked=asked))
        self._agenda.plan(alert, next_us(alert, self._escalation, now_us))
        return changes

    def replan(self) -> None:
        """The plans have changed: look at every open alert again."""
        self._book.touch_all()

    # What is kept

    def restore(self, changes: Iterable[AlertChange]) -> None:
        """Take in the changes of the alerts stream, in order; those known change nothing."""
        for change in changes:
            self._book.apply(change)

    def find(self, alert_id: str) -> Alert | None:
        """The open alert of this id."""
        entry = self._book.get(alert_id)
        return None if entry is None else entry.alert

    def most_urgent(self, limit: int, offset: int = 0) -> list[Alert]:
        """The open alerts that people should look at first: see `alerts.ranking`."""
        found = map(self._book.get, self.ranking.first(limit, offset))
        return [entry.alert for entry in found if entry is not None]

    @property
    def ranking(self) -> Ranking:
        """How many are open, and in which order."""
        return self._book.ranking

    @property
    def weakening(self) -> Weakening:
        """What they take away from protection."""
        return self._book.weakening

    def open_alerts(self) -> list[Alert]:
        """All alerts not closed yet, worst first, then oldest first."""
        found = [entry.alert for entry in self._book]
        return sorted(found, key=lambda alert: (alert.tier, alert.raised_at, alert.alert_id))

    def snapshot(self) -> bytes:
        """All that `load_snapshot` needs. The counters are not in it."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The snapshot of this moment, bit by bit: the desk may go on meanwhile."""
        return self._book.pieces()

    def load_snapshot(self, data: bytes) -> None:
        """Become the desk that wrote the snapshot; what was here before is gone.

        Raises:
            DeskStateError: The bytes cannot be read. The desk is as before.
        """
        self._making.book = Book.read(data)
        self._agenda = Agenda()
