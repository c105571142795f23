"""A third party's event beside what a device recorded: does it fit, can it not be, or is nothing known? No I/O.

Between two fixes that are one journey (see `Rules.path_limit_s`, `move_limit_mps`) a device is taken to be on
the straight way, give or take the errors of both fixes and what the random push of the engine's
models leaves of a way whose ends are known: after w of a time T a standard deviation of
sqrt(q T^3 / 3) w (1 - w) per axis (`geofence.motion`, velocity not known beforehand). Errors of fixes have
the tails of the engine: a share of them is larger by a factor.

The source's clock may be wrong, so the event may have happened at any instant of a window. Two answers come out:

- the probability of being within the area at the instant that speaks most for it;
- the least distance at which it can have been, by `evidence.nearby`, whatever happened between fixes. Of
  every other fix alone it is found, too, and the lower counts: one fix that is kilometres off excludes nobody.

To support and to contradict take the same probability, 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal
from uuid import UUID

import msgspec
import numpy as np

from devices.instants import MICROSECONDS
from evidence.nearby import (
    GREATEST_MPS,
    SURE_SIGMAS,
    Question,
    least_distance_m,
    sigmas_of,
)
from evidence.overlay_area import NEGLIGIBLE_SIGMAS, Area, Floats, area_of, chances, outside_m
from evidence.overlay_csv import Event, Kind
from evidence.transitions import DeviceFixes
from geofence.proximity import distance_interval_m
from geofence.rules import DEFAULT_RULES

SURE = 0.95
"""Probability from which an event is supported; of the contrary, from which it is contradicted."""

INSTANTS = 61
"""Of a window, evenly; fixes, and the nearest point of each way, are added."""

INSTANTS_LIMIT = 1_000
"""Of more instants, those nearest to the area are looked at."""

DRIVING_MPS = 4.0
"""Between fixes that are farther apart in time than this allows, the push of driving holds, else that of
turning: faster than anybody runs for long."""

_BESIDE = 2
"""Fixes on each side of the window that are looked at: one may be a stray."""

Verdict = Literal["supports", "contradicts", "says nothing"]


class Beside(msgspec.Struct, frozen=True):
    """A fix before or after an event.

    Attributes:
        seconds: From the event's time; negative before.
        distance_m: From the middle of the area.
        sigma_m: Per axis.
    """

    time_us: int
    seconds: float
    lat: float
    lon: float
    distance_m: float
    sigma_m: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a device's fixes say of one event.

    Attributes:
        cannot_be: It contradicts whatever the probability: nobody moves so fast.
        probability: Of being within the area at the instant of the clock's window that speaks most for
            it; None where no instant is known.
        probability_mean: On average over the known part of the window.
        known_share: Part of the window between fixes that are one journey.
        outside_m: The least by which it can have been outside of the area; 0: it can have been inside.
        distance_m, low_m, high_m: From the middle at the event's time, with its 95 % interval; None
            where that is not known.
        most_m: The greatest at which it can have been from the middle then; None: there are no two fixes.
        before, after: The nearest fixes in time.
        fixes: Within the window.
    """

    overlay_id: UUID
    kind: Kind
    event: Event
    device: str
    verdict: Verdict
    cannot_be: bool
    probability: float | None
    probability_mean: float | None
    known_share: float
    outside_m: float
    distance_m: float | None
    low_m: float | None
    high_m: float | None
    most_m: float | None
    before: Beside | None
    after: Beside | None
    fixes: int
    area_m2: float


