"""What the machine measures of a device and a zone, in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geofence.crossing import crossed
from geofence.layout import Layout, lay_out
from geofence.plan import ZoneKind, Zones
from geofence.sensitivity import DEFAULT_SENSITIVITY
from geofence.track import reach_m
from geofence.zones import zone_m
from tests.geofence.plans import S, zone_plan
from tests.geofence.watch_twin import ALERT, PRE_ALERT, WatchTwin, less


def zone_twin(zones: Zones, listening_us: int) -> ZoneTwin:
    """Of the only zone there is, for track 0."""
    sensitivity = DEFAULT_SENSITIVITY
    is_inclusion = zones.kind[0] == ZoneKind.INCLUSION
    rings = {ALERT: 0.0}
    if zones.buffer_m[0] > 0:
        rings[PRE_ALERT] = float(zones.buffer_m[0])
    return ZoneTwin(
        1,
        rings,
        {level: ring_m + sensitivity.clear_margin_m for level, ring_m in rings.items()},
        sensitivity.inclusion_stale_after_s if is_inclusion else sensitivity.stale_after_s,
        listening_us,
        sensitivity,
        layout=lay_out(zone_plan(zones)),
        is_inclusion=is_inclusion,
    )


@dataclass(kw_only=True)
class ZoneTwin(WatchTwin):
    layout: Layout
    is_inclusion: bool
    lately: float = 0.0
    seen_us: int | None = None

    def _least(self) -> float:
        return self.sensitivity.enter_probability

    def lasting(
        self, by_place: dict[int, float], least: float, now_us: int, mover: int | None
    ) -> dict[int, float]:
        """Without the alert, where the mean of late is too low for that.

        The mean is a low-pass filter of the first order, fed at each fix.
        """
        chance = by_place[ALERT]
        sigma_m = self.sigma_m(at_fixes=False)
        far = self.depth_m(at_fixes=False) > self.rules.reach_sigmas * sigma_m
        time_us = now_us if mover is None else self.fix_times_us[0]
        memory_s = self.sensitivity.lasting_s * (1 - self._sparsity())
        weight = 1.0
        if self.seen_us is not None and memory_s > 0:
            weight = 1 - math.exp(-max(0, time_us - self.seen_us) / S / memory_s)
        lately = (1 - weight) * self.lately + weight * (0.0 if far else chance)
        if mover is not None:
            self.lately, self.seen_us = lately, time_us
        if self.held >= ALERT or less(chance, least):
            return by_place
        if not less(chance, self.sensitivity.sure_probability):
            return by_place
        if not less(lately, min(least, self.sensitivity.lasting_probability)):
            return by_place
        return {level: one for level, one in by_place.items() if level != ALERT}

    def depth_m(self, *, at_fixes: bool) -> float:
        x_m, y_m, z_m = self.tracks["here_m" if at_fixes else "xyz_m"][0].tolist()
        signed_m = zone_m(0, x_m, y_m, z_m, self.layout.planes)
        return -signed_m if self.is_inclusion else signed_m

    def chance(self, depth_m: float, ring_m: float, sigma_m: float) -> float:
        return 0.5 * math.erfc((depth_m - ring_m) / sigma_m / math.sqrt(2))

    def chances_ahead(self) -> dict[int, float]:
        return {}

    def chances_on_the_way(self, mover: int) -> dict[int, float]:
        depth_m = self.depth_m(at_fixes=False)
        terms, planes = self.layout.terms[0], self.layout.planes
        chance, _, _ = crossed(self.tracks[mover], terms, depth_m, planes, self.limits)
        return {ALERT: chance}

    def is_heard(self, now_us: int) -> bool:  # noqa: ARG002 - a zone has no beacon
        return False

    def best_chance(self, sigma_m: float) -> float:  # noqa: ARG002 - any error leaves one half
        return 1.0

    def reaching_us(self, way_m: float, now_us: int) -> float:
        """By the speeds themselves: at a pace, and after boarding at that of a car."""
        state, rules = self.tracks[0], self.rules
        if way_m > reach_m(state, now_us, self.limits):
            return math.inf
        pace_mps = float(state["pace_mps"])
        on_foot_s = min(way_m / pace_mps, rules.boarding_s)
        left_m = way_m - pace_mps * on_foot_s
        way_s = max(0.0, on_foot_s + left_m / max(pace_mps, rules.boarded_mps))
        return float(state["time_us"]) + way_s * 1e6
