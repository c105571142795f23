"""What a replay decides, in the form in which it is stored."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from alerts.decisions import (
    AnomalyDecision,
    CommandDecision,
    Decision,
    Finding,
    GapDecision,
    HealthDecision,
)
from alerts.model import AlertChange
from cordon.checkpoint import Recorded
from devices.command_changes import CommandChange
from devices.command_desk import CommandCounts, CommandDesk, Sending
from devices.course import CourseStep
from devices.instants import LATEST_US
from devices.reports import Batch, Event, Receipt
from devices.watches import Bearer
from evidence.decided import ANOMALY, DECISION, DecisionEntry, anomaly_rows, decision_rows
from evidence.device_rows import DEVICE_HEALTH, SEQUENCE_STEP, gap_rows, health_rows
from evidence.rows import Row, Table

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A table whose rows a replay makes again.

    Attributes:
        key: Columns that name a row.
        time: When it was decided.
        rows: Makes the rows.
    """

    table: Table
    key: tuple[str, ...]
    time: str
    rows: Callable[[Sequence[DecisionEntry]], list[Row]]

    @property
    def columns(self) -> tuple[str, ...]:
        """What is compared: all that was decided, and not where a stream stood meanwhile."""
        return tuple(name for name, _ in self.table.columns if name not in _NOT_DECIDED)

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """Names a row among all tables."""
        return (self.table.name, *(row[name] for name in self.key))


_NOT_DECIDED = ("stream_position", "after_position", "build")

TABLES: Mapping[type, Compared] = MappingProxyType(
    {
        Decision: Compared(
            DECISION, ("watch", "decided_at", "number"), "decided_at", decision_rows
        ),
        AnomalyDecision: Compared(
            ANOMALY,
            ("device", "kind", "companion", "decided_at", "number", "began"),
            "decided_at",
            anomaly_rows,
        ),
        HealthDecision: Compared(
            DEVICE_HEALTH,
            ("device", "kind", "agency", "decided_at", "number", "began"),
            "decided_at",
            health_rows,
        ),
        GapDecision: Compared(
            SEQUENCE_STEP,
            ("device", "opened_at", "number", "state", "decided_at"),
            "decided_at",
            gap_rows,
        ),
    }
)
"""Commands are not among them: when they are sent is drawn with a secret that is not stored."""


@dataclass(frozen=True, slots=True)
class Made:
    """A row that a replay made.

    Attributes:
        values: By column.
        after: Name of the batch taken in last when it was decided.
        unsure: Made after the checkpoint that the next run went back to: whether the run that
            ended came so far is not known.
    """

    values: dict[str, Any]
    after: str
    unsure: bool


@dataclass
class Collected:
    """Takes the place of `cordon.outgoing.Outgoing`: nothing is sent.

    Attributes:
        made: By key, every version of a row: a run that goes over a time again may make another.
        after: The batch taken in last.
        unsure: See `Made`.
    """

    from_us: int
    to_us: int
    made: dict[Key, list[Made]] = field(default_factory=lambda: defaultdict(list))
    decisions: list[Decision] = field(default_factory=list)
    after: str = ""
    unsure: bool = False
    alerts_position: int = 0

    def decided(self, decisions: Sequence[Decision]) -> None:
        """See `Outgoing.decided`."""
        wanted = [one for one in decisions if self._is_wanted(one.transition.decided_at_us)]
        self.decisions += [] if self.unsure else wanted
        self._take(wanted)

    def noted(self, found: Sequence[Finding]) -> None:
        """See `Outgoing.noted`."""
        if isinstance(found[0], CommandDecision):
            return
        self._take([one for one in found if self._is_wanted(one.change.decided_at_us)])

    def _is_wanted(self, decided_us: int) -> bool:
        return self.from_us <= decided_us < self.to_us

    def _take(self, found: Sequence[Decision | Finding]) -> None:
        if not found:
            return
        compared = TABLES[type(found[0])]
        names = [name for name, _ in compared.table.columns]
        for row in compared.rows([(0, found)]):  # type: ignore[list-item]
            values = dict(zip(names, row, strict=True))
            self.made[compared.key_of(values)].append(Made(values, self.after, self.unsure))

    def coursed(self, step: CourseStep) -> None:
        """See `Outgoing.coursed`."""

    def commanded(self, sendings: Sequence[Sending]) -> None:
        """See `Outgoing.commanded`."""

    def changed(self, changes: Sequence[AlertChange]) -> None:
        """See `Outgoing.changed`."""

    def answered(self, receipts: Sequence[Receipt], now_us: int) -> None:
        """See `Outgoing.answered`."""

    def wished(self, event: Event, bearer: Bearer, now_us: int) -> None:
        """See `Outgoing.wished`."""

    def advance(self, now_us: int) -> None:
        """See `Outgoing.advance`."""

    def recall(self, recorded: Recorded) -> None:
        """See `Outgoing.recall`."""

    def pieces(self) -> Iterator[bytes]:
        """See `Outgoing.pieces`."""
        return iter(())

    def choices(self) -> bytes:
        """See `Outgoing.choices`."""
        return b""

    def load(self, data: bytes) -> None:
        """See `Outgoing.load`."""

    def load_choices(self, data: bytes, *, choices_only: bool) -> None:
        """See `Outgoing.load_choices`."""


class NoDesk:
    """Takes the place of `alerts.desk.Desk`: what is decided does not depend on alerts."""

    def nothing(self, *_args: object, **_more: object) -> tuple[()]:
        """Whatever happens."""
        return ()

    on_transition = on_anomaly = on_health = on_event = on_alarm = retire = advance = nothing
    replan = restore = load_snapshot = nothing

    def is_behind(self, now_us: int) -> bool:
        """See `Desk.is_behind`."""
        del now_us
        return False

    def pieces(self) -> Iterator[bytes]:
        """See `Desk.pieces`."""
        return iter(())


class NoCommands:
    """Takes the place of `devices.command_desk.CommandDesk`: no decision depends on commands."""

    due_us = LATEST_US
    counts = CommandCounts()

    def nothing(self, *_args: object, **_more: object) -> None:
        """Whatever happens."""

    plan = near = keep_near = at = displace = online = nothing

    def answered(self, receipt: Receipt, now_us: int) -> tuple[()]:
        """See `CommandDesk.answered`."""
        del receipt, now_us
        return ()

    def advance(self, now_us: int) -> tuple[list[Sending], list[CommandChange]]:
        """See `CommandDesk.advance`."""
        del now_us
        return [], []

    def snapshot(self) -> bytes:
        """See `CommandDesk.snapshot`: of one that commands nothing."""
        return CommandDesk(b"", 0).snapshot()


class NoObserver:
    """Takes the place of `cordon.observing.Observer`."""

    def applied(self, batch: Batch) -> None:
        """See `Observer.applied`."""

    def replanned(self) -> None:
        """See `Observer.replanned`."""
