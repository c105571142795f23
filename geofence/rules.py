"""The engine's parameters, each with its reason.

Those of the estimator come from a fit (`benchmarks/fit_tracks.py`) on recorded receivers with the
truth beside them; docs/engine.md shows it. What an order's jurisdiction may choose stands in
`geofence.sensitivity`.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass

import numpy as np

from geofence.anomaly_rules import DEFAULT_ANOMALY_RULES, AnomalyRules
from geofence.durations import in_microseconds
from geofence.proximity import SIGMAS_PER_R68

MODEL = "three-models-2"
"""Names the method. Change it whenever the same parameters would decide differently."""

MODELS = 3
"""Models of movement: steady, turning, driving."""

Three = tuple[float, float, float]


LIMITS_DTYPE = np.dtype(
    (
        np.record,
        [
            ("push", np.float64, (MODELS,)),
            ("memory_s", np.float64, (MODELS,)),
            ("regime_s", np.float64),
            ("driving_s", np.float64),
            ("driving_share", np.float64),
            ("first_mps2", np.float64, (MODELS,)),
            ("noise_scale", np.float64),
            ("noise_weight", np.float64),
            ("noise_forget", np.float64),
            ("noise_limit", np.float64),
            ("tail_share", np.float64),
            ("tail_factor2", np.float64),
            ("wild_share", np.float64),
            ("wild_factor2", np.float64),
            ("stray_density", np.float64),
            ("drift_share2", np.float64),
            ("hidden_share2", np.float64),
            ("hidden_factor", np.float64),
            ("coarse_sigma_m", np.float64),
            ("coarse_memory_s", np.float64),
            ("unknown_sigma_m", np.float64),
            ("sigma_floor_m", np.float64),
            ("move_limit_mps", np.float64),
            ("moved_fixes", np.int64),
            ("restart_us", np.int64),
            ("future_limit_us", np.int64),
            ("reach_sigmas", np.float64),
            ("reach_factor", np.float64),
            ("reach_least_mps", np.float64),
            ("reach_most_mps", np.float64),
            ("boarding_s", np.float64),
            ("boarded_mps", np.float64),
            ("patience_intervals", np.float64),
            ("patience_limit_s", np.float64),
            ("path_limit_us", np.int64),
            ("beacon_hold_us", np.int64),
        ],
    )
)
"""`Rules` in the units the kernels count in; meanings stand there.

