"""Cutting a batch into parts that fit into one message of the journal.

Rows are small and payloads are bounded, but reasons for refusal can be many times longer than the
nonsense they answer, so the size of a batch is known only when it is encoded.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from devices.reports import Batch, Event, Receipt, Refusal, Status, encode_batch

RowT = TypeVar("RowT", Event, Receipt, Status, Refusal)


class Part(NamedTuple):
    """A batch, or a piece of one, ready for the journal: its name, its bytes, and itself."""

    name: str
    data: bytes
    batch: Batch


class BatchTooLargeError(ValueError):
    """A single message makes more journal bytes than one journal entry may hold."""


def parts(batch: Batch, max_bytes: int) -> list[Part]:
    """The batch as one part, or as several with whole messages in each, in order.

    Args:
        batch: Any batch.
        max_bytes: The most that one part may take.

    Returns:
        Parts whose names derive from the batch's: the same batch gives the same parts.

    Raises:
        BatchTooLargeError: One message alone does not fit.
    """
    data = encode_batch(batch)
    if len(data) <= max_bytes:
        return [Part(batch.name, data, batch)]
    count = len(batch.messages)
    if count < 2:
        raise BatchTooLargeError(
            f"one message needs {len(data)} bytes in the journal, which takes {max_bytes}: the "
            "limits of the payload and of the journal do not fit together"
        )
    middle = count // 2
    return [
        *parts(_piece(batch, 0, middle, "a"), max_bytes),
        *parts(_piece(batch, middle, count, "b"), max_bytes),
    ]


def _piece(batch: Batch, start: int, end: int, suffix: str) -> Batch:
    """Messages `start` to `end` with all that stands behind them, indices moved accordingly."""
    fixes = batch.fixes[(batch.fixes["message"] >= start) & (batch.fixes["message"] < end)]
    used, device = np.unique(fixes["device"], return_inverse=True)
    fixes["device"] = device
    fixes["message"] -= start
    return Batch(
        gateway=f"{batch.gateway}.{suffix}",
        number=batch.number,
        received_us=batch.received_us,
        messages=batch.messages[start:end],
        devices=tuple(batch.devices[index] for index in used),
        fixes=fixes,
        events=_moved(batch.events, start, end),
        receipts=_moved(batch.receipts, start, end),
        statuses=_moved(batch.statuses, start, end),
        refusals=_moved(batch.refusals, start, end),
    )


def _moved(rows: tuple[RowT, ...], start: int, end: int) -> tuple[RowT, ...]:
    return tuple(
        msgspec.structs.replace(row, message=row.message - start)
        for row in rows
        if start <= row.message < end
    )
