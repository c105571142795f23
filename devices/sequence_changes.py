"""The record that is made when numbers of a device's reports are missing, and when no longer."""

from __future__ import annotations

from typing import Literal

import msgspec

GapState = Literal["opened", "filled", "merged", "abandoned"]
"""Numbers are missing; all of them came late; there are too many gaps to follow this one further;
the device began to count anew, so that they cannot be told from new ones."""


class GapChange(msgspec.Struct, frozen=True, kw_only=True):
    """A gap in the numbers of one device is found, or is not followed any longer.

    Attributes:
        device: Device id.
        number: Counts the device's gaps from 1; part of the state.
        first_seq, last_seq: What was missing when it was found.
        state: What has become of it.
        missing: How many of its numbers are missing now.
        opened_us: Arrival of the report that showed it.
        decided_at_us: When this was decided.
    """

    device: str
    number: int
    first_seq: int
    last_seq: int
    state: GapState
    missing: int
    opened_us: int
    decided_at_us: int

    @property
    def name(self) -> str:
        """Names this record: the same one made again has the same name."""
        return f"gap:{self.device}/{self.number}/{self.state}/{self.decided_at_us}"
