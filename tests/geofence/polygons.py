"""Polygons and corridors as a plan holds them, and as the kernels do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from geofence.distance import to_cartesian_m
from geofence.plan import Corridors, FloatArray, Zones
from geofence.planes import Planes, lay_flat
from geofence.zones import zone_m


def corridors_of(*lines: tuple[FloatArray, float], zone: int = 0) -> Corridors:
    """Corridors of one zone: (n, 2) longitudes and latitudes, and the whole width in metres."""
    points = np.concatenate([np.zeros((0, 2)), *(line for line, _ in lines)])
    return Corridors(
        np.full(len(lines), zone),
        np.array([width_m / 2 for _, width_m in lines]),
        np.cumsum([0, *(len(line) for line, _ in lines)]),
        points[:, 1],
        points[:, 0],
    )


def circle_of(
    lat_deg: float, lon_deg: float, radius_m: float, corridors: Corridors | None = None
) -> Zones:
    """One circle."""
    return _one_zone([], (lat_deg, lon_deg, radius_m), corridors)


def _one_zone(
    rings: Sequence[FloatArray], circle: tuple[float, float, float], corridors: Corridors | None
) -> Zones:
    points = np.concatenate([np.zeros((0, 2)), *rings])
    return Zones(
        ("zone",),
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.array([circle]),
        np.array([0, len(rings)]),
        np.cumsum([0, *(len(ring) for ring in rings)]),
        points[:, 1],
        points[:, 0],
        corridors or Corridors.none(),
    )


def signed_m(planes: Planes, lat_deg: float, lon_deg: float, zone: int = 0) -> float:
    """Signed distance of a point in degrees."""
    return zone_m(zone, *to_cartesian_m(lat_deg, lon_deg), planes)


@dataclass(frozen=True)
class Outline:
    """One polygon: its rings in degrees, and on its plane."""

    rings: list[FloatArray]
    planes: Planes

    @classmethod
    def of(cls, rings: Sequence[FloatArray], corridors: Corridors | None = None) -> Outline:
        """Rings of (n, 2) longitude and latitude; jumps of more than 180 degrees are undone."""
        lon = [np.unwrap(ring[:, 0], period=360.0) for ring in rings]
        lon = [one + 360.0 * np.round((lon[0].mean() - one.mean()) / 360.0) for one in lon]
        moved = [np.stack([a, ring[:, 1]], 1) for a, ring in zip(lon, rings, strict=True)]
        for ring in moved:
            ring[-1] = ring[0]
        zones = _one_zone(moved, (np.nan, np.nan, np.nan), corridors)
        return cls(moved, lay_flat(zones))

    @classmethod
    def of_geometry(cls, geometry: shapely.Geometry) -> Outline:
        return cls.of(
            [
                np.array(ring.coords)[:, :2]
                for part in shapely.get_parts(geometry)
                if not part.is_empty
                for ring in (part.exterior, *part.interiors)
                if not ring.is_empty
            ]
        )

    @property
    def outer_radius_m(self) -> float:
        return float(self.planes.zones["outer_radius_m"][0])

    def signed_m(self, lat_deg: float, lon_deg: float) -> float:
        return signed_m(self.planes, lat_deg, lon_deg)
