"""What a worker was told beside batches, and in which order: enough to go its way again.

Of all inputs only these are recorded. Batches are stored anyhow, and are taken in an order that
follows from what they are (`order_of`); only where one was taken in another place is that noted.
Sweeps happen at whole multiples of an interval; only those that were left out are noted.
"""

from __future__ import annotations

from typing import Literal

import msgspec

StepKind = Literal[
    "started",
    "live",
    "caseload",
    "profiles",
    "erased",
    "order",
    "skipped",
    "gap",
    "given_up",
    "unkept",
]
"""``started``: it began from a checkpoint, or from nothing. ``live``: it had caught up. ``caseload``
and ``profiles``: others came into force. ``erased``: where
devices were at some times is known no more. ``order``: `batch` was taken in here, which is not its place, or is the first of its gateway.
``skipped``: the sweeps after `ticked_us` up to `upto` were left out. ``gap``: the batches after
journal position `position` up to `upto` could not be read. ``given_up``: `batch` was passed over.
``unkept``: `batch`, received at `at_us`, was taken in, and the journal did not confirm it."""


Order = tuple[int, str, int]
"""When a batch was received, its gateway, its number."""


class CourseStep(msgspec.Struct, frozen=True, kw_only=True):
    """Something a worker was told.

    Attributes:
        run_us: When the run began whose step this is; names the run.
        number: Counts from 1 within the run.
        at_us: The instant that was given for it.
        after: Name of the batch taken in last before; empty for none.
        ticked_us: The last sweep before.
        position: Journal position from which, or up to which, had been read.
        batch: Which batch it is about; empty for none.
        upto: See `StepKind`.
        caseload_version: In force from here on.
        detail: JSON: of ``started`` a `Start`, of ``profiles`` the sensitivities by profile, of
            ``erased`` the times by device.
    """

    run_us: int
    number: int
    kind: StepKind
    at_us: int
    after: str = ""
    ticked_us: int = 0
    position: int = 0
    batch: str = ""
    upto: int = 0
    caseload_version: str = ""
    detail: str = "{}"


class Mark(msgspec.Struct, frozen=True):
    """A point in the course of a run: where a checkpoint was taken.

    Attributes:
        run_us: The run; 0 for none: a checkpoint of a version that did not say.
        steps: Steps of the run before it.
        after: Name of the batch taken in last before.
        newest: The last, by `order_of`, of all that had been taken in.
        ticked_us: The last sweep before.
    """

    run_us: int = 0
    steps: int = 0
    after: str = ""
    newest: Order = (0, "", 0)
    ticked_us: int = 0


class Start(msgspec.Struct, frozen=True):
    """How a run began.

    Attributes:
        rules: Parameters of the engine, by name.
        tick_s: Interval of the sweeps.
        synthetic: Whether the pair that does not exist was watched, too.
        build: Version of the code.
        sensitivities: By profile.
        mark: Where the checkpoint was taken it went on from; None where it began from nothing.
        refused: Parts of the checkpoint that could not be read, and began empty.
    """

    rules: dict[str, object]
    tick_s: float
    synthetic: bool
    build: str
    sensitivities: dict[str, dict[str, float]] = {}
    mark: Mark | None = None
    refused: tuple[str, ...] = ()


def order_of(gateway: str, number: int, received_us: int) -> Order:
    """What batches are sorted by: the order in which they are taken in, unless a step says other."""
    return received_us, gateway, number
