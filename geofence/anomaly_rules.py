"""The parameters of the anomalies, each with its reason and with what it was checked on.

The recordings named here are other people's: phones carried and lying still around San Jose,
walks in Oxford with a weak antenna, buses in Austin and Liverpool, seven receivers on one bicycle.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from geofence.durations import in_microseconds

ANOMALY_LIMITS_DTYPE = np.dtype(
    (
        np.record,
        [
            ("future_limit_us", np.int64),
            ("vehicle_mps", np.float64),
            ("flight_mps", np.float64),
            ("flight_after_us", np.int64),
            ("jump_m", np.float64),
            ("error_radii", np.float64),
            ("speed_after_us", np.int64),
            ("speed_fixes", np.int64),
            ("speed_calm_us", np.int64),
            ("clone_m", np.float64),
            ("clone_switches", np.int64),
            ("clone_after_us", np.int64),
            ("clone_calm_us", np.int64),
            ("frozen_m", np.float64),
            ("frozen_after_us", np.int64),
            ("frozen_fixes", np.int64),
            ("leap_us", np.int64),
            ("leap_early_us", np.int64),
            ("leap_late_us", np.int64),
            ("clock_ahead_us", np.int64),
            ("clock_behind_us", np.int64),
            ("clock_steady_us", np.int64),
            ("clock_window_us", np.int64),
            ("clock_fixes", np.int64),
            ("minutes_m", np.float64),
            ("minutes_calm_us", np.int64),
            ("pair_gap_us", np.int64),
            ("pair_mps", np.float64),
            ("pair_sigmas", np.float64),
            ("apart_m", np.float64),
            ("apart_after_us", np.int64),
            ("stand_m", np.float64),
            ("stand_after_us", np.int64),
            ("together_after_us", np.int64),
        ],
    )
)
"""`AnomalyRules` in the units the kernels count in; meanings stand there.

