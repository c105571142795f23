"""Who was near a place at a time, and who was not. No I/O.

A fix says where somebody was at an instant, give or take its error; between fixes somebody can have
been wherever he can have come from the one and to the other. So each person gets

- the probability of being within the distance, from the fix of the time that speaks most for it;
- the least distance at which he can have been at any instant of the time: each fix moved towards the
  place by `SURE_SIGMAS` errors and by the greatest speed. Where that is farther than asked, he was not
  there. Exculpation is as much an answer as suspicion.

Both believe the accuracies that devices state, and that whoever is meant carried the device. Anomalies
(a clone, a set clock, a receiver that was deceived) stand in `evidence.anomaly`, and are asked for
beside this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from devices.instants import MICROSECONDS
from evidence.transitions import DeviceFixes
from geofence.distance import geodesics_m
from geofence.proximity import SIGMAS_PER_R68, within_radius
from geofence.rules import DEFAULT_RULES

LOOK_S = 3_600
"""Fixes are looked for so long before and after the time asked about."""

FRESH_S = 60
"""A fix so near to the time speaks of it, too."""

SURE_SIGMAS = 6.0
"""A Gaussian error beyond it has a chance of 1.5e-8 (by Rayleigh's law)."""

GREATEST_MPS = 70.0
"""Faster than cars: as `Rules.move_limit_mps`."""

PROBABLE = 0.5

Verdict = Literal["near", "possible", "was_not", "unknown"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one device.

    Attributes:
        verdict: ``near``: more likely than not within the distance. ``was_not``: he cannot have been.
            ``possible``: neither. ``unknown``: no fix within `LOOK_S`.
        probability: Of being within it, by the fix that speaks most for it; None where no fix is of
            the time.
        distance_m: Of that fix; of the nearest in time where none is of the time.
        fix_us: When that was made.
        least_m: The least distance at which he can have been in the time; None: nothing is known.
        fixes: How many are of the time.
    """

    device: str
    person: str
    verdict: Verdict
    probability: float | None = None
    distance_m: float | None = None
    fix_us: int | None = None
    least_m: float | None = None
    fixes: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """A place, a distance and a time.

    Attributes:
        lat, lon: Degrees.
        within_m: The distance.
        from_us, to_us: First and last instant; may be the same.
    """

    lat: float
    lon: float
    within_m: float
    from_us: int
    to_us: int


def answer(question: Question, device: str, person: str, fixes: DeviceFixes) -> Answer:
    """What the fixes of one device say.

    Args:
        question: What is asked.
        device: The device.
        person: Who carried it.
        fixes: By time, from `LOOK_S` before to `LOOK_S` after the time.
    """
    if not len(fixes):
        return Answer(device=device, person=person, verdict="unknown")
    distances_m = _distances_m(question, fixes)
    sigmas_m = sigmas_of(fixes)
    times_us = fixes["time_us"]
    least_m = least_distance_m(question, times_us, distances_m - SURE_SIGMAS * sigmas_m)
    fresh_us = FRESH_S * MICROSECONDS
    of_time = np.flatnonzero(
        (times_us >= question.from_us - fresh_us) & (times_us <= question.to_us + fresh_us)
    )
    if not len(of_time):
        nearest = int(np.argmin(np.abs(times_us - question.from_us)))
        return Answer(
            device=device,
            person=person,
            verdict="was_not" if least_m > question.within_m else "possible",
            distance_m=float(distances_m[nearest]),
            fix_us=int(times_us[nearest]),
            least_m=max(least_m, 0.0),
        )
    chances = [
        within_radius(float(distances_m[i]), question.within_m, float(sigmas_m[i])) for i in of_time
    ]
    best = int(np.argmax(chances))
    probable = chances[best] >= PROBABLE
    excluded = least_m > question.within_m
    return Answer(
        device=device,
        person=person,
        verdict="near" if probable else "was_not" if excluded else "possible",
        probability=float(chances[best]),
        distance_m=float(distances_m[of_time[best]]),
        fix_us=int(times_us[of_time[best]]),
        least_m=max(least_m, 0.0),
        fixes=len(of_time),
    )


def answers(question: Question, carried: Iterable[tuple[str, str, DeviceFixes]]) -> list[Answer]:
    """Of all devices, the most probable first, then who can have been there, then who cannot.

    Args:
        question: What is asked.
        carried: Device, who carried it, and the fixes made while he did.
    """
    found = [answer(question, *one) for one in carried]
    order = ("near", "possible", "unknown", "was_not")
    return sorted(
        found, key=lambda a: (order.index(a.verdict), -(a.probability or 0.0), a.least_m or 0.0)
    )


def _distances_m(question: Question, fixes: DeviceFixes) -> NDArray[np.float64]:
    out = np.empty(len(fixes))
    place = np.full(len(fixes), question.lat), np.full(len(fixes), question.lon)
    geodesics_m(*place, fixes["lat_e7"] / 1e7, fixes["lon_e7"] / 1e7, out)
    return out


def sigmas_of(fixes: DeviceFixes) -> NDArray[np.float64]:
    """Standard deviation per axis that fixes state, or are taken to have where they state none."""
    rules = DEFAULT_RULES
    stated_m = fixes["accuracy_cm"] / 100
    stated_m = np.where(stated_m > 0, stated_m, rules.unknown_accuracy_m)
    sigmas_m: NDArray[np.float64] = np.maximum(stated_m, rules.accuracy_floor_m) * SIGMAS_PER_R68
    return sigmas_m


def least_distance_m(
    question: Question, times_us: NDArray[np.int64], nearest_m: NDArray[np.float64]
) -> float:
    """The least that the distance can have been at an instant of the time, by the nearest of each fix.

    Between two fixes both bounds hold, one falling with time, one rising: the greater of them is
    least where they cross.
    """
    times_s = (times_us - question.from_us) / MICROSECONDS
    length_s = (question.to_us - question.from_us) / MICROSECONDS
    before = [(-math.inf, -math.inf), *zip(times_s.tolist(), nearest_m.tolist(), strict=True)]
    after = [*before[1:], (math.inf, -math.inf)]
    found = math.inf
    for (start_s, start_m), (end_s, end_m) in zip(before, after, strict=True):
        low_s, high_s = max(start_s, 0.0), min(end_s, length_s)
        if low_s > high_s:
            continue
        found = min(found, _least_between(start_s, start_m, end_s, end_m, low_s, high_s))
    return found


def _least_between(
    start_s: float, start_m: float, end_s: float, end_m: float, low_s: float, high_s: float
) -> float:
    def bound_m(at_s: float) -> float:
        left = -math.inf if math.isinf(start_m) else start_m - GREATEST_MPS * (at_s - start_s)
        right = -math.inf if math.isinf(end_m) else end_m - GREATEST_MPS * (end_s - at_s)
        return max(left, right)

    instants = [low_s, high_s]
    if not math.isinf(start_m) and not math.isinf(end_m):
        cross_s = (start_m - end_m + GREATEST_MPS * (start_s + end_s)) / (2 * GREATEST_MPS)
        instants.append(min(max(cross_s, low_s), high_s))
    return min(bound_m(at_s) for at_s in instants)
