"""The demonstration: four wearers in the town, whom they must keep away from, and what they do.

Within the first two minutes one of them cycles up to the person protected from him and away again, and
another walks into a place he is barred from. The other two lead lives that give no cause for alarm.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from devices.caseload import (
    Agency,
    Assignment,
    Caseload,
    Circle,
    Condition,
    Device,
    Exclusion,
    Inclusion,
    Order,
    Person,
    Proximity,
)
from simulators import people
from simulators.receiver import PHONE, TAG, WEAK_ANTENNA, Receiver
from simulators.streets import Streets
from simulators.town import build_town, to_degrees

ALERT_M = 100.0
NEAREST_M = 50.0
"""How near the approach comes: no contact, and no doubt about the alert."""

EXCLUSION_M = 110.0
EXCLUSION_BUFFER_M = 60.0
HOME_M = 260.0
"""Large against the errors of a tag, so that someone who is at home is seen to be."""

STORY_EVERY_S = 300.0
"""The approach and the trespass happen again after this time."""

FIX_INTERVAL_S = 2.0
"""More often than real devices, which send once a minute and every 15 s in an alarm: a demonstration
should move."""

SINCE = datetime(2024, 1, 1, tzinfo=UTC)
"""When the orders and assignments of made-up caseloads begin."""

_CAFE_M = (250.0, 180.0)
_SCHOOL_M = (-450.0, -380.0)
_HOME_M = (-480.0, 430.0)


@dataclass(frozen=True, slots=True)
class Role:
    """Somebody in the demonstration and the device they carry."""

    device: str
    handset: bool
    receiver: Receiver
    person: people.Person


def town_story(seed: int = 1, *, weak_antennas: bool = False) -> list[Role]:
    """Everybody, at the beginning. The same seed gives the same lives.

    Args:
        seed: Of the town and the lives in it.
        weak_antennas: The wearers have cheap tags, with errors that cause false alarms.

    Returns:
        For each wearer the tag, then the handset of the person protected from him.
    """
    town = build_town(seed)
    story = _Story(town.network, random.Random(seed))  # noqa: S311 - lives, not secrets
    tag = WEAK_ANTENNA if weak_antennas else TAG
    roles = []
    for number, (wearer, protected) in enumerate(story.pairs(), start=1):
        roles.append(Role(f"tag-{number}", False, tag, wearer))
        roles.append(Role(f"phone-{number}", True, PHONE, protected))
    return roles


class _Story:
    def __init__(self, streets: Streets, rng: random.Random) -> None:
        self._streets = streets
        self._rng = rng

    def pairs(self) -> Iterator[tuple[people.Person, people.Person]]:
        """Wearer and protected person, four times."""
        walk = (0.9 * people.WALK_MPS, 1.1 * people.WALK_MPS)
        her, goal = self._near_and_nearer()
        yield self._approach(her, goal), self._person(her, self._sit())
        yield self._trespass(), self._wanderer((300, 800), (-700, -350), walk)
        yield self._wanderer((-580, -380), (330, 530), walk), self._east_driver()
        yield self._wanderer((-900, -300), (-800, 800), people.DRIVE_MPS), self._east_driver()

    def _person(self, start: int, life: people.Life) -> people.Person:
        return people.Person(self._streets, start, life)

    def _sit(self) -> people.Life:
        while True:
            yield people.Stay(3_600.0)

    def _near_and_nearer(self) -> tuple[int, int]:
        """A place near the café for her, and one as far from it as the approach shall come."""
        candidates = self._nodes_at(*_CAFE_M, 0, 150)
        nodes_m = self._streets.nodes_m
        goals = {her: self._node_at(*self._point(her), NEAREST_M) for her in candidates}
        her = min(
            candidates,
            key=lambda node: abs(math.dist(nodes_m[node], nodes_m[goals[node]]) - NEAREST_M),
        )
        return her, goals[her]

    def _approach(self, her: int, goal: int) -> people.Person:
        """From outside the outer ring to well inside the alert ring, by bicycle, and back."""
        starts = self._nodes_at(*self._point(her), 2.7 * ALERT_M, 3.1 * ALERT_M)
        start = self._shortest_way(starts, goal)
        return self._errand(start, goal, people.CYCLE_MPS, stay_s=15.0)

    def _trespass(self) -> people.Person:
        """On foot from outside the buffer into the zone and out again."""
        goal = self._node_at(*_SCHOOL_M, EXCLUSION_M * 0.3)
        outside_m = EXCLUSION_M + EXCLUSION_BUFFER_M
        start = self._shortest_way(self._nodes_at(*_SCHOOL_M, outside_m, outside_m + 60), goal)
        return self._errand(start, goal, 1.3 * people.WALK_MPS, stay_s=20.0)

    def _errand(self, start: int, goal: int, speed_mps: float, stay_s: float) -> people.Person:
        life = people.errand(
            self._streets,
            start,
            goal,
            speed_mps,
            first_s=10.0,
            stay_s=stay_s,
            every_s=STORY_EVERY_S,
        )
        return self._person(start, life)

    def _wanderer(
        self,
        east_m: tuple[float, float],
        north_m: tuple[float, float],
        speed_mps: tuple[float, float],
    ) -> people.Person:
        """Somebody who goes about within a rectangle (the ways between may leave it a little)."""
        east, north = self._streets.nodes_m.T
        inside = (
            (east > east_m[0]) & (east < east_m[1]) & (north > north_m[0]) & (north < north_m[1])
        )
        places = np.flatnonzero(inside).tolist()
        start = self._rng.choice(places)
        rng = random.Random(self._rng.random())  # noqa: S311 - a chance of one's own
        return self._person(start, people.wander(self._streets, rng, start, places, speed_mps))

    def _east_driver(self) -> people.Person:
        return self._wanderer((400, 900), (-700, 700), people.DRIVE_MPS)

    def _point(self, node: int) -> tuple[float, float]:
        east_m, north_m = self._streets.nodes_m[node].tolist()
        return east_m, north_m

    def _nodes_at(self, east_m: float, north_m: float, low_m: float, high_m: float) -> list[int]:
        away_m = self._streets.distances_m(east_m, north_m)
        return [int(node) for node in np.flatnonzero((away_m >= low_m) & (away_m <= high_m))]

    def _node_at(self, east_m: float, north_m: float, away_m: float) -> int:
        """The node whose distance from a point is nearest to `away_m`."""
        return int(np.argmin(np.abs(self._streets.distances_m(east_m, north_m) - away_m)))

    def _shortest_way(self, starts: list[int], goal: int) -> int:
        """The start from which the goal is reached soonest: a story must not take long."""
        return min(starts, key=lambda node: self._streets.length_m(self._streets.route(node, goal)))


def town_caseload(fix_interval_s: float = FIX_INTERVAL_S) -> Caseload:
    """The caseload of the demonstration: four orders, with a zone each for the second and third."""
    orders = [
        _order(1, ()),
        _order(2, (_school(),)),
        _order(3, (_home(),)),
        _order(4, ()),
    ]
    numbers = range(1, len(orders) + 1)
    return Caseload(
        agencies=(Agency(id="centre", name="Monitoring centre"),),
        people=tuple(
            person
            for n in numbers
            for person in (
                Person(id=f"wearer-{n}", role="wearer", name=f"Wearer {n}"),
                Person(id=f"protected-{n}", role="protected", name=f"Protected {n}"),
            )
        ),
        devices=tuple(
            device
            for n in numbers
            for device in (
                Device(id=f"tag-{n}", kind="tag", fix_interval_s=fix_interval_s),
                Device(id=f"phone-{n}", kind="handset", fix_interval_s=fix_interval_s),
            )
        ),
        assignments=tuple(
            assignment
            for n in numbers
            for assignment in (
                Assignment(device=f"tag-{n}", person=f"wearer-{n}", from_=SINCE),
                Assignment(device=f"phone-{n}", person=f"protected-{n}", from_=SINCE),
            )
        ),
        orders=tuple(orders),
    )


def _order(number: int, zones: tuple[Condition, ...]) -> Order:
    near = Proximity(id=f"near-{number}", protected=f"protected-{number}", alert_m=ALERT_M)
    return Order(
        id=f"order-{number}",
        agency="centre",
        wearer=f"wearer-{number}",
        valid_from=SINCE,
        conditions=(near, *zones),
    )


def _school() -> Exclusion:
    return Exclusion(
        id="school",
        name="Whimbrel School",
        circle=_circle(_SCHOOL_M, EXCLUSION_M),
        buffer_m=EXCLUSION_BUFFER_M,
        protected="protected-2",
    )


def _home() -> Inclusion:
    return Inclusion(id="home", name="Home", circle=_circle(_HOME_M, HOME_M))


def _circle(centre_m: tuple[float, float], radius_m: float) -> Circle:
    lat_deg, lon_deg = to_degrees(*centre_m)
    return Circle(lat=round(lat_deg, 7), lon=round(lon_deg, 7), radius_m=radius_m)
