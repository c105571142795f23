"""The machine of a watch once more, written down from its description in plain Python.

What is believed of the devices and how probable something is comes from kernels that have twins of
their own; what becomes of it is here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from geofence.levels import UNKNOWN_TIME_US, Cause
from geofence.rules import Limits, Rules
from geofence.sensitivity import Sensitivity
from geofence.track import Mark, TrackArray, advance, judge, new_scratch, new_tracks, place
from tests.geofence.plans import Fix, S

CLEAR, PRE_ALERT, ALERT, CONTACT, UNKNOWN = range(5)
LEVELS = (PRE_ALERT, ALERT, CONTACT)


class TooCloseToCallError(Exception):
    """The numbers lie so near to a threshold that rounding decides."""


@dataclass
class Change:
    previous: int
    level: int
    number: int
    onset_us: int
    cause: Cause


def less(a: float, b: float, tolerance: float = 1e-9) -> bool:
    if abs(a - b) < tolerance:
        raise TooCloseToCallError
    return a < b


@dataclass
class WatchTwin(ABC):
    """One watch of some devices, the machine without what it measures.

    `rings` and `wider` hold the rings of each level that has one, in terms of the depth.
    """

    devices: int
    rings: dict[int, float]
    wider: dict[int, float]
    overdue_s: float
    listening_us: int
    sensitivity: Sensitivity
    rules: Rules = field(default_factory=Rules)
    held: int = CLEAR
    doubtful: bool = False
    calm_since: dict[int, tuple[int, int]] = field(default_factory=dict)
    decided_us: int = -1
    number: int = 0
    onset_us: int = -1
    cause: Cause = Cause.POSITION

    def __post_init__(self) -> None:
        self.tracks: TrackArray = new_tracks(self.devices, listening_us=self.listening_us)
        self.limits: Limits = self.rules.limits()

    @abstractmethod
    def depth_m(self, *, at_fixes: bool) -> float:
        """Depth by what is believed of the devices where they are placed, or at their fixes."""

    @abstractmethod
    def chance(self, depth_m: float, ring_m: float, sigma_m: float) -> float:
        """Probability of being inside a ring."""

    @abstractmethod
    def chances_ahead(self) -> dict[int, float]:
        """Probability that what is predicted speaks for a level."""

    @abstractmethod
    def chances_on_the_way(self, mover: int) -> dict[int, float]:
        """The same, for the way between two fixes."""

    @abstractmethod
    def is_heard(self, now_us: int) -> bool:
        """Whether a beacon is."""

    @abstractmethod
    def best_chance(self, sigma_m: float) -> float:
        """The greatest probability for the alert ring that there can be with such an error."""

    @abstractmethod
    def reaching_us(self, way_m: float, now_us: int) -> float:
        """Since when so much of a way may have been gone; after `now_us` if not yet."""

    @property
    def level(self) -> int:
        return UNKNOWN if self.doubtful else self.held

    @property
    def fix_times_us(self) -> list[int]:
        return [int(t) for t in self.tracks["time_us"] if t != UNKNOWN_TIME_US]

    def sigma_m(self, *, at_fixes: bool) -> float:
        name = "here_sigma_m" if at_fixes else "sigma_m"
        return math.sqrt(sum(float(sigma) ** 2 for sigma in self.tracks[name]))

    def fix(self, fix: Fix, now_us: int) -> list[Change]:
        track, time_us, lat_e7, lon_e7, accuracy_cm = fix.row()
        row = self.tracks[track], time_us, lat_e7, lon_e7
        if judge(*row, now_us, self.limits) != Mark.USED:
            return []
        advance(*row, accuracy_cm, self.limits, new_scratch())
        if not self._is_fresh(now_us):
            return []
        shown = self.level
        self._decide(now_us, track)
        return self._report(shown, time_us)

    def sweep(self, now_us: int) -> list[Change]:
        if not self.fix_times_us:
            return []
        shown = self.level
        if self._is_fresh(now_us):
            self._place(now_us)
            supported = self._rise(now_us, None)
            self._keep_calm(supported, None, now_us)
        since_us = self._elapse(now_us)
        return self._report(shown, since_us)

    def _is_fresh(self, now_us: int) -> bool:
        times_us = self.fix_times_us
        if len(times_us) < self.devices:
            return False
        waits_us = zip(times_us, self._patiences_us(), strict=True)
        return all(now_us - time_us <= patience_us for time_us, patience_us in waits_us)

    def _patiences_us(self) -> list[int]:
        """How long each device may be silent: as the watch says, or some of its own intervals."""
        rules = self.rules
        own_s = [rules.patience_intervals * float(one) for one in self.tracks["usual_s"]]
        return [int(max(self.overdue_s, min(rules.patience_limit_s, one)) * S) for one in own_s]

    def _place(self, now_us: int) -> None:
        for track in range(self.devices):
            place(self.tracks[track], now_us, self.limits, new_scratch())

    def _least(self) -> float:
        """What is asked: one value at a fix a second, another at one in 15, between by the log."""
        sparse = self._sparsity()
        one, other = self.sensitivity.enter_probability, self.sensitivity.sparse_probability
        return (1 - sparse) * one + sparse * other

    def _rise(self, now_us: int, mover: int | None) -> int:
        """Rise as far as something speaks for it; the highest level still spoken for."""
        least = self._least()
        depth_m, sigma_m = self.depth_m(at_fixes=False), self.sigma_m(at_fixes=False)
        by_place = {
            level: self.chance(depth_m, ring_m, sigma_m) for level, ring_m in self.rings.items()
        }
        ahead = self.chances_ahead()
        spoken = [CLEAR]
        lasting = self.lasting(by_place, least, now_us, mover)
        spoken += self._reach(lasting, least, Cause.POSITION)
        self._reach(ahead, least, Cause.AHEAD)
        spoken += [level for level, chance in ahead.items() if not less(chance, least / 2)]
        if self.is_heard(now_us):
            spoken += self._reach({CONTACT: 1.0}, least, Cause.BEACON)
        if mover is not None and lasting == by_place:
            spoken += self._reach(self.chances_on_the_way(mover), least, Cause.PATH)
        return max(spoken)

    def lasting(
        self,
        by_place: dict[int, float],
        least: float,  # noqa: ARG002 - for zones
        now_us: int,  # noqa: ARG002
        mover: int | None,  # noqa: ARG002
    ) -> dict[int, float]:
        """What is left of the chances by place where being there must last."""
        return by_place

    def _sparsity(self) -> float:
        interval_s = max(1.0, float(self.tracks["interval_s"].max()))
        return min(1.0, math.log(interval_s) / math.log(15.0))

    def _reach(self, chances: dict[int, float], least: float, cause: Cause) -> list[int]:
        reached = [level for level, chance in chances.items() if not less(chance, least)]
        if reached and max(reached) > self.held:
            self.held, self.cause = max(reached), cause
        return reached

    def _keep_calm(self, supported: int, fix_us: int | None, now_us: int) -> None:
        depth_m, sigma_m = self.depth_m(at_fixes=False), self.sigma_m(at_fixes=False)
        for level in LEVELS:
            calm = supported < level <= self.held
            if calm and level in self.rings:
                away_m = depth_m - self.rules.reach_sigmas * sigma_m
                chance = self.chance(depth_m, self.wider[level], sigma_m)
                calm = less(self.rings[level], away_m) and less(
                    chance, self.sensitivity.clear_probability
                )
            if not calm:
                self.calm_since.pop(level, None)
            elif fix_us is not None:
                self.calm_since.setdefault(level, (fix_us, now_us))

    def _decide(self, now_us: int, mover: int) -> None:
        self._place(now_us)
        fix_us = min(self.fix_times_us)
        supported = self._rise(now_us, mover)
        self._keep_calm(supported, fix_us, now_us)
        self._fall(fix_us, now_us)
        depth_m, sigma_m = self.depth_m(at_fixes=False), self.sigma_m(at_fixes=False)
        blunt = less(self.best_chance(sigma_m), self._least())
        away_m = depth_m - self.rules.reach_sigmas * sigma_m
        decisive = not blunt or less(self.rings[ALERT], away_m)
        if decisive:
            self.decided_us = max(self.decided_us, fix_us)
        if blunt and self.held < ALERT and not less(self.rings[ALERT], depth_m):
            if not self.doubtful:
                self.doubtful, self.cause = True, Cause.POSITION
        elif decisive and self.held not in self.calm_since:
            self._be_sure()

    def _be_sure(self) -> None:
        if self.doubtful and self.held == CLEAR:
            self.cause = Cause.CALM
        elif self.doubtful and self.cause == Cause.SILENCE:
            self.cause = Cause.POSITION
        self.doubtful = False

    def _fall(self, fix_us: int | None, now_us: int) -> bool:
        fell = False
        dwell_us = self.sensitivity.clear_dwell_s * S
        while self.held in self.calm_since:
            since_fix_us, since_now_us = self.calm_since[self.held]
            by_fix = fix_us is not None and fix_us - since_fix_us >= dwell_us
            if not by_fix and now_us - since_now_us < dwell_us:
                break
            del self.calm_since[self.held]
            self.held -= 1
            self.cause = Cause.CALM
            fell = True
        return fell

    def _elapse(self, now_us: int) -> int:
        if self.is_heard(now_us):
            return now_us
        patiences_us = self._patiences_us()
        overdue_us = max(self.decided_us, self.listening_us) + max(patiences_us)
        for time_us, patience_us in zip(self.tracks["time_us"].tolist(), patiences_us, strict=True):
            overdue_us = min(overdue_us, max(time_us, self.listening_us) + patience_us)
        if now_us > overdue_us:
            possible_us = -1.0
            if len(self.fix_times_us) == self.devices:
                away_m = self.depth_m(at_fixes=True) - self.rings[ALERT]
                away_m -= self.rules.reach_sigmas * self.sigma_m(at_fixes=True)
                possible_us = self.reaching_us(away_m, now_us)
            if not less(now_us, possible_us, tolerance=1000):
                if not self.doubtful:
                    self.doubtful, self.cause = True, Cause.SILENCE
                self.calm_since.clear()
                return max(overdue_us, round(possible_us))
        if self._fall(None, now_us) and self.held not in self.calm_since:
            self.doubtful = False
        return now_us

    def _report(self, shown: int, since_us: int) -> list[Change]:
        if self.level == shown:
            return []
        self.number += 1
        if shown == CLEAR:
            self.onset_us = max(since_us, self.onset_us + 1)
        return [Change(shown, self.level, self.number, self.onset_us, self.cause)]
