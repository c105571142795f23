"""A service in memory, as the console asks for it, and a small world to show."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from alerts.choosing import ChoiceChange
from alerts.conduct import Pattern
from alerts.deliveries import DeliveryRecord
from alerts.errors import NoSuchAlert, VersionConflict
from alerts.load import Load, LoadFigures
from alerts.looks import Look
from alerts.model import Alert
from alerts.protection import Protection
from alerts.ranking import Ranking
from alerts.reality import Reality
from alerts.steps import Step
from console.access import Access, Operator, sha256_hex
from console.her_backend import ChoiceRefusedError, HerChoices, NoSuchPersonError, SetChoices
from console.hub import Hub
from console.views import (
    ALERTS_SHOWN,
    DeviceView,
    Health,
    PartView,
    Picture,
    RefusalView,
    ServiceView,
    UnassignedView,
    WatchView,
    ZoneView,
)
from devices.choices import Choices
from devices.instants import MICROSECONDS, to_iso

NOW_US = 1_795_543_445_000_000
TOKEN = "correct horse battery staple"
OPERATOR = "Ana"


class Time:
    """A clock that stands until it is moved."""

    def __init__(self, now_us: int = NOW_US) -> None:
        self.now_us = now_us

    def __call__(self) -> int:
        return self.now_us

    def pass_s(self, seconds: float) -> None:
        self.now_us += int(seconds * MICROSECONDS)


def alert(alert_id: str = "a1", **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "alert_id": alert_id,
        "episode_id": f"e-{alert_id}",
        "condition_id": "c1",
        "condition": "proximity",
        "tier": 2,
        "level": "alert",
        "agency": "centre",
        "wearer": "w1",
        "protected": "p1",
        "distance_m": 243.2,
        "distance_low_m": 221.0,
        "distance_high_m": 265.9,
        "probability": 0.997,
        "decided_at": to_iso(NOW_US),
        "rules": "1",
        "build": "0.1.0",
        "version": 1,
        "highest_level": "alert",
        "state": "active",
        "onset": to_iso(NOW_US - 20 * MICROSECONDS),
        "raised_at": to_iso(NOW_US - 15 * MICROSECONDS),
        "watch": "c1/tag-1/phone-1",
    }
    return Alert(**(values | changes))


def panic(alert_id: str = "a1", **changes: Any) -> Alert:
    """An alert that ends only when somebody closes it."""
    values: dict[str, Any] = {
        "condition": "panic",
        "condition_id": "",
        "tier": 1,
        "level": "panic",
        "highest_level": "panic",
        "wearer": None,
        "distance_m": None,
        "distance_low_m": None,
        "distance_high_m": None,
        "probability": None,
        "watch": "",
        "device": "phone-1",
    }
    return alert(alert_id, **(values | changes))


def device(device_id: str, **changes: Any) -> DeviceView:
    values: dict[str, Any] = {
        "id": device_id,
        "kind": "tag",
        "person": "w1",
        "name": "Marek D.",
        "role": "wearer",
        "lat": 51.7520,
        "lon": -1.2577,
        "accuracy_m": 18.0,
        "fix_time": to_iso(NOW_US - 2 * MICROSECONDS),
        "fix_interval_s": 5.0,
        "battery_pct": 81,
        "online": True,
    }
    return DeviceView(**(values | changes))


def watch(key: str = "c1/tag-1/phone-1", **changes: Any) -> WatchView:
    values: dict[str, Any] = {
        "key": key,
        "condition": "proximity",
        "name": "No contact",
        "wearer": "w1",
        "protected": "p1",
        "tag": "tag-1",
        "handset": "phone-1",
        "level": "alert",
        "distance_m": 243.2,
        "low_m": 221.0,
        "high_m": 265.9,
        "probability": 0.997,
        "contact_m": 50.0,
        "alert_m": 300.0,
        "pre_alert_m": 600.0,
    }
    return WatchView(**(values | changes))


def service(**changes: Any) -> ServiceView:
    up = PartView(state="up")
    values: dict[str, Any] = {
        "broker": up,
        "database": up,
        "engine": up,
        "lag_ms": 3.0,
        "stored_lag": 0,
        "counts": {"refused": 0},
        "build": "0.1.0",
    }
    return ServiceView(**(values | changes))


def box(lat: float, lon: float, half_deg: float) -> dict[str, Any]:
    west, east = lon - half_deg * 1.6, lon + half_deg * 1.6
    south, north = lat - half_deg, lat + half_deg
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


class FakeBackend:
    """Keeps the alerts' rules that the console must be able to show: versions and steps."""

    def __init__(self) -> None:
        self.time = Time()
        self.alerts: dict[str, Alert] = {}
        self.devices = [
            device("tag-1"),
            device(
                "phone-1",
                kind="handset",
                person="p1",
                name="Ms K.",
                role="protected",
                lat=51.7539,
                lon=-1.2559,
                accuracy_m=9.0,
            ),
        ]
        self.watches = [watch()]
        self.zones = [
            ZoneView(
                key="z1/tag-1", name="School", kind="exclusion", geometry=box(51.76, -1.26, 0.001)
            )
        ]
        self.parts = service()
        self.rows: list[RefusalView] = []
        self.strangers: list[UnassignedView] = []
        self.protected: list[Protection] = []
        self.letters: list[DeliveryRecord] = []
        self.conduct: list[Pattern] = []
        self.calls: list[tuple[str, ...]] = []
        self.map: bytes | None = None
        self.her = FakeHer()
        self.state = Health(live=True, ready=True)

    def picture(self) -> Picture:
        return Picture(
            server_time=to_iso(self.time()),
            devices=self.devices,
            watches=self.watches,
            zones=self.zones,
            alerts=self.open_alerts(ALERTS_SHOWN, 0),
            service=self.service(),
        )

    def service(self) -> ServiceView:
        return msgspec.structs.replace(self.parts, alerts_open=self.ranking().by_tier())

    def ranking(self) -> Ranking:
        found = Ranking()
        for one in self.alerts.values():
            found.change(None, one)
        return found

    def open_alert(self, alert_id: str) -> Alert | None:
        return self.alerts.get(alert_id)

    def open_alerts(self, limit: int, offset: int) -> list[Alert]:
        return [self.alerts[found] for found in self.ranking().first(limit, offset)]

    def _changed(self, alert_id: str, version: int) -> Alert:
        found = self.alerts.get(alert_id)
        if found is None:
            raise NoSuchAlert(alert_id)
        if found.version != version:
            actor = found.acknowledged_by or "system"
            kind = "acknowledged" if found.acknowledged_by else "level"
            raise VersionConflict(
                alert_id, seen=version, version=found.version, actor=actor, kind=kind
            )
        return found

    async def act(self, alert_id: str, step: Step, version: int, operator: str) -> Alert:
        name = type(step).__name__.removesuffix("Act").lower()
        note = getattr(step, "note", "")
        self.calls.append((name, alert_id, operator, *([note] if note else [])))
        found = self._changed(alert_id, version)
        fields = step.fields(found, operator, self.time())
        changed = msgspec.structs.replace(found, version=version + 1, **fields)
        if changed.resolved_by is None:
            self.alerts[alert_id] = changed
        else:
            del self.alerts[alert_id]
        return changed

    async def confirm(self, delivery_id: str, operator: str) -> bool:
        self.calls.append(("confirm", delivery_id, operator))
        return delivery_id == "d1"

    def protections(self) -> list[Protection]:
        return self.protected

    def load(self) -> LoadFigures:
        burden = Load(NOW_US)
        return burden.figures(self.time(), self.ranking(), 1)

    def dead_letters(self) -> list[DeliveryRecord]:
        return self.letters

    async def refusals(self, limit: int) -> list[RefusalView]:
        return self.rows[:limit]

    async def unassigned(self, limit: int) -> list[UnassignedView]:
        return self.strangers[:limit]

    async def patterns(self, limit: int) -> list[Pattern]:
        return [msgspec.structs.replace(one, acts=()) for one in self.conduct[:limit]]

    async def pattern(self, pattern_id: str) -> Pattern | None:
        return next((one for one in self.conduct if one.pattern_id == pattern_id), None)

    def basemap(self) -> bytes | None:
        return self.map

    def health(self) -> Health:
        return self.state


