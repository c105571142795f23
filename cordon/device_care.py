"""How devices are looked after: their health, their numbers, their rates, what is tried as them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from cordon.checkpoint import Checkpoint
from devices.command_changes import CommandChange
from devices.command_desk import CommandDesk, CommandStateError, Sending
from devices.command_reports import take_answers
from devices.door import Door, DoorStateError
from devices.health import Health, HealthStateError
from devices.health_changes import HealthChange
from devices.health_reports import take_reports
from devices.latest import Latest, latest_of
from devices.reports import Batch
from devices.sequence_changes import GapChange
from devices.sequences import Run, Sequences, SequenceStateError
from devices.watches import Bearer, Watch
from devices.wearing import Wearing
from geofence.levels import Level, Transition

log = structlog.get_logger("worker")


@dataclass(frozen=True, slots=True)
class Noticed:
    """What was noticed of devices, in the order in which it is to be told."""

    troubles: list[HealthChange]
    gaps: list[GapChange]
    commands: list[CommandChange]
    sendings: list[Sending]


class DeviceCare:
    """Every device that is assigned to somebody.

    Args:
        secret: Of the command desk.
        now_us: The instant from which devices can be heard.
    """

    def __init__(self, secret: bytes, now_us: int) -> None:
        self.health = Health(now_us)
        self.door = Door()
        self.sequences = Sequences()
        self.commands = CommandDesk(secret, now_us)

    def load(self, checkpoint: Checkpoint) -> list[tuple[str, Exception]]:
        """Go back to what was kept. Parts that cannot be read stay as they are; they are named."""
        refused: list[tuple[str, Exception]] = []
        try:
            self.health = Health.restore(checkpoint.health)
        except HealthStateError as error:
            refused.append(("health", error))
        try:
            self.door = Door.restore(checkpoint.door)
        except DoorStateError as error:
            refused.append(("door", error))
        try:
            self.sequences = Sequences.restore(checkpoint.sequences)
        except SequenceStateError as error:
            refused.append(("sequences", error))
        try:
            self.commands = CommandDesk.restore(checkpoint.commands)
        except CommandStateError as error:
            refused.append(("commands", error))
        return refused

    @property
    def persons(self) -> dict[str, str | None]:
        """By device that is watched, who carried it when this was last told."""
        return {name: one.person for name, one in self.health.devices.items()}

    def plan(self, bearers: Mapping[str, Bearer], now_us: int) -> Noticed:
        """Look after these devices, as they are assigned now."""
        troubles = in_order(self.health.plan(bearers, now_us), self.door.plan(bearers, now_us))
        self.sequences.plan(bearers)
        self.commands.plan(bearers, now_us)
        return Noticed(troubles, [], [], [])

    def listen_from(self, now_us: int) -> None:
        """Nobody could be heard until now."""
        self.health.listen_from(now_us)

    def take(self, batch: Batch, wearing: Wearing) -> Noticed:
        """Take in what a batch says of devices."""
        latest = latest_of(batch)
        troubles, gaps = self.hear(batch, latest)
        return Noticed(troubles, gaps, take_answers(self.commands, batch, latest, wearing), [])

    def hear(
        self, batch: Batch, latest: Mapping[str, Latest], runs: Mapping[str, Run] | None = None
    ) -> tuple[list[HealthChange], list[GapChange]]:
        """Take in all of that but what is an answer to commands.

        Args:
            batch: What has arrived.
            latest: `devices.latest.latest_of` that.
            runs: The numbers of its fixes, where they are known (see `devices.together`).
        """
        troubles = take_reports(self.health, batch, latest)
        flushes = self.health.flushes(batch.received_us)
        troubles = in_order(troubles, self.door.take(batch, flushes=flushes))
        return troubles, self.sequences.take(batch, runs)

    def advance(self, now_us: int) -> Noticed:
        """Let time pass."""
        sendings, commands = self.commands.advance(now_us)
        troubles = in_order(self.health.advance(now_us), self.door.advance(now_us))
        return Noticed(troubles, self.sequences.advance(now_us), commands, sendings)

    @property
    def due_us(self) -> int:
        """Before this instant `advance` finds nothing, if nothing is heard meanwhile."""
        parts = (self.commands, self.health, self.door, self.sequences)
        return min(part.due_us for part in parts)

    def going_on(self, now_us: int) -> list[HealthChange]:
        """Everything that is wrong now, as changes that began."""
        return self.health.going_on(now_us) + self.door.going_on(now_us)

    def approach(self, transition: Transition, watch: Watch, now_us: int) -> None:
        """Two people may be near each other by this watch, or are no longer."""
        if watch.handset is not None:
            holds = transition.level != Level.CLEAR
            self.commands.near(watch.key, (watch.tag, watch.handset), now_us, holds=holds)

    def keep_near(self, watches: Collection[str]) -> None:
        """Of all watches only by these anybody may be near."""
        self.commands.keep_near(watches)


def in_order(health: list[HealthChange], door: list[HealthChange]) -> list[HealthChange]:
    """Both by the instants they were decided at: a replay that makes long steps tells the same."""
    if not door:
        return health
    return sorted(health + door, key=lambda change: change.decided_at_us)
