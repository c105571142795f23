"""One form for every caseload that means the same, and putting one on top of another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from devices.caseload import Assignment, Caseload
from devices.instants import from_datetime, from_iso, to_iso


def canonical(caseload: Caseload) -> Caseload:
    """The same caseload with its items sorted by id, instants in UTC and geometries reduced.

    Conditions keep their order within an order. Of a geometry, type and coordinates remain, all
    numbers as floats and without heights: what the engine sees, and what comes back from the
    database unchanged.

    Args:
        caseload: Free of problems by `devices.rules.check`.
    """
    tree = msgspec.to_builtins(caseload)
    for order in tree["orders"]:
        for condition in order["conditions"]:
            for shape in (condition, *condition.get("corridors", ())):
                if shape.get("geometry") is not None:
                    shape["geometry"] = _reduced(shape["geometry"])
    for item in (*tree["assignments"], *tree["orders"]):
        for name in ("from", "to", "valid_from", "valid_to"):
            if item.get(name) is not None:
                item[name] = to_iso(from_iso(item[name]))
    for section in ("agencies", "people", "devices", "orders"):
        tree[section] = sorted(tree[section], key=lambda item: item["id"])
    tree["assignments"] = sorted(
        tree["assignments"], key=lambda item: (item["device"], item["from"])
    )
    return msgspec.convert(_without_minus_zero(tree), Caseload)


def encode(caseload: Caseload) -> bytes:
    """The JSON bytes of a canonical caseload: the same for every caseload that means the same."""
    return msgspec.json.encode(caseload)


def digest(caseload: Caseload) -> str:
    """SHA-256 in hexadecimal of what `encode` gives for a canonical caseload."""
    return hashlib.sha256(encode(caseload)).hexdigest()


def merged(below: Caseload, above: Caseload) -> Caseload:
    """Everything of both; what has the same id is taken from `above`.

    An assignment is the same when device and begin are, so its end can be set later. An order is
    replaced as a whole: a condition it no longer has is gone. The items of `above` come first,
    as they are, so that a problem's field names the same item in both.
    """
    return Caseload(
        agencies=_with_rest(above.agencies, below.agencies, _id),
        people=_with_rest(above.people, below.people, _id),
        devices=_with_rest(above.devices, below.devices, _id),
        assignments=_with_rest(above.assignments, below.assignments, assignment_key),
        orders=_with_rest(above.orders, below.orders, _id),
    )


def assignment_key(assignment: Assignment) -> tuple[str, int]:
    """What makes an assignment the same one: the device and when the period begins."""
    return assignment.device, from_datetime(assignment.from_)


def _id(item: Any) -> str:
    return str(item.id)


def _with_rest(
    above: tuple[Any, ...], below: tuple[Any, ...], key: Callable[[Any], object]
) -> tuple[Any, ...]:
    replaced = {key(item) for item in above}
    return above + tuple(item for item in below if key(item) not in replaced)


def _without_minus_zero(value: Any) -> Any:
    """Copies a tree; -0.0 becomes 0.0, because PostgreSQL's numbers know only one zero."""
    if isinstance(value, dict):
        return {key: _without_minus_zero(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_minus_zero(item) for item in value]
    return value + 0.0 if isinstance(value, float) else value


def _reduced(geometry: dict[str, Any]) -> dict[str, Any]:
    return {"type": geometry["type"], "coordinates": _degrees(geometry["coordinates"])}


def _degrees(coordinates: list[Any]) -> list[Any]:
    if isinstance(coordinates[0], list):
        return [_degrees(item) for item in coordinates]
    return [float(number) + 0.0 for number in coordinates[:2]]
