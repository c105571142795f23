"""Where a device is, for those few who may be told: asked of the engine when it is needed."""

from __future__ import annotations

from alerts.pidf import Place
from cordon.partition import Partition
from geofence.levels import UNKNOWN_TIME_US


class Places:
    """Knows nothing until the partition is there.

    Attributes:
        partition: Whose engine is asked.
    """

    def __init__(self) -> None:
        self.partition: Partition | None = None

    def of(self, device: str) -> Place | None:
        """Where the engine believes a device to have been at its last fix."""
        if self.partition is None:
            return None
        tracks = self.partition.compiled.plan.tracks
        if device not in tracks:
            return None
        index = tracks.index(device)
        seen = self.partition.engine.picture().tracks
        fix_us = int(seen.time_us[index])
        if fix_us == UNKNOWN_TIME_US:
            return None
        accuracy_m = float(seen.accuracy_m[index])
        return Place(
            float(seen.lat_deg[index]),
            float(seen.lon_deg[index]),
            accuracy_m if accuracy_m > 0 else None,  # NaN is not above 0 either
            fix_us,
        )
