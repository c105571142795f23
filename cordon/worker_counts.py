"""What a worker counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class WorkerCounts:
    """Counted since the start of the process.

    Attributes:
        batches_live, batches_durable: Applied from the one path or the other.
        readings: Times the stream was read.
        damaged: Entries that could not be read.
        gaps: Breaks in the journal that were passed.
        given_up: Batches passed over after `cordon.worker.MAX_STRIKES`.
        unkept: Batches that were decided on and given up by the journal; see `Worker.lost`.
    """

    batches_live: int = 0
    batches_durable: int = 0
    readings: int = 0
    damaged: int = 0
    gaps: int = 0
    given_up: int = 0
    unkept: int = 0
    checkpoints: int = 0
    checkpoints_failed: int = 0