A record, not a tuple: a kernel hands it on as one pointer, a tuple as 40 numbers, on every call.
"""

Limits = np.record
"""One of `LIMITS_DTYPE`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the engine is to do. Immutable; a change of any value changes `version`.

    Attributes:
        push: Spectral density of the random push per axis, m^2/s^3, for steady, turning and
            driving (fitted; see `geofence.motion`).
        memory_s: How long a velocity lasts in each (fitted).
        regime_s: How long somebody stays steady or turning, on average (fitted).
        driving_s: How long somebody drives (or does not), on average (fitted).
        driving_share: Share of time that is driven, where nothing is known (fitted).
        first_mps: Standard deviation of the velocity per axis at the first fix, in each model:
            walking and cycling pace, and town traffic.
        noise_scale: Error per axis where nothing has been learned about a receiver, as a multiple
            of the one it states (fitted; the weak-antenna loggers of the recordings state about
            twice their error).
        noise_weight: Fixes that this first guess is worth.
        noise_memory: Fixes after which what was learned is forgotten.
        noise_limit: Greatest multiple that is learned.
        tail_share, tail_factor: Share of fixes whose error is larger by this factor (fitted).
        wild_share, wild_factor: The same for reflections and wrong satellites (fitted).
        stray_density: Chance per square metre of a fix that has nothing to do with the place,
            1e-4 on 1e8 m^2 (fitted): single fixes are kilometres off with a good stated accuracy.
        drift_share: Standard deviation of the error that lasts for minutes, as a multiple of the
            stated one. It does not average out, so it is added to what the filter believes; fixes
            of the recordings have a correlation of 0.15 at any lag up to a minute.
        hidden_share, hidden_factor: A receiver that filters its own fixes shows less jitter than
            error. What jitter (times `hidden_factor`) leaves of the stated error (times
            `hidden_share`) is taken to be hidden, and added as well: a phone in a car, whose
            errors are correlated 0.96 from second to second, is not believed to be exact.
        coarse_m: A fix that states a larger radius than this comes from cells or Wi-Fi. Such
            errors are no smaller than stated (android phones in cars: 1.2 to 2 times), and the
            next fix from the same cell has the same one:
        coarse_memory_s: so many seconds of them count as one fix.
        unknown_accuracy_m: 68 % radius taken where a device states none (or 0, which is no
            accuracy but a blank). 100 m: phones located by Wi-Fi and cells are mostly within
            it, and it is far above what a working satellite receiver shows, so silence about
            accuracy is never worth more than stating it.
        accuracy_floor_m: The best that is believed, whatever a device states. The standard for
            civil GPS promises 7.8 m at 95 % for the signal alone (GPS SPS Performance Standard,
            2020); 3 m at 68 % is already generous to a worn receiver.
        move_limit_mps: Fixes farther apart than this speed allows are not one journey: 70 m/s is
            250 km/h.
        moved_fixes: So many fixes in a row that the track cannot explain, but that explain each
            other, move it there.
        restart_s: After so long a gap a track begins anew: what was known says nothing.
        future_limit_s: How far ahead of `now` a fix may be dated. A set clock is within a
            second; GPS time sent as UTC is 18 s ahead; a minute leaves room for both.
        reach_sigmas: How many standard deviations of error are allowed for before proximity is
            excluded: 2 sigma leave 2.3 % on the near side.
        reach_factor: Greatest plausible speed of a device that is not heard, as a multiple of
            the one last seen (and twice its error).
        reach_least_mps, reach_most_mps: Its bounds: a cyclist in a hurry (7 m/s), and a motorway
            (42 m/s is 150 km/h).
        boarding_s: After so long a silence anybody may have got into a car,
        boarded_mps: and drives at least at this speed: 14 m/s is 50 km/h, the urban limit in most
            of Europe.
        patience_intervals: A device that reports more rarely than `stale_after_s` allows for is
            missed after so many of its own intervals: one report lost, and the next one half an
            interval late (of 279 buses' reports 99 % come within 1.3 intervals),
        patience_limit_s: but at the latest after this. In ten minutes a car comes 8 km, and
            nothing that is said of a place is worth much.
        path_limit_s: Between fixes farther apart in time than this, the straight way says nothing
            about the way taken.
        beacon_hold_s: How long a beacon that was heard counts as heard, if nothing says that it
            is lost: four reports at the rate of a violation (15 s).
        anomalies: Parameters of the anomalies of devices.
    """

    push: Three = (0.005, 0.6, 4.0)
    memory_s: Three = (960.0, 48.0, 120.0)
    regime_s: float = 90.0
    driving_s: float = 600.0
    driving_share: float = 0.085
    first_mps: Three = (1.4, 1.4, 10.0)
    noise_scale: float = 0.5
    noise_weight: float = 5.0
    noise_memory: float = 200.0
    noise_limit: float = 3.0
    tail_share: float = 0.15
    tail_factor: float = 2.5
    wild_share: float = 0.004
    wild_factor: float = 15.0
    stray_density: float = 1e-12
    drift_share: float = 0.18
    hidden_share: float = 0.9
    hidden_factor: float = 2.0
    coarse_m: float = 200.0
    coarse_memory_s: float = 120.0
    unknown_accuracy_m: float = 100.0
    accuracy_floor_m: float = 3.0
    move_limit_mps: float = 70.0
    moved_fixes: int = 3
    restart_s: float = 21_600.0
    future_limit_s: float = 60.0
    reach_sigmas: float = 2.0
    reach_factor: float = 1.5
    reach_least_mps: float = 7.0
    reach_most_mps: float = 42.0
    boarding_s: float = 180.0
    boarded_mps: float = 14.0
    patience_intervals: float = 2.5
    patience_limit_s: float = 600.0
    path_limit_s: float = 180.0
    beacon_hold_s: float = 60.0
    anomalies: AnomalyRules = DEFAULT_ANOMALY_RULES

    def __post_init__(self) -> None:
        """Refuse what would make the estimates meaningless.

        Raises:
            ValueError: Naming the value that is out of range.
        """
        if not 0 < self.accuracy_floor_m <= self.unknown_accuracy_m:
            raise ValueError("need 0 < accuracy_floor_m <= unknown_accuracy_m")
        if not 0 < self.reach_least_mps <= self.reach_most_mps:
            raise ValueError("need 0 < reach_least_mps <= reach_most_mps")
        if not all(value > 0 for value in (*self.push, *self.memory_s, *self.first_mps)):
            raise ValueError("push, memory_s and first_mps must be above 0")
        if not (self.regime_s > 0 and self.driving_s > 0 and self.noise_memory > 1):
            raise ValueError("regime_s and driving_s must be above 0, noise_memory above 1")
        if not self.stray_density > 0:
            raise ValueError("stray_density must be above 0: some fix would be impossible")
        shares = (self.driving_share, self.tail_share, self.wild_share)
        if not all(0 < share < 1 for share in shares) or self.tail_share + self.wild_share >= 1:
            raise ValueError("shares must lie between 0 and 1, tail and wild together too")
        if not all(value >= 0 for value in self._values()):
            raise ValueError("no parameter may be negative or NaN")

    def _values(self) -> list[float]:
        values: list[float] = []
        for value in astuple(self):
            values += [float(one) for one in value] if isinstance(value, tuple) else [float(value)]
        return values

    @property
    def version(self) -> str:
        """Names method and parameters: equal versions decide equally."""
        return f"{MODEL}-{hashlib.sha256(repr(self._values()).encode()).hexdigest()[:8]}"

    def limits(self) -> Limits:
        """The values as the kernels take them."""
        derived = {
            "first_mps2": [v * v for v in self.first_mps],
            "noise_forget": 1.0 - 1.0 / self.noise_memory,
            "tail_factor2": self.tail_factor**2,
            "wild_factor2": self.wild_factor**2,
            "drift_share2": self.drift_share**2,
            "hidden_share2": self.hidden_share**2,
            "hidden_factor": self.hidden_factor**2,
            "coarse_sigma_m": self.coarse_m * SIGMAS_PER_R68,
            "unknown_sigma_m": self.unknown_accuracy_m * SIGMAS_PER_R68,
            "sigma_floor_m": self.accuracy_floor_m * SIGMAS_PER_R68,
            "restart_us": in_microseconds(self.restart_s),
            "future_limit_us": in_microseconds(self.future_limit_s),
            "path_limit_us": in_microseconds(self.path_limit_s),
            "beacon_hold_us": in_microseconds(self.beacon_hold_s),
        }
        row = np.zeros(1, LIMITS_DTYPE)
        for name in LIMITS_DTYPE.names or ():
            row[name] = derived[name] if name in derived else getattr(self, name)
        limits: Limits = row[0]
        return limits


DEFAULT_RULES = Rules()
