"""An alert and its changes, in the form the world outside sees: CloudEvents 1.0."""

from __future__ import annotations

from typing import Literal

import msgspec

ConditionName = Literal["proximity", "exclusion", "inclusion", "device", "panic", "tamper"]

ChangeKind = Literal[
    "raised",
    "level",
    "tier",
    "acknowledged",
    "dispatched",
    "returned",
    "shelved",
    "resolved",
    "retrospective",
]

EVENT_TYPE_PREFIX = "cordon.alert."


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alert as it stands after a change. Instants are ISO 8601 in UTC.

    Attributes:
        alert_id: Derived from `episode_id`; the same after any restart or replay.
        episode_id: Derived from the watch and the fix time that began the episode, or from the
            device and sequence number of the event.
        version: Counts the changes of this alert from 1; commands name the version they saw.
        tier: 1 critical, 2 high, 3 warning, 4 technical.
        level: `geofence.levels.Level.label`, or the event type for panic, tamper and device.
        highest_level: The worst level of the episode, `level` included.
        state: Whether the condition still holds.
        transition: Number of the engine's transition that was applied last; 0 for events.
        watch: Key of the engine's watch; empty for events.
        device: The device an event came from; empty for watches.
    """

    alert_id: str
    episode_id: str
    condition_id: str
    condition: ConditionName
    tier: int
    level: str
    agency: str
    wearer: str | None
    protected: str | None
    distance_m: float | None = None
    distance_low_m: float | None = None
    distance_high_m: float | None = None
    probability: float | None = None
    time_to_contact_s: float | None = None
    fix_times: dict[str, str] = {}
    decided_at: str
    rules: str
    build: str
    version: int
    highest_level: str
    state: Literal["active", "returned"]
    onset: str
    raised_at: str
    acknowledged_by: str | None = None
    acknowledged_at: str | None = None
    resolved_by: str | None = None
    resolved_at: str | None = None
    note: str = ""
    order_id: str = ""
    watch: str = ""
    device: str = ""
    transition: int = 0
    notify: tuple[str, ...] = ()


class AlertChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change, as a CloudEvents 1.0 structured-mode JSON message.

    `id` is ``<alert id>/<version>``: the same change sent twice has the same id.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Alert
    actor: str
    specversion: str = "1.0"
    datacontenttype: str = "application/json"

    @property
    def kind(self) -> str:
        """The change without the prefix, for example ``raised``."""
        return self.type.removeprefix(EVENT_TYPE_PREFIX)
