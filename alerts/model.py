"""An alert and its changes, in the form the world outside sees: CloudEvents 1.0."""

from __future__ import annotations

from typing import Literal

import msgspec

from alerts.alarms import Alarm
from devices.health_changes import health_key
from geofence.anomaly_changes import anomaly_key

ConditionName = Literal["proximity", "exclusion", "inclusion", "device", "panic", "tamper"]

ChangeKind = Literal[
    "raised",
    "level",
    "tier",
    "acknowledged",
    "assigned",
    "dispatched",
    "checked",
    "returned",
    "shelved",
    "unshelved",
    "escalated",
    "told",
    "alarm",
    "resolved",
    "retrospective",
]

Outcome = Literal[
    "breach",  # he was where he must not be
    "breach_averted",  # he turned round, or was made to
    "no_breach",  # explained: a permitted encounter, an error of a receiver
    "help_given",  # she was helped
    "device_at_fault",
    "pressed_by_mistake",
    "test",
    "not_determined",
]
"""What an alert has turned out to be, as the person says who closes it."""

FALSE_OUTCOMES: tuple[Outcome, ...] = ("no_breach", "device_at_fault", "pressed_by_mistake")
NOTHING_HAPPENED = frozenset({*FALSE_OUTCOMES, "test"})
"""Outcomes that hold nothing against anybody."""

CheckKind = Literal[
    "inspected",  # somebody has seen and held the device
    "replaced",  # another device is in its place
    "second_person",  # decided without inspection: whoever closes must be another person
]
"""What a tamper was checked by."""

EVENT_TYPE_PREFIX = "cordon.alert."

SYSTEM = "system"
"""The actor of everything no person did."""


class Ask(msgspec.Struct, frozen=True, gc=False):
    """Somebody is asked to act, as nobody has in time.

    Attributes:
        step: Of the plan; see `alerts.escalation_rules.Point`.
        since: When the clock began that ran out.
        role: As in `alerts.escalation_rules.AskedRole`.
        recipient: Name of the contact; empty where there is none, which is recorded all the same.
        channel: `console`, a channel of contacts, or empty where nobody can be reached.
    """

    step: str
    since: str
    role: str
    recipient: str
    channel: str

    @property
    def key(self) -> str:
        """Names the step among all that an alert ever takes."""
        return f"{self.step} {self.since}"


