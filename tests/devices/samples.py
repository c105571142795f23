"""Caseloads for the tests of this room: one written out, and any number drawn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from hypothesis import strategies as st

from devices.caseload import (
    Agency,
    Assignment,
    Caseload,
    Circle,
    Condition,
    Corridor,
    Device,
    Exclusion,
    Inclusion,
    Order,
    Person,
    Proximity,
    Window,
)
from devices.instants import from_iso

NOON_US = from_iso("2026-11-23T12:00:00Z")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def square(west: float, south: float, size: float = 0.01) -> dict[str, Any]:
    """A GeoJSON square with its south-west corner at the given degrees."""
    east, north = west + size, south + size
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def tree() -> dict[str, Any]:
    """A small caseload as plain lists and dicts, for a test to damage."""
    return {
        "agencies": [{"id": "centre", "name": "Monitoring centre"}],
        "people": [
            {"id": "w1", "role": "wearer"},
            {"id": "w2", "role": "wearer"},
            {"id": "p1", "role": "protected", "name": "A. B.", "language": "es"},
        ],
        "devices": [
            {"id": "tag-1", "kind": "tag", "fix_interval_s": 15},
            {"id": "tag-2", "kind": "tag"},
            {"id": "phone-1", "kind": "handset"},
            {"id": "phone-2", "kind": "handset"},
            {"id": "home-1", "kind": "home_unit"},
        ],
        "assignments": [
            {"device": "tag-1", "person": "w1", "from": "2026-01-01T00:00:00Z"},
            {"device": "tag-2", "person": "w2", "from": "2026-01-01T00:00:00Z"},
            {
                "device": "phone-1",
                "person": "p1",
                "from": "2026-01-01T01:00:00+01:00",
                "to": "2026-12-01T00:00:00Z",
            },
            {"device": "home-1", "person": "w1", "from": "2026-01-01T00:00:00Z"},
        ],
        "orders": [
            {
                "id": "order-1",
                "agency": "centre",
                "wearer": "w1",
                "valid_from": "2026-01-01T00:00:00Z",
                "time_zone": "Europe/Madrid",
                "profile": "spain",
                "conditions": [
                    {"id": "keep-away", "type": "proximity", "protected": "p1", "alert_m": 500},
                    {
                        "id": "school",
                        "type": "exclusion",
                        "name": "School",
                        "geometry": square(-1.25, 51.75),
                        "buffer_m": 100,
                        "protected": "p1",
                    },
                    {
                        "id": "curfew",
                        "type": "inclusion",
                        "circle": {"lat": 51.7, "lon": -1.2, "radius_m": 100},
                        "schedule": [{"days": ["mon", "tue"], "from": "21:00", "to": "06:00"}],
                    },
                ],
            }
        ],
    }


def sample() -> Caseload:
    """The same as `tree`, typed."""
    return msgspec.convert(tree(), Caseload)


_WEARERS = ("w1", "w2", "w3")
_PROTECTED = ("p1", "p2", "p3")
_TAGS = ("t1", "t2", "t3", "t4")
_HANDSETS = ("h1", "h2", "h3", "h4")
_HOURS = ("00:00", "02:30", "08:15", "22:00", "24:00")


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A weekly window, often past midnight or a whole day."""
    days = draw(
        st.lists(
            st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
            min_size=1,
            max_size=7,
            unique=True,
        )
    )
    return msgspec.convert(
        {
            "days": days,
            "from": draw(st.sampled_from(_HOURS[:-1])),
            "to": draw(st.sampled_from(_HOURS)),
        },
        Window,
    )


@st.composite
def _conditions(draw: st.DrawFn, name: str) -> Condition:
    protected = st.sampled_from(_PROTECTED)
    kind = draw(st.sampled_from(["proximity", "exclusion", "inclusion"]))
    if kind == "proximity":
        return Proximity(
            id=name, protected=draw(protected), alert_m=float(draw(st.integers(20, 5000)))
        )
    zone = Exclusion if kind == "exclusion" else Inclusion
    lat, lon = draw(st.floats(-80, 80)), draw(st.floats(-180, 179))
    outline: dict[str, Any] = (
        {"circle": Circle(lat=lat, lon=lon, radius_m=100.0)}
        if draw(st.booleans())
        else {"geometry": square(lon, lat)}
    )
    if kind == "exclusion" and draw(st.booleans()):
        middle = lat if "circle" in outline else lat + 0.005
        line = [[lon - 0.02, middle], [lon + 0.02, middle]]
        way = {"type": "LineString", "coordinates": line}
        outline["corridors"] = (Corridor(geometry=way, width_m=40.0),)
    return zone(
        id=name,
        protected=draw(st.none() | protected),
        schedule=tuple(draw(st.lists(windows(), max_size=2))),
        **outline,
    )


@st.composite
def _assignments(draw: st.DrawFn, device: str, people: tuple[str, ...]) -> list[Assignment]:
    """Periods of one device, one after the other."""
    result, begin = [], BEGIN + timedelta(days=draw(st.integers(0, 400)))
    for _ in range(draw(st.integers(0, 3))):
        end = begin + timedelta(days=draw(st.integers(1, 200)))
        person = draw(st.sampled_from(people))
        last = draw(st.booleans())
        result.append(
            Assignment(device=device, person=person, from_=begin, to=None if last else end)
        )
        if last:
            break
        begin = end + timedelta(hours=draw(st.integers(0, 48)))
    return result


@st.composite
def caseloads(draw: st.DrawFn) -> Caseload:
    """A caseload that the rules find nothing wrong with."""
    assignments = [a for tag in _TAGS for a in draw(_assignments(tag, _WEARERS))]
    assignments += [a for handset in _HANDSETS for a in draw(_assignments(handset, _PROTECTED))]
    assignments += draw(_assignments("u1", _WEARERS + _PROTECTED))
    orders = []
    for i in range(draw(st.integers(0, 3))):
        begin = BEGIN + timedelta(days=draw(st.integers(0, 400)))
        lasts_days = draw(st.none() | st.integers(1, 300))
        end = None if lasts_days is None else begin + timedelta(days=lasts_days)
        names = [f"c{i}-{j}" for j in range(draw(st.integers(1, 3)))]
        orders.append(
            Order(
                id=f"o{i}",
                agency=draw(st.sampled_from(["a1", "a2"])),
                wearer=draw(st.sampled_from(_WEARERS)),
                valid_from=begin,
                valid_to=end,
                time_zone=draw(st.sampled_from(["UTC", "Europe/London", "America/Montevideo"])),
                conditions=tuple(draw(_conditions(name)) for name in names),
            )
        )
    return Caseload(
        agencies=(Agency(id="a1", name="One"), Agency(id="a2", name="Two")),
        people=(
            *(Person(id=name, role="wearer") for name in _WEARERS),
            *(Person(id=name, role="protected") for name in _PROTECTED),
        ),
        devices=(
            *(Device(id=name, kind="tag") for name in _TAGS),
            *(Device(id=name, kind="handset") for name in _HANDSETS),
            Device(id="u1", kind="home_unit"),
        ),
        assignments=tuple(draw(st.permutations(assignments))),
        orders=tuple(draw(st.permutations(orders))),
    )
