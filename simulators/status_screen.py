"""What a handset shows of her protection: the rule that no old "safe" stands anywhere.

A status holds until the instant that it carries, and no longer than it was meant to hold when it was
sent, counted by a clock that nobody sets. Whichever ends first, from then on the handset shows that
nothing is known. So neither a dead service nor a clock that is wrong keeps an old status on the screen.
"""

from __future__ import annotations

from dataclasses import dataclass

from devices.commands import ProtectionStatus
from devices.instants import MICROSECONDS, from_iso

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Shown:
    """What stands on the screen.

    Attributes:
        state: `unknown`, or as in `ProtectionStatus`.
    """

    state: str
    title: str = ""
    text: str = ""


class StatusScreen:
    """The newest status, and until when it may be shown. Before the first nothing is known."""

    def __init__(self) -> None:
        self._command: ProtectionStatus | None = None
        self._ends_s = 0.0

    def take(self, command: ProtectionStatus, uptime_s: float) -> bool:
        """Take in a status. False when it is older than the one that is here.

        Args:
            command: As it arrived.
            uptime_s: By a clock that nobody sets.
        """
        if self._command is not None and command.time < self._command.time:
            return False
        held_s = (from_iso(command.expires) - from_iso(command.time)) / MICROSECONDS
        self._command, self._ends_s = command, uptime_s + held_s
        return True

    def at(self, now_us: int, uptime_s: float) -> Shown:
        """What is shown at an instant, by both clocks."""
        command = self._command
        if command is None:
            return Shown(UNKNOWN)
        if now_us >= from_iso(command.expires) or uptime_s >= self._ends_s:
            return Shown(UNKNOWN, command.after_title, command.after_text)
        return Shown(command.state, command.title, command.text)
