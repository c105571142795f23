"""Geodesic distance on WGS84, by way of the chord.

Both points are put on the ellipsoid in Cartesian coordinates, which can be kept with each fix;
the straight chord c between them follows from three differences, without any loss near the
poles or the antimeridian. Along a curve of radius R the way over the surface is

    s = 2 R asin(c / 2R) = c + c^3 / (24 R^2) + ...

A normal section of WGS84 has a radius between 6335.4 km (meridian at the equator) and 6399.6 km
(at the poles). `ARC_RADIUS_M` lies in the middle in terms of 1/R^2, so the correction is wrong by
at most 1.02 %:

    error <= 0.0102 s^3 / (24 R^2)        0.09 mm at 20 km, 1.3 m at 500 km (2.6e-6)

How far the geodesic departs from the normal section is of higher order still (below a
nanometre at 20 km). Rounding adds a few nanometres. Farther away the distance goes on growing
with the chord: to within 1e-5 up to 900 km, and to within 4 % on the far side of the Earth, where
a chord tells little and nothing is decided by it.

Formulas: any textbook on geodesy, for example Torge, "Geodesy", sections 4.1 and 4.2. Constants:
NIMA TR8350.2, "World Geodetic System 1984".
"""

from __future__ import annotations

import math

from geofence.kernel import kernel
from geofence.plan import FloatArray

SEMI_MAJOR_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
ECCENTRICITY2 = FLATTENING * (2 - FLATTENING)
ARC_RADIUS_M = 6_367_290.0
"""1/R^2 of this is the mean of 1/R^2 of the smallest and the greatest normal section radius."""


@kernel
def to_cartesian_m(lat_deg: float, lon_deg: float) -> tuple[float, float, float]:
    """Earth-centred x, y, z in metres of a point on the ellipsoid (height 0)."""
    lat = math.radians(lat_deg)
    lon = math.radians(lon_deg)
    sin_lat = math.sin(lat)
    normal_m = SEMI_MAJOR_M / math.sqrt(1 - ECCENTRICITY2 * sin_lat * sin_lat)
    equatorial_m = normal_m * math.cos(lat)
    return (
        equatorial_m * math.cos(lon),
        equatorial_m * math.sin(lon),
        normal_m * (1 - ECCENTRICITY2) * sin_lat,
    )


@kernel
def along_chord_m(dx_m: float, dy_m: float, dz_m: float) -> float:
    """Geodesic distance in metres of two points whose Cartesian difference is given."""
    half = 0.5 * math.sqrt(dx_m * dx_m + dy_m * dy_m + dz_m * dz_m) / ARC_RADIUS_M
    # The longest chord, through the Earth at the equator, is slightly longer than 2 R.
    return 2 * ARC_RADIUS_M * math.asin(min(half, 1.0))


@kernel
def geodesic_m(a_lat_deg: float, a_lon_deg: float, b_lat_deg: float, b_lon_deg: float) -> float:
    """Geodesic distance in metres of two points in degrees. Error: see the module.

    Exactly symmetric, and exactly 0 for equal coordinates.
    """
    ax, ay, az = to_cartesian_m(a_lat_deg, a_lon_deg)
    bx, by, bz = to_cartesian_m(b_lat_deg, b_lon_deg)
    return along_chord_m(ax - bx, ay - by, az - bz)


@kernel
def geodesics_m(
    a_lat_deg: FloatArray,
    a_lon_deg: FloatArray,
    b_lat_deg: FloatArray,
    b_lon_deg: FloatArray,
    out_m: FloatArray,
) -> None:
    """`geodesic_m` of n pairs of points, written to `out_m`; all arrays (n,)."""
    for i in range(out_m.size):
        out_m[i] = geodesic_m(a_lat_deg[i], a_lon_deg[i], b_lat_deg[i], b_lon_deg[i])
