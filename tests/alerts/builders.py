"""Short ways to make what the tests speak about."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from alerts.desk import Desk
from alerts.model import Alert, AlertChange
from alerts.profile import Profile, Profiles, load_profiles
from alerts.steps import Acknowledge, Resolve, Step
from devices.reports import Event
from devices.watches import Bearer, Watch
from geofence.anomaly_changes import AnomalyChange
from geofence.anomaly_state import Anomaly
from geofence.levels import UNKNOWN_TIME_US, Level, Transition

START_US = 1_795_452_245_250_000  # 2026-11-23T18:04:05.250Z
SECOND_US = 1_000_000
NOW_US = START_US + 60 * SECOND_US  # when the desk hears of things, unless a test says otherwise

PROFILES = load_profiles()

WATCH = Watch(
    key="keep-away/tag1/phone1",
    condition_id="keep-away",
    condition="proximity",
    order_id="order1",
    agency="centre",
    profile="default",
    wearer="wearer1",
    protected="protected1",
    tag="tag1",
    handset="phone1",
    notify=("phone1",),
)
ZONE = Watch(
    key="home/tag1",
    condition_id="home",
    condition="exclusion",
    order_id="order1",
    agency="centre",
    profile="default",
    wearer="wearer1",
    protected=None,
    tag="tag1",
    handset=None,
    notify=(),
)
TAG = Bearer(
    device="tag1",
    kind="tag",
    person="wearer1",
    role="wearer",
    fix_interval_s=60.0,
    agencies=("centre", "police"),
    notify=("phone1",),
)
PHONE = Bearer(
    device="phone1",
    kind="handset",
    person="protected1",
    role="protected",
    fix_interval_s=60.0,
    agencies=("centre",),
    notify=("phone1",),
)
BEARERS = {"tag1": TAG, "phone1": PHONE}


def desk(**options: Any) -> Desk:
    return Desk(PROFILES, rules="rules-1", build="build-1", **options)


def transition(number: int, level: Level, **fields: Any) -> Transition:
    """At `number` seconds after the start, in the episode that began at the start."""
    numbers: dict[str, Any] = {
        "watch": WATCH.key,
        "previous": Level.CLEAR,
        "onset_us": START_US,
        "decided_at_us": START_US + number * SECOND_US,
        "distance_m": 321.5,
        "distance_low_m": 300.25,
        "distance_high_m": 343.0,
        "probability": 0.97,
        "time_to_contact_s": math.inf,
        "fix_time_a_us": START_US,
        "fix_time_b_us": UNKNOWN_TIME_US,
        "swept": False,
    }
    return Transition(number=number, level=level, **(numbers | fields))


def anomaly(kind: Anomaly, number: int, *, began: bool = True, **fields: Any) -> AnomalyChange:
    """The beginning or the end of a spell that began at the start plus an hour for each before."""
    values: dict[str, Any] = {
        "track": "tag1",
        "onset_us": START_US + number * 3600 * SECOND_US,
        "decided_at_us": NOW_US,
        "quantity": 1800.0,
        "count": 61,
    }
    return AnomalyChange(kind=kind, number=number, began=began, **(values | fields))


def event(kind: str, seq: int, **fields: Any) -> Event:
    """At `seq` seconds after the start."""
    values: dict[str, Any] = {
        "message": 0,
        "device": "phone1",
        "time_us": START_US + seq * SECOND_US,
        "peer": None,
        "detail": {},
    }
    return Event(seq=seq, type=kind, **(values | fields))


def kinds(changes: list[AlertChange]) -> list[str]:
    return [change.kind for change in changes]


def profiles_with(**fields: Any) -> Profiles:
    """The default profile with some of its fields replaced."""
    default: Profile = PROFILES.by_name["default"]
    return Profiles({"default": msgspec.structs.replace(default, **fields)})


def step(on: Desk, number: int, level: Level, **fields: Any) -> list[AlertChange]:
    """The desk hears of a transition of `WATCH`, as `transition` makes it."""
    return on.on_transition(transition(number, level, **fields), WATCH, now_us=NOW_US)


def notice(on: Desk, kind: str, seq: int, **fields: Any) -> list[AlertChange]:
    """The desk hears of an event of `PHONE`, as `event` makes it."""
    return on.on_event(event(kind, seq, **fields), PHONE, now_us=NOW_US)


def take(on: Desk, operator: str = "ada") -> list[AlertChange]:
    """Acknowledge the first of the list that nobody has in hand."""
    alert = next(alert for alert in on.open_alerts() if alert.acknowledged_by is None)
    return act(on, alert, Acknowledge(), operator)


def close(on: Desk, note: str = "spoken to her, all is well") -> list[AlertChange]:
    """Resolve the first of the list."""
    return act(on, on.open_alerts()[0], Resolve(outcome="no_breach", note=note))


def act(
    on: Desk, alert: Alert, step: Step, operator: str = "ada", now_us: int = NOW_US
) -> list[AlertChange]:
    """A step on an alert as it was seen."""
    return on.act(alert.alert_id, step, version=alert.version, operator=operator, now_us=now_us)