class Alert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An alert as it stands after a change. Instants are ISO 8601 in UTC.

    It can be part of no cycle, so the garbage collector need not look at very many of them.

    Every field is always written, as null where it does not apply, so that receivers meet one
    shape only.

    Attributes:
        alert_id: Derived from `episode_id`; the same after any restart or replay.
        episode_id: Derived from the watch and the fix time that began the episode, or from the
            device and sequence number of the event, or the device, what is wrong with it and the
            instant that began it.
        condition_id: Of the order's condition; empty for events of devices.
        tier: 1 critical, 2 high, 3 warning, 4 technical.
        level: `geofence.levels.Level.label`, or for panic, tamper and device the event type or
            the kind of anomaly.
        agency: Who is to act; empty when the device belongs to no order.
        distance_m, distance_low_m, distance_high_m: As in `geofence.levels.Transition`; None when
            there is no position to measure from.
        time_to_contact_s: None when they are not closing.
        fix_times: By device id, the fix times the decision rests on.
        decided_at: When the engine decided, or when the event reached the desk.
        version: Counts the changes of this alert from 1; commands name the version they saw.
        highest_level: The worst level of the episode, `level` included.
        state: Whether the condition still holds.
        onset: Fix time or event time that began the episode.
        onset_doubted: The event's own time cannot be right; `onset` is when it arrived.
        acknowledged_by, acknowledged_at: Holds for the tier it was given at: both are None again
            when the tier gets worse.
        asks_since: Since when it asks for a person: it was raised, its tier got worse, or it came
            back from the shelf.
        assigned_to: Whose it is; it may be acknowledged and closed by others.
        dispatched_by, dispatched_at, dispatched_to: Who last sent whom. What somebody was sent to
            does not close by itself: a person says how it ended.
        checked_by, checked_at, check, checked_repeats: Of a tamper: who checked it last, how (`CheckKind`), and
            after how many repetitions. It cannot be closed without.
        shelved_by, shelved_at, shelved_until, shelf_reason: Out of the operators' way for a while.
            None and empty when it is not.
        resolved_by, resolved_at, outcome: `outcome` (an `Outcome`) is None where it closed by itself.
        note: Of the newest step that had one.
        told_at, told_version: The newest change that the handsets in `notify` were told of.
        escalated: Keys (`Ask.key`) of the steps taken on the clocks that run.
        escalated_at, escalated_to: The newest of them, in words for staff.
        contacts_asked: Names of the contacts that were ever asked, the first one first.
        procedure: What staff do now, in order: `alerts.profile_rules.Action`.
        way: Where a person told her to go, when she was last told by hand.
        synthetic: Of the pair that does not exist, by which the service tries itself: nobody is
            to act, and no figure counts it.
        transition: Number of the engine's transition that was applied last; 0 for events. For an
            anomaly and for a device's health, beginnings and ends count.
        watch: Key of the engine's watch; empty for events and anomalies.
        device: The device an event came from or an anomaly is of; empty for watches.
        notify: Handsets of the protected people concerned. Never a wearer's device.
        profile: Version of the jurisdiction profile that gave the tier, for example
            ``default@1a2b3c4d``.
        told: The handsets in `notify` were told of this episode.
        repeats: How often the same event came again while the alert was open, as known when this
            change was made.
        last_event_seq, last_event_at: The newest event taken into this alert; -1 and None for
            watches, below 0 also where the device does not count.
        last_event_received_at: When the newest of them arrived; None for watches, and where an
            older version made the alert.
        cause: What the level rests on: `geofence.levels.Cause.label`; empty for events and
            anomalies.
        closest_m, closest_at: Nearest they came on the way between two fixes, where that is the
            cause.
        anomaly: `geofence.anomaly_state.Anomaly.label`; empty for everything else.
        companion: The wearer's own device that an anomaly of two devices compares with.
        health: `devices.health_changes.HealthKind`; empty for everything else.
        alarms: What her handset has raised by itself for the same, by the names it gave.
        merged_into: The alert that goes on with what this one was about; it was closed for that.
        away_deg, away_spread_deg: The way that leads away from the wearer for the protected person
            when it was decided, clockwise from true north, and how far to either side it may lie
            (95 %); None where that is not known.
        quantity, count: What `Anomaly`, or `HealthChange`, says of each kind.
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
    outcome: str | None = None
    note: str = ""
    asks_since: str = ""
    assigned_to: str | None = None
    dispatched_by: str | None = None
    dispatched_at: str | None = None
    dispatched_to: str = ""
    checked_by: str | None = None
    checked_at: str | None = None
    check: str | None = None
    checked_repeats: int = 0
    shelved_by: str | None = None
    shelved_at: str | None = None
    shelved_until: str | None = None
    shelf_reason: str = ""
    told_at: str | None = None
    told_version: int = 0
    escalated: tuple[str, ...] = ()
    escalated_at: str | None = None
    escalated_to: str = ""
    contacts_asked: tuple[str, ...] = ()
    procedure: tuple[str, ...] = ()
    way: str = ""
    synthetic: bool = False
    order_id: str = ""
    watch: str = ""
    device: str = ""
    transition: int = 0
    notify: tuple[str, ...] = ()
    profile: str = ""
    told: bool = False
    repeats: int = 0
    last_event_seq: int = -1
    last_event_at: str | None = None
    last_event_received_at: str | None = None
    cause: str = ""
    closest_m: float | None = None
    closest_at: str | None = None
    anomaly: str = ""
    companion: str = ""
    health: str = ""
    quantity: float | None = None
    count: int = 0
    onset_doubted: bool = False
    alarms: tuple[Alarm, ...] = ()
    merged_into: str = ""
    away_deg: float | None = None
    away_spread_deg: float | None = None

    @property
    def is_done(self) -> bool:
        """It is over, somebody has seen it, and nobody was sent: nothing is left to be said."""
        seen = self.acknowledged_by is not None or self.synthetic
        return self.state == "returned" and seen and self.dispatched_by is None

    @property
    def subject(self) -> str:
        """Names what the engine's spells are counted by; empty for events.

        No watch has a colon in its key.
        """
        if self.anomaly:
            return subject_of_anomaly(anomaly_key(self.anomaly, self.device, self.companion))
        if self.health:
            return subject_of_health(health_key(self.health, self.device or self.agency))
        return self.watch


OFF_THE_SHELF: dict[str, str | None] = {
    "shelved_by": None,
    "shelved_at": None,
    "shelved_until": None,
    "shelf_reason": "",
}
"""The fields of an alert that is not shelved."""


def subject_of_anomaly(key: str) -> str:
    """The subject of an anomaly (see `geofence.anomaly_changes.anomaly_key`)."""
    return f"anomaly:{key}"


def subject_of_health(key: str) -> str:
    """The subject of a device's health (see `devices.health_changes.health_key`)."""
    return f"health:{key}"


class AlertChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One change, as a CloudEvents 1.0 structured-mode JSON message.

    `id` is ``<alert id>/<version>``: the same change sent twice has the same id.

    Attributes:
        asked: Of an `escalated` change, who is asked by it.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Alert
    actor: str
    asked: tuple[Ask, ...] = ()
    specversion: str = "1.0"
    datacontenttype: str = "application/json"

    @property
    def kind(self) -> str:
        """The change without the prefix, for example ``raised``."""
        return self.type.removeprefix(EVENT_TYPE_PREFIX)