A record as `geofence.rules.LIMITS_DTYPE` is, and for the same reason.
"""

AnomalyLimits = np.record
"""One of `ANOMALY_LIMITS_DTYPE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyRules:
    """What counts as an anomaly. Immutable.

    Attributes:
        future_limit_s: A fix dated farther ahead of its receipt says something about the clock
            and nothing about the track. As `Rules.future_limit_s`.
        vehicle_mps: Faster than anything on the ground that carries people: the fastest trains
            run at 320 km/h, 89 m/s.
        flight_mps: Taken instead for the part of a gap beyond `flight_after_s`: airliners in a
            jet stream reach 300 m/s over ground. A device that goes on reporting in the air is
            an anomaly, with its true speed.
        flight_after_s: Nobody is in the air without 20 min between his last report at the one
            gate and the next report at the other, beside the flight itself.
        jump_m: How far a fix may jump at any speed, beside its stated error. Reflections and a
            change from satellites to Wi-Fi move honest fixes by so much.
        error_radii: How many 68 % radii of error each of two fixes is allowed. Of the phones'
            fixes 4 % lie beyond three; those are few, and only persistence counts.
        speed_after_s, speed_fixes: For how long and in how many fixes in a row a device must be
            where it cannot have got to before it is an anomaly of the device. The longest such
            run in the walks, with errors up to 24 km, is 6 s.
        speed_calm_s: It ends after so long without such a fix. At least a minute, so that no
            anomaly can begin twice in one.
        clone_m: Two places nearer than this are taken for errors of one.
        clone_switches: How often a device must change between two places that cannot be reached
            from each other. Five are A B A B A B: three visits to either, where two bursts of
            outliers with the same wrong place make four.
        clone_after_s: And over how long, so that a buffer flushed under one time stamp, in any
            order, is no second device.
        clone_calm_s: It ends after so long without a change. Two devices that share an identity
            may report in turns of many minutes.
        frozen_m: Receivers move by centimetres while lying still; the last digit of a position
            (1e-7 degrees) is 1.1 cm.
        frozen_after_s, frozen_fixes: For how long and how often a position must repeat. Honest
            devices repeat it: phones lying still did so for 6 h, but reported only every few
            minutes (at most 20 times in an hour) or briefly (32 times in 26 min); buses at a stop
            for 34 min (18 times). A frozen tag goes on reporting at its full rate.
        leap_s: How far GPS time is ahead of UTC, since 2017 (IERS Bulletin C 52). The next leap
            second needs another value.
        leap_early_s, leap_late_s: A clock counts as GPS time when it is ahead by up to
            `leap_early_s` less, which is the way of the message to us, or by `leap_late_s` more,
            which is rounding and our own clock.
        clock_ahead_s: A fix cannot be received before it is made; phones set their clock to
            within 2 s (the worst recorded is 1.8 s ahead), and whole seconds may be rounded up.
        clock_behind_s: A clock that is behind cannot be told from a device that keeps every fix
            back. One that reports once a minute and sends just before the next fix is always a
            minute late.
        clock_steady_s: Two windows must agree to within this: a buffer being worked off catches
            up faster.
        clock_window_s, clock_fixes: The least delay is taken over at least so long and so many
            fixes, by the time of receipt; two windows decide.
        minutes_m: A repaired fix must lie within reach of the place believed, and never farther
            from it than this. A random fix has eight repairs; that one of them lies so near has a
            chance of 1 in 8,000.
        minutes_calm_s: The fault shows only where minutes are below 10, in strips of 18 km: an
            hour is long enough to cross the ground between two of them.
        pair_gap_s: Fixes of two devices farther apart in time say nothing about their distance.
            Two intervals of a device that reports once a minute, and half as much again.
        pair_mps: How fast both may have moved together between their two fixes: a motorway's
            130 km/h.
        pair_sigmas: How many standard deviations of error are allowed: stated errors are often
            too small, and three leave 0.1 % of honest ones.
        apart_m: Beside errors, how far apart devices of one person may be: a large house with its
            garden. The receivers on one bicycle are never apart.
        apart_after_s: For how long they must have been apart: two reports at one a minute.
        stand_m: Within this and its errors a device is standing.
        stand_after_s: For how long one of the two must have stood; shorter stops are lights and
            doors.
        together_after_s: It ends when they have been together for so long.
    """

    future_limit_s: float = 60.0
    vehicle_mps: float = 100.0
    flight_mps: float = 300.0
    flight_after_s: float = 1200.0
    jump_m: float = 200.0
    error_radii: float = 3.0
    speed_after_s: float = 30.0
    speed_fixes: int = 3
    speed_calm_s: float = 120.0
    clone_m: float = 2000.0
    clone_switches: int = 5
    clone_after_s: float = 60.0
    clone_calm_s: float = 1800.0
    frozen_m: float = 0.02
    frozen_after_s: float = 1800.0
    frozen_fixes: int = 30
    leap_s: float = 18.0
    leap_early_s: float = 5.0
    leap_late_s: float = 1.0
    clock_ahead_s: float = 3.0
    clock_behind_s: float = 90.0
    clock_steady_s: float = 5.0
    clock_window_s: float = 300.0
    clock_fixes: int = 3
    minutes_m: float = 50_000.0
    minutes_calm_s: float = 3600.0
    pair_gap_s: float = 180.0
    pair_mps: float = 36.0
    pair_sigmas: float = 3.0
    apart_m: float = 100.0
    apart_after_s: float = 120.0
    stand_m: float = 30.0
    stand_after_s: float = 300.0
    together_after_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would make an anomaly chatter or mean nothing.

        Raises:
            ValueError: Naming the value that is out of range.
        """
        if not all(value >= 0 for value in astuple(self)):
            raise ValueError("no parameter may be negative or NaN")
        if not 0 < self.vehicle_mps <= self.flight_mps:
            raise ValueError("need 0 < vehicle_mps <= flight_mps")
        if min(self.speed_calm_s, self.clone_calm_s, self.minutes_calm_s) < 60:
            raise ValueError("an anomaly that ends within 60 s could begin twice in a minute")
        if min(self.clock_window_s, self.frozen_after_s, self.together_after_s) < 60:
            raise ValueError("an anomaly that ends within 60 s could begin twice in a minute")
        if min(self.speed_fixes, self.frozen_fixes, self.clock_fixes, self.clone_switches) < 2:
            raise ValueError("one fix is no persistence: counts must be at least 2")
        if self.leap_s - self.leap_early_s <= self.clock_ahead_s:
            raise ValueError("need leap_s - leap_early_s > clock_ahead_s")

    def limits(self) -> AnomalyLimits:
        """The values as the kernels take them."""
        row = np.zeros(1, ANOMALY_LIMITS_DTYPE)
        for name in ANOMALY_LIMITS_DTYPE.names or ():
            # What is counted in microseconds is given in seconds.
            if name.endswith("_us"):
                row[name] = in_microseconds(getattr(self, f"{name.removesuffix('_us')}_s"))
            else:
                row[name] = getattr(self, name)
        limits: AnomalyLimits = row[0]
        return limits


DEFAULT_ANOMALY_RULES = AnomalyRules()
