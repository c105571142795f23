"""Spells: what the engine or the health of devices says begins and ends, and the alert it makes.

An anomaly of a device's fixes and a trouble with its health differ in where they are found; to the
desk both are something that goes on from a beginning to an end.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alerts.episodes import EPISODES, alert_id, finite
from alerts.model import subject_of_anomaly, subject_of_health
from alerts.profile import Profile
from devices.health_changes import HealthChange
from devices.instants import to_iso
from devices.watches import Bearer
from geofence.anomaly_changes import AnomalyChange


@dataclass(frozen=True, slots=True)
class Spell:
    """One beginning or end.

    Attributes:
        subject: Names what goes on, whichever spell of it.
        number: Counts beginnings and ends from 1, as transitions of a watch are.
        onset_us: What began it.
        has_rule: The profile has a use for it.
        fields: Of its alert, those that come anew with each beginning and end.
        new: All fields of a new alert but those the desk itself gives. Takes the number, where an
            earlier spell may have the same onset, else None.
    """

    subject: str
    number: int
    onset_us: int
    began: bool
    has_rule: bool
    fields: dict[str, Any]
    new: Callable[[int | None], dict[str, Any]]


def spell_of_anomaly(change: AnomalyChange, bearer: Bearer, profile: Profile, now_us: int) -> Spell:
    """An anomaly as the desk takes it.

    No handset is told: it is a matter between the agency and whoever looks after the devices.
    """
    label = change.kind.label
    fields = _fields(change) | {"count": change.count}

    def new(number: int | None) -> dict[str, Any]:
        episode = _episode_id(f"anomaly/{change.key}", change.onset_us, number)
        return (
            fields
            | _new(label, change.onset_us, bearer, profile, now_us)
            | {"episode_id": episode, "alert_id": alert_id(episode)}
            | {"tier": profile.anomalies[label].tier, "device": change.track}
            | {"anomaly": label, "companion": change.companion}
        )

    has_rule = label in profile.anomalies
    return _spell(subject_of_anomaly(change.key), change, fields, new, has_rule=has_rule)


def spell_of_health(change: HealthChange, bearer: Bearer, profile: Profile, now_us: int) -> Spell:
    """The health of a device as the desk takes it.

    A protected person may be told of her own handset; nobody is told of anybody else's device.
    """
    fields = _fields(change) | {"cause": change.cause}

    def new(number: int | None) -> dict[str, Any]:
        episode = _episode_id(f"health/{change.key}", change.onset_us, number)
        return (
            fields
            | _new(change.kind, change.onset_us, bearer, profile, now_us)
            | {"episode_id": episode, "alert_id": alert_id(episode)}
            | {"tier": profile.health_tier(change.kind), "device": change.device}
            | {"health": change.kind, "notify": bearer.own_handsets}
            | ({"agency": change.agency} if change.agency else {})
        )

    return _spell(subject_of_health(change.key), change, fields, new, has_rule=True)


def _spell(
    subject: str,
    change: AnomalyChange | HealthChange,
    fields: dict[str, Any],
    new: Callable[[int | None], dict[str, Any]],
    *,
    has_rule: bool,
) -> Spell:
    number = fields["transition"]
    return Spell(subject, number, change.onset_us, change.began, has_rule, fields, new)


def _fields(change: AnomalyChange | HealthChange) -> dict[str, Any]:
    return {
        "decided_at": to_iso(change.decided_at_us),
        "transition": 2 * change.number - int(change.began),
        "quantity": finite(change.quantity),
    }


def _new(
    label: str, onset_us: int, bearer: Bearer, profile: Profile, now_us: int
) -> dict[str, Any]:
    return {
        "condition_id": "",
        "condition": "device",
        "level": label,
        "highest_level": label,
        "agency": bearer.agencies[0] if bearer.agencies else "",
        "wearer": bearer.person if bearer.role == "wearer" else None,
        "protected": bearer.person if bearer.role == "protected" else None,
        "onset": to_iso(onset_us),
        "raised_at": to_iso(now_us),
        "profile": profile.version,
    }


def anomaly_alert_ids(change: AnomalyChange) -> tuple[str, str]:
    """The ids that the alert of an anomaly has: numbered, if an earlier one began at the same fix."""
    about, number = f"anomaly/{change.key}", 2 * change.number - 1
    return (
        alert_id(_episode_id(about, change.onset_us, number)),
        alert_id(_episode_id(about, change.onset_us, None)),
    )


def _episode_id(about: str, onset_us: int, number: int | None) -> str:
    tail = "" if number is None else f"#{number}"
    return str(uuid.uuid5(EPISODES, f"{about}@{onset_us}{tail}"))
