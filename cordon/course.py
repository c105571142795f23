"""Notes what a partition is told beside batches, so that its way can be gone again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from cordon.keep import KeptCaseload
from devices.course import CourseStep, Mark, Order, Start, StepKind, order_of
from devices.reports import Batch
from geofence.sensitivity import Sensitivity


class Course:
    """The course of one partition.

    Args:
        record: Takes each step.
        ticked_us: The partition's last sweep.
        made: How runs of this program begin.
    """

    def __init__(
        self, record: Callable[[CourseStep], None], ticked_us: Callable[[], int], made: Start
    ) -> None:
        self._record = record
        self._made = made
        self._ticked_us = ticked_us
        self._run_us = 0
        self._steps = 0
        self._newest: Order = Mark().newest
        self._after = ""

    def begin(
        self,
        now_us: int,
        mark: Mark | None,
        refused: Sequence[str],
        sensitivities: Mapping[str, Sensitivity],
        position: int,
        kept: KeptCaseload,
    ) -> None:
        """A run begins. Nothing is recorded before.

        Args:
            now_us: The instant.
            mark: Of the checkpoint it goes on from; None: from nothing.
            refused: Parts of it that cannot be read.
            sensitivities: In force.
            position: Journal position it reads on from.
            kept: The caseload in force.
        """
        # Two runs of one instant would be taken for one.
        self._run_us = max(now_us, self._run_us + 1)
        self._steps = 0
        stood = mark or Mark()
        self._after, self._newest = stood.after, stood.newest
        start = msgspec.structs.replace(
            self._made,
            mark=mark,
            refused=tuple(refused),
            sensitivities=_in_builtins(sensitivities),
        )
        detail = msgspec.json.encode(start).decode()
        self.note(
            "started", now_us, position=position, caseload_version=kept.version, detail=detail
        )

    def note_profiles(self, sensitivities: Mapping[str, Sensitivity], now_us: int) -> None:
        """Other profiles come into force."""
        detail = msgspec.json.encode(_in_builtins(sensitivities)).decode()
        self.note("profiles", now_us, detail=detail)

    def note(self, kind: StepKind, at_us: int, **more: Any) -> None:
        """The partition was told something."""
        if not self._run_us:
            return
        self._steps += 1
        self._record(
            CourseStep(
                run_us=self._run_us,
                number=self._steps,
                kind=kind,
                at_us=at_us,
                after=self._after,
                ticked_us=self._ticked_us(),
                **more,
            )
        )

    def take(self, batch: Batch, *, anew: bool) -> None:
        """A batch is taken in; it is noted where that is not its place.

        Args:
            batch: The batch.
            anew: It is the first of a gateway, which is heard before the sweeps up to it.
        """
        order = order_of(batch.gateway, batch.number, batch.received_us)
        if anew or order < self._newest or batch.received_us < self._ticked_us():
            self.note("order", batch.received_us, batch=batch.name)
        self._newest, self._after = max(order, self._newest), batch.name

    def mark(self) -> Mark:
        """This point of the course."""
        return Mark(self._run_us, self._steps, self._after, self._newest, self._ticked_us())


def _in_builtins(sensitivities: Mapping[str, Sensitivity]) -> dict[str, dict[str, float]]:
    return {name: asdict(one) for name, one in sensitivities.items()}
