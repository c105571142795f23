"""What the alert desk counts of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class DeskCounts:
    """What the desk has done since it was made.

    Attributes:
        raised: New alerts.
        changes: All changes, those included.
        replayed: Transitions and events that were known already.
        repeats: Events taken into an alert that was open already.
        unmapped: Events and anomalies the profile has no use for.
        displaced: Alerts closed to make room at `OPEN_LIMIT`.
        refused: Alerts not raised for want of room.
    """

    raised: int = 0
    changes: int = 0
    replayed: int = 0
    repeats: int = 0
    unmapped: int = 0
    displaced: int = 0
    refused: int = 0
