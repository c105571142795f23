"""A town of people with devices, as fast as arrays can make it: what `cordon bench engine` feeds.

Every device has one partner and three zones of 50 vertices. People stand, walk, cycle and drive
about a place of their own; receivers err as worn ones do: an error that lasts, one that does not,
and 4 % of fixes three times as far off. Two towns:

- the *ordinary* one: people live some kilometres from each other and from their zones (log-normal,
  medians `PARTNER_M` and `ZONE_M`), a few of them next door;
- the *worst* one: everybody walks along the boundaries of his three zones, at the very distance of
  the alert ring from his partner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.plan import FloatArray, IntArray, Pairs, Plan, ZoneKind, Zones

SECOND_US = 1_000_000
START_US = 86_400 * SECOND_US
"""Any instant will do: the engine decides on differences."""

VERTICES = 50
ZONES_EACH = 3
ALERT_M = 500.0
CONTACT_M = 100.0
PRE_ALERT_M = 1000.0
BUFFER_M = 100.0

PARTNER_M = 6000.0
ZONE_M = 2000.0
_SPREAD = 1.0
"""Of the logarithms: 0.6 % of partners live within 500 m, and 8 % of zones lie so near."""

_MODES = (0.45, 0.30, 0.10, 0.15)
"""Shares of people standing, walking, cycling and driving."""

_SPEED_MPS = np.array([0.0, 1.4, 4.5, 11.0])
_ROAM_M = np.array([1.0, 200.0, 600.0, 2500.0])
"""How far from his place somebody goes."""

_PAUSE = 0.02
"""Probability of stopping, or of going on, at each fix: lights, shops, stations."""

_TOWN_M = 30_000.0
DEGREE_M = 111_320.0
_MIDDLE_LAT, _MIDDLE_LON = 51.75, -1.25
_LASTING_SHARE = 0.4
_LASTING_MEMORY = 0.9
_ODD_SHARE, _ODD_FACTOR = 0.04, 3.0

Columns = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]
"""What `Engine.update` takes: track, time_us, lat_e7, lon_e7, accuracy_cm."""


@dataclass(frozen=True, slots=True)
class _Places:
    """Where everything is, in metres east and north of the middle of the town.

    Attributes:
        home_m: (n, 2) what people move about.
        zone_m: (n, 3, 2) middles of their zones.
        zone_radius_m: (n, 3)
    """

    home_m: FloatArray
    zone_m: FloatArray
    zone_radius_m: FloatArray


class Town:
    """`count` devices, half of them paired with the other half.

    Args:
        count: Devices, an even number.
        interval_s: Between two fixes of a device.
        worst: Everybody is near everything.
        zoned: Without, there are pairs alone.
        seed: The same one makes the same town, and the same fixes.

    Attributes:
        partner: (count,) the other device of each one's pair.
    """

    def __init__(
        self,
        count: int,
        *,
        interval_s: float,
        worst: bool = False,
        zoned: bool = True,
        seed: int = 1,
    ) -> None:
        if count < 2 or count % 2:
            raise ValueError("a town has pairs of devices")
        self.count = count
        self.interval_s = interval_s
        self._random = np.random.default_rng(seed)
        # Neither do caseloads hold the two devices of a pair side by side.
        self._ends = self._random.permutation(count).reshape(2, -1)
        self.partner = np.empty(count, np.int64)
        self.partner[self._ends] = self._ends[::-1]
        self._places = self._worst_places() if worst else self._ordinary_places()
        self.plan = _plan(self._places, self._ends, zoned=zoned)
        mode = self._random.choice(4, count, p=_MODES) if not worst else np.ones(count, np.int64)
        self._roam_m = _ROAM_M[mode] if not worst else np.full(count, 20.0)
        self._speed_mps = _SPEED_MPS[mode] * self._random.uniform(0.7, 1.3, count)
        self._phase = self._random.uniform(0, 2 * np.pi, count)
        self._going = np.ones(count, np.bool_)
        self._accuracy_m = np.exp(self._random.normal(np.log(8.0), 0.5, count))
        self._lasting_m = self._noise(count) * _LASTING_SHARE * self._accuracy_m[:, None]
        self._now_us = START_US

    @property
    def now_us(self) -> int:
        """The instant of the last fixes."""
        return self._now_us

    def fixes(self) -> Columns:
        """One fix of every device, `interval_s` after the one before and up to a second old.

        They come in an order of their own.
        """
        return self.fixes_of(self._random.permutation(self.count))

    def fixes_of(self, who: IntArray) -> Columns:
        """The same of these devices only; the others stand still meanwhile."""
        self._now_us += int(self.interval_s * SECOND_US)
        self._going[who] ^= self._random.random(who.size) < _PAUSE
        turn = self._speed_mps[who] * self.interval_s / self._roam_m[who]
        self._phase[who] += turn * self._going[who]
        phase = self._phase[who]
        round_m = np.stack([np.cos(phase), np.sin(phase)], axis=1) * self._roam_m[who, None]
        accuracy_m = self._accuracy_m[who, None]
        fresh = np.sqrt(1 - _LASTING_MEMORY**2) * _LASTING_SHARE * accuracy_m
        self._lasting_m[who] = _LASTING_MEMORY * self._lasting_m[who] + fresh * self._noise(
            who.size
        )
        jitter_m = 0.6 * (1 - _LASTING_SHARE) * accuracy_m * self._noise(who.size)
        odd = self._random.random(who.size) < _ODD_SHARE
        jitter_m[odd] *= _ODD_FACTOR / (1 - _LASTING_SHARE)
        lat_deg, lon_deg = _degrees(
            self._places.home_m[who] + round_m + self._lasting_m[who] + jitter_m
        )
        return (
            who.astype(np.int64),
            self._now_us - self._random.integers(0, SECOND_US, who.size),
            np.rint(lat_deg * 1e7).astype(np.int64),
            np.rint(lon_deg * 1e7).astype(np.int64),
            np.rint(accuracy_m[:, 0] * 100).astype(np.int64),
        )

    def _noise(self, count: int) -> FloatArray:
        return self._random.standard_normal((count, 2))

    def _ordinary_places(self) -> _Places:
        count = self.count
        home_m = self._random.uniform(-_TOWN_M / 2, _TOWN_M / 2, (count, 2))
        home_m[self._ends[1]] = home_m[self._ends[0]] + away_m(self._random, count // 2)
        zone_m = away_m(self._random, count * ZONES_EACH, ZONE_M).reshape(count, ZONES_EACH, 2)
        radius_m = self._random.uniform(100, 400, (count, ZONES_EACH))
        return _Places(home_m, home_m[:, None] + zone_m, radius_m)

    def _worst_places(self) -> _Places:
        count = self.count
        home_m = self._random.uniform(-_TOWN_M / 2, _TOWN_M / 2, (count, 2))
        course = self._random.uniform(0, 2 * np.pi, (count, 1 + ZONES_EACH))
        step = np.stack([np.cos(course), np.sin(course)], axis=2)
        home_m[self._ends[1]] = home_m[self._ends[0]] + ALERT_M * step[self._ends[0], 0]
        radius_m = self._random.uniform(100, 400, (count, ZONES_EACH))
        return _Places(home_m, home_m[:, None] + radius_m[:, :, None] * step[:, 1:], radius_m)

    def near(self) -> tuple[float, float]:
        """Shares of pairs whose homes, and of zones whose boundary from a home, are within 500 m."""
        places = self._places
        apart_m = np.linalg.norm(np.subtract(*places.home_m[self._ends]), axis=1)
        to_middle_m = np.linalg.norm(places.zone_m - places.home_m[:, None], axis=2)
        to_edge_m = np.abs(to_middle_m - places.zone_radius_m)
        return float(np.mean(apart_m <= ALERT_M)), float(np.mean(to_edge_m <= ALERT_M))


def away_m(random: np.random.Generator, count: int, median_m: float = PARTNER_M) -> FloatArray:
    """(count, 2) steps in any direction, log-normal in length: from one's home to another's."""
    length_m = median_m * np.exp(_SPREAD * random.standard_normal(count))
    course = random.uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(course), np.sin(course)], axis=1) * length_m[:, None]


def _plan(places: _Places, ends: IntArray, *, zoned: bool) -> Plan:
    count = len(places.home_m)
    pairs = count // 2
    return Plan(
        "town",
        tuple(f"d{i}" for i in range(count)),
        Pairs(
            tuple(f"p{i}" for i in range(pairs)),
            ends[0],
            ends[1],
            np.full(pairs, CONTACT_M),
            np.full(pairs, ALERT_M),
            np.full(pairs, PRE_ALERT_M),
        ),
        _zones(places) if zoned else Zones.none(),
    )


def _zones(places: _Places) -> Zones:
    count = places.zone_m.shape[0] * ZONES_EACH
    turn = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    # A rough outline, as streets make it: every other vertex is drawn in by a tenth.
    reach = np.where(np.arange(VERTICES) % 2, 0.9, 1.0)
    outline = np.stack([np.cos(turn), np.sin(turn)], axis=1) * reach[:, None]
    outline = np.concatenate([outline, outline[:1]])
    middle_m = places.zone_m.reshape(count, 1, 2)
    ring_m = middle_m + places.zone_radius_m.reshape(count, 1, 1) * outline
    lat_deg, lon_deg = _degrees(ring_m.reshape(-1, 2))
    return Zones(
        tuple(f"z{i}" for i in range(count)),
        np.repeat(np.arange(places.zone_m.shape[0]), ZONES_EACH),
        np.full(count, int(ZoneKind.EXCLUSION)),
        np.full(count, BUFFER_M),
        np.full((count, 3), np.nan),
        np.arange(count + 1),
        np.arange(count + 1) * (VERTICES + 1),
        lat_deg,
        lon_deg,
    )


def _degrees(place_m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Latitudes and longitudes of (n, 2) metres east and north."""
    lat_deg: NDArray[np.float64] = _MIDDLE_LAT + place_m[:, 1] / DEGREE_M
    lon_deg = _MIDDLE_LON + place_m[:, 0] / (DEGREE_M * np.cos(np.radians(_MIDDLE_LAT)))
    return lat_deg, lon_deg
