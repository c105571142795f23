"""What the schema cannot say. Each damage to a sound caseload gives its own problem."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from devices import rules
from devices.caseload import Caseload
from tests.devices.samples import caseloads, sample, square, tree

CONDITIONS = ("orders", 0, "conditions")
SCHOOL = (*CONDITIONS, 1)
CURFEW = (*CONDITIONS, 2)


def check_with(*changes: tuple[tuple[Any, ...], Any]) -> dict[str, str]:
    damaged = tree()
    for path, value in changes:
        target = damaged
        for part in path[:-1]:
            target = target[part]
        if isinstance(target, list) and path[-1] == len(target):
            target.append(value)
        else:
            target[path[-1]] = value
    found = rules.check(msgspec.convert(damaged, Caseload))
    return {problem.field: problem.message for problem in found}


def test_a_sound_caseload_has_no_problems() -> None:
    assert rules.check(sample()) == []
    assert rules.check(Caseload()) == []


@settings(max_examples=50)
@given(caseloads())
def test_drawn_caseloads_are_sound(caseload: Caseload) -> None:
    assert rules.check(caseload) == []


def assignment(device: str, person: str, begin: str, end: str | None = None) -> dict[str, Any]:
    return {"device": device, "person": person, "from": begin, "to": end}


@pytest.mark.parametrize(
    ("path", "value", "field", "message"),
    [
        (("assignments", 0, "device"), "x", "assignments[0].device", "not in `devices`"),
        (("assignments", 0, "person"), "x", "assignments[0].person", "not in `people`"),
        (("assignments", 0, "person"), "p1", "assignments[0].person", "role is wearer"),
        (("assignments", 2, "person"), "w1", "assignments[2].person", "role is protected"),
        (("assignments", 0, "to"), "2026-01-01T00:00:00Z", "assignments[0].to", "not after"),
        (("assignments", 0, "to"), "9999-01-01T00:00:00Z", "assignments[0].to", "1970 to 2200"),
        (("orders", 0, "agency"), "x", "orders[0].agency", "not in `agencies`"),
        (("orders", 0, "wearer"), "x", "orders[0].wearer", "not in `people`"),
        (("orders", 0, "wearer"), "p1", "orders[0].wearer", "role is wearer"),
        (("orders", 0, "valid_to"), "2025-01-01T00:00:00Z", "orders[0].valid_to", "not after"),
        (("orders", 0, "time_zone"), "Spain/Madrid", "orders[0].time_zone", "Europe/Madrid"),
        (("orders", 0, "time_zone"), "../UTC", "orders[0].time_zone", "no time zone"),
        (("orders", 0, "time_zone"), "Europe", "orders[0].time_zone", "no time zone"),
        (CONDITIONS, [], "orders[0].conditions", "nothing would be watched"),
        ((*CONDITIONS, 0, "protected"), "w2", "orders[0].conditions[0].protected", "protected"),
        ((*CONDITIONS, 0, "alert_m"), 19, "orders[0].conditions[0].alert_m", "below 20 m"),
        ((*CONDITIONS, 0, "contact_m"), 500, "orders[0].conditions[0].contact_m", "below alert_m"),
        ((*CONDITIONS, 0, "pre_alert_m"), 500, "orders[0].conditions[0].pre_alert_m", "above"),
        ((*SCHOOL, "protected"), "x", "orders[0].conditions[1].protected", "not in `people`"),
        ((*SCHOOL, "geometry"), None, "orders[0].conditions[1]", "neither"),
        ((*CURFEW, "geometry"), square(0, 0), "orders[0].conditions[2]", "both"),
        ((*CURFEW, "circle", "radius_m"), 19.9, "orders[0].conditions[2].circle.radius_m", "20 m"),
        (
            (*CURFEW, "schedule", 0, "from"),
            "24:00",
            "orders[0].conditions[2].schedule[0].from",
            "00:00",
        ),
        (
            (*SCHOOL, "geometry", "type"),
            "Point",
            "orders[0].conditions[1].geometry.type",
            "Polygon",
        ),
        ((*SCHOOL, "geometry"), square(0, 0, 1.0), "orders[0].conditions[1].geometry", "100 km"),
        (
            (*SCHOOL, "geometry"),
            square(0, 0, 0.0003),
            "orders[0].conditions[1].geometry",
            "40 m wide",
        ),
        (
            ("people", 3),
            {"id": "w1", "role": "wearer"},
            "people[3].id",
            "already the id of people[0]",
        ),
        (("agencies", 1), {"id": "centre", "name": ""}, "agencies[1].id", "already"),
        (("devices", 5), {"id": "tag-1", "kind": "tag"}, "devices[5].id", "already"),
        ((*CURFEW, "id"), "school", "orders[0].conditions[2].id", "already"),
        (("people", 0, "name"), "a\x00b", "people[0].name", "control"),
        (("devices", 0, "model"), "a\nb", "devices[0].model", "control"),
        (("agencies", 0, "name"), "\ud83d", "agencies[0].name", "surrogate"),
        ((*SCHOOL, "name"), "\x1b[2J", "orders[0].conditions[1].name", "control"),
    ],
)
def test_each_rule(path: tuple[Any, ...], value: Any, field: str, message: str) -> None:
    found = check_with((path, value))
    assert list(found) == [field]
    assert message in found[field]


ROAD: list[list[float]] = [[-1.26, 51.755], [-1.23, 51.755]]
WAYS = "orders[0].conditions[1].corridors"


def way(line: list[list[float]], width_m: float = 60.0) -> dict[str, Any]:
    return {"geometry": {"type": "LineString", "coordinates": line}, "width_m": width_m}


@pytest.mark.parametrize(
    ("corridors", "field", "message"),
    [
        ([way(ROAD, 39.9)], f"{WAYS}[0].width_m", "below 40 m"),
        ([way(ROAD), way(ROAD, 1.0)], f"{WAYS}[1].width_m", "make it wider"),
        ([{"geometry": {}, "width_m": 60}], f"{WAYS}[0].geometry.type", "LineString"),
        ([{"geometry": square(0, 0), "width_m": 60}], f"{WAYS}[0].geometry.type", "LineString"),
        ([way(ROAD[:1])], f"{WAYS}[0].geometry.coordinates", "no length"),
        ([way([])], f"{WAYS}[0].geometry.coordinates", "at least one"),
        ([way([ROAD[0], ROAD[0]])], f"{WAYS}[0].geometry.coordinates", "no length"),
        ([way([[0, 51], [0, 95]])], f"{WAYS}[0].geometry.coordinates[1]", "in this order"),
        ([way([[0, 51], [0, 89.5]])], f"{WAYS}[0].geometry.coordinates", "89 degrees"),
        ([way([[0, 51]] * 10_001)], f"{WAYS}[0].geometry.coordinates", "10,001 positions"),
        ([way([[-1.26, 51.74], [-1.23, 51.74]])], f"{WAYS}[0].geometry", "does not meet"),
        ([way(ROAD), way([[1.26, 51.755], [1.23, 51.755]])], f"{WAYS}[1].geometry", "not meet"),
        ([way([*ROAD, [4.0, 51.755]])], f"{WAYS}[0].geometry", "far beyond"),
        ([way(ROAD, 2_000.0)], WAYS, "leave nothing of the zone that is 40 m wide"),
        ([way(ROAD)] * 51, WAYS, "at most 50 are allowed"),
    ],
)
def test_corridors_that_cannot_be_used(
    corridors: list[dict[str, Any]], field: str, message: str
) -> None:
    found = check_with(((*SCHOOL, "corridors"), corridors))
    assert list(found) == [field]
    assert message in found[field]


@pytest.mark.parametrize(
    "corridors",
    [
        [way(ROAD)],
        [way(ROAD, 40.0), way([[-1.245, 51.74], [-1.245, 51.77]], 100.0)],
        # Beside the zone, but wide enough to reach into it: 51.7605 is 56 m north of it.
        [way([[-1.26, 51.7605], [-1.23, 51.7605]], 120.0)],
        # Within the zone from end to end, with a height.
        [way([[-1.246, 51.755, 80.0], [-1.244, 51.756, 90.0]])],
    ],
)
def test_corridors_that_can(corridors: list[dict[str, Any]]) -> None:
    assert check_with(((*SCHOOL, "corridors"), corridors)) == {}


def test_a_corridor_may_lead_through_a_circle_but_not_out_of_an_inclusion_zone() -> None:
    found = check_with(((*CURFEW, "corridors"), [way([[-1.21, 51.7], [-1.19, 51.7]])]))
    assert list(found) == ["orders[0].conditions[2].corridors"]
    assert "exclusion zones only" in found["orders[0].conditions[2].corridors"]
    through = check_with(
        ((*CURFEW, "type"), "exclusion"),
        ((*CURFEW, "corridors"), [way([[-1.21, 51.7], [-1.19, 51.7]])]),
    )
    assert through == {}
    beside = check_with(
        ((*CURFEW, "type"), "exclusion"),
        ((*CURFEW, "corridors"), [way([[-1.21, 51.702], [-1.19, 51.702]])]),
    )
    assert list(beside) == ["orders[0].conditions[2].corridors[0].geometry"]


@pytest.mark.parametrize("lat", [-90, -89.5, 89.999, 90])
def test_near_a_pole_a_circle_will_do(lat: float) -> None:
    circle = {"lat": lat, "lon": 12.0, "radius_m": 5_000}
    assert check_with(((*CURFEW, "circle"), circle)) == {}
    outline = square(12.0, lat - 0.01 if lat > 0 else lat)
    found = check_with(((*SCHOOL, "geometry"), outline))
    assert "draw a circle" in found["orders[0].conditions[1].geometry.coordinates[0]"]


def test_a_corridor_in_the_hole_of_a_zone_allows_nothing() -> None:
    ring = square(-1.25, 51.75)["coordinates"][0]
    hole = square(-1.248, 51.752, 0.006)["coordinates"][0]
    around = {"type": "Polygon", "coordinates": [ring, hole]}
    found = check_with(
        ((*SCHOOL, "geometry"), around),
        ((*SCHOOL, "corridors"), [way([[-1.246, 51.755], [-1.244, 51.755]])]),
    )
    assert list(found) == [f"{WAYS}[0].geometry"]


def test_what_is_wrong_with_a_zone_is_not_said_of_its_corridors() -> None:
    for geometry in (square(0, 0, 3.0), square(-1.25, 51.75, 0.0003), None):
        found = check_with(((*SCHOOL, "geometry"), geometry), ((*SCHOOL, "corridors"), [way(ROAD)]))
        assert len(found) == 1
        assert WAYS not in next(iter(found))


def test_condition_ids_are_unique_over_all_orders() -> None:
    second = tree()["orders"][0] | {"id": "order-2", "wearer": "w2"}
    found = check_with((("orders", 1), second))
    assert list(found) == [f"orders[1].conditions[{i}].id" for i in range(3)]


@pytest.mark.parametrize(
    ("begin", "end", "overlaps"),
    [
        ("2026-12-01T00:00:00Z", None, False),
        ("2026-12-01T00:30:00+01:00", None, True),
        ("2026-11-30T23:59:59Z", None, True),
        ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False),
        ("2025-01-01T00:00:00Z", "2026-01-01T00:00:01Z", True),
        ("2025-01-01T00:00:00Z", None, True),
        ("2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z", True),
    ],
)
def test_periods_of_a_device_do_not_overlap(begin: str, end: str | None, overlaps: object) -> None:
    found = check_with((("assignments", 4), assignment("phone-1", "p1", begin, end)))
    assert bool(found) == overlaps
    assert all("still assigned" in message for message in found.values())


def test_a_long_period_is_compared_with_all_that_begin_in_it() -> None:
    found = check_with(
        (
            ("assignments", 4),
            assignment("phone-1", "p1", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ),
        (
            ("assignments", 5),
            assignment("phone-1", "p1", "2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z"),
        ),
    )
    assert list(found) == ["assignments[4].from", "assignments[5].from"]


def test_a_home_unit_may_be_anybodys() -> None:
    assert check_with((("assignments", 3, "person"), "p1")) == {}


def test_all_problems_are_found_at_once() -> None:
    found = check_with(
        (("assignments", 0, "device"), "x"),
        (("orders", 0, "agency"), "x"),
        ((*CONDITIONS, 0, "alert_m"), 5),
        ((*SCHOOL, "geometry"), {"type": "Polygon", "coordinates": []}),
    )
    assert len(found) == 4
