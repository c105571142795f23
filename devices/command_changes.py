"""What becomes of commands: the record that is kept of each."""

from __future__ import annotations

from typing import Literal

import msgspec

CommandState = Literal["issued", "received", "unanswered"]
"""It was decided; the device has answered; it expired without an answer."""

Reason = Literal["near", "random", "place", "over", "repeated"]
"""Of an issued command: somebody may be near; chance; the place; the raise is over; the one before
was not answered. For staff only: a device is never told."""


class CommandChange(msgspec.Struct, frozen=True, kw_only=True):
    """A command to a device has come to a state.

    Attributes:
        device: Device id.
        command_id: As the device knows it; derived, so that deciding again gives the same.
        state: What has become of it.
        reason: Why it was issued.
        interval_s: The interval it asks for.
        issued_us: When it was issued.
        decided_at_us: When it came to this state.
    """

    device: str
    command_id: str
    state: CommandState
    reason: Reason
    interval_s: float
    issued_us: int
    decided_at_us: int

    @property
    def name(self) -> str:
        """Names this record: the same one made again has the same name."""
        return f"command:{self.command_id}/{self.state}"
