"""The anomalies of a device once more, written down from their description in plain Python."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from geofence.anomalies import Anomaly, Oddity
from geofence.anomaly_rules import AnomalyRules
from geofence.durations import SECOND_US as S

Point = tuple[float, float, float]


class TooCloseToCallError(Exception):
    """The numbers lie so near to a threshold that rounding decides."""


def within(value: float, limit: float) -> bool:
    if abs(value - limit) <= 1e-9 * (1 + abs(limit)):
        raise TooCloseToCallError
    return value < limit


@dataclass
class Seen:
    """A fix that was taken in."""

    time_us: int
    point: Point
    radius_m: float


@dataclass
class Spell:
    onset_us: int
    quantity: float
    count: int


def written_and_read(deg: float) -> float | None:
    """What a decoder makes of an angle whose minutes were written without padding."""
    whole = int(abs(deg))
    minutes = (abs(deg) - whole) * 60
    if minutes >= 10:
        return None
    value = float(f"{whole}{minutes:.6f}")
    return math.copysign(value // 100 + value % 100 / 60, deg)


@dataclass
class AnomalyTwin:
    rules: AnomalyRules
    repairs: dict[Point, list[Point]]
    """Every place that a damaged one may have meant."""
    active: dict[Anomaly, Spell] = field(default_factory=dict)
    begun: list[tuple[Anomaly, int]] = field(default_factory=list)
    newest_us: int = -1
    same: list[int] = field(default_factory=list)
    same_at: Point = (0.0, 0.0, 0.0)
    delays: list[tuple[int, int, int]] = field(default_factory=list)
    window_before: tuple[Anomaly | None, int, int] = (None, 0, 0)
    here: Seen | None = None
    prior: Seen | None = None
    there: Seen | None = None
    run: list[int] = field(default_factory=list)
    run_mps: float = 0.0
    agreeing: list[int] = field(default_factory=list)
    was_there: bool = False
    switches: list[int] = field(default_factory=list)
    run_us: int = -1
    switched_us: int = -1
    damaged_us: int = -1

    def begin(self, kind: Anomaly, onset_us: int, quantity: float, count: int) -> None:
        if kind in self.active:
            onset_us = self.active[kind].onset_us
        else:
            self.begun.append((kind, onset_us))
        self.active[kind] = Spell(onset_us, quantity, count)

    def fix(self, time_us: int, point: Point, radius_m: float, received_us: int) -> Oddity:
        self.clock(time_us, received_us)
        x, y, z = (abs(c) < 1 for c in point)
        if y and (x or (z and point[0] > 0)):
            return Oddity.BLANK
        if time_us > received_us + self.rules.future_limit_s * S:
            return Oddity.NONE
        self.repetition(time_us, point)
        oddity = self.place(Seen(time_us, point, radius_m))
        if time_us > self.newest_us:
            self.newest_us = time_us
            if oddity == Oddity.NONE:
                self.calm(time_us)
        return oddity

    def calm(self, time_us: int) -> None:
        rules = self.rules
        for kind, last_us, calm_s in (
            (Anomaly.SPEED, self.run_us, rules.speed_calm_s),
            (Anomaly.CLONE, self.switched_us, rules.clone_calm_s),
            (Anomaly.MINUTES, self.damaged_us, rules.minutes_calm_s),
        ):
            if kind in self.active and time_us - last_us >= calm_s * S:
                del self.active[kind]
                if kind == Anomaly.CLONE:
                    self.switches = []

    def clock(self, time_us: int, received_us: int) -> None:
        rules = self.rules
        self.delays.append((received_us - time_us, len(self.delays), time_us))
        if len(self.delays) == 1:
            self.window_opened_us = received_us
            return
        if received_us - self.window_opened_us < rules.clock_window_s * S:
            return
        if len(self.delays) < rules.clock_fixes:
            return
        delay_us, _, onset_us = min(self.delays)
        self.delays = []
        ahead_s = -delay_us / S
        clocks = (Anomaly.CLOCK, Anomaly.CLOCK_GPS)
        ease = 2 if any(kind in self.active for kind in clocks) else 1
        kind = None
        if ahead_s >= rules.clock_ahead_s / ease or -ahead_s >= rules.clock_behind_s / ease:
            kind = Anomaly.CLOCK
        if -rules.leap_early_s <= ahead_s - rules.leap_s <= rules.leap_late_s:
            kind = Anomaly.CLOCK_GPS
        before, before_delay_us, before_onset_us = self.window_before
        self.window_before = (kind, delay_us, onset_us)
        if kind is None:
            for one in clocks:
                self.active.pop(one, None)
        elif kind == before and abs(delay_us - before_delay_us) <= rules.clock_steady_s * S:
            count = self.active[kind].count + 1 if kind in self.active else 2
            self.active.pop(clocks[kind == clocks[0]], None)
            self.begin(kind, before_onset_us, ahead_s, count)

    def repetition(self, time_us: int, point: Point) -> None:
        rules = self.rules
        moved = bool(self.same) and not within(math.dist(point, self.same_at), rules.frozen_m)
        if time_us > self.newest_us:
            if moved or not self.same:
                self.same, self.same_at = [], point
                self.active.pop(Anomaly.FROZEN, None)
            self.same.append(time_us)
            lasted_us = time_us - self.same[0]
            if len(self.same) >= rules.frozen_fixes and lasted_us >= rules.frozen_after_s * S:
                self.begin(Anomaly.FROZEN, self.same[0], lasted_us / S, len(self.same))
        elif moved and time_us > self.same[0]:
            self.same = [self.newest_us]
            self.active.pop(Anomaly.FROZEN, None)

    def way_m(self, a: Seen, b: Seen) -> float:
        rules = self.rules
        gap_s = abs(a.time_us - b.time_us) / S
        flight_s = max(0.0, gap_s - rules.flight_after_s)
        return rules.vehicle_mps * (gap_s - flight_s) + rules.flight_mps * flight_s

    def reach_m(self, a: Seen, b: Seen) -> float:
        errors_m = self.rules.error_radii * (a.radius_m + b.radius_m)
        return self.way_m(a, b) + errors_m + self.rules.jump_m

    def reachable(self, a: Seen, b: Seen | None) -> bool:
        return b is not None and within(math.dist(a.point, b.point), self.reach_m(a, b))

    def advance(self, fix: Seen) -> None:
        assert self.here is not None
        way_m = self.way_m(fix, self.here)
        if within(self.here.radius_m + way_m, fix.radius_m):
            return
        if within(way_m, math.dist(fix.point, self.here.point)):
            self.prior = self.here
        self.here = fix

    def place(self, fix: Seen) -> Oddity:
        if self.here is None:
            self.here = fix
            return Oddity.NONE
        in_order = fix.time_us > self.newest_us
        here_m = math.dist(fix.point, self.here.point)
        at_there = False
        if self.there is not None and self.reachable(fix, self.there):
            at_there = not within(here_m, 4 * math.dist(fix.point, self.there.point))
        reached = self.reachable(fix, self.here)
        if not reached and in_order and self.returned(fix, here_m):
            self.here, self.prior, self.run, self.was_there = fix, None, [], False
            return Oddity.NONE
        if not reached or here_m > 1_000_000:
            found = self.undo(fix, here_m, in_order=in_order)
            if found is not None:
                return found
        if reached and not (at_there and self.run):
            self.back_here(fix, in_order=in_order)
            return Oddity.NONE
        self.elsewhere(fix, here_m, at_there=at_there, in_order=in_order)
        return Oddity.IMPLAUSIBLE

    def back_here(self, fix: Seen, *, in_order: bool) -> None:
        assert self.here is not None
        if fix.time_us == self.here.time_us:
            return
        if self.was_there and not self.reachable(fix, self.there):
            assert self.there is not None
            self.switch(fix, math.dist(fix.point, self.there.point))
        self.was_there = False
        if in_order:
            self.run = []
            self.advance(fix)

    def returned(self, fix: Seen, here_m: float) -> bool:
        if self.prior is None or fix.time_us - self.prior.time_us > self.rules.speed_after_s * S:
            return False
        nearer = not within(here_m, 2 * math.dist(fix.point, self.prior.point))
        return nearer and self.reachable(fix, self.prior)

    def undo(self, fix: Seen, here_m: float, *, in_order: bool) -> Oddity | None:
        here = self.here
        assert here is not None
        if within(here_m, 10_000):
            return None
        near_m = min(self.reach_m(fix, here), self.rules.minutes_m)
        spell = self.active.get(Anomaly.MINUTES)
        count = spell.count if spell else 0
        for meant in self.repairs.get(fix.point, []):
            if within(math.dist(meant, here.point), near_m):
                self.damaged(fix, here_m, count + 1)
                if in_order:
                    self.run = []
                    self.here = Seen(fix.time_us, meant, fix.radius_m)
                return Oddity.MINUTES
        for meant in self.repairs.get(here.point, []):
            if in_order and within(math.dist(meant, fix.point), near_m):
                self.damaged(fix, here_m, count)
                self.run = []
                self.here = fix
                return Oddity.NONE
        return None

    def damaged(self, fix: Seen, here_m: float, count: int) -> None:
        self.begin(Anomaly.MINUTES, fix.time_us, here_m, count)
        self.damaged_us = max(self.damaged_us, fix.time_us)

    def switch(self, fix: Seen, distance_m: float) -> None:
        rules = self.rules
        if within(distance_m, rules.clone_m):
            return
        if self.switches and fix.time_us - self.switched_us > rules.clone_calm_s * S:
            self.switches = []
        self.switches.append(fix.time_us)
        self.switched_us = max(self.switched_us, fix.time_us)
        enough = len(self.switches) >= rules.clone_switches
        lasted = fix.time_us - self.switches[0] >= rules.clone_after_s * S
        if Anomaly.CLONE in self.active or (enough and lasted):
            self.begin(Anomaly.CLONE, self.switches[0], distance_m, len(self.switches))

    def elsewhere(self, fix: Seen, here_m: float, *, at_there: bool, in_order: bool) -> None:
        assert self.here is not None
        if at_there and self.there is not None and fix.time_us == self.there.time_us:
            return
        if not at_there:
            self.switches = []
        if not (at_there and self.was_there) and not self.reachable(fix, self.here):
            self.switch(fix, here_m)
        self.was_there = True
        if in_order and Anomaly.CLONE not in self.active:
            if not self.run:
                self.run_mps = here_m / ((fix.time_us - self.here.time_us) / S)
            if not self.run or not at_there:
                self.agreeing = []
            self.run.append(fix.time_us)
            self.agreeing.append(fix.time_us)
            self.run_us = fix.time_us
            if self.persists(self.run):
                self.begin(Anomaly.SPEED, self.run[0], self.run_mps, len(self.run))
        if self.there is None or not at_there or fix.time_us > self.there.time_us:
            self.there = fix
        if self.run and self.agreed():
            self.here, self.there, self.prior = self.there, self.here, None
            self.run, self.was_there = [], False

    def persists(self, times: list[int]) -> bool:
        rules = self.rules
        lasted = times[-1] - times[0] >= rules.speed_after_s * S
        return len(times) >= rules.speed_fixes and lasted

    def agreed(self) -> bool:
        assert self.there is not None
        return self.persists([*self.agreeing[:-1], self.there.time_us])
