"""What of a batch its rows do not say, so that it can be put together again to the bit. No I/O.

Rows of fixes and events are unique: what a device sends again is not stored again. But the engine
took it in, and may have found something in it (a device that sends the same twice can be a copy).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.instants import to_datetime
from devices.reports import FIX_DTYPE, Batch, Event, FixArray
from evidence.fixes import JournalEntry
from evidence.rows import Row, Table
from evidence.text import clean, clean_optional

BATCH_REST = Table(
    "batch_rest",
    (
        ("received_at", "timestamptz"),
        ("number", "int8"),
        ("journal_position", "int8"),
        ("gateway", "text"),
        ("content", "bytea"),
    ),
)

BY_ROWS = ("message", "time_us", "seq", "device")
"""What fixes are sorted by when they come back from their rows: first by message. Devices by name."""


class Rest(msgspec.Struct, frozen=True, array_like=True):
    """What is to be added to the rows of a batch.

    Attributes:
        devices: Names that `fixes` point into.
        fixes: Rows of `FIX_DTYPE` that were stored before, from another message, or twice in one.
        places: (n,) 32-bit integers: the place in the batch of each fix, first those of `fixes`,
            then those that have rows in the order of `BY_ROWS`. Empty: they come in that order.
        events: All of the batch, without their details; None where their rows say it all.
    """

    devices: tuple[str, ...]
    fixes: bytes
    places: bytes
    events: tuple[Event, ...] | None

    @property
    def table(self) -> FixArray:
        """`fixes` as an array."""
        return np.frombuffer(self.fixes, FIX_DTYPE)


@dataclass(frozen=True, slots=True)
class Missing:
    """Which fixes of some entries have no row of their own.

    Attributes:
        ordinals: Their places among all fixes of the entries.
    """

    ordinals: Collection[int]


def rest_rows(
    entries: Sequence[JournalEntry], missing: Missing, duplicate_events: Collection[int]
) -> list[Row]:
    """Rows of `BATCH_REST`; most batches have none.

    Args:
        entries: The batches, at their positions.
        missing: Their fixes without rows.
        duplicate_events: Positions of batches of whose events not all have rows.
    """
    rows = []
    start = 0
    for position, batch in entries:
        size = len(batch.fixes)
        again = position in duplicate_events
        if not missing.ordinals and not again and _is_plain(batch):
            start += size
            continue
        lost = np.zeros(size, np.bool_)
        if missing.ordinals:
            lost[[i - start for i in missing.ordinals if start <= i < start + size]] = True
        start += size
        rest = _rest_of(batch, lost, again=again)
        if rest is not None:
            content = msgspec.msgpack.encode(rest)
            received_at = to_datetime(batch.received_us)
            rows.append((received_at, batch.number, position, clean(batch.gateway), content))
    return rows


def _is_plain(batch: Batch) -> bool:
    """Whether its rows say it all, seen at once: at most one event, and a message for each fix."""
    messages = batch.fixes["message"]
    return len(batch.events) < 2 and bool((messages[1:] > messages[:-1]).all())


def _rest_of(batch: Batch, lost: NDArray[np.bool_], *, again: bool) -> Rest | None:
    again = again or _are_unordered(batch.events)
    kept = np.flatnonzero(~lost)
    order = np.concatenate([np.flatnonzero(lost), kept[by_rows(batch.devices, batch.fixes[kept])]])
    ordered = bool((order == np.arange(len(order))).all())
    if ordered and not lost.any() and not again:
        return None
    return Rest(
        devices=tuple(clean(name) for name in batch.devices) if lost.any() else (),
        fixes=batch.fixes[lost].tobytes(),
        places=b"" if ordered else order.astype("<i4").tobytes(),
        events=tuple(_without_detail(event) for event in batch.events) if again else None,
    )


def by_rows(devices: Sequence[str], fixes: FixArray) -> NDArray[np.intp]:
    """The order in which these fixes come back from their rows."""
    if len(fixes) < 2:
        return np.arange(len(fixes))
    ranks = np.argsort(np.argsort(np.array([clean(name) for name in devices])))
    return np.lexsort((ranks[fixes["device"]], fixes["seq"], fixes["time_us"], fixes["message"]))


def event_order(event: Event) -> tuple[int, int, int, str, str]:
    """What events are sorted by when they come back from their rows."""
    return event.message, event.time_us, event.seq, event.device, event.type


def _without_detail(event: Event) -> Event:
    return msgspec.structs.replace(
        event,
        device=clean(event.device),
        type=clean(event.type),
        peer=clean_optional(event.peer),
        detail={},
    )


def _are_unordered(events: Sequence[Event]) -> bool:
    return list(events) != sorted(events, key=event_order) if len(events) > 1 else False


def whole(devices: Sequence[str], fixes: FixArray, rest: Rest) -> tuple[tuple[str, ...], FixArray]:
    """A batch's fixes, from those that have rows (in the order of `BY_ROWS`) and the rest.

    Returns:
        Names, and fixes in the order of the batch.
    """
    added = rest.table.copy()
    added["device"] += len(devices)
    both = np.concatenate([added, fixes])
    if rest.places:
        out = np.empty_like(both)
        out[np.frombuffer(rest.places, "<i4")] = both
        both = out
    return (*devices, *rest.devices), both