class FakeHer:
    """Her choices and who looked, in memory."""

    def __init__(self) -> None:
        self.chosen = Choices()
        self.seen: list[tuple[str, ...]] = []
        self.rows: list[Look] = []
        self.refuses = False
        self.answers: dict[str, Reality] = {}

    async def choices(self, person: str) -> HerChoices:
        if person != "p1":
            raise NoSuchPersonError
        return HerChoices(
            person=person, version=1, by="p1", choices=self.chosen, held=0, history=[]
        )

    async def choose(self, person: str, asked: SetChoices, operator: str) -> ChoiceChange:
        if self.refuses:
            raise ChoiceRefusedError("This cannot be switched off. It is there for your safety")
        self.chosen = asked.choices
        return ChoiceChange(
            id="c1",
            type="cordon.choice.set",
            time=to_iso(NOW_US),
            person=person,
            version=2,
            choices=asked.choices,
            by=operator,
            way="console",
            asked_at=to_iso(NOW_US),
            note=asked.note,
        )

    def look(self, who: str, what: str, subject: str, *, role: str, purpose: str = "") -> None:
        self.seen.append((who, role, what, subject, purpose))

    async def was_real(self, alert_id: str) -> Reality:
        if alert_id not in self.answers:
            raise NoSuchAlert(alert_id)
        return self.answers[alert_id]

    async def looked(self, person: str, limit: int) -> list[Look]:
        return [one for one in self.rows if one.subject in {person, "*"}][:limit]


