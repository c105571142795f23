"""What the outbox counts, and its state as bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from alerts.deliveries import Delivery
from alerts.errors import DeskStateError
from alerts.pieces import pieces_of
from devices.layouts import unpacked


@dataclass(slots=True)
class OutboxCounts:
    """What the outbox has seen.

    Attributes:
        unaddressed: Changes of alerts that have no agency.
        refused: Notices not made, as the device is not a protected person's handset.
        unreachable: Steps of a plan for which nobody could be asked.
        dropped: Deliveries that gave way at `PENDING_LIMIT`.
        receipts: Receipts recorded.
        stray_receipts: Receipts for deliveries not known, of another device, or of no known state.
    """

    unaddressed: int = 0
    refused: int = 0
    unreachable: int = 0
    dropped: int = 0
    receipts: int = 0
    stray_receipts: int = 0


class Done(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A delivery that needs no sending, as far as its receipts need it."""

    delivery: Delivery  # its payload taken out, unless it is to be sent again
    step: int


class Contents(msgspec.Struct):
    """The whole outbox."""

    pending: list[Delivery]
    done: list[Done]


_FORMAT = b"CO1"  # Cordon outbox, layout 1: `Contents` as MessagePack.
_decoder = msgspec.msgpack.Decoder(Contents)


def pieces(pending: list[Delivery], done: list[Done]) -> Iterator[bytes]:
    """The state as bytes, bit by bit."""
    contents: dict[str, list[Any]] = {"pending": pending, "done": done}
    return pieces_of(_FORMAT, contents)


def read_contents(data: bytes) -> Contents:
    """The state that `pieces` wrote.

    Raises:
        DeskStateError: The bytes cannot be read.
    """
    return unpacked(data, _FORMAT, _decoder, DeskStateError, "the outbox")
