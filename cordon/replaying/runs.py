"""The course of each run, sorted by what it means for going the same way again. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby, pairwise

import msgspec

from devices.course import CourseStep, Mark, Start

INPUTS = ("live", "caseload", "profiles", "erased")


@dataclass(frozen=True, slots=True)
class Turn:
    """Something to be done at a point of the course: an input, or to remember the state there.

    Attributes:
        place: Its number among the steps; marks stand between them.
    """

    place: float
    after: str
    ticked_us: int
    step: CourseStep | None = None
    mark: Mark | None = None


@dataclass(slots=True)
class Run:
    """One life of a worker.

    Attributes:
        start: How it began; None where that is from before the first step that is read.
        turns: Inputs and marks, in their order.
        orders: By name of batch, where one was taken in elsewhere than in its place.
        skipped: By the sweep before, sweeps that were left out.
        passed: Batches that were not taken in.
        unkept: By name, when they were received: taken in, and perhaps never journaled.
        lost: Journal positions (behind the first, up to the second) that were not read.
        next_us: When the next run began; None: it is the last.
        next_mark: Where in this run the next one went on from; None: not in this one.
    """

    run_us: int
    steps: list[CourseStep]
    start: Start | None = None
    turns: list[Turn] = field(default_factory=list)
    orders: dict[str, CourseStep] = field(default_factory=dict)
    skipped: dict[int, CourseStep] = field(default_factory=dict)
    passed: set[str] = field(default_factory=set)
    unkept: dict[str, int] = field(default_factory=dict)
    lost: list[tuple[int, int]] = field(default_factory=list)
    next_us: int | None = None
    next_mark: Mark | None = None

    @property
    def version(self) -> str:
        """Of the caseload it began with."""
        return self.steps[0].caseload_version

    @property
    def position(self) -> int:
        """Journal position it began to read after."""
        return self.steps[0].position

    def missing(self) -> int | None:
        """The first step that is not there."""
        numbers = {step.number for step in self.steps}
        wanted = range(1, max(numbers) + 1)
        return next((number for number in wanted if number not in numbers), None)

    def takes(self, name: str, position: int) -> bool:
        """Whether a batch was taken in at all."""
        if name in self.passed:
            return False
        return not any(after < position <= upto for after, upto in self.lost)


def runs_of(steps: Iterable[CourseStep]) -> list[Run]:
    """Runs in the order of their beginnings, of steps that are sorted by run and number."""
    runs = [_run(run_us, list(of_run)) for run_us, of_run in groupby(steps, key=lambda s: s.run_us)]
    by_us = {run.run_us: run for run in runs}
    for run, following in pairwise(runs):
        run.next_us = following.run_us
    for run in runs:
        mark = run.start.mark if run.start else None
        owner = by_us.get(mark.run_us) if mark else None
        if mark and owner and owner is not run:
            owner.turns.append(_turn(mark))
            if owner.next_us == run.run_us:
                owner.next_mark = mark
    for run in runs:
        run.turns.sort(key=lambda turn: (turn.place, turn.ticked_us))
    return runs


def _turn(mark: Mark) -> Turn:
    return Turn(mark.steps + 0.5, mark.after, mark.ticked_us, mark=mark)


def _run(run_us: int, steps: list[CourseStep]) -> Run:
    run = Run(run_us, steps)
    for step in steps:
        if step.kind == "started":
            run.start = msgspec.json.decode(step.detail, type=Start)
        elif step.kind == "order":
            run.orders[step.batch] = step
        elif step.kind == "skipped":
            run.skipped[step.ticked_us] = step
        elif step.kind == "given_up":
            run.passed.add(step.batch)
        elif step.kind == "unkept":
            run.unkept[step.batch] = step.at_us
        elif step.kind == "gap":
            run.lost.append((step.position, step.upto))
        elif step.kind in INPUTS:
            run.turns.append(Turn(step.number, step.after, step.ticked_us, step=step))
    return run