def make_access(time: Time, **settings: Any) -> Access:
    operators = [Operator(name=OPERATOR, token_sha256=sha256_hex(TOKEN))]
    return Access(operators, time, **settings)


def make_hub(time: Time, **settings: Any) -> Hub:
    return Hub("boot1", time, build="0.1.0", **settings)


def grid_town(lat: float, lon: float, blocks: int = 12, block_deg: float = 0.0016) -> bytes:
    """Streets in a grid, a river and a park: enough ground to look at in a picture."""
    half = blocks * block_deg / 2
    features = [
        _feature("park", "Polygon", box(lat + half / 2, lon - half, half / 4)["coordinates"]),
        _feature("water", "Polygon", [_river(lat, lon, half)]),
    ]
    for index in range(blocks + 1):
        offset = -half + index * block_deg
        major = index % 4 == 2
        across = [[lon - 2 * half, lat + offset], [lon + 2 * half, lat + offset]]
        along = [[lon + 1.6 * offset, lat - half], [lon + 1.6 * offset, lat + half]]
        features.append(
            _feature("street", "LineString", across, f"{index + 1} Street", major=major)
        )
        features.append(_feature("street", "LineString", along, f"{index + 1} Avenue", major=major))
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def _river(lat: float, lon: float, half: float) -> list[list[float]]:
    steps = [index / 20 for index in range(-20, 21)]
    mid = [lat - half / 2 + half / 3 * math.sin(3 * step) for step in steps]
    west = [[lon + 2 * half * s, m] for s, m in zip(steps, mid, strict=True)]
    east = [[lon + 2 * half * s, m + half / 12] for s, m in zip(steps, mid, strict=True)]
    return [*west, *reversed(east), west[0]]


def _feature(kind: str, shape: str, at: Any, name: str = "", **more: Any) -> dict[str, Any]:
    properties = {"kind": kind, **({"name": name} if name else {}), **more}
    geometry = {"type": shape, "coordinates": at}
    return {"type": "Feature", "properties": properties, "geometry": geometry}
