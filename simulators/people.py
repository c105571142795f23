"""People who move through the streets of a town: on foot, by bicycle or by car, with stops.

A person's life is a generator of steps, each a way to go or a time to stay. `Person` turns it into a
place at any instant, asking for the next step when the last is over, so a life may be endless.
"""

from __future__ import annotations

import bisect
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulators.streets import Streets

WALK_MPS = 1.4
"""An adult's usual walking speed."""

CYCLE_MPS = 4.5
"""An unhurried cyclist in a town: 16 km/h."""

DRIVE_MPS = (8.0, 13.0)
"""Cars in a town: 30 to 47 km/h between stops."""

STOP_S = (15.0, 90.0)
"""How long people stay where they went."""


@dataclass(frozen=True, slots=True)
class Go:
    """Follow a route, node by node."""

    route: Sequence[int]
    speed_mps: float


@dataclass(frozen=True, slots=True)
class Stay:
    """Stay for a time above 0."""

    time_s: float


Step = Go | Stay
Life = Iterator[Step]


class Place(NamedTuple):
    """Where somebody is: metres, metres per second, degrees from north (NaN when standing)."""

    east_m: float
    north_m: float
    speed_mps: float
    course_deg: float


class Person:
    """Somebody with a life, beginning at a node at time 0.

    Raises:
        ValueError: A route does not begin where the person is, or the life ends.
    """

    def __init__(self, streets: Streets, start: int, life: Life) -> None:
        self._streets = streets
        self._life = life
        self._node = start
        self._course_deg = math.nan
        here = streets.nodes_m[start].tolist()
        # The present step: passing points_m[i] at times_s[i], evenly in between.
        self._times_s: list[float] = [0.0]
        self._points_m: list[list[float]] = [here]

    def place(self, time_s: float) -> Place:
        """Where the person is. Times asked for must not fall."""
        while time_s >= self._times_s[-1]:
            self._next_step()
        leg = bisect.bisect_right(self._times_s, time_s) - 1
        begin_s, end_s = self._times_s[leg : leg + 2]
        (east_0, north_0), (east_1, north_1) = self._points_m[leg : leg + 2]
        share = (time_s - begin_s) / (end_s - begin_s)
        east_m, north_m = east_1 - east_0, north_1 - north_0
        speed_mps = math.hypot(east_m, north_m) / (end_s - begin_s)
        course_deg = math.degrees(math.atan2(east_m, north_m)) % 360 if speed_mps else math.nan
        return Place(east_0 + share * east_m, north_0 + share * north_m, speed_mps, course_deg)

    def _next_step(self) -> None:
        step = next(self._life, None)
        now_s, here = self._times_s[-1], self._points_m[-1]
        match step:
            case Stay(time_s):
                self._times_s, self._points_m = [now_s, now_s + time_s], [here, here]
            case Go(route, speed_mps):
                if route[0] != self._node:
                    raise ValueError("a route has to begin where the person is")
                points = self._streets.nodes_m[list(route)]
                legs_m = np.hypot(*np.diff(points, axis=0).T) if len(route) > 1 else []
                passed_m = np.concatenate([[0.0], np.cumsum(legs_m)])
                self._times_s = (now_s + passed_m / speed_mps).tolist()
                self._points_m = points.tolist()
                self._node = route[-1]
            case None:
                raise ValueError("a life has to go on: its generator came to an end")


def wander(
    streets: Streets,
    rng: random.Random,
    start: int,
    places: Sequence[int],
    speed_mps: tuple[float, float],
) -> Life:
    """Go from one of some places to another for ever, staying a while at each.

    Args:
        streets: Where the ways are.
        rng: Chooses.
        start: Where the person is.
        places: Nodes to go to, at least two.
        speed_mps: Slowest and fastest pace; each way has one of its own.
    """
    here = start
    while True:
        yield Stay(rng.uniform(*STOP_S))
        there = rng.choice([place for place in places if place != here])
        yield Go(streets.route(here, there), rng.uniform(*speed_mps))
        here = there


def errand(
    streets: Streets,
    start: int,
    goal: int,
    speed_mps: float,
    *,
    first_s: float,
    stay_s: float,
    every_s: float,
) -> Life:
    """Go somewhere and back again, regularly.

    Args:
        streets: Where the ways are.
        start: Where the person is, and returns to.
        goal: Where the errand leads.
        speed_mps: The pace.
        first_s: Wait before the first time, above 0.
        stay_s: Time spent at the goal.
        every_s: From the beginning of one errand to that of the next. An errand that takes longer is
            followed by the next after `first_s`.
    """
    way = streets.route(start, goal)
    errand_s = 2 * streets.length_m(way) / speed_mps + stay_s
    yield Stay(first_s)
    while True:
        yield Go(way, speed_mps)
        yield Stay(stay_s)
        yield Go(way[::-1], speed_mps)
        yield Stay(max(first_s, every_s - errand_s))
