"""Signed distance from a point to the boundary of a zone: metres, negative inside.

Zones are laid out beforehand by `geofence.planes`, which says how right a distance on a plane is.

**Polygons.** Inside is decided by the even-odd rule over all edges: shells, holes and several parts
alike. The distance is that to the nearest edge.

**Corridors** are ways through the zone: what lies within the half width of a corridor's line (with
round ends and bends) is outside. With d the signed distance to the outline, w the half width and l
the distance to the line, the zone without its corridors is measured as

    max(d, w - l)

The sign of this is exact, and inside it is the distance to the nearest place outside. Outside it
may be less than the distance to the zone, where the nearest place of the outline lies in a
corridor, but never more.

**Far away.** Farther than `REACH_M` from the middle, where a plane tells little (and the other side
of the Earth would fall onto it again), the distance to the middle less the zone's outer radius is
given. That is exact for a circle; for others it is never more than the distance (as well as
`along_chord_m` tells it), but may be less by the outer radius. So at `REACH_M` the distance to a
long and narrow zone jumps to a smaller one, of 10 km at the least and mostly some 200.
"""

from __future__ import annotations

import math

import numpy as np

from geofence.distance import along_chord_m
from geofence.kernel import kernel
from geofence.plan import FloatArray
from geofence.planes import COLUMNS, PER_LENGTH2, REACH_M, SLOPE, X_2, Y_1, Y_2, Planes

_REACH2 = REACH_M * REACH_M
_INFINITE = 0x7FF0000000000000
"""Infinity, as the bits of a float."""


@kernel
def zone_m(zone: int, x_m: float, y_m: float, z_m: float, planes: Planes) -> float:
    """Signed distance in metres from an Earth-centred point on the ellipsoid to a zone.

    Negative inside, positive outside and in its corridors; always finite.
    """
    one = planes.zones[zone]
    middle, east, north = one["middle_m"], one["east"], one["north"]
    dx, dy, dz = x_m - middle[0], y_m - middle[1], z_m - middle[2]
    far = dx * dx + dy * dy + dz * dz > _REACH2
    outlined = one["first_edge"] != one["end_edge"]
    signed: float = 0.0
    if far or not outlined:
        signed = along_chord_m(dx, dy, dz) - one["outer_radius_m"]
        if far or one["first_corridor"] == one["end_corridor"]:
            return signed
    x = dx * east[0] + dy * east[1] + dz * east[2]
    y = dx * north[0] + dy * north[1] + dz * north[2]
    if outlined:
        signed = polygon_m(x, y, one["first_edge"], one["end_edge"], planes.edges)
    for number in range(one["first_corridor"], one["end_corridor"]):
        corridor = planes.corridors[number]
        first, end = corridor["first_edge"], corridor["end_edge"]
        to_line = abs(polygon_m(x, y, first, end, planes.edges))
        signed = max(signed, corridor["half_width_m"] - to_line)
    return signed


@kernel
def polygon_m(x_m: float, y_m: float, first: int, end: int, edges: FloatArray) -> float:
    """Signed distance in metres from a point of a plane to the polygon of the edges ``first:end``.

    Of an edge's two ends the lower belongs to it and the upper does not, so that a ray to the east
    through a shared vertex is counted once.

    Args:
        x_m: Of the point, to the east.
        y_m: To the north.
        first: The polygon's first edge.
        end: One past its last edge.
        edges: As `Planes.edges`.

    Returns:
        Negative inside, +infinity when there is no edge.
    """
    # Made for vector instructions: no branches; unsigned indices, since Numba would look at signed
    # ones for being negative; and the smallest square found among integers, because a compiler
    # that has to keep the order of float comparisons takes them one by one. Floats that are not
    # negative are in the order of their bits.
    nearest = np.int64(_INFINITE)
    crossings = 0
    count = end - first
    begin = COLUMNS * first
    to_y_1, to_x_2, to_y_2 = np.uint64(Y_1 * count), np.uint64(X_2 * count), np.uint64(Y_2 * count)
    to_per_length2, to_slope = np.uint64(PER_LENGTH2 * count), np.uint64(SLOPE * count)
    for e in range(np.uint64(begin), np.uint64(begin + count)):
        x_1, y_1, y_2 = edges[e], edges[e + to_y_1], edges[e + to_y_2]
        px, py = x_m - x_1, y_m - y_1
        ex, ey = edges[e + to_x_2] - x_1, y_2 - y_1
        t = min(max((px * ex + py * ey) * edges[e + to_per_length2], 0.0), 1.0)
        qx, qy = px - t * ex, py - t * ey
        nearest = min(nearest, np.float64(qx * qx + qy * qy).view(np.int64))
        crossings += ((y_1 > y_m) != (y_2 > y_m)) & (px < py * edges[e + to_slope])
    distance = math.sqrt(np.int64(nearest).view(np.float64))
    return -distance if crossings & 1 else distance
