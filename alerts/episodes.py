"""Episodes: how they are named, and how an alert is written from what began one.

Names are derived, never drawn at random. After a crash the engine decides again what it had
decided before; the desk then finds the same names, and receivers see no alert twice.
"""

from __future__ import annotations

import math
import uuid
from typing import Any

from alerts.alarms import alarm_of
from alerts.model import Alert
from alerts.profile import Profile
from devices.instants import to_iso
from devices.reports import Event
from devices.watches import Bearer, Watch
from geofence.levels import UNKNOWN_TIME_US, Cause, Level, Transition

EPISODES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:episode")
ALERTS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:alert")

_DANGER = ("clear", "pre_alert", "unknown", "alert", "contact")
"""Levels by what they say about her safety; what cannot be excluded is worse than a warning."""


def watch_episode_id(watch: str, onset_us: int, number: int | None = None) -> str:
    """Names the spell away from clear of one watch that began at a fix time.

    Args:
        watch: The watch's key.
        onset_us: Fix time that began it.
        number: Of the transition that began it. Given only where an earlier episode of this watch
            may have the same onset (it went back to clear and away again without a new fix).
    """
    tail = "" if number is None else f"#{number}"
    return str(uuid.uuid5(EPISODES, f"watch/{watch}@{onset_us}{tail}"))


def event_episode_id(event: Event, person: str = "") -> str:
    """Names what an event of a device began; `person` where it is told of a second one, too.

    A device whose clock cannot be believed may have begun to count anew, too: then the time of
    arrival tells this event from an older one with the same number.
    """
    tail = f"@{event.time_us}" if event.time_doubted else ""
    tail += f"/{person}" if person else ""
    return str(uuid.uuid5(EPISODES, f"event/{event.device}/{event.type}/{event.seq}{tail}"))


def alert_id(episode_id: str) -> str:
    """The id of the one alert of an episode."""
    return str(uuid.uuid5(ALERTS, episode_id))


def worse(level: str, other: str) -> str:
    """The more dangerous of two levels of a watch, by their labels."""
    return max(level, other, key=_DANGER.index)


def decision_fields(transition: Transition, watch: Watch) -> dict[str, Any]:
    """The fields of an alert that come anew with every transition.

    `notify` is what the caseload says now: a handset replaced during an episode is told of the
    rest of it.
    """
    t = transition
    return {
        "level": t.level.label,
        "distance_m": finite(t.distance_m),
        "distance_low_m": finite(t.distance_low_m),
        "distance_high_m": finite(t.distance_high_m),
        "probability": finite(t.probability),
        "time_to_contact_s": finite(t.time_to_contact_s),
        "fix_times": _fix_times(t, watch),
        "decided_at": to_iso(t.decided_at_us),
        "transition": t.number,
        "cause": t.cause.label,
        "closest_m": finite(t.closest_m) if t.cause == Cause.PATH else None,
        "closest_at": _known(t.closest_us) if t.cause == Cause.PATH else None,
        "away_deg": finite(t.away_deg),
        "away_spread_deg": finite(t.away_spread_deg),
        "notify": tuple(handset for handset in watch.notify if handset != watch.tag),
    }


def alert_of_watch(
    transition: Transition, watch: Watch, profile: Profile, episode_id: str, now_us: int
) -> dict[str, Any]:
    """All fields of a new alert for a watch but those the desk itself gives."""
    rule = profile.levels[watch.condition][transition.level.label]
    return decision_fields(transition, watch) | {
        "alert_id": alert_id(episode_id),
        "episode_id": episode_id,
        "condition_id": watch.condition_id,
        "condition": watch.condition,
        "tier": rule.tier_at(transition.time_to_contact_s),
        "highest_level": transition.level.label,
        "agency": watch.agency,
        "wearer": watch.wearer,
        "protected": watch.protected,
        "order_id": watch.order_id,
        "watch": watch.key,
        "onset": to_iso(transition.onset_us),
        "raised_at": to_iso(now_us),
        "profile": profile.version,
    }


def alert_of_event(event: Event, bearer: Bearer, profile: Profile, now_us: int) -> dict[str, Any]:
    """All fields of a new alert for an event but those the desk itself gives.

    One device may concern several agencies; the alert goes to the first of them, so that one
    agency is answerable for it.
    """
    rule = profile.events[event.type]
    alarm = alarm_of(event)
    was_anothers = event.time_us < bearer.since_us
    episode_id = event_episode_id(event, (bearer.person or "") if was_anothers else "")
    tag_free = tuple(handset for handset in bearer.notify if _may_be_told(handset, bearer))
    return {
        "alert_id": alert_id(episode_id),
        "episode_id": episode_id,
        "condition_id": "",
        "condition": rule.condition,
        "tier": rule.tier,
        "level": event.type,
        "highest_level": event.type,
        "agency": bearer.agencies[0] if bearer.agencies else "",
        "wearer": bearer.person if bearer.role == "wearer" else None,
        "protected": bearer.person if bearer.role == "protected" else None,
        "device": event.device,
        "decided_at": to_iso(now_us),
        "onset": to_iso(event.time_us),
        "onset_doubted": event.time_doubted,
        "raised_at": to_iso(now_us),
        "notify": tag_free,
        "profile": profile.version,
        "last_event_seq": event.seq,
        "last_event_at": to_iso(event.time_us),
        "last_event_received_at": to_iso(now_us),
        "alarms": () if alarm is None else (alarm,),
    }


def tier_of(transition: Transition, alert: Alert, profile: Profile) -> int:
    """The tier of an alert of a watch after a transition away from clear."""
    rule = profile.levels[alert.condition][transition.level.label]
    return rule.tier_at(transition.time_to_contact_s)


def is_clear(transition: Transition) -> bool:
    """Whether the transition ends the episode."""
    return transition.level is Level.CLEAR


def _may_be_told(handset: str, bearer: Bearer) -> bool:
    """A device that is the wearer's own is never told anything, whatever its kind."""
    return handset != bearer.device or bearer.role == "protected"


def finite(value: float) -> float | None:
    """The value; None where it is infinite or NaN, which JSON does not have."""
    return value if math.isfinite(value) else None


def _known(at_us: int) -> str | None:
    return None if at_us == UNKNOWN_TIME_US else to_iso(at_us)


def _fix_times(transition: Transition, watch: Watch) -> dict[str, str]:
    times = {watch.tag: transition.fix_time_a_us}
    if watch.handset is not None:
        times[watch.handset] = transition.fix_time_b_us
    return {device: to_iso(at) for device, at in times.items() if at != UNKNOWN_TIME_US}
