"""What a partition counts of itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class PartitionCounts:
    """Counted since the start of the process.

    Attributes:
        fixes_unused: Late, doubled, blank or of devices not watched: they moved no track.
        fixes_odd: Implausible, damaged or blank (`geofence.anomaly_state.Oddity`).
        anomalies: Of devices, that began.
        troubles: With the health of devices, that began.
        unreadable_parts: Of checkpoints; each began empty instead.
    """

    fixes: int = 0
    fixes_unused: int = 0
    fixes_odd: int = 0
    anomalies: int = 0
    troubles: int = 0
    transitions: int = 0
    events: int = 0
    replans: int = 0
    unreadable_parts: int = 0
