"""Where an event of a third party puts somebody: a circle, or the sector of a mast. No I/O.

Places are east and north of the middle (the camera, the mast, the photo) in the azimuthal equidistant
projection: distance and direction from the middle are exact on WGS84, so circles and sectors are, too. A
distance between two places 35 km from the middle is off by 5e-6 of itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from evidence.overlay_csv import Event, Kind
from geofence.rules import DEFAULT_RULES

Floats = NDArray[np.float64]

CAMERA_M = 50.0
"""Radius of a camera that states none: it reads plates some tens of metres away."""

PHOTO_LEAST_M = 50.0
"""Radius of a photo at least: who takes part in it does not stand on one spot."""

R95_PER_R68 = math.sqrt(math.log(0.05) / math.log(0.32))
"""Radius of 95 % as a multiple of that of 68 %, by Rayleigh's law."""

NEGLIGIBLE_SIGMAS = 6.5

_PANELS, _ORDER = 4, 24
_roots, _weights = np.polynomial.legendre.leggauss(_ORDER)
_PART = (np.arange(_PANELS)[:, None] + (_roots + 1) / 2).ravel() / _PANELS
_WEIGHT = np.tile(_weights / 2, _PANELS) / _PANELS
_geod = Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Area:
    """A sector of a disc around its middle; a beam of 360 degrees is the whole disc.

    Attributes:
        lat, lon: Of the middle, degrees.
        azimuth_deg: Middle of the beam, clockwise from true north.
    """

    lat: float
    lon: float
    radius_m: float
    azimuth_deg: float = 0.0
    beam_deg: float = 360.0

    @property
    def size_m2(self) -> float:
        """How large it is."""
        return math.pi * self.radius_m**2 * self.beam_deg / 360

    def plane_m(self, lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
        """East and north of the middle, of places in degrees; all (n,)."""
        middle = np.full(len(lat), self.lon), np.full(len(lat), self.lat)
        azimuths, _, distances_m = _geod.inv(*middle, lon, lat)
        turned = np.radians(azimuths)
        return distances_m * np.sin(turned), distances_m * np.cos(turned)

    def outline(self, corners: int = 64) -> list[tuple[float, float]]:
        """Its edge as longitudes and latitudes, to be drawn."""
        whole = self.beam_deg >= 360
        turns = self.azimuth_deg + self.beam_deg * (np.arange(corners + 1) / corners - 0.5)
        middles = np.full(corners + 1, self.lon), np.full(corners + 1, self.lat)
        lons, lats, _ = _geod.fwd(*middles, turns, np.full(corners + 1, self.radius_m))
        edge = [(float(lon), float(lat)) for lon, lat in zip(lons, lats, strict=True)]
        return edge if whole else [(self.lon, self.lat), *edge, (self.lon, self.lat)]


def area_of(kind: Kind, event: Event) -> Area:
    """Where an event puts whoever it is about; see the limits above for what is not stated."""
    if kind == "cell":
        assert event.reach_m is not None, "a cell states its range"
        return Area(
            event.lat, event.lon, event.reach_m, event.azimuth_deg or 0.0, event.beam_deg or 360.0
        )
    if kind == "anpr":
        return Area(event.lat, event.lon, CAMERA_M if event.reach_m is None else event.reach_m)
    r68_m = DEFAULT_RULES.unknown_accuracy_m if event.reach_m is None else event.reach_m
    return Area(event.lat, event.lon, max(PHOTO_LEAST_M, R95_PER_R68 * r68_m))


def outside_m(area: Area, east_m: Floats, north_m: Floats) -> Floats:
    """How far places are from the area, 0 within it; all (n,)."""
    from_middle_m = np.hypot(east_m, north_m)
    beside = np.abs(_turned(area, east_m, north_m)) - math.radians(area.beam_deg) / 2
    along_m = from_middle_m * np.cos(beside)
    across_m = from_middle_m * np.sin(beside)
    past_m = np.maximum(along_m - area.radius_m, 0.0)
    of_edge_m = np.where(along_m < 0, from_middle_m, np.hypot(across_m, past_m))
    of_arc_m = np.maximum(from_middle_m - area.radius_m, 0.0)
    found: Floats = np.where(beside <= 0, of_arc_m, of_edge_m)
    return found


def chances(area: Area, east_m: Floats, north_m: Floats, sigma_m: Floats) -> Floats:
    """Probability that somebody is within the area, whose place is a Gaussian; all (n,).

    Summed over directions from the middle: along one that passes the place at s and comes nearest to
    it at c, the Gaussian from the middle to the radius R holds, with r as the way from the middle,

        exp(-s^2 / 2 sigma^2) / (2 pi sigma^2)  integral of  r exp(-(r - c)^2 / 2 sigma^2) dr,

    which has a closed form. Directions that pass it at more than `NEGLIGIBLE_SIGMAS` are left out.
    """
    distance_m = np.hypot(east_m, north_m)
    bearing = _turned(area, east_m, north_m)
    width = np.full(len(bearing), math.pi)
    far = distance_m > NEGLIGIBLE_SIGMAS * sigma_m
    width[far] = np.arcsin(NEGLIGIBLE_SIGMAS * sigma_m[far] / distance_m[far])
    half = math.radians(area.beam_deg) / 2
    total = np.zeros(len(bearing))
    for turn in (-2 * math.pi, 0.0, 2 * math.pi):
        low = np.maximum(bearing + turn - width, -half)
        span = np.minimum(bearing + turn + width, half) - low
        there = np.flatnonzero(span > 0)
        off = (low - bearing - turn)[there, None] + span[there, None] * _PART
        held = _along(distance_m[there, None], off, sigma_m[there, None], area.radius_m)
        total[there] += span[there] * (held @ _WEIGHT)
    found: Floats = np.clip(total, 0.0, 1.0)
    return found


def _along(distance_m: Floats, off: Floats, sigma_m: Floats, radius_m: float) -> Floats:
    """What a direction holds, for each radian: see `chances`."""
    along, across = distance_m * np.cos(off) / sigma_m, distance_m * np.sin(off) / sigma_m
    end = radius_m / sigma_m - along
    ends = np.exp(-0.5 * along**2) - np.exp(-0.5 * end**2)
    root = math.sqrt(2)
    between = along * math.sqrt(math.pi / 2) * (_erf(end / root) + _erf(along / root))
    found: Floats = np.exp(-0.5 * across**2) / (2 * math.pi) * (ends + between)
    return found


def _turned(area: Area, east_m: Floats, north_m: Floats) -> Floats:
    """Direction from the middle, from that of the beam, -pi to pi."""
    turned = np.arctan2(east_m, north_m) - math.radians(area.azimuth_deg)
    found: Floats = (turned + math.pi) % (2 * math.pi) - math.pi
    return found


def _erf(x: Floats) -> Floats:
    """Error function to 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26)."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series: Floats = np.full_like(t, 1.061405429)
    for term in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = series * t + term
    found: Floats = np.copysign(1 - series * t * np.exp(-(x**2)), x)
    return found
