"""What the machine measures of a pair, in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from geofence.chances import closest_on_path, inside_soon
from geofence.distance import ARC_RADIUS_M
from geofence.levels import Cause
from geofence.proximity import NEGLIGIBLE_SIGMAS, within_radius
from geofence.sensitivity import DEFAULT_SENSITIVITY, Sensitivity
from geofence.track import reach_m
from tests.geofence.watch_twin import ALERT, CONTACT, LEVELS, PRE_ALERT, Change, WatchTwin

_S = 1_000_000


def pair_twin(
    contact_m: float,
    alert_m: float,
    pre_alert_m: float,
    listening_us: int,
    sensitivity: Sensitivity = DEFAULT_SENSITIVITY,
) -> PairTwin:
    rings = dict(zip(LEVELS, (pre_alert_m, alert_m, contact_m), strict=True))
    rings = {level: ring_m for level, ring_m in rings.items() if ring_m > 0}
    return PairTwin(
        2,
        rings,
        {level: sensitivity.clear_factor * ring_m for level, ring_m in rings.items()},
        sensitivity.stale_after_s,
        listening_us,
        sensitivity,
    )


@dataclass
class PairTwin(WatchTwin):
    beacon_us: int | None = None
    beacon_told_us: int = -1

    def depth_m(self, *, at_fixes: bool) -> float:
        a, b = self.tracks["here_m" if at_fixes else "xyz_m"]
        straight_m = float(np.linalg.norm(a - b))
        # What silence leaves possible is a way straight on; what is measured lies on the surface.
        return (
            straight_m if at_fixes else 2 * ARC_RADIUS_M * math.asin(straight_m / 2 / ARC_RADIUS_M)
        )

    def chance(self, depth_m: float, ring_m: float, sigma_m: float) -> float:
        return within_radius(depth_m, ring_m, sigma_m)

    def chances_ahead(self) -> dict[int, float]:
        a, b = self.tracks
        chances = {}
        for level, ring, ahead_s in (
            (ALERT, CONTACT, self.sensitivity.contact_ahead_s),
            (PRE_ALERT, ALERT, self.sensitivity.warn_ahead_s),
        ):
            if ring in self.rings:
                chances[level] = inside_soon(
                    a, b, self.rings[ring], ahead_s, NEGLIGIBLE_SIGMAS, self.limits
                )
        return chances

    def chances_on_the_way(self, mover: int) -> dict[int, float]:
        distance_m, sigma_m, _ = closest_on_path(
            self.tracks[mover], self.tracks[1 - mover], self.limits
        )
        if math.isnan(distance_m):
            return {}
        return {
            level: self.chance(distance_m, ring_m, sigma_m) for level, ring_m in self.rings.items()
        }

    def is_heard(self, now_us: int) -> bool:
        hold_us = self.rules.beacon_hold_s * _S
        return self.beacon_us is not None and now_us - self.beacon_us <= hold_us

    def best_chance(self, sigma_m: float) -> float:
        return 1 - math.exp(-(self.rings[ALERT] ** 2) / (2 * sigma_m**2))

    def reaching_us(self, way_m: float, now_us: int) -> float:
        def left_m(at_us: float) -> float:
            return way_m - sum(reach_m(one, round(at_us), self.limits) for one in self.tracks)

        if left_m(now_us) > 0:
            return math.inf
        low, high = float(min(self.fix_times_us)), float(now_us)
        while high - low > 0.5:
            middle = (low + high) / 2
            low, high = (middle, high) if left_m(middle) > 0 else (low, middle)
        return high

    def sight(self, time_us: int, *, lost: bool, now_us: int) -> list[Change]:
        """A report of one device: an older one changes nothing, of one instant the loss counts."""
        time_us = min(time_us, now_us)
        if time_us < self.beacon_told_us or (
            time_us == self.beacon_told_us and self.beacon_us is None
        ):
            return []
        shown = self.level
        self.beacon_told_us = time_us
        self.beacon_us = None if lost else time_us
        if self.is_heard(now_us):
            if self.held < CONTACT or self.doubtful:
                self.held, self.cause = CONTACT, Cause.BEACON
            self.doubtful = False
            self.calm_since.clear()
        return self._report(shown, time_us)
