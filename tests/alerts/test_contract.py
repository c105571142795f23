"""What goes out, field by field, as the outside world was promised it."""

from __future__ import annotations

import json
import uuid
from typing import Any

from alerts.deliveries import encode_entry
from geofence.levels import Cause, Level
from tests.alerts.builders import (
    PHONE,
    PROFILES,
    SECOND_US,
    START_US,
    WATCH,
    desk,
    event,
    transition,
)

CONTRACT_FIELDS = {
    *("alert_id", "episode_id", "condition_id", "condition", "tier", "level", "agency"),
    *("wearer", "protected", "distance_m", "distance_low_m", "distance_high_m", "probability"),
    *("time_to_contact_s", "fix_times", "decided_at", "rules", "build"),
}
EPISODES = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:episode")
ALERTS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:cordon:alert")


def outside(change: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(encode_entry(change))
    return document


NOBODY_HAS_ACTED: dict[str, Any] = {
    "acknowledged_by": None,
    "acknowledged_at": None,
    "resolved_by": None,
    "resolved_at": None,
    "outcome": None,
    "note": "",
    "assigned_to": None,
    "dispatched_by": None,
    "dispatched_at": None,
    "dispatched_to": "",
    "checked_by": None,
    "checked_at": None,
    "check": None,
    "checked_repeats": 0,
    "shelved_by": None,
    "shelved_at": None,
    "shelved_until": None,
    "shelf_reason": "",
    "escalated": [],
    "escalated_at": None,
    "escalated_to": "",
    "contacts_asked": [],
    "way": "",
    "synthetic": False,
    "alarms": [],
    "merged_into": "",
    "away_deg": None,
    "away_spread_deg": None,
}
"""What people do stands in every alert, as empty as this at its beginning."""


def test_an_alert_change_is_the_cloud_event_of_the_contract() -> None:
    given = transition(1, Level.ALERT, time_to_contact_s=90.0)
    [change] = desk(source="cordon/test").on_transition(
        given, WATCH, now_us=START_US + 2 * SECOND_US
    )
    episode = str(uuid.uuid5(EPISODES, f"watch/keep-away/tag1/phone1@{START_US}"))
    alert = str(uuid.uuid5(ALERTS, episode))
    assert outside(change) == {
        "specversion": "1.0",
        "id": f"{alert}/1",
        "source": "cordon/test",
        "type": "cordon.alert.raised",
        "subject": alert,
        "time": "2026-11-23T16:44:07.250000Z",
        "datacontenttype": "application/json",
        "actor": "system",
        "asked": [],
        "data": {
            "alert_id": alert,
            "episode_id": episode,
            "condition_id": "keep-away",
            "condition": "proximity",
            "tier": 1,
            "level": "alert",
            "agency": "centre",
            "wearer": "wearer1",
            "protected": "protected1",
            "distance_m": 321.5,
            "distance_low_m": 300.25,
            "distance_high_m": 343.0,
            "probability": 0.97,
            "time_to_contact_s": 90.0,
            "fix_times": {"tag1": "2026-11-23T16:44:05.250000Z"},
            "decided_at": "2026-11-23T16:44:06.250000Z",
            "rules": "rules-1",
            "build": "build-1",
            "version": 1,
            "highest_level": "alert",
            "state": "active",
            "onset": "2026-11-23T16:44:05.250000Z",
            "raised_at": "2026-11-23T16:44:07.250000Z",
            **NOBODY_HAS_ACTED,
            "asks_since": "2026-11-23T16:44:07.250000Z",
            "told_at": "2026-11-23T16:44:07.250000Z",
            "told_version": 1,
            "procedure": ["call_wearer", "call_police", "call_protected"],
            "order_id": "order1",
            "watch": "keep-away/tag1/phone1",
            "device": "",
            "transition": 1,
            "notify": ["phone1"],
            "profile": PROFILES.by_name["default"].version,
            "told": True,
            "repeats": 0,
            "last_event_seq": -1,
            "last_event_at": None,
            "last_event_received_at": None,
            "cause": "position",
            "closest_m": None,
            "closest_at": None,
            "anomaly": "",
            "companion": "",
            "health": "",
            "quantity": None,
            "count": 0,
            "onset_doubted": False,
        },
    }


def test_the_way_between_two_fixes_says_how_near_and_when() -> None:
    given = transition(1, Level.ALERT, cause=Cause.PATH, closest_m=87.5, closest_us=START_US)
    [change] = desk().on_transition(given, WATCH, now_us=START_US + 2 * SECOND_US)
    data = outside(change)["data"]
    assert (data["cause"], data["closest_m"]) == ("path", 87.5)
    assert data["closest_at"] == "2026-11-23T16:44:05.250000Z"


def test_every_field_of_the_contract_is_there_for_events_too() -> None:
    [change] = desk().on_event(event("panic", 7), PHONE, now_us=START_US)
    data = outside(change)["data"]
    assert set(data) >= CONTRACT_FIELDS
    assert data["condition"] == "panic"
    assert data["level"] == "panic"
    assert data["distance_m"] is None
    assert data["device"] == "phone1"
    assert data["protected"] == "protected1"
    assert data["wearer"] is None


def test_what_json_cannot_say_is_null() -> None:
    nothing = transition(
        1,
        Level.UNKNOWN,
        distance_m=float("nan"),
        distance_low_m=float("nan"),
        distance_high_m=float("inf"),
        probability=float("nan"),
    )
    [change] = desk().on_transition(nothing, WATCH, now_us=START_US)
    data = outside(change)["data"]
    numbers = ("distance_m", "distance_low_m", "distance_high_m", "probability")
    assert [data[name] for name in (*numbers, "time_to_contact_s")] == [None] * 5
