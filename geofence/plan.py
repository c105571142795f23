"""What the engine watches, as flat arrays.

A plan is compiled from a caseload by `devices.compiler` and swapped whole. A *track* is a device
whose position matters; a *watch* is one thing to decide: a pair of tracks, or a track and a zone.
Watches are numbered pairs first, then zones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from geofence.sensitivity import DEFAULT_SENSITIVITY, Sensitivity

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class TooDetailedError(ValueError):
    """A zone's outline, or those of all, are too long and winding to be watched."""


class ZoneKind(IntEnum):
    """Whether being inside is the breach, or being outside."""

    EXCLUSION = 0
    INCLUSION = 1


@dataclass(frozen=True, slots=True)
class Corridors:
    """C ways through exclusion zones that are allowed: lines with a width.

    Attributes:
        zone: (C,) index of the zone each leads through, never falling.
        half_width_m: (C,) how far it reaches to each side of its line, and beyond its ends.
        line_vertex: (C + 1,) offsets into `lat_deg` and `lon_deg`.
        lat_deg, lon_deg: (V,) vertices of the lines in degrees, longitudes running on.
    """

    zone: IntArray
    half_width_m: FloatArray
    line_vertex: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray

    @classmethod
    def none(cls) -> Corridors:
        """No corridors at all."""
        i = np.zeros(0, np.int64)
        f = np.zeros(0, np.float64)
        return cls(i, f, np.zeros(1, np.int64), f, f)


@dataclass(frozen=True, slots=True)
class Zones:
    """Z zones. Polygons are flattened: zone -> rings -> vertices, by offsets.

    Attributes:
        keys: Z watch keys, unique.
        track: (Z,) index of the track each zone applies to.
        kind: (Z,) values of `ZoneKind`.
        buffer_m: (Z,) width of the warning band outside an exclusion zone (inside an inclusion
            zone), metres; 0 for none.
        circle: (Z, 3) centre latitude and longitude in degrees, radius in metres; NaN radius for
            a polygon.
        zone_ring: (Z + 1,) offsets into `ring_vertex`; a circle has no rings.
        ring_vertex: (R + 1,) offsets into `lat_deg` and `lon_deg`.
        lat_deg, lon_deg: (V,) vertices in degrees, each ring closed (first vertex repeated at
            its end). Longitudes run on continuously across the antimeridian, so they may pass
            180. Rings of one zone are combined by the even-odd rule: shells and holes need no
            order.
        corridors: Ways through them.
    """

    keys: tuple[str, ...]
    track: IntArray
    kind: IntArray
    buffer_m: FloatArray
    circle: FloatArray
    zone_ring: IntArray
    ring_vertex: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray
    corridors: Corridors = field(default_factory=Corridors.none)

    @classmethod
    def none(cls) -> Zones:
        """No zones at all."""
        i = np.zeros(0, np.int64)
        f = np.zeros(0, np.float64)
        one = np.zeros(1, np.int64)
        return cls((), i, i, f, np.zeros((0, 3)), one, one, f, f)


@dataclass(frozen=True, slots=True)
class Pairs:
    """P pairs of tracks.

    Attributes:
        keys: P watch keys, unique.
        a, b: (P,) track indices; a is the wearer's tag, b the protected person's handset.
        contact_m, alert_m, pre_alert_m: (P,) radii of the rings in metres, growing.
    """

    keys: tuple[str, ...]
    a: IntArray
    b: IntArray
    contact_m: FloatArray
    alert_m: FloatArray
    pre_alert_m: FloatArray

    @classmethod
    def none(cls) -> Pairs:
        """No pairs at all."""
        i = np.zeros(0, np.int64)
        f = np.zeros(0, np.float64)
        return cls((), i, i, f, f, f)


@dataclass(frozen=True, slots=True)
class Companions:
    """C pairs of devices of one person, which are to be at the same place.

    Attributes:
        worn: (C,) track of the device on the body.
        carried: (C,) track of the one that is carried.
    """

    worn: IntArray
    carried: IntArray

    @classmethod
    def none(cls) -> Companions:
        """No companions at all."""
        i = np.zeros(0, np.int64)
        return cls(i, i)


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to watch.

    Attributes:
        version: Names the caseload and the instant it was compiled for.
        tracks: Device ids; the index in this tuple is the track's index.
        sensitivities: Sets of parameters that watches may go by.
        sensitivity: (W,) index of each watch's set; empty: the first one for all.
        companions: Pairs of tracks that are one person's.
    """

    version: str
    tracks: tuple[str, ...]
    pairs: Pairs = field(default_factory=Pairs.none)
    zones: Zones = field(default_factory=Zones.none)
    sensitivities: tuple[Sensitivity, ...] = (DEFAULT_SENSITIVITY,)
    sensitivity: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    companions: Companions = field(default_factory=Companions.none)

    @property
    def watch_keys(self) -> tuple[str, ...]:
        """All watch keys: the pairs', then the zones'."""
        return self.pairs.keys + self.zones.keys

    @property
    def companion_keys(self) -> tuple[tuple[str, str], ...]:
        """Device ids of each pair of companions: the one that is worn, the one that is carried."""
        ends = zip(self.companions.worn.tolist(), self.companions.carried.tolist(), strict=True)
        return tuple((self.tracks[worn], self.tracks[carried]) for worn, carried in ends)
