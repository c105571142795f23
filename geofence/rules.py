"""The engine's parameters, each with its reason."""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass
from typing import NamedTuple

MODEL = "last-fix-1"
"""Names the method. Change it whenever the same parameters would decide differently."""

SECOND_US = 1_000_000


class Limits(NamedTuple):
    """`Rules` in the units the kernels count in. Meanings stand there."""

    unknown_accuracy_m: float
    accuracy_floor_m: float
    coarse_m: float
    future_limit_us: int
    stale_after_us: int
    plausible_mps: float
    reach_sigmas: float
    enter_probability: float
    clear_probability: float
    clear_dwell_us: int
    blunt_sigmas: float
    course_baseline_us: int
    course_gap_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the engine is to do. Immutable; a change of any value changes `version`.

    Attributes:
        unknown_accuracy_m: 68 % radius taken where a device states none (or 0, which is no
            accuracy but a blank). 100 m: phones located by Wi-Fi and cells are mostly within
            it, and it is far above what a working satellite receiver shows, so silence about
            accuracy is never worth more than stating it.
        accuracy_floor_m: The best that is believed, whatever a device states. The standard for
            civil GPS promises 7.8 m at 95 % for the signal alone (GPS SPS Performance Standard,
            2020); 3 m at 68 % is already generous to a worn receiver.
        coarse_m: A fix with a larger radius than this does not replace a better one, as long as
            the device cannot have left that one's surroundings (see `geofence.track`).
        future_limit_s: How far ahead of `now` a fix may be dated. A set clock is within a
            second; GPS time sent as UTC is 18 s ahead; a minute leaves room for both.
        stale_after_s: How old the fixes that a decision rests on may be. Two missed reports at
            one a minute, the interval most tags are run at. Devices that report more rarely need
            more, or every gap of theirs becomes a doubt.
        inclusion_stale_after_s: The same for staying inside a zone. At home, indoors, minutes
            without a fix are the rule and no sign of leaving.
        plausible_mps: Greatest speed assumed of a device that is not heard: 14 m/s is 50 km/h,
            the urban limit in most of Europe.
        reach_sigmas: How many standard deviations of error are allowed for before proximity is
            excluded: 2 sigma leave 2.3 % on the near side.
        enter_probability: A level is entered when being inside its ring is at least so probable:
            more likely than not.
        clear_probability: It is left when being inside the widened ring is at most so probable.
        clear_factor: How much wider, for the rings of a pair.
        clear_margin_m: How much wider, for the boundary of a zone: about one error of a good
            receiver, so that walking along a fence is one episode.
        clear_dwell_s: For how long that must have held without a break.
        course_baseline_s: A course is taken over at least this long; over less, errors of 15 m
            look like running speed.
        course_gap_s: And over at most this long: two intervals of a device that reports once a
            minute, and half as much again.
    """

    unknown_accuracy_m: float = 100.0
    accuracy_floor_m: float = 3.0
    coarse_m: float = 100.0
    future_limit_s: float = 60.0
    stale_after_s: float = 120.0
    inclusion_stale_after_s: float = 900.0
    plausible_mps: float = 14.0
    reach_sigmas: float = 2.0
    enter_probability: float = 0.5
    clear_probability: float = 0.1
    clear_factor: float = 1.1
    clear_margin_m: float = 10.0
    clear_dwell_s: float = 10.0
    course_baseline_s: float = 30.0
    course_gap_s: float = 180.0

    def __post_init__(self) -> None:
        """Refuse what would make the levels meaningless.

        Raises:
            ValueError: Naming the value that is out of range.
        """
        if not 0 < self.clear_probability < self.enter_probability < 1:
            raise ValueError("need 0 < clear_probability < enter_probability < 1")
        if self.clear_factor < 1:
            raise ValueError("clear_factor below 1 would clear inside the ring")
        if not 0 < self.accuracy_floor_m <= self.unknown_accuracy_m:
            raise ValueError("need 0 < accuracy_floor_m <= unknown_accuracy_m")
        if self.inclusion_stale_after_s < self.stale_after_s:
            raise ValueError("inclusion_stale_after_s must not be below stale_after_s")
        if not self.plausible_mps > 0:
            raise ValueError("plausible_mps must be above 0")
        if not all(value >= 0 for value in astuple(self)):
            raise ValueError("no parameter may be negative or NaN")

    @property
    def version(self) -> str:
        """Names method and parameters: equal versions decide equally."""
        digest = hashlib.sha256(
            repr([float(value) for value in astuple(self)]).encode()
        ).hexdigest()
        return f"{MODEL}-{digest[:8]}"

    def limits(self) -> Limits:
        """The values as the kernels take them."""
        return Limits(
            unknown_accuracy_m=float(self.unknown_accuracy_m),
            accuracy_floor_m=float(self.accuracy_floor_m),
            coarse_m=float(self.coarse_m),
            future_limit_us=in_microseconds(self.future_limit_s),
            stale_after_us=in_microseconds(self.stale_after_s),
            plausible_mps=float(self.plausible_mps),
            reach_sigmas=float(self.reach_sigmas),
            enter_probability=float(self.enter_probability),
            clear_probability=float(self.clear_probability),
            clear_dwell_us=in_microseconds(self.clear_dwell_s),
            blunt_sigmas=math.sqrt(-2 * math.log(1 - self.enter_probability)),
            course_baseline_us=in_microseconds(self.course_baseline_s),
            course_gap_us=in_microseconds(self.course_gap_s),
        )


DEFAULT_RULES = Rules()


def in_microseconds(duration_s: float) -> int:
    """A duration in whole microseconds."""
    return round(duration_s * SECOND_US)