@dataclass(frozen=True, slots=True)
class _Ways:
    """Fixes around an event on the plane of its area, and which pairs of them are one journey."""

    time_s: Floats
    east_m: Floats
    north_m: Floats
    sigma_m: Floats
    journey: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a device was at instants."""

    east_m: Floats
    north_m: Floats
    error_m: Floats
    moved_m: Floats

    @property
    def sigma_m(self) -> Floats:
        """All errors together, without tails."""
        found: Floats = np.hypot(self.error_m, self.moved_m)
        return found


def find(overlay_id: UUID, kind: Kind, event: Event, device: str, fixes: DeviceFixes) -> Finding:
    """Compare one event with one device.

    Args:
        overlay_id: The file that the event is in.
        kind: Of the file.
        event: The event.
        device: The device.
        fixes: Its fixes while the person carried it, by time; from well before to well after.
    """
    area = area_of(kind, event)
    error_us = round(event.clock_error_s * MICROSECONDS)
    window = event.time_us - error_us, event.time_us + error_us
    near = _around(fixes, window)
    ways = _ways(area, near, event.time_us)
    outside = _outside_m(area, near, ways, window)
    share = _known_share(ways, event.clock_error_s)
    best, mean = _probabilities(area, ways, event.clock_error_s)
    cannot_be = outside > 0
    verdict: Verdict = "says nothing"
    if cannot_be or (share == 1 and best is not None and best <= 1 - SURE):
        verdict = "contradicts"
    elif best is not None and best >= SURE:
        verdict = "supports"
    distance_m, interval = _distance(ways)
    before, after = _beside(near, ways, event.time_us)
    return Finding(
        overlay_id=overlay_id,
        kind=kind,
        event=event,
        device=device,
        verdict=verdict,
        cannot_be=cannot_be,
        probability=best,
        probability_mean=mean,
        known_share=share,
        outside_m=outside,
        distance_m=distance_m,
        low_m=interval[0],
        high_m=interval[1],
        most_m=_most_m(ways),
        before=before,
        after=after,
        fixes=int(np.count_nonzero(np.abs(ways.time_s) <= event.clock_error_s)),
        area_m2=area.size_m2,
    )


def _around(fixes: DeviceFixes, window: tuple[int, int]) -> DeviceFixes:
    times_us = fixes["time_us"]
    first = int(np.searchsorted(times_us, window[0], "left")) - _BESIDE
    last = int(np.searchsorted(times_us, window[1], "right")) + _BESIDE
    cut: DeviceFixes = fixes[max(first, 0) : last]
    return cut


def _ways(area: Area, near: DeviceFixes, time_us: int) -> _Ways:
    east_m, north_m = area.plane_m(near["lat_e7"] / 1e7, near["lon_e7"] / 1e7)
    sigma_m = sigmas_of(near)
    time_s = (near["time_us"] - time_us) / MICROSECONDS
    lasting_s = np.diff(time_s)
    apart_m = np.hypot(np.diff(east_m), np.diff(north_m))
    slack_m = SURE_SIGMAS * (sigma_m[1:] + sigma_m[:-1])
    possible = apart_m - slack_m <= DEFAULT_RULES.move_limit_mps * lasting_s
    one = possible & (lasting_s > 0) & (lasting_s <= DEFAULT_RULES.path_limit_s)
    return _Ways(time_s, east_m, north_m, sigma_m, tuple(np.flatnonzero(one).tolist()))


def _outside_m(area: Area, near: DeviceFixes, ways: _Ways, window: tuple[int, int]) -> float:
    nearest_m = outside_m(area, ways.east_m, ways.north_m) - SURE_SIGMAS * ways.sigma_m
    question = Question(area.lat, area.lon, area.radius_m, *window)
    halves = [
        least_distance_m(question, near["time_us"][part], nearest_m[part])
        for part in (slice(0, None, 2), slice(1, None, 2))
    ]
    return max(min(halves), 0.0)


def _known_share(ways: _Ways, error_s: float) -> float:
    spans = [(ways.time_s[leg], ways.time_s[leg + 1]) for leg in ways.journey]
    if error_s == 0:
        return float(any(start <= 0 <= end for start, end in spans))
    known_s = sum(max(min(end, error_s) - max(start, -error_s), 0.0) for start, end in spans)
    # A sum of parts misses the whole by rounding; a microsecond is nothing.
    share = float(known_s) / (2 * error_s)
    return 1.0 if known_s >= 2 * error_s - 1e-6 else share


def _probabilities(area: Area, ways: _Ways, error_s: float) -> tuple[float | None, float | None]:
    even = np.linspace(-error_s, error_s, INSTANTS if error_s else 1)
    mean = _chances(area, _places(ways, even))
    extra = _places(ways, _instants(ways, error_s))
    every = np.concatenate([mean, _chances(area, extra)])
    if not len(every):
        return None, None
    return float(every.max()), float(mean.mean()) if len(mean) else None


def _instants(ways: _Ways, error_s: float) -> Floats:
    """Fixes within the window, and where each way comes nearest to the middle."""
    found = ways.time_s.tolist()
    for leg in ways.journey:
        moved = np.array(
            [
                ways.east_m[leg + 1] - ways.east_m[leg],
                ways.north_m[leg + 1] - ways.north_m[leg],
            ]
        )
        length2 = float(moved @ moved)
        start = np.array([ways.east_m[leg], ways.north_m[leg]])
        part = min(max(-float(start @ moved) / length2, 0.0), 1.0) if length2 else 0.0
        found.append(ways.time_s[leg] + part * (ways.time_s[leg + 1] - ways.time_s[leg]))
    instants = np.array(found)
    within: Floats = instants[np.abs(instants) <= error_s]
    return within


def _places(ways: _Ways, instants_s: Floats) -> _Places:
    """Where the device was, at those of the instants that lie on a journey."""
    if not ways.journey or not len(instants_s):
        return _Places(*(np.zeros(0) for _ in range(4)))
    legs = np.array(ways.journey)
    # Of ways that meet at an instant the earlier is taken: they agree there.
    at = np.searchsorted(ways.time_s[legs + 1], instants_s, "left")
    on = at < len(legs)
    leg = legs[np.minimum(at, len(legs) - 1)]
    on &= ways.time_s[leg] <= instants_s
    leg, time_s = leg[on], instants_s[on]
    lasting_s = ways.time_s[leg + 1] - ways.time_s[leg]
    part = (time_s - ways.time_s[leg]) / lasting_s
    east_m, north_m, error_m = (
        (1 - part) * values[leg] + part * values[leg + 1]
        for values in (ways.east_m, ways.north_m, ways.sigma_m)
    )
    apart_m = np.hypot(
        ways.east_m[leg + 1] - ways.east_m[leg], ways.north_m[leg + 1] - ways.north_m[leg]
    )
    turning, driving = DEFAULT_RULES.push[1:]
    push = np.where(apart_m > DRIVING_MPS * lasting_s, driving, turning)
    moved_m = np.sqrt(push * lasting_s**3 / 3) * part * (1 - part)
    return _Places(east_m, north_m, error_m, moved_m)


def _chances(area: Area, places: _Places) -> Floats:
    """Of being within the area, with the engine's tails."""
    rules = DEFAULT_RULES
    beyond_m = outside_m(area, places.east_m, places.north_m)
    nearest = np.argsort(beyond_m)[:INSTANTS_LIMIT]
    total = np.zeros(len(nearest))
    plain = 1 - rules.tail_share - rules.wild_share
    for share, factor in (
        (plain, 1.0),
        (rules.tail_share, rules.tail_factor),
        (rules.wild_share, rules.wild_factor),
    ):
        sigma_m = np.hypot(factor * places.error_m[nearest], places.moved_m[nearest])
        some = beyond_m[nearest] < NEGLIGIBLE_SIGMAS * sigma_m
        at = nearest[some]
        total[some] += share * chances(area, places.east_m[at], places.north_m[at], sigma_m[some])
    return total


