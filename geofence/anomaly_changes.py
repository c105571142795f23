"""The record the engine makes when something is wrong with a device, and when it no longer is."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from geofence.anomaly_state import Anomaly
from geofence.plan import Plan


class AnomalyChange(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly of one device, or of two devices of one person, begins or ends.

    Attributes:
        track: Device id; of two devices, the one that is worn.
        companion: The one that is carried; empty for an anomaly of one device.
        kind: What is wrong.
        began: It begins; else it ends.
        onset_us: Fix time that began it. For an end, that of the spell that ends.
        decided_at_us: The `now` the engine was given.
        quantity, count: As `Anomaly` says of each kind; NaN and 0 where nothing was measured.
        number: Counts the spells of this kind from 1; part of the engine's state.
    """

    track: str
    companion: str = ""
    kind: Anomaly
    began: bool
    onset_us: int
    decided_at_us: int
    quantity: float
    count: int
    number: int

    @property
    def key(self) -> str:
        """Names what it is about: ``kind/device`` or ``kind/device/companion``."""
        return anomaly_key(self.kind.label, self.track, self.companion)

    def ended(self, now_us: int) -> AnomalyChange:
        """The end of the same spell."""
        return msgspec.structs.replace(self, began=False, decided_at_us=now_us)


def anomaly_key(label: str, track: str, companion: str) -> str:
    """Names what an anomaly is about, whichever spell of it."""
    return "/".join(part for part in (label, track, companion) if part)


def ended_by(
    active: Iterable[AnomalyChange], plan: Plan, now_us: int, moved: Collection[str] = ()
) -> list[AnomalyChange]:
    """The ends of those anomalies whose devices a plan no longer follows, or others carry now."""
    pairs, tracks = set(plan.companion_keys), set(plan.tracks)

    def is_followed(change: AnomalyChange) -> bool:
        if change.track in moved or change.companion in moved:
            return False
        if change.companion:
            return (change.track, change.companion) in pairs
        return change.track in tracks

    return [change.ended(now_us) for change in active if not is_followed(change)]
