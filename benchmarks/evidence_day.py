"""A day of fixes of many pairs, as batches, and the caseload they belong to.

Pairs live as far from each other as those of the ordinary town (`benchmarks.town`): some kilometres,
0.6 % within 500 m. The nearest pair drawn shares a house, so that there is something to decide. In a *near*
day all pairs do: they walk 200 to 300 m apart all day, at an alert distance of 200 m, which no caseload is
like, and every pair is in question at every sweep.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np

from benchmarks.town import DEGREE_M, away_m
from devices.caseload import Agency, Assignment, Caseload, Device, Order, Person, Proximity
from devices.instants import from_datetime, to_datetime
from devices.reports import FIX_DTYPE, MISSING, Batch, FixArray, Message
from geofence.plan import FloatArray

DAY = datetime(2026, 11, 20, tzinfo=UTC)
START_US = from_datetime(DAY)
DAY_US = 86_400_000_000
EVERY_US = 10_000_000
FIXES_A_DAY = DAY_US // EVERY_US
LEAST_FIXES = 200
_LAT_DEG, _LON_DEG = 51.5, -0.1


def entries_of(devices: int, every_us: int = EVERY_US, *, near: bool = False) -> Iterator[Batch]:
    """A day: every ten seconds a fix of each device, on walks that keep near home.

    `near`: every two of a pair share a home. A batch holds at least `LEAST_FIXES`: few devices send
    theirs in bundles.
    """
    random = np.random.default_rng(1)
    names = tuple(f"{'tag' if i % 2 == 0 else 'phone'}-{i // 2}" for i in range(devices))
    homes = random.uniform(-0.3, 0.3, (2, (devices + 1) // 2)).repeat(2, axis=1)[:, :devices]
    if not near and devices > 1:
        homes[:, 1::2] += _away_deg(devices // 2)
    steps = DAY_US // every_us
    place = homes + random.normal(0, 2e-3, (2, devices))
    speed = np.zeros((2, devices))
    bundle = max(1, LEAST_FIXES // devices)
    parts, number = [], 0
    for step in range(steps):
        speed = 0.95 * speed + random.normal(0, 2e-5, (2, devices)) + 0.002 * (homes - place)
        place = place + speed
        now_us = START_US + step * every_us
        fixes = np.zeros(devices, FIX_DTYPE)
        fixes["device"] = np.arange(devices)
        fixes["seq"] = step + 1
        fixes["time_us"] = now_us
        fixes["lat_e7"] = ((_LAT_DEG + place[0]) * 1e7).astype(np.int32)
        fixes["lon_e7"] = ((_LON_DEG + place[1]) * 1e7).astype(np.int32)
        fixes["accuracy_cm"] = random.integers(4, 12, devices) * 100
        fixes["speed_cms"] = random.integers(0, 180, devices)
        fixes["course_cdeg"] = random.integers(0, 360, devices) * 100
        fixes["altitude_dm"] = 350
        fixes["satellites"] = random.integers(7, 14, devices)
        fixes["hdop_c"] = 90
        fixes["battery_pct"] = 100 - 70 * step // steps
        fixes["charging"] = MISSING
        parts.append(fixes)
        if len(parts) == bundle or step + 1 == steps:
            yield _batch(number := number + 1, now_us + 800_000, names, np.concatenate(parts))
            parts = []


def _away_deg(pairs: int) -> FloatArray:
    """(2, pairs) from his home to hers, degrees north and east; none for the pair that is nearest."""
    steps_m = away_m(np.random.default_rng(2), pairs)
    steps_m[np.argmin(np.linalg.norm(steps_m, axis=1))] = 0.0
    east_m, north_m = steps_m.T
    return np.stack([north_m, east_m / np.cos(np.radians(_LAT_DEG))]) / DEGREE_M


def _batch(number: int, received_us: int, names: tuple[str, ...], fixes: FixArray) -> Batch:
    fixes["message"] = np.arange(len(fixes))
    rows = fixes[["device", "time_us", "seq", "lat_e7", "lon_e7", "accuracy_cm"]].tolist()
    messages = tuple(
        Message(received_us, f"cordon/v1/{names[device]}/fix", _payload(*row))
        for device, *row in rows
    )
    return Batch(
        gateway="bench",
        number=number,
        received_us=received_us,
        messages=messages,
        devices=names,
        fixes=fixes,
    )


def _payload(time_us: int, seq: int, lat_e7: int, lon_e7: int, accuracy_cm: int) -> bytes:
    at = to_datetime(time_us).isoformat().replace("+00:00", "Z")
    fix = {"seq": seq, "time": at, "lat": lat_e7 / 1e7, "lon": lon_e7 / 1e7}
    return json.dumps({**fix, "accuracy_m": accuracy_cm / 100}).encode()


def again(batches: Iterator[Batch], count: int) -> list[Batch]:
    """The first few, under other names: what comes again is the fixes."""
    return [
        msgspec.structs.replace(batch, gateway="again")
        for batch in itertools.islice(batches, count)
    ]


def caseload_of(devices: int) -> Caseload:
    """Pairs of a tag and a handset, each under an order."""
    since = DAY - timedelta(days=100)
    pairs = range(devices // 2)
    return Caseload(
        agencies=(Agency(id="centre", name="Centre"),),
        people=tuple(
            Person(id=f"{who}-{i}", role=role)  # type: ignore[arg-type]
            for i in pairs
            for who, role in (("he", "wearer"), ("she", "protected"))
        ),
        devices=tuple(
            Device(id=f"{kind}-{i}", kind=what)  # type: ignore[arg-type]
            for i in pairs
            for kind, what in (("tag", "tag"), ("phone", "handset"))
        ),
        assignments=tuple(
            Assignment(device=f"{kind}-{i}", person=f"{who}-{i}", from_=since)
            for i in pairs
            for kind, who in (("tag", "he"), ("phone", "she"))
        ),
        orders=tuple(
            Order(
                id=f"order-{i}",
                agency="centre",
                wearer=f"he-{i}",
                valid_from=since,
                conditions=(Proximity(id=f"near-{i}", protected=f"she-{i}", alert_m=200.0),),
            )
            for i in pairs
        ),
    )
