"""Polygons as arrays of rings, as a plan holds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from geofence.plan import FloatArray, IntArray
from geofence.zones import nearest_turn_deg, polygon_m


@dataclass(frozen=True)
class Rings:
    ring_vertex: IntArray
    lat_deg: FloatArray
    lon_deg: FloatArray

    @classmethod
    def of(cls, rings: list[FloatArray]) -> Rings:
        """Rings of (n, 2) longitude and latitude; jumps of more than 180 degrees are undone."""
        offsets = np.cumsum([0, *(len(ring) for ring in rings)])
        lon = [np.unwrap(ring[:, 0], period=360.0) for ring in rings]
        base = lon[0].mean() if lon else 0.0
        lon = [one + 360.0 * np.round((base - one.mean()) / 360.0) for one in lon]
        empty = np.zeros(0)
        return cls(
            np.asarray(offsets, np.int64),
            np.concatenate([empty, *(ring[:, 1] for ring in rings)]),
            np.concatenate([empty, *lon]),
        )

    @classmethod
    def of_geometry(cls, geometry: shapely.Geometry) -> Rings:
        rings = [
            np.array(ring.coords)[:, :2]
            for part in shapely.get_parts(geometry)
            if not part.is_empty
            for ring in (part.exterior, *part.interiors)
            if not ring.is_empty
        ]
        return cls.of(rings)

    def signed_m(self, lat_deg: float, lon_deg: float) -> float:
        middle = 0.5 * (self.lon_deg.min() + self.lon_deg.max()) if self.lon_deg.size else 0.0
        return polygon_m(
            lat_deg,
            nearest_turn_deg(lon_deg, float(middle)),
            0,
            self.ring_vertex.size - 1,
            self.ring_vertex,
            self.lat_deg,
            self.lon_deg,
        )
