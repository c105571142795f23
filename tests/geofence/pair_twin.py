"""The pair machine once more, written down from its description in plain Python with pyproj."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from pyproj import Geod

from geofence.rules import Rules
from tests.geofence.plans import S
from tests.geofence.test_proximity import rice

WGS84 = Geod(ellps="WGS84")
CLEAR, PRE_ALERT, ALERT, CONTACT, UNKNOWN = range(5)


class TooCloseToCallError(Exception):
    """The numbers lie so near to a threshold that rounding decides."""


@dataclass
class Position:
    time_us: int
    lat: float
    lon: float
    radius_m: float


@dataclass
class Change:
    previous: int
    level: int
    number: int
    onset_us: int


def less(a: float, b: float, tolerance: float) -> bool:
    if abs(a - b) < tolerance:
        raise TooCloseToCallError
    return a < b


@dataclass
class PairTwin:
    contact_m: float
    alert_m: float
    pre_alert_m: float
    listening_us: int
    rules: Rules = field(default_factory=Rules)
    last: dict[int, Position] = field(default_factory=dict)
    held: int = CLEAR
    doubtful: bool = False
    calm_since: dict[int, tuple[int, int]] = field(default_factory=dict)
    decided_us: int = -1
    number: int = 0
    onset_us: int = -1

    @property
    def level(self) -> int:
        return UNKNOWN if self.doubtful else self.held

    def fix(
        self, who: int, time_us: int, lat: float, lon: float, accuracy_m: float | None, now_us: int
    ) -> list[Change]:
        rules = self.rules
        radius = rules.unknown_accuracy_m
        if accuracy_m:
            radius = max(accuracy_m, rules.accuracy_floor_m)
        if time_us > now_us + rules.future_limit_s * S:
            return []
        if who in self.last:
            before = self.last[who]
            if time_us <= before.time_us:
                return []
            reach_m = before.radius_m + rules.plausible_mps * (time_us - before.time_us) / S
            if radius > rules.coarse_m and less(reach_m, radius, 1e-6):
                return []
        self.last[who] = Position(time_us, lat, lon, radius)
        if len(self.last) < 2:
            return []
        if any(now_us - p.time_us > rules.stale_after_s * S for p in self.last.values()):
            return []
        shown = self.level
        self._judge(now_us)
        return self._report(shown, time_us)

    def distance_and_sigma_m(self) -> tuple[float, float]:
        a, b = self.last[0], self.last[1]
        _, _, d = WGS84.inv(a.lon, a.lat, b.lon, b.lat)
        return d, math.hypot(a.radius_m, b.radius_m) / math.sqrt(-2 * math.log(0.32))

    def _judge(self, now_us: int) -> None:
        rules = self.rules
        d, sigma = self.distance_and_sigma_m()
        rings = {PRE_ALERT: self.pre_alert_m, ALERT: self.alert_m, CONTACT: self.contact_m}
        oldest_us = min(p.time_us for p in self.last.values())
        best_chance = 1 - math.exp(-(self.alert_m**2) / (2 * sigma**2))
        blunt = less(best_chance, rules.enter_probability, 1e-9)
        low = d - rules.reach_sigmas * sigma
        decisive = not blunt or less(self.alert_m, low, 1e-3)
        if decisive:
            self.decided_us = max(self.decided_us, oldest_us)
        for level in (CONTACT, ALERT, PRE_ALERT):
            if not less(rice(d, rings[level], sigma), rules.enter_probability, 1e-3):
                self.held = max(self.held, level)
                break
        for level, ring in rings.items():
            calm = (
                level <= self.held
                and less(ring, low, 1e-3)
                and less(rice(d, 1.1 * ring, sigma), rules.clear_probability, 1e-3)
            )
            if not calm:
                self.calm_since.pop(level, None)
            else:
                self.calm_since.setdefault(level, (oldest_us, now_us))
        self._fall(oldest_us, now_us)
        if blunt and self.held < ALERT and not less(self.alert_m, d, 1e-3):
            self.doubtful = True
        elif decisive and self.held not in self.calm_since:
            self.doubtful = False

    def _fall(self, fix_us: int, now_us: int) -> bool:
        fell = False
        dwell_us = self.rules.clear_dwell_s * S
        while self.held in self.calm_since:
            since_fix_us, since_now_us = self.calm_since[self.held]
            if fix_us - since_fix_us < dwell_us and now_us - since_now_us < dwell_us:
                break
            del self.calm_since[self.held]
            self.held -= 1
            fell = True
        return fell

    def sweep(self, now_us: int) -> list[Change]:
        if not self.last:
            return []
        rules = self.rules
        shown = self.level
        overdue_us = max(self.decided_us, self.listening_us) + round(rules.stale_after_s * S)
        if now_us > overdue_us:
            reached_us: float = -1
            if len(self.last) == 2:
                d, sigma = self.distance_and_sigma_m()
                way_s = (d - rules.reach_sigmas * sigma - self.alert_m) / rules.plausible_mps
                ages_s = sum(max(0, now_us - p.time_us) / S for p in self.last.values())
                reached_us = now_us + (way_s - ages_s) / 2 * S
                if abs(reached_us - now_us) < 1000:
                    raise TooCloseToCallError
            if reached_us < now_us:
                self.doubtful = True
                self.calm_since.clear()
                return self._report(shown, max(overdue_us, int(reached_us)))
        if self._fall(-1, now_us) and self.held not in self.calm_since:
            self.doubtful = False
        return self._report(shown, now_us)

    def _report(self, shown: int, since_us: int) -> list[Change]:
        if self.level == shown:
            return []
        self.number += 1
        if shown == CLEAR:
            self.onset_us = max(since_us, self.onset_us + 1)
        return [Change(shown, self.level, self.number, self.onset_us)]
