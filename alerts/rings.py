"""Whether an order keeps to what its profile says of rings."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.profile_rules import Profile, Rings
from devices.caseload import Order, Proximity

DEFAULT_OUTER_FACTOR = 2.0
"""The outer ring of a condition that names none, as `devices.compiler` makes it."""

_TOLERANCE_M = 0.5


def ring_problems(order: Order, profile: Profile) -> Iterator[str]:
    """What the order's rings break, one text each for whoever enters it."""
    for condition in order.conditions:
        if isinstance(condition, Proximity):
            where = f"order {order.id}, condition {condition.id}"
            for problem in _problems(condition, profile.rings):
                yield f"{where}: {problem} (profile {profile.name})"


def _problems(condition: Proximity, rings: Rings) -> Iterator[str]:
    alert_m = condition.alert_m
    if rings.alert_from_m is not None and alert_m < rings.alert_from_m:
        yield f"alert_m is {alert_m:g}, but must be at least {rings.alert_from_m:g}"
    if rings.alert_to_m is not None and alert_m > rings.alert_to_m:
        yield f"alert_m is {alert_m:g}, but must be at most {rings.alert_to_m:g}"
    if rings.alert_step_m is not None:
        steps = round(alert_m / rings.alert_step_m)
        if abs(steps * rings.alert_step_m - alert_m) > _TOLERANCE_M:
            yield f"alert_m is {alert_m:g}, but must be a multiple of {rings.alert_step_m:g}"
    if rings.outer_factor is not None:
        outer_m = condition.pre_alert_m or DEFAULT_OUTER_FACTOR * alert_m
        if abs(outer_m - rings.outer_factor * alert_m) > _TOLERANCE_M:
            wanted_m = rings.outer_factor * alert_m
            yield f"pre_alert_m is {outer_m:g}, but must be exactly {wanted_m:g}"
