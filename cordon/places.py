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
        track = self.partition.wearing.track(device)
        if track < 0:
            return None
        seen = self.partition.engine.place(track)
        fix_us = int(seen.time_us[0])
        if fix_us == UNKNOWN_TIME_US:
            return None
        accuracy_m = float(seen.accuracy_m[0])
        return Place(
            float(seen.lat_deg[0]),
            float(seen.lon_deg[0]),
            accuracy_m if accuracy_m > 0 else None,  # NaN is not above 0 either
            fix_us,
        )