def _distance(ways: _Ways) -> tuple[float | None, tuple[float | None, float | None]]:
    places = _places(ways, np.zeros(1))
    if not len(places.east_m):
        return None, (None, None)
    distance_m = float(np.hypot(places.east_m[0], places.north_m[0]))
    return distance_m, distance_interval_m(distance_m, float(places.sigma_m[0]))


def _most_m(ways: _Ways) -> float | None:
    if len(ways.time_s) < 2:
        return None
    far_m = np.hypot(ways.east_m, ways.north_m) + SURE_SIGMAS * ways.sigma_m
    # As in `_outside_m`: of each half, and the greater.
    reach_m = far_m + GREATEST_MPS * np.abs(ways.time_s)
    return float(max(reach_m[0::2].min(), reach_m[1::2].min()))


def _beside(near: DeviceFixes, ways: _Ways, time_us: int) -> tuple[Beside | None, Beside | None]:
    split = int(np.searchsorted(near["time_us"], time_us, "right"))

    def fix(index: int) -> Beside | None:
        if not 0 <= index < len(near):
            return None
        return Beside(
            time_us=int(near["time_us"][index]),
            seconds=float(ways.time_s[index]),
            lat=float(near["lat_e7"][index]) / 1e7,
            lon=float(near["lon_e7"][index]) / 1e7,
            distance_m=float(np.hypot(ways.east_m[index], ways.north_m[index])),
            sigma_m=float(ways.sigma_m[index]),
        )

    return fix(split - 1), fix(split)


def counts(findings: list[Finding]) -> dict[Verdict, int]:
    """How many of each verdict, the same ones always."""
    verdicts: tuple[Verdict, ...] = ("supports", "contradicts", "says nothing")
    return {verdict: sum(one.verdict == verdict for one in findings) for verdict in verdicts}


def gap_s(finding: Finding) -> float | None:
    """Time between the fixes around an event."""
    both = (finding.before, finding.after)
    times = [one.time_us for one in both if one is not None]
    return None if len(times) < 2 else sum(b - a for a, b in pairwise(times)) / MICROSECONDS
