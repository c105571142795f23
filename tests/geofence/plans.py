"""Small plans and fixes on a plane round a point, and ways to drive an engine with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from geofence.engine import Engine, Update
from geofence.levels import Transition
from geofence.plan import Pairs, Plan, ZoneKind, Zones

NOW_US = 1_764_000_000_000_000
S = 1_000_000
LAT, LON = 51.75, -1.25
_DEGREE_M = 111_250.0


@dataclass(frozen=True)
class Fix:
    """A fix of a track, `east_m` and `north_m` from the middle of the plane."""

    track: int
    time_us: int
    east_m: float
    north_m: float = 0.0
    accuracy_m: float | None = 5.0

    def row(self) -> tuple[int, int, int, int, int]:
        lat = LAT + self.north_m / _DEGREE_M
        lon = LON + self.east_m / (_DEGREE_M * math.cos(math.radians(LAT)))
        accuracy_cm = -1 if self.accuracy_m is None else round(self.accuracy_m * 100)
        return self.track, self.time_us, round(lat * 1e7), round(lon * 1e7), accuracy_cm


def send(engine: Engine, *fixes: Fix, now_us: int) -> Update:
    rows = np.array([fix.row() for fix in fixes], np.int64).reshape(-1, 5)
    return engine.update(*rows.T, now_us=now_us)


def make_pairs(
    *ends: tuple[str, int, int],
    alert_m: float = 500.0,
    pre_alert_m: float = 1000.0,
    contact_m: float = 50.0,
) -> Pairs:
    count = len(ends)
    return Pairs(
        tuple(key for key, _, _ in ends),
        np.array([a for _, a, _ in ends], np.int64),
        np.array([b for _, _, b in ends], np.int64),
        np.full(count, contact_m),
        np.full(count, alert_m),
        np.full(count, pre_alert_m),
    )


def pair_plan(alert_m: float = 500.0, pre_alert_m: float = 1000.0, contact_m: float = 50.0) -> Plan:
    pairs = make_pairs(
        ("c1/tag/phone", 0, 1), alert_m=alert_m, pre_alert_m=pre_alert_m, contact_m=contact_m
    )
    return Plan("pair", ("tag", "phone"), pairs)


def square_zones(
    *kinds: tuple[str, ZoneKind, int], half_m: float = 300.0, buffer_m: float = 100.0
) -> Zones:
    """Squares of twice `half_m` round the middle of the plane."""
    count = len(kinds)
    lat = half_m / _DEGREE_M
    lon = half_m / (_DEGREE_M * math.cos(math.radians(LAT)))
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)], float)
    return Zones(
        tuple(key for key, _, _ in kinds),
        np.array([track for _, _, track in kinds], np.int64),
        np.array([int(kind) for _, kind, _ in kinds], np.int64),
        np.full(count, buffer_m),
        np.full((count, 3), np.nan),
        np.arange(count + 1, dtype=np.int64),
        5 * np.arange(count + 1, dtype=np.int64),
        np.tile(LAT + lat * ring[:, 1], count),
        np.tile(LON + lon * ring[:, 0], count),
    )


def circle_zone(key: str, kind: ZoneKind, radius_m: float, buffer_m: float = 0.0) -> Zones:
    """A circle round the middle of the plane, for track 0."""
    return Zones(
        (key,),
        np.array([0]),
        np.array([int(kind)]),
        np.array([buffer_m]),
        np.array([[LAT, LON, radius_m]]),
        np.zeros(2, np.int64),
        np.zeros(1, np.int64),
        np.zeros(0),
        np.zeros(0),
    )


def zone_plan(zones: Zones) -> Plan:
    return Plan("zone", ("tag", "other"), zones=zones)


def town_plan() -> Plan:
    """Four devices, three pairs and three zones, so that most fixes touch several watches."""
    return Plan(
        "town",
        ("tag1", "tag2", "phone1", "phone2"),
        make_pairs(("a", 0, 2), ("b", 1, 2), ("c", 0, 3)),
        square_zones(
            ("x", ZoneKind.EXCLUSION, 0), ("y", ZoneKind.EXCLUSION, 1), ("h", ZoneKind.INCLUSION, 1)
        ),
    )


def comparable(transitions: Iterable[Transition]) -> list[str]:
    """NaN is not equal to itself; its text is."""
    return [repr(transition) for transition in transitions]


def levels(transitions: Sequence[Transition]) -> list[str]:
    """The names of the levels reached, in order."""
    return [transition.level.label for transition in transitions]


def approach(
    engine: Engine, distances_m: Iterable[float], start_us: int, step_s: float = 1.0
) -> list[Transition]:
    """Both devices report every second; the tag is at the distances, one after another."""
    transitions = []
    for step, east_m in enumerate(distances_m):
        now_us = start_us + round(step * step_s * S)
        fixes = Fix(1, now_us, 0.0), Fix(0, now_us, east_m)
        transitions += send(engine, *fixes, now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    return transitions


def walk(engine: Engine, east_m: Iterable[float], start_us: int = NOW_US) -> list[Transition]:
    """Track 0 reports every second, at these places one after another."""
    transitions = []
    for second, east in enumerate(east_m):
        now_us = start_us + second * S
        transitions += send(engine, Fix(0, now_us, east), now_us=now_us).transitions
        transitions += engine.sweep(now_us)
    return transitions
