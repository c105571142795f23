"""Goes the way of one run again: the same batches, sweeps and inputs, in the same order. No I/O.

Batches come sorted; what was taken in elsewhere is held back until its place comes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

import msgspec

from alerts.desk import Desk
from cordon.checkpoint import Checkpoint
from cordon.erased_places import let_go
from cordon.keep import KeptCaseload
from cordon.outgoing import Outgoing
from cordon.replaying.collected import Collected, NoDesk, NoObserver
from cordon.replaying.partition import Replayed, WayError
from cordon.replaying.runs import Run, Turn
from devices.caseload import Caseload
from devices.course import CourseStep, Mark, Order, Start, order_of
from devices.instants import MICROSECONDS
from devices.reports import Batch, no_fixes
from evidence.batches import StoredBatch
from geofence.rules import Rules
from geofence.sensitivity import Sensitivity

SWEEPS_AT_ONCE = 100
"""Fewer than a partition would leave any out of."""

TAIL_S = 600
"""So long after the last thing that is known of it a run that ended is followed, at most."""

Sensitivities = dict[str, dict[str, float]]
"""By profile, values by name."""

Change = Callable[[Rules, Sensitivities], tuple[Rules, Sensitivities]]
"""Puts other parameters in the place of those of then."""


class Way:
    """A run that is gone again.

    Args:
        run: Its course.
        caseloads: By version, all that were in force.
        out: Takes what is decided.
        change: Other parameters than those of then: given the rules and the sensitivities.

    Attributes:
        unkept: Batches that were decided on and are not stored: the journal never had them.
    """

    def __init__(
        self,
        run: Run,
        caseloads: Mapping[str, Caseload],
        out: Collected,
        change: Change,
    ) -> None:
        self.run = run
        self.unkept = 0
        self.marked: dict[Mark, Checkpoint] = {}
        self._caseloads = caseloads
        self._out = out
        self._change = change
        self._turns = list(run.turns)
        self._held: dict[str, list[StoredBatch]] = defaultdict(list)
        self._awaited = {step.after for step in run.orders.values()}
        self._been: set[str] = set()
        self._unkept = [_empty(name, at_us) for name, at_us in run.unkept.items()]
        self._together: list[Batch] = []
        self._base: Order | None = None
        start = run.start
        if start is None:
            raise WayError(f"The first step of the run that began at {run.run_us} is not stored.")
        self._tick_us = int(start.tick_s * MICROSECONDS)
        self.partition = self._new_partition(start)

    def _new_partition(self, start: Start) -> Replayed:
        rules = msgspec.convert(start.rules, Rules)
        rules, sensitivities = self._change(rules, start.sensitivities)
        return Replayed(
            lambda: cast("Desk", NoDesk()),
            cast("Outgoing", self._out),
            NoObserver(),
            self.run.run_us,
            tick_s=start.tick_s,
            build=start.build,
            rules=rules,
            sensitivities=sensitivities_of(sensitivities),
            synthetic=start.synthetic,
        )

    # -- where it begins --------------------------------------------------------------------

    def begin(self, checkpoint: Checkpoint | None) -> None:
        """Begin as the run began: from a checkpoint, or from nothing."""
        start = self.run.start
        assert start is not None, "seen when it was made"
        if checkpoint is not None:
            blank = dict.fromkeys(start.refused, b"")
            checkpoint = msgspec.structs.replace(
                checkpoint, journal_position=self.run.position, **blank
            )
        self.partition.load(self._kept(self.run.version), checkpoint, self.run.run_us)
        self._out.after = start.mark.after if start.mark else ""
        self._note(self._out.after)
        self._out.unsure = self._ends_unmarked

    @property
    def _ends_unmarked(self) -> bool:
        """Nothing that the next run went on from says how far this one came."""
        return self.run.next_us is not None and self.run.next_mark is None

    def resume(self, checkpoint: Checkpoint) -> None:
        """Begin in the middle, where a checkpoint was taken."""
        mark = checkpoint.mark
        self.partition.resume(self._kept(checkpoint.caseload_version), checkpoint)
        self._turns = [turn for turn in self._turns if turn.place > mark.steps]
        here = [turn for turn in self._turns if turn.mark == mark]
        self._turns = [turn for turn in self._turns if turn.mark != mark]
        self.marked.update({turn.mark: self._checkpoint() for turn in here if turn.mark})
        self._base = mark.newest
        self._out.after = mark.after
        self._note(mark.after)
        # What was taken in late before the mark is behind us.
        orders = self.run.orders
        self.run.orders = {name: o for name, o in orders.items() if o.number > mark.steps}
        self._out.unsure = self._ends_unmarked or self.run.next_mark == mark

    @property
    def earliest_us(self) -> int | None:
        """Batches received before this are not needed; None: it is a matter of positions."""
        if self._base is None:
            return None
        late = [step.at_us for step in self.run.orders.values()]
        return min([self._base[0], *late])

    def _takes(self, stored: StoredBatch) -> bool:
        batch = stored.batch
        if not self.run.takes(batch.name, stored.position):
            return False
        if self._base is not None:
            return not self._is_behind(batch)
        return stored.position > self.run.position or batch.received_us > self.run.run_us

    def _is_behind(self, batch: Batch) -> bool:
        """Whether it was taken in before the point that was resumed at."""
        if self._base is None or batch.name in self.run.orders:
            return False
        return _order(batch) <= self._base

    def _take_unkept(self, before: Order) -> None:
        """Where a batch was that the journal never got: empty, for nobody has what was in it."""
        passed = [batch for batch in self._unkept if _order(batch) < before]
        self._unkept = [batch for batch in self._unkept if _order(batch) >= before]
        for batch in sorted(passed, key=_order):
            if not self._is_behind(batch):
                self.unkept += 1
                self._take(StoredBatch(0, batch))

    def _kept(self, version: str) -> KeptCaseload:
        if version not in self._caseloads:
            raise WayError(f"Version {version} of the caseload was in force, and is not stored.")
        return KeptCaseload(version, self._caseloads[version])

    # -- the way ----------------------------------------------------------------------------

    def take(self, stored: StoredBatch) -> None:
        """The next batch, in the order of `devices.course.order_of`."""
        if self._unkept:
            self._unkept = [one for one in self._unkept if one.name != stored.batch.name]
        if not self._takes(stored):
            return
        if self._goes_together(stored.batch):
            self._together.append(stored.batch)
            return
        self.settle()
        self._take_unkept(_order(stored.batch))
        self._take(stored)

    def _goes_together(self, batch: Batch) -> bool:
        """Whether nothing but sweeps was between the batch before and this one, nor will be."""
        run, last = self.run, self._together[-1] if self._together else None
        before = last.name if last else self._out.after
        since_us = last.received_us if last else self.partition.ticked_us
        return not (
            self._unkept
            or any(since_us - self._tick_us <= at < batch.received_us for at in run.skipped)
            or batch.name in run.orders
            or batch.name in self._awaited
            or batch.received_us < since_us
            or self._is_turn(float("inf"), before, batch.received_us)
            or not self.partition.takes_together(batch)
        )

    def take_all(self, some: Sequence[StoredBatch]) -> None:
        """Take the next batches, and decide on them."""
        for stored in some:
            self.take(stored)
        self.settle()

    def settle(self) -> None:
        """Decide on what was taken so far. Whoever looks at what came of it calls this first."""
        some, self._together = self._together, []
        if some:
            self.partition.apply_all(some)

    def _take(self, stored: StoredBatch) -> None:
        step = self.run.orders.get(stored.batch.name)
        if step is not None and step.after not in self._been:
            self._held[step.after].append(stored)
            return
        waiting = [stored]
        while waiting:
            one = waiting.pop(0)
            self._apply(one.batch)
            waiting += self._held.pop(one.batch.name, [])

    def _apply(self, batch: Batch) -> None:
        step = self.run.orders.get(batch.name)
        self._do_turns(float("inf") if step is None else step.number, batch.received_us)
        # Where that is noted, the partition makes the sweeps between there and the batch itself.
        self._sweep_to(step.ticked_us if step else batch.received_us)
        self._out.after = batch.name
        self._note(batch.name)
        self.partition.apply(batch)

    def _note(self, name: str) -> None:
        if name in self._awaited:
            self._been.add(name)

    def _do_turns(self, before: float, at_us: int) -> None:
        """Do what was done after the last batch, before a step."""
        while self._is_turn(before, self._out.after, at_us):
            self._do(self._turns.pop(0))

    def _is_turn(self, before: float, after: str, at_us: int) -> bool:
        if not self._turns or self._turns[0].place >= before:
            return False
        turn = self._turns[0]
        return turn.after == after or (turn.step is not None and turn.step.at_us < at_us)

    def _do(self, turn: Turn) -> None:
        self._sweep_to(turn.ticked_us)
        if turn.mark is not None:
            self.marked[turn.mark] = self._checkpoint()
            self._out.unsure = self._out.unsure or turn.mark == self.run.next_mark
        elif turn.step is not None:
            self._tell(turn.step)

    def _tell(self, step: CourseStep) -> None:
        partition = self.partition
        if step.kind == "live":
            partition.go_live(step.at_us)
        elif step.kind == "caseload":
            partition.put_in_force(self._kept(step.caseload_version), step.at_us)
        elif step.kind == "erased":
            times = msgspec.json.decode(step.detail, type=dict[str, tuple[tuple[int, int], ...]])
            let_go(partition, times, step.at_us)
        elif step.kind == "profiles":
            told = msgspec.json.decode(step.detail, type=dict[str, dict[str, float]])
            _, told = self._change(Rules(), told)
            partition.go_by(sensitivities_of(told), step.at_us)

    def _sweep_to(self, until_us: int) -> None:
        """Every sweep up to an instant, but those that were left out then."""
        partition, skipped = self.partition, self.run.skipped
        last_us = until_us - until_us % self._tick_us
        while partition.ticked_us < last_us:
            step = skipped.get(partition.ticked_us)
            if step is not None and step.upto <= last_us:
                partition.ticked_us = step.upto
                if partition.ticked_us >= last_us:
                    return
            if not partition.ticked_us:  # no sweep was noted: the first look was at this instant
                partition.tick_until(last_us)
                return
            next_skip = min((at for at in skipped if at > partition.ticked_us), default=last_us)
            most_us = partition.ticked_us + SWEEPS_AT_ONCE * self._tick_us
            partition.tick_until(min(last_us, next_skip, most_us))

    def end(self, to_us: int) -> None:
        """There are no more batches: what was done after the last one, up to an instant."""
        self.settle()
        self._take_unkept((to_us, "", 0))
        for batches in list(self._held.values()):  # their turn never came
            for stored in batches:
                self._apply(stored.batch)
        self._held.clear()
        while self._turns:
            turn = self._turns.pop(0)
            if turn.step is None or turn.step.at_us < to_us:
                self._do(turn)
        if self.run.next_us is not None:
            self._out.unsure = True
            known_us = max(self.partition.ticked_us, self.run.run_us)
            to_us = min(to_us, self.run.next_us + 1, known_us + TAIL_S * MICROSECONDS)
        self._sweep_to(to_us - 1)

    def _checkpoint(self) -> Checkpoint:
        return self.partition.checkpoint()


def _order(batch: Batch) -> Order:
    return order_of(batch.gateway, batch.number, batch.received_us)


def _empty(name: str, received_us: int) -> Batch:
    gateway, _, number = name.rpartition("/")
    return Batch(
        gateway=gateway,
        number=int(number),
        received_us=received_us,
        messages=(),
        fixes=no_fixes(),
    )


def sensitivities_of(told: Sensitivities) -> dict[str, Sensitivity]:
    """By profile, from their values by name."""
    return {name: Sensitivity(**values) for name, values in told.items()}


def unchanged(rules: Rules, told: Sensitivities) -> tuple[Rules, Sensitivities]:
    """The parameters of then."""
    return rules, told


def with_parameters(
    rules: Mapping[str, object], sensitivities: Mapping[str, Mapping[str, float]]
) -> Change:
    """Other parameters: named ones take the place of those of then.

    Raises:
        ValueError, TypeError: From the function returned, for what is no parameter.
    """

    def change(before: Rules, told: Sensitivities) -> tuple[Rules, Sensitivities]:
        after = replace(before, **rules) if rules else before  # type: ignore[arg-type]
        everywhere = sensitivities.get("*", {})
        return after, {
            name: {**values, **everywhere, **sensitivities.get(name, {})}
            for name, values in told.items()
        }

    return change
