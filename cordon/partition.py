"""What one partition knows: caseload, engine and alert desk, and how batches and time change them.

No I/O and no waiting: each method runs to its end before another begins, so the state is always
that after a whole number of batches, ticks and plans. `cordon.worker` brings them in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import structlog

from alerts.desk import Desk
from alerts.model import AlertChange
from cordon.alerts_kept import load_alerts
from cordon.checkpoint import Checkpoint, Frozen, Recorded
from cordon.course import Course
from cordon.device_care import DeviceCare, Noticed
from cordon.event_ways import take_event
from cordon.guiding import with_way
from cordon.keep import KeptCaseload
from cordon.observing import Observer
from cordon.outgoing import Outgoing
from cordon.partition_counts import PartitionCounts
from cordon.records import (
    MadeWith,
    anomaly_record,
    command_record,
    decision_record,
    gap_record,
    health_record,
)
from cordon.ticks import stretch, ticks_due
from devices.caseload import Caseload, Condition
from devices.compiler import NO_SENSITIVITIES, compile_caseload
from devices.course import Start
from devices.instants import MICROSECONDS
from devices.reports import Batch, Event, positions
from devices.synthetic import with_synthetic
from devices.watches import Compiled
from devices.wearing import Wearing
from geofence.anomaly_changes import AnomalyChange, ended_by
from geofence.engine import Engine, Mark, Rules
from geofence.levels import Level, Transition
from geofence.sensitivity import Sensitivity
from geofence.snapshot import SnapshotError

log = structlog.get_logger("worker")

_IS_UNUSED = np.ones(256, np.bool_)
_IS_UNUSED[[Mark.USED, Mark.OUTLIER, Mark.MOVED]] = False
"""By mark, whether a fix moved no track."""


class Partition:
    """Engine and desk over one caseload.

    Args:
        new_desk: Makes an empty alert desk.
        outgoing: Where decisions and alert changes go.
        observer: Who is told after each batch.
        now_us: The present instant.
        tick_s: Interval of the sweeps.
        build: Version of the code, for decisions.
        rules: The engine's parameters.
        secret: Of the command desk, where no checkpoint holds one.
        sensitivities: By jurisdiction profile, how readily levels are entered and left.
        synthetic: Watch the pair that does not exist, too.
    """

    _engine_type: type[Engine] = Engine

    def __init__(
        self,
        new_desk: Callable[[], Desk],
        outgoing: Outgoing,
        observer: Observer,
        now_us: int,
        *,
        tick_s: float,
        build: str,
        rules: Rules,
        secret: bytes = b"",
        sensitivities: Mapping[str, Sensitivity] = NO_SENSITIVITIES,
        synthetic: bool = False,
    ) -> None:
        self._secret, self.counts = secret, PartitionCounts()
        self.desk = new_desk()
        self.kept = KeptCaseload("", Caseload())
        self._sensitivities, self._synthetic = sensitivities, synthetic
        made = Start(asdict(rules), tick_s, synthetic, build)
        self.course = Course(outgoing.coursed, lambda: self.ticked_us, made)
        self._compiled_us = now_us
        self.compiled = self._compile(self.kept, now_us)
        self.engine = self._engine_type(self.compiled.plan, now_us=now_us, rules=rules)
        self.care = self._new_care(now_us)
        self.ticked_us = 0
        self.position = 0
        self._gateway, self._live = "", False
        self._new_desk = new_desk
        self._outgoing = self.outgoing = outgoing
        self._observer = observer
        self._tick_us = int(tick_s * MICROSECONDS)
        self._build, self._rules = build, rules
        self._rules_version = rules.version  # a digest of all parameters: not for every decision

    @property
    def compiled(self) -> Compiled:
        """The caseload as it is in force now."""
        return self._compiled

    @compiled.setter
    def compiled(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self.wearing = Wearing(self.kept.caseload, compiled)

    @property
    def conditions(self) -> dict[str, Condition]:
        """All conditions of the caseload by their ids."""
        return {c.id: c for order in self.kept.caseload.orders for c in order.conditions}

    # -- start ------------------------------------------------------------------------------

    def load(self, kept: KeptCaseload | None, checkpoint: Checkpoint | None, now_us: int) -> bool:
        """Begin anew from what was kept.

        The caseload is compiled for the instant of the checkpoint, so that what is read from
        there on meets the schedules and assignments of its own time. A part that cannot be read
        (another version wrote it) begins empty: the engine then reads the whole journal.

        Returns:
            Whether the alerts are those of the checkpoint. If not, all that was recorded of them
            is needed.
        """
        self.kept = kept or KeptCaseload("", Caseload())
        at_us = min(checkpoint.ticked_us or now_us, now_us) if checkpoint else now_us
        self.compiled = self._compile(self.kept, at_us)
        self.engine = self._engine_type(self.compiled.plan, now_us=now_us, rules=self._rules)
        self.care = self._new_care(at_us)
        self.desk = self._new_desk()
        self.position, self.ticked_us, self._gateway, self._live = 0, 0, "", False
        refused = self._load_parts(checkpoint, now_us) if checkpoint else []
        mark = checkpoint.mark if checkpoint else None
        self.course.begin(now_us, mark, refused, self._sensitivities, self.position, self.kept)
        # The caseload may have changed while nobody looked.
        self.engine.forget(self.wearing.moved(self.care.persons), now_us=now_us)
        self.care.plan(self.compiled.bearers, at_us)
        unread = load_alerts(checkpoint, self.desk, self._outgoing) if checkpoint else []
        self._refuse(unread)
        self._observer.replanned()
        return checkpoint is not None and not unread

    def _new_care(self, now_us: int) -> DeviceCare:
        return DeviceCare(self._secret, now_us)

    def _load_parts(self, checkpoint: Checkpoint, now_us: int) -> list[str]:
        """Take over all but the alerts. Returns what cannot be read: it stays empty."""
        refused: list[tuple[str, Exception]] = []
        plan, restore = self.compiled.plan, self._engine_type.restore
        try:
            self.engine = restore(checkpoint.engine, plan, now_us=now_us, rules=self._rules)
        except SnapshotError as error:
            refused.append(("engine", error))
        else:
            self.position, self.ticked_us = checkpoint.journal_position, checkpoint.ticked_us
            self._gateway = checkpoint.gateway
        refused += self.care.load(checkpoint)
        self._refuse(refused)
        return [part for part, _ in refused]

    def _refuse(self, refused: Sequence[tuple[str, Exception]]) -> None:
        self.counts.unreadable_parts += len(refused)
        for part, error in refused:
            log.error("checkpoint_unreadable", part=part, reason=str(error))

    def recall(self, recorded: Recorded) -> None:
        """Take in what was recorded of the alerts after the checkpoint."""
        changes = [entry for entry in recorded.entries if isinstance(entry, AlertChange)]
        self.desk.restore(changes)
        self._outgoing.recall(recorded)

    def go_live(self, now_us: int) -> None:
        """Everything that was missed has been taken in.

        Devices are accused of silence only for what follows, and alerts return whose watch
        vanished from the caseload while nobody looked.
        """
        self._live = True
        self.course.note("live", now_us)
        self._listen_from(now_us)
        anomalies = [anomaly.key for anomaly in self.engine.anomalies(now_us)]
        troubles = [trouble.key for trouble in self.care.going_on(now_us)]
        self.care.keep_near(self._not_clear())
        going_on = (self.compiled.watches.keys(), anomalies, troubles)
        self._outgoing.changed(self.desk.retire(*going_on, now_us=now_us))

    def _listen_from(self, now_us: int) -> None:
        self.engine.listen_from(now_us)
        self.care.listen_from(now_us)

    def checkpoint(self) -> Checkpoint:
        """The present state, to begin from."""
        return self.freeze().whole()

    def freeze(self) -> Frozen:
        """The present state, to be made a checkpoint of while the partition goes on."""
        rest = Checkpoint(
            journal_position=self.position,
            alerts_position=self._outgoing.alerts_position,
            ticked_us=self.ticked_us,
            gateway=self._gateway,
            engine=self.engine.snapshot(),
            desk=b"",
            outgoing=b"",
            health=self.care.health.snapshot(),
            door=self.care.door.snapshot(),
            sequences=self.care.sequences.snapshot(),
            commands=self.care.commands.snapshot(),
            choices=self._outgoing.choices(),
            mark=self.course.mark(),
            caseload_version=self.kept.version,
            compiled_us=self._compiled_us,
        )
        return Frozen(rest, self.desk.pieces(), self._outgoing.pieces())

    # -- batches ----------------------------------------------------------------------------

    def apply(self, batch: Batch) -> None:
        """Take in a batch: first the time that has passed, then its fixes, then the rest."""
        if not self.ticked_us:  # a journal read from its start: begin with the plan of then
            self.care = self._new_care(batch.received_us)
            self._replan(self.kept, batch.received_us)
        self._note_start(batch)
        self.tick_until(batch.received_us)
        self._take_fixes(batch)
        self._note_devices(self.care.take(batch, self.wearing), batch.received_us)
        for event in batch.events:
            self.counts.events += 1
            take_event(self, event, batch.received_us)
        self._outgoing.answered(batch.receipts, batch.received_us)
        self._observer.applied(batch)

    def _note_start(self, batch: Batch) -> None:
        """A gateway that started anew hears again only from now on: silence before was ours."""
        gateway = batch.gateway.partition(".")[0]  # behind a dot stands a piece of its work
        self.course.take(batch, anew=gateway != self._gateway)
        if gateway != self._gateway:
            self._gateway = gateway
            self._listen_from(batch.received_us)

    def _take_fixes(self, batch: Batch) -> None:
        fixes = positions(batch.fixes)
        if not len(fixes):
            return
        names = ("time_us", "lat_e7", "lon_e7", "accuracy_cm")
        columns = (fixes[name].astype(np.int64) for name in names)
        update = self.engine.update(
            self.wearing.tracks_of(batch.devices, fixes), *columns, now_us=batch.received_us
        )
        self.counts.fixes += len(fixes)
        self.counts.fixes_unused += int(np.count_nonzero(_IS_UNUSED[update.marks]))
        self.counts.fixes_odd += int(np.count_nonzero(update.oddities))
        self.decide(update.transitions, batch.received_us)
        self.note(update.anomalies, batch.received_us)

    def take_urgent(self, event: Event, now_us: int) -> None:
        """Tell of an event that has not been journaled yet; when its batch comes, it is known."""
        for bearer in self.wearing.bearers_of(event, now_us):
            self._outgoing.changed(self.desk.on_event(event, bearer, now_us=now_us))

    def decide(self, transitions: Sequence[Transition], now_us: int) -> None:
        """Keep and tell what the engine has decided."""
        if not transitions:
            return
        self.counts.transitions += len(transitions)
        watches, made = self.compiled.watches, self._made
        told = [(transition, watches[transition.watch]) for transition in transitions]
        self._outgoing.decided([decision_record(*one, made) for one in told])
        for transition, watch in told:
            guided = with_way(transition, watch, self.engine, self.wearing)
            self._outgoing.changed(self.desk.on_transition(guided, watch, now_us=now_us))
        for transition, watch in told:  # who is told goes before how often devices report
            self.care.approach(transition, watch, now_us)

    def note(self, anomalies: Sequence[AnomalyChange], now_us: int) -> None:
        """Keep and tell what is wrong with devices, and what no longer is."""
        if not anomalies:
            return
        self.counts.anomalies += sum(change.began for change in anomalies)
        told = [(one, self.wearing.bearer(one.track)) for one in anomalies]
        made = self._made
        self._outgoing.noted([anomaly_record(*one, made) for one in told])
        for change, bearer in told:
            self._outgoing.changed(self.desk.on_anomaly(change, bearer, now_us=now_us))

    def _note_devices(self, noticed: Noticed, now_us: int) -> None:
        """Keep and tell what was noticed of devices, and have commands sent to them."""
        made = self._made
        told = [(one, self.wearing.bearer(one.device)) for one in noticed.troubles]
        self.counts.troubles += sum(change.began for change in noticed.troubles)
        for found in (
            [health_record(*one, made) for one in told],
            [gap_record(change, made) for change in noticed.gaps],
            [command_record(change, made) for change in noticed.commands],
        ):
            if found:
                self._outgoing.noted(found)
        for change, bearer in told:
            self._outgoing.changed(self.desk.on_health(change, bearer, now_us=now_us))
        self._outgoing.commanded(noticed.sendings)

    def _not_clear(self) -> set[str]:
        """Keys of the watches by which somebody may be near."""
        levels = self.engine.picture().watches.level
        keys = self.compiled.plan.watch_keys
        return {key for key, level in zip(keys, levels, strict=True) if level != Level.CLEAR}

    @property
    def _made(self) -> MadeWith:
        plan = self.compiled.plan
        return MadeWith(self._rules_version, self._build, plan.version, self.position)

    # -- time and plans ---------------------------------------------------------------------

    def tick_until(self, now_us: int) -> None:
        """Sweep at every whole multiple of the interval that has passed."""
        due = ticks_due(self.ticked_us, now_us, self._tick_us)
        if due.start > self.ticked_us + self._tick_us:
            self.course.note("skipped", now_us, upto=due.start - self._tick_us)
        while due:
            plan_us = self.compiled.valid_until_us
            if plan_us is not None and due.start >= plan_us:
                self._replan(self.kept, due.start)
            busy_us = due.start if self._is_told else self.care.due_us
            some = stretch(due, busy_us, self.compiled.valid_until_us)
            tick_us, transitions = self.engine.sweep_through(some)
            self.decide(transitions, tick_us)
            self._note_devices(self.care.advance(tick_us), tick_us)
            if self._is_told:
                self._outgoing.changed(self.desk.advance(tick_us))
                self._outgoing.advance(tick_us)
            self.ticked_us = tick_us
            due = range(tick_us + due.step, due.stop, due.step)

    @property
    def _is_told(self) -> bool:
        """Whether alerts are looked at by each sweep: nobody could act on what is read again."""
        return self._live

    def look_further(self) -> bool:
        """Ask of some more alerts for which it is time by the last tick. Whether there were any."""
        if not self._live or not self.desk.is_behind(self.ticked_us):
            return False
        self._outgoing.changed(self.desk.advance(self.ticked_us))
        return True

    def put_in_force(self, kept: KeptCaseload, now_us: int) -> None:
        """Go over to another version of the caseload.

        Raises:
            ValueError: It cannot be watched; the one before stays in force.
        """
        if kept != self.kept:
            self._replan(kept, now_us)
            self.course.note("caseload", now_us, caseload_version=kept.version)

    def go_by(self, sensitivities: Mapping[str, Sensitivity], now_us: int) -> None:
        """Other profiles are in force."""
        self._sensitivities = sensitivities
        self.desk.replan()
        self.course.note_profiles(sensitivities, now_us)
        if self._live:
            self._replan(self.kept, now_us)

    def _compile(self, kept: KeptCaseload, at_us: int) -> Compiled:
        self._compiled_us = at_us
        caseload = with_synthetic(kept.caseload) if self._synthetic else kept.caseload
        return compile_caseload(caseload, at_us, kept.version, self._sensitivities)

    def _replan(self, kept: KeptCaseload, now_us: int) -> None:
        """Compile a caseload for this instant and go on with the state there is."""
        before = self.compiled
        after = self._compile(kept, now_us)
        moved = Wearing(kept.caseload, after).moved(self.wearing.persons)
        ended = ended_by(self.engine.anomalies(now_us), after.plan, now_us, moved)
        self.engine.forget(moved, now_us=now_us)
        closing = self.engine.swap(after.plan, now_us=now_us)
        self.note(ended, now_us)
        # Whoever gives a device back is told of in his own name.
        self._note_devices(self.care.plan(after.bearers, now_us), now_us)
        # What closes a watch that is no longer there is told in the terms it was raised in.
        watches = {**before.watches, **after.watches}
        self.kept = kept
        self.compiled = replace(after, watches=watches)
        self.decide(closing, now_us)
        self.compiled = after
        self.counts.replans += 1
        self._observer.replanned()
