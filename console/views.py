"""What the page and the API see. Plain structs, encoded by msgspec, never decoded here.

Instants are ISO 8601 text in UTC; degrees are WGS84; an absent number is None, never 0 or NaN.
Ages are not sent: a client works them out from the instant and the server's time, so that they
keep growing when nothing arrives.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from alerts.model import Alert

ALERTS_SHOWN = 500
"""Open alerts in a picture: the most urgent. More than anybody can look at; the rest is counted, and
comes up as these are closed."""

ServiceState = Literal["up", "degraded", "down"]


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device and its last known place.

    Attributes:
        id: Device id.
        kind: `tag`, `handset` or `home_unit`.
        person, name, role: Who carries it now; None when it is assigned to nobody.
        lat, lon: Last good fix in degrees; None when there has never been one.
        accuracy_m: Radius of 68 %; None means unknown and is drawn as unknown, not as a point.
        fix_time: When that fix was taken.
        fix_interval_s: How often it is expected to report; three times that without a fix and
            the page draws it as stale.
        online: What the broker last said; None when it has said nothing yet.
        health: What is wrong with it now: names of `devices.health_changes.HealthKind`.
    """

    id: str
    kind: str
    person: str | None = None
    name: str = ""
    role: Literal["wearer", "protected"] | None = None
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    fix_time: str | None = None
    fix_interval_s: float = 60.0
    battery_pct: int | None = None
    online: bool | None = None
    health: tuple[str, ...] = ()


class WatchView(msgspec.Struct, frozen=True, kw_only=True):
    """One watch of the engine's plan and how it stands.

    Attributes:
        key: As in the plan.
        condition: `proximity`, `exclusion` or `inclusion`.
        name: What staff call the condition.
        wearer, protected: Person ids; `protected` is None for a zone that protects nobody named.
        tag, handset: Device ids; `handset` is None for a zone.
        level: `geofence.levels.Level.label`.
        distance_m, low_m, high_m: Distance (signed, negative inside, for a zone) and its 95 %
            interval; None when there is nothing to measure from.
        probability: Of what `level` is about.
        contact_m, alert_m, pre_alert_m: Radii of the rings around the protected person.
    """

    key: str
    condition: str
    name: str = ""
    wearer: str
    protected: str | None = None
    tag: str
    handset: str | None = None
    level: str
    distance_m: float | None = None
    low_m: float | None = None
    high_m: float | None = None
    probability: float | None = None
    contact_m: float | None = None
    alert_m: float | None = None
    pre_alert_m: float | None = None


class ZoneView(msgspec.Struct, frozen=True, kw_only=True):
    """A zone as it is drawn.

    Attributes:
        key: Watch key, so that the page can colour it by the watch's level as that changes.
        kind: `exclusion` or `inclusion`.
        geometry: GeoJSON Polygon or MultiPolygon; a circle comes as a polygon.
        level: Level of its watch when the picture was taken.
    """

    key: str
    name: str = ""
    kind: Literal["exclusion", "inclusion"]
    geometry: dict[str, Any]
    buffer_m: float = 0.0
    level: str = "clear"


class RefusalView(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one device that were refused for one reason. Contains no coordinate.

    Attributes:
        code: Short stable name of the reason.
        reason: One sentence for the operator.
        item: Position in an array of fixes, of the newest one; None for a whole message.
        count: How many since the service began to count.
        last_time: When the newest was received.
    """

    device: str
    code: str
    reason: str
    count: int
    last_time: str
    item: int | None = None


class UnassignedView(msgspec.Struct, frozen=True, kw_only=True):
    """A device that reports and that nobody carries. Contains no coordinate.

    Attributes:
        reports: Fixes and events of the last week, up to a limit.
        first_time, last_time: When the first and the last of these were received.
    """

    device: str
    reports: int
    first_time: str
    last_time: str


class PartView(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the service: how it is, and what an operator should know about it."""

    state: ServiceState
    detail: str = ""


class DegradedView(msgspec.Struct, frozen=True, kw_only=True):
    """A degraded state that goes on.

    Attributes:
        name: `broker`, `database`, `engine` or `fleet`.
        detail: What is wrong, and what it means.
    """

    name: str
    detail: str
    since: str


class ServiceView(msgspec.Struct, frozen=True, kw_only=True):
    """How the service itself is.

    Attributes:
        lag_ms: Age of the oldest message that is received but not yet decided on; None when
            not known.
        stored_lag: Messages in the journal that the database does not have yet.
        last_message: When the newest message of any device arrived; None when there was none.
        counts: What the status bar may show: `devices`, `fixes`, `refused`, ...
        build: Version and commit of the service.
        probe: Whether the alert of the synthetic pair comes in time; None: not tried.
        flood_since: More alerts are raised than can be handled; None when not.
        fleet: Whether very many devices are silent at once.
        degraded: What of all this goes on now, the longest first; technical contacts are told of it.
        alerts_open: How many are open, of tier 1 to 4.
    """

    broker: PartView
    database: PartView
    engine: PartView
    lag_ms: float | None = None
    stored_lag: int | None = None
    last_message: str | None = None
    counts: dict[str, int] = {}
    build: str = ""
    flood_since: str | None = None
    alerts_open: tuple[int, ...] = ()
    fleet: PartView | None = None
    degraded: tuple[DegradedView, ...] = ()
    probe: PartView | None = None


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the page needs to start, at one instant. Of the alerts, `ALERTS_SHOWN`."""

    server_time: str
    devices: list[DeviceView]
    watches: list[WatchView]
    zones: list[ZoneView]
    alerts: list[Alert]
    service: ServiceView


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the process lives, and whether it does its work. Reasons say what is missing."""

    live: bool
    ready: bool
    reasons: tuple[str, ...] = ()


class SessionView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, and to which version of the console."""

    operator: str
    build: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a request was not carried out.

    Attributes:
        error: What happened.
        what_to_do: What the person can do about it.
        alert: For a conflict, the alert as it stands now.
    """

    error: str
    what_to_do: str
    alert: Alert | None = None
